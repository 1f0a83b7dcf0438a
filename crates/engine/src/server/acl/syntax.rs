//! Places of syntax errors in files.

/// A syntax error in a file. Line and column are counted from one, columns in octets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct SyntaxError<R: std::error::Error> {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The error.
    pub reason: R,
}

/// The lines of a text with their numbers, without the white space around them, each with the column where it begins.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    text.split(|&octet| octet == b'\n').enumerate().map(|(index, line)| {
        let begun = line.trim_ascii_start();
        (index + 1, line.len() - begun.len() + 1, begun.trim_ascii_end())
    })
}
