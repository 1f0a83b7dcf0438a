//! POSIX basic regular expressions with the extensions of the GNU C library (zwgc, section 7.6).
//!
//! They are translated to those of the `fancy-regex` crate, which matches in linear time but for back-references, `\<` and `\>`, and
//! limits how often those go back.

mod bracket;
mod translation;

use fancy_regex::RegexBuilder;
use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
};

/// Maximum length of a pattern in octets.
const MAX_PATTERN: usize = 4096;
/// Maximum size of a compiled pattern, in octets.
const MAX_COMPILED: usize = 1 << 20;
/// Maximum number of times that matching a pattern with back-references goes back.
const MAX_BACKTRACKS: usize = 100_000;

/// Why a pattern cannot be matched; displayed, it is what the GNU C library says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// `[.` `.]` with something else than a character.
    CollatingElement,
    /// A class of characters that there is not.
    CharacterClass,
    /// A backslash at the end.
    TrailingBackslash,
    /// `\9` where there are no nine groups before it.
    BackReference,
    /// `[` without `]`.
    UnmatchedBracket,
    /// `[` at the end.
    Invalid,
    /// `\(` without `\)`, or the reverse.
    UnmatchedParenthesis,
    /// `\{` without `\}`.
    UnmatchedBrace,
    /// Something else than one or two numbers within `\{` `\}`.
    BraceContent,
    /// A range that is none, as `[z-a]`.
    RangeEnd,
    /// A repetition of nothing.
    NothingToRepeat,
    /// It is too long, too deep, or takes too long to match.
    TooBig,
}

impl Display for PatternError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CollatingElement => "Invalid collation character",
            Self::CharacterClass => "Invalid character class name",
            Self::TrailingBackslash => "Trailing backslash",
            Self::BackReference => "Invalid back reference",
            Self::UnmatchedBracket => "Unmatched [, [^, [:, [., or [=",
            Self::Invalid => "Invalid regular expression",
            Self::UnmatchedParenthesis => "Unmatched ( or \\(",
            Self::UnmatchedBrace => "Unmatched \\{",
            Self::BraceContent => "Invalid content of \\{\\}",
            Self::RangeEnd => "Invalid range end",
            Self::NothingToRepeat => "Invalid preceding regular expression",
            Self::TooBig => "Regular expression too big",
        })
    }
}

impl std::error::Error for PatternError {}

/// Whether a part of a text matches a pattern. A newline is a character as any other. Both are read as UTF-8 if both are, and as
/// single octets otherwise.
///
/// # Errors
///
/// When the pattern is wrong or takes too much.
pub fn matches(pattern: &[u8], text: &[u8]) -> Result<bool, PatternError> {
    if pattern.len() > MAX_PATTERN {
        return Err(PatternError::TooBig);
    }
    let (pattern, text) = match (str::from_utf8(pattern), str::from_utf8(text)) {
        (Ok(pattern), Ok(text)) => (Cow::Borrowed(pattern), Cow::Borrowed(text)),
        _ => (characters(pattern), characters(text)),
    };
    let regex = RegexBuilder::new(&translation::translate(&pattern)?)
        .delegate_size_limit(MAX_COMPILED)
        .delegate_dfa_size_limit(MAX_COMPILED)
        .backtrack_limit(MAX_BACKTRACKS)
        .build()
        .map_err(|_| PatternError::TooBig)?;
    regex.is_match(&*text).map_err(|_| PatternError::TooBig)
}

/// A character for each octet.
fn characters(octets: &[u8]) -> Cow<'static, str> {
    octets.iter().map(|&octet| char::from(octet)).collect()
}

#[cfg(test)]
mod tests;
