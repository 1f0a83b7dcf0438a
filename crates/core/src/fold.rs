//! Case folding and normalisation of class and instance names (server behaviour, section 3).

use caseless::Caseless;
use std::{fmt, ops::Deref};
use unicode_normalization::UnicodeNormalization;

/// A class or instance name in the form in which equal names are equal octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoldedName(Box<[u8]>);

impl FoldedName {
    /// The folded form of a name in any spelling.
    pub fn new(name: &[u8]) -> Self {
        Self(fold(name))
    }

    /// A name that is in its folded form already.
    pub fn from_folded(folded: &[u8]) -> Self {
        Self(folded.into())
    }

    /// Whether this is the class or instance that the protocol calls so, in whatever case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl Deref for FoldedName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for FoldedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoldedName({})", self.0.escape_ascii())
    }
}

/// The form of a class or instance name in which equal names are equal octets.
///
/// Valid UTF-8 without noncharacters is folded by case and compatibility; anything else has its ASCII letters lowered.
/// The same text as a C server's tables give, for every character that those know.
pub fn fold(name: &[u8]) -> Box<[u8]> {
    if name.is_ascii() {
        return name.to_ascii_lowercase().into();
    }
    match std::str::from_utf8(name) {
        Ok(text) if !text.chars().any(is_noncharacter) => {
            // Folded character by character: folding the whole first would reorder U+0345 and differ.
            let folded = text.chars().flat_map(|character| {
                let folded: Vec<char> =
                    character.nfkd().default_case_fold().nfkd().default_case_fold().nfkd().collect();
                folded
            });
            folded.nfc().collect::<String>().into_bytes().into()
        }
        _ => name.to_ascii_lowercase().into(),
    }
}

fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_c_servers_take_for_the_same() {
        for (one, other) in
            [("MESSAGE", "message"), ("STRAßE", "strasse"), ("ﬁx", "fix"), ("CAFÉ", "cafe\u{301}"), ("Ⅷ", "viii")]
        {
            assert_eq!(fold(one.as_bytes()), fold(other.as_bytes()), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_text_only_loses_ascii_case() {
        assert_eq!(&*fold(b"AB\xFF\xC4"), b"ab\xFF\xC4");
        assert_eq!(&*fold("Ä\u{FFFF}B".as_bytes()), "Ä\u{FFFF}b".as_bytes());
    }
}
