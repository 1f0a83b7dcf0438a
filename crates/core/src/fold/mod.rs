//! Case folding and normalisation of class and instance names (server behaviour, section 3).

mod compose;
mod table;

use crate::limits::MAX_FOLDED_NAME;
use compose::Composer;
use std::{fmt, ops::Deref};
use table::{Folding, Piece};

/// The folded form of a name is longer than any packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("its folded form has more than {MAX_FOLDED_NAME} octets")]
pub struct NameTooLong;

/// A class or instance name in the form in which equal names are equal octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FoldedName(Box<[u8]>);

impl FoldedName {
    /// The folded form of a name in any spelling.
    pub fn new(name: &[u8]) -> Self {
        Self(fold(name))
    }

    /// The folded form of a name that somebody else has sent.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_FOLDED_NAME`]. A character may become eighteen, so a few packets could take a lot of
    /// memory; no name is that long that is not made for it.
    pub fn bounded(name: &[u8]) -> Result<Self, NameTooLong> {
        folded(name, MAX_FOLDED_NAME).map(Self).map_err(|TooLong| NameTooLong)
    }

    /// Appends the folded form of a name to a text that holds more than that.
    ///
    /// # Errors
    ///
    /// As [`bounded`](Self::bounded); then nothing is appended.
    pub fn append(name: &[u8], text: &mut Vec<u8>) -> Result<(), NameTooLong> {
        if name.is_ascii() && name.len() <= MAX_FOLDED_NAME {
            text.extend(name.iter().map(u8::to_ascii_lowercase));
        } else {
            text.extend_from_slice(&Self::bounded(name)?);
        }
        Ok(())
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
    folded(name, usize::MAX).unwrap_or_else(|TooLong| name.into())
}

/// The folded form is longer than it may be.
struct TooLong;

/// The folded form of a name, unless it has more than `max` octets: then it is not even finished.
fn folded(name: &[u8], max: usize) -> Result<Box<[u8]>, TooLong> {
    let folded = match std::str::from_utf8(name) {
        Ok(text) if !name.is_ascii() => folded_text(text, max)?,
        _ => None,
    };
    let folded = folded.unwrap_or_else(|| name.to_ascii_lowercase());
    if folded.len() <= max { Ok(folded.into()) } else { Err(TooLong) }
}

/// The folded form of a text; `None` when it has a character that no text has.
///
/// Each character is looked up by itself: folding the whole first would reorder U+0345 and differ. Most characters
/// stand for themselves then; those that may compose with what is before them are composed with it.
fn folded_text(text: &str, max: usize) -> Result<Option<Vec<u8>>, TooLong> {
    let mut composer = Composer::default();
    let mut folded = String::with_capacity(text.len());
    // Where the last character begins that does not join the one before it, and whether any has joined it.
    let (mut start, mut joined) = (0, false);
    for character in text.chars() {
        if is_noncharacter(character) {
            return Ok(None);
        }
        let folding = table::folding(character);
        let joins = match &folding {
            Folding::Same { joins } | Folding::Becomes(Piece { joins, .. }) => *joins,
        };
        if joins {
            joined = true;
        } else {
            if joined {
                composer.compose_from(&mut folded, start);
                joined = false;
            }
            if folded.len() > max {
                return Err(TooLong);
            }
            start = folded.len();
        }
        match folding {
            Folding::Same { .. } => folded.push(character),
            Folding::Becomes(piece) => folded.push_str(piece.text),
        }
    }
    if joined {
        composer.compose_from(&mut folded, start);
    }
    Ok(Some(folded.into_bytes()))
}

fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

#[cfg(test)]
mod tests {
    use super::*;
    use caseless::Caseless;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn what_is_appended_is_folded_as_elsewhere() {
        for name in [&b"ABC"[..], "CAF\u{c9}".as_bytes(), b"\xFFX", b""] {
            let mut text = b"A".to_vec();
            FoldedName::append(name, &mut text).unwrap();
            assert_eq!(text, [b"A", &*fold(name)].concat());
        }
        for long in [vec![b'x'; MAX_FOLDED_NAME + 1], "\u{FDFA}".repeat(32).into_bytes()] {
            let mut text = Vec::new();
            assert_eq!((FoldedName::append(&long, &mut text), text), (Err(NameTooLong), Vec::new()));
        }
    }

