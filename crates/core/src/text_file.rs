//! Lines of text files in which each line stands for itself, such as access control lists and subscription files; and what in
//! them is not what it looks like.
//!
//! A line that looks right and means something else must not be taken: a class behind an invisible character is another class, so
//! the one that was meant would be open.

use crate::{charset::Charset, sanitize};

/// A line without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from one.
    pub number: usize,
    /// Where the text begins, in octets, counted from one.
    pub column: usize,
    /// The text.
    pub text: &'a [u8],
    /// The text and the white space behind it, without the line's end.
    pub with_blanks: &'a [u8],
}

/// What makes a line or a name other than it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// A NUL, as in files that are no text or are UTF-16.
    #[error("a NUL octet")]
    Nul,
    /// A carriage return that ends no line.
    #[error("a carriage return inside of a line: lines end with a newline")]
    CarriageReturn,
    /// Another control character than a tab.
    #[error("a control character")]
    Control,
    /// An octet that is no UTF-8.
    #[error("not UTF-8: octet 0x{0:02x}")]
    NotUtf8(u8),
    /// A character that is not seen or changes the order of reading, such as a byte order mark inside of a file.
    #[error("a character that cannot be seen: {}", .0.escape_unicode())]
    Invisible(char),
    /// A blank other than that of ASCII, which is part of a name.
    #[error("a blank that would be part of the name: {}", .0.escape_unicode())]
    Blank(char),
}

/// The lines of a text, which end with LF or CR LF; the last may have no end.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    text.split(|&octet| octet == b'\n').enumerate().map(|(index, line)| {
        let begun = line.trim_ascii_start();
        Line {
            number: index + 1,
            column: line.len() - begun.len() + 1,
            text: begun.trim_ascii_end(),
            with_blanks: begun.strip_suffix(b"\r").unwrap_or(begun),
        }
    })
}

impl Line<'_> {
    /// What no line of a text has, not even a comment, and its offset: it hides where lines end.
    pub fn oddity(&self) -> Option<(usize, Oddity)> {
        let at = self.text.iter().position(|&octet| matches!(octet, b'\0' | b'\r'))?;
        Some((at, if self.text.get(at) == Some(&0) { Oddity::Nul } else { Oddity::CarriageReturn }))
    }
}

/// What no name has that is spelled out in a file, and its offset. Tabs are not looked at.
pub fn oddity(name: &[u8]) -> Option<(usize, Oddity)> {
    if name.iter().all(|&octet| matches!(octet, b' '..=b'~' | b'\t')) {
        return None;
    }
    let text = match str::from_utf8(name) {
        Ok(text) => text,
        Err(error) => {
            let valid = name.get(..error.valid_up_to()).unwrap_or_default();
            let not_utf8 = name.get(valid.len()).map(|&octet| (valid.len(), Oddity::NotUtf8(octet)));
            return oddity(valid).or(not_utf8);
        }
    };
    let shown = sanitize::lines(name, Charset::UTF8);
    let escaped = text.char_indices().zip(shown.chars()).find(|((_, one), other)| one != other);
    let blank = text.char_indices().find(|(_, one)| one.is_whitespace() && !one.is_ascii_whitespace());
    let odd = escaped.map(|(found, _)| found).into_iter().chain(blank).min()?;
    Some(match odd {
        (at, '\0') => (at, Oddity::Nul),
        (at, '\r') => (at, Oddity::CarriageReturn),
        (at, control) if control.is_control() => (at, Oddity::Control),
        (at, blank) if blank.is_whitespace() => (at, Oddity::Blank(blank)),
        (at, other) => (at, Oddity::Invisible(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_without_the_white_space_around_them() {
        assert_eq!(lines(b" a b \t\r\n").next().unwrap().with_blanks, b"a b \t");
        let read: Vec<_> =
            lines(b"a\r\n \t b \r\n\n\rc\nd").map(|line| (line.number, line.column, line.text)).collect();
        let expected: [(usize, usize, &[u8]); 5] =
            [(1, 1, b"a"), (2, 4, b"b"), (3, 1, b""), (4, 2, b"c"), (5, 1, b"d")];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_hides_the_end_of_a_line() {
        let found = |text: &'static str| lines(text.as_bytes()).next().unwrap().oddity();
        assert_eq!(found("# a\tb\u{feff}"), None, "in a comment");
        assert_eq!(found("# a\rb"), Some((3, Oddity::CarriageReturn)));
        assert_eq!(found("a\0\r"), Some((1, Oddity::Nul)));
    }

    #[test]
    fn what_is_not_what_it_looks_like() {
        for name in ["", "alice@R", "my class\t1", "café", "cafe\u{301}", "שלום", "日本", "👩\u{200d}💻", "a\\u{feff}"]
        {
            assert_eq!(oddity(name.as_bytes()), None, "{name}");
        }
        for (name, at, odd) in [
            (&b"\xef\xbb\xbfa"[..], 0, Oddity::Invisible('\u{feff}')),
            ("é\u{200b}".as_bytes(), 2, Oddity::Invisible('\u{200b}')),
            ("a\u{202e}b".as_bytes(), 1, Oddity::Invisible('\u{202e}')),
            ("a\u{a0}".as_bytes(), 1, Oddity::Blank('\u{a0}')),
            ("a\u{3000}b".as_bytes(), 1, Oddity::Blank('\u{3000}')),
            ("a\u{2028}".as_bytes(), 1, Oddity::Blank('\u{2028}')),
            (b"a\0b", 1, Oddity::Nul),
            (b"a\rb", 1, Oddity::CarriageReturn),
            (b"a\x0bb", 1, Oddity::Control),
            ("a\u{85}".as_bytes(), 1, Oddity::Control),
            (b"ab\xe9", 2, Oddity::NotUtf8(0xe9)),
            (b"a\x0b\xe9", 1, Oddity::Control),
        ] {
            assert_eq!(oddity(name), Some((at, odd)), "{}", name.escape_ascii());
        }
        assert_eq!(Oddity::Invisible('\u{feff}').to_string(), "a character that cannot be seen: \\u{feff}");
    }
}
