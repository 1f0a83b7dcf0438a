//! Reading of files line by line, and the places of the errors in them.

use zephyr_core::text_file::{Oddity, lines};

/// Maximum number of errors that are reported of one file.
pub const MAX_ERRORS: usize = 1000;

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

/// Reads each line that is neither empty nor hides where lines end, by its number; an error comes with its offset in the line. Gives
/// the first [`MAX_ERRORS`] errors. A line with an error costs no other line.
pub(super) fn read_lines<R: std::error::Error + From<Oddity>>(
    text: &[u8],
    mut read: impl FnMut(usize, &[u8]) -> Result<(), (usize, R)>,
) -> Vec<SyntaxError<R>> {
    let errors = lines(text).filter(|line| !line.text.is_empty()).filter_map(|line| {
        let result = match line.oddity() {
            Some((offset, odd)) => Err((offset, odd.into())),
            None => read(line.number, line.text),
        };
        let (offset, reason) = result.err()?;
        Some(SyntaxError { line: line.number, column: line.column + offset, reason })
    });
    errors.take(MAX_ERRORS).collect()
}
