//! From the character set of a notice to that of the terminal (zwgc, section 9.5).

use std::{borrow::Cow, fmt, str::Utf8Error};
use zephyr_core::charset::Charset;

/// The name that a notice's character set has when none is known.
const UNKNOWN: &[u8] = b"UNKNOWN";
/// What a character becomes that the terminal has not.
const MISSING: u8 = b'?';

const UTF_8: [&str; 2] = ["UTF-8", "UTF8"];
const LATIN_1: [&str; 9] =
    ["ISO-8859-1", "ISO8859-1", "ISO_8859-1", "ISO88591", "8859_1", "LATIN1", "L1", "CP819", "IBM819"];
const ASCII: [&str; 6] = ["ANSI_X3.4-1968", "ANSI_X3.4-1986", "US-ASCII", "ASCII", "646", "ISO646-US"];

/// The names of the character sets between which text is converted: the values of `$notice_charset` and `$tty_charset`.
///
/// Known are UTF-8, ISO-8859-1 and US-ASCII, by their usual names in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charsets<'a> {
    /// Of the text.
    pub notice: &'a [u8],
    /// Of whoever shows it.
    pub terminal: &'a [u8],
}

impl Charsets<'_> {
    /// Converts a text. It stays as it is when the notice's character set is `UNKNOWN`, or both are called the same. Characters that
    /// the terminal has not become `?`.
    ///
    /// Text that is called ISO-8859-1 and is UTF-8 is UTF-8, as everywhere ([`Charset::decode`]).
    ///
    /// # Errors
    ///
    /// When one of the character sets is not known, or the text is not in the one that it should be in.
    pub fn convert(self, text: &[u8]) -> Result<Cow<'_, [u8]>, ConversionError> {
        if self.notice == UNKNOWN || self.notice == self.terminal {
            return Ok(Cow::Borrowed(text));
        }
        let known = |name| Known::of(name).ok_or(ConversionError::UnknownCharset);
        let (notice, terminal) = (known(self.notice)?, known(self.terminal)?);
        if text.is_ascii() {
            return Ok(Cow::Borrowed(text));
        }
        let characters = match notice {
            Known::Utf8 => Cow::Borrowed(str::from_utf8(text)?),
            Known::Latin1 => Charset::LATIN1.decode(text),
            Known::Ascii => return Err(ConversionError::Invalid),
        };
        let last = match terminal {
            Known::Utf8 => return Ok(Cow::Owned(characters.into_owned().into_bytes())),
            Known::Latin1 => u8::MAX,
            Known::Ascii => 0x7f,
        };
        let octet = |character| u8::try_from(character).ok().filter(|&octet| octet <= last).unwrap_or(MISSING);
        Ok(Cow::Owned(characters.chars().map(octet).collect()))
    }

    /// Whether what shows the text takes it as UTF-8.
    pub fn is_utf8_terminal(self) -> bool {
        Known::of(self.terminal) == Some(Known::Utf8)
    }
}

/// Why a text stays as it is. It shows as what the C library says of that, which descriptions find in `$error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversionError {
    /// A character set is not known.
    UnknownCharset,
    /// Octets that are no character.
    Invalid,
    /// The text ends within a character.
    Incomplete,
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCharset | Self::Incomplete => "Invalid argument",
            Self::Invalid => "Invalid or incomplete multibyte or wide character",
        })
    }
}

impl std::error::Error for ConversionError {}

impl From<Utf8Error> for ConversionError {
    fn from(error: Utf8Error) -> Self {
        if error.error_len().is_some() { Self::Invalid } else { Self::Incomplete }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Utf8,
    Latin1,
    Ascii,
}

impl Known {
    fn of(name: &[u8]) -> Option<Self> {
        let is_one_of = |names: &[&str]| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
        if is_one_of(&UTF_8) {
            Some(Self::Utf8)
        } else if is_one_of(&LATIN_1) {
            Some(Self::Latin1)
        } else if is_one_of(&ASCII) {
            Some(Self::Ascii)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn converted(notice: &str, terminal: &str, text: &[u8]) -> Result<String, ConversionError> {
        let charsets = Charsets { notice: notice.as_bytes(), terminal: terminal.as_bytes() };
        charsets.convert(text).map(|text| text.escape_ascii().to_string())
    }

    #[test]
    fn between_those_that_are_known() {
        for (notice, terminal, text, expected) in [
            ("ISO-8859-1", "UTF-8", &b"caf\xe9 \xa4"[..], "caf\\xc3\\xa9 \\xc2\\xa4"),
            ("ISO-8859-1", "UTF-8", "café".as_bytes(), "caf\\xc3\\xa9"),
            ("UTF-8", "ISO-8859-1", "café €".as_bytes(), "caf\\xe9 ?"),
            ("UTF-8", "iso8859-1", "ÿĀ".as_bytes(), "\\xff?"),
            ("UTF-8", "ANSI_X3.4-1968", "café €\x7f".as_bytes(), "caf? ?\\x7f"),
            ("latin1", "ascii", b"caf\xe9", "caf?"),
            ("US-ASCII", "UTF-8", b"a", "a"),
            ("UTF-8", "utf8", "é".as_bytes(), "\\xc3\\xa9"),
        ] {
            assert_eq!(converted(notice, terminal, text).as_deref(), Ok(expected), "{notice} {terminal}");
        }
    }

    #[test]
    fn nothing_to_convert() {
        for (notice, terminal) in [("UNKNOWN", "UTF-8"), ("UNKNOWN", "x"), ("UTF-8", "UTF-8"), ("x", "x")] {
            assert_eq!(converted(notice, terminal, b"\xff\xc3").as_deref(), Ok("\\xff\\xc3"), "{notice} {terminal}");
        }
    }

    #[test]
    fn what_is_wrong() {
        for (notice, terminal, text, expected) in [
            ("UTF-8", "ISO-8859-1", &b"bad \xff\xfe text"[..], ConversionError::Invalid),
            ("UTF-8", "ISO-8859-1", b"bad \xc3(", ConversionError::Invalid),
            ("UTF-8", "ISO-8859-1", b"inc \xc3", ConversionError::Incomplete),
            ("UTF-8", "utf-8", b"\xff", ConversionError::Invalid),
            ("ASCII", "UTF-8", b"a\xe9", ConversionError::Invalid),
            ("UTF-8", "KLINGON", b"a", ConversionError::UnknownCharset),
            ("KLINGON", "UTF-8", b"a", ConversionError::UnknownCharset),
            ("unknown", "UTF-8", b"a", ConversionError::UnknownCharset),
            ("", "UTF-8", b"a", ConversionError::UnknownCharset),
        ] {
            assert_eq!(converted(notice, terminal, text), Err(expected), "{notice} {terminal}");
        }
        assert_eq!(ConversionError::Incomplete.to_string(), "Invalid argument");
        assert_eq!(ConversionError::UnknownCharset.to_string(), "Invalid argument");
        assert_eq!(ConversionError::Invalid.to_string(), "Invalid or incomplete multibyte or wide character");
    }

    proptest! {
        #[test]
        fn latin_1_comes_back(text in "[\\x00-\\u{ff}]{0,40}") {
            let there = Charsets { notice: b"UTF-8", terminal: b"ISO-8859-1" }.convert(text.as_bytes()).unwrap().into_owned();
            prop_assert_eq!(there.len(), text.chars().count());
            let latin_1: String = there.iter().map(|&octet| char::from(octet)).collect();
            prop_assert_eq!(latin_1, text);
        }
    }
}