    #[test]
    fn names_that_c_servers_take_for_the_same() {
        for (one, other) in
            [("MESSAGE", "message"), ("STRAßE", "strasse"), ("ﬁx", "fix"), ("CAFÉ", "cafe\u{301}"), ("Ⅷ", "viii")]
        {
            assert_eq!(fold(one.as_bytes()), fold(other.as_bytes()), "{one} {other}");
        }
    }

    /// The definition, one character after the other.
    fn by_definition(name: &[u8]) -> Box<[u8]> {
        match std::str::from_utf8(name) {
            Ok(text) if !text.chars().any(is_noncharacter) => {
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

    #[test]
    fn every_character_is_folded_as_defined() {
        for character in '\0'..'\u{30000}' {
            // What is before or behind it may compose with it or change places.
            for name in [format!("{character}"), format!("\u{1100}{character}\u{11A8}\u{323}{character}\u{301}")] {
                assert_eq!(fold(name.as_bytes()), by_definition(name.as_bytes()), "{character:?}");
            }
        }
        // Nearly all of the others are not assigned.
        let others: Vec<char> = ('\u{30000}'..=char::MAX).filter(|&character| !is_noncharacter(character)).collect();
        for chunk in others.chunks(256) {
            let name: String = chunk.iter().collect();
            assert_eq!(fold(name.as_bytes()), by_definition(name.as_bytes()), "{:?}", chunk.first());
        }
    }

    /// Characters that fold to something, join others, or are about to.
    fn odd_character() -> impl Strategy<Value = char> {
        prop_oneof![
            any::<char>(),
            prop::char::range('\u{C0}', '\u{24F}'),
            prop::char::range('\u{300}', '\u{36F}'),
            prop::char::range('\u{370}', '\u{3FF}'),
            prop::char::range('\u{900}', '\u{DFF}'),
            prop::char::range('\u{1100}', '\u{11FF}'),
            prop::char::range('\u{1E00}', '\u{1FFF}'),
            prop::char::range('\u{3040}', '\u{33FF}'),
            prop::char::range('\u{AC00}', '\u{AC80}'),
            prop::char::range('\u{F900}', '\u{FFFF}'),
            prop::char::range('\u{1D100}', '\u{1D6FF}'),
            prop::char::range('A', 'z'),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn texts_are_folded_as_defined(text in prop::collection::vec(odd_character(), 0..40)) {
            let text: String = text.into_iter().collect();
            prop_assert_eq!(fold(text.as_bytes()), by_definition(text.as_bytes()));
            prop_assert_eq!(fold(&fold(text.as_bytes())), fold(text.as_bytes()));
        }

        #[test]
        fn octets_are_folded_as_defined(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(fold(&octets), by_definition(&octets));
        }
    }

    #[test]
    fn names_that_grow_beyond_a_packet_are_refused() {
        let octets = |name: &str| FoldedName::bounded(name.as_bytes()).map(|name| name.len());
        assert_eq!(octets(&"a".repeat(1024)), Ok(1024), "ASCII never grows");
        assert_eq!(octets(&"\u{FDFA}".repeat(31)), Ok(31 * 33));
        assert_eq!(octets(&"\u{FDFA}".repeat(32)), Err(NameTooLong));
        assert_eq!(octets(&"\u{FDFA}".repeat(341)), Err(NameTooLong));
        assert_eq!(octets(&"e\u{301}".repeat(400)), Ok(800), "what counts is the composed form");
    }

    #[test]
    fn what_is_no_text_only_loses_ascii_case() {
        assert_eq!(&*fold(b"AB\xFF\xC4"), b"ab\xFF\xC4");
        assert_eq!(&*fold("Ä\u{FFFF}B".as_bytes()), "Ä\u{FFFF}b".as_bytes());
    }
}
