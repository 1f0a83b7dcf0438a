//! Text of which its author may make a terminal obey: C0 controls pass, among them ESC. What nobody writes on purpose, and what arises
//! where texts are cut and joined, does not.

use super::characters::is_direction;
use std::{borrow::Cow, fmt::Write as _, ops::RangeInclusive};

/// C1 controls, where octets are characters.
const C1: RangeInclusive<u8> = 0x80..=0x9f;

/// Sanitizes text in UTF-8 that may hold codes for terminals: C0 controls and DEL stay. C1 controls, controls of the direction of
/// text, and octets that are no text are escaped.
pub fn with_codes(octets: &[u8]) -> Cow<'_, str> {
    let passes = |character| !is_forbidden(character);
    if let Some(text) = str::from_utf8(octets).ok().filter(|text| text.is_ascii() || text.chars().all(passes)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_forbidden(character) {
                shown.extend(character.escape_unicode());
            } else {
                shown.push(character);
            }
        }
        for octet in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{octet:02x}");
        }
    }
    Cow::Owned(shown)
}

/// As [`with_codes`], for a terminal that takes every octet for a character: C1 controls are escaped.
pub fn octets_with_codes(octets: &[u8]) -> Cow<'_, [u8]> {
    if !octets.iter().any(|octet| C1.contains(octet)) {
        return Cow::Borrowed(octets);
    }
    let mut shown = Vec::with_capacity(octets.len());
    for octet in octets {
        if C1.contains(octet) {
            shown.extend(format!("\\x{octet:02x}").into_bytes());
        } else {
            shown.push(*octet);
        }
    }
    Cow::Owned(shown)
}

fn is_forbidden(character: char) -> bool {
    C1.contains(&u8::try_from(character).unwrap_or_default()) || is_direction(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_stay_and_what_nobody_writes_does_not() {
        for (octets, expected) in [
            (&b"\x1b[31mred\x1b[m\x07\r\x7f\n"[..], "\x1b[31mred\x1b[m\x07\r\x7f\n"),
            ("\u{9b}31m\u{80}\u{9f}\u{a0}".as_bytes(), "\\u{9b}31m\\u{80}\\u{9f}\u{a0}"),
            ("a\u{202e}b\u{2066}c\u{200f}".as_bytes(), "a\\u{202e}b\\u{2066}c\\u{200f}"),
            (b"caf\xe9 \xc2", "caf\\xe9 \\xc2"),
            ("Grüße 世界 שלום \u{e0b0} e\u{301}".as_bytes(), "Grüße 世界 שלום \u{e0b0} e\u{301}"),
        ] {
            assert_eq!(with_codes(octets), expected);
        }
        assert_eq!(*octets_with_codes(b"\x1b[1m\x7f\x80\x9b\x9f\xa0\xe9"), *b"\x1b[1m\x7f\\x80\\x9b\\x9f\xa0\xe9");
        assert!(matches!(octets_with_codes(b"caf\xe9"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_remains_and_once_is_enough(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let shown = with_codes(&octets).into_owned();
            prop_assert!(!shown.chars().any(is_forbidden));
            prop_assert_eq!(with_codes(shown.as_bytes()), shown.as_str());
            prop_assert!(!octets_with_codes(&octets).iter().any(|octet| C1.contains(octet)));
        }
    }
}
