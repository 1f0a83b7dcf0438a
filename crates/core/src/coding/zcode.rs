//! Zcode: octets after the letter `Z`, with NUL and 0xFF escaped.

use super::CodingError;

const MARKER: u8 = b'Z';
const ESCAPE: u8 = 0xFF;
const ESCAPED_NUL: u8 = 0xF0;
const ESCAPED_ESCAPE: u8 = 0xF1;

/// Appends the zcode of `octets` to `out`. No octets give `Z`.
pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
    out.push(MARKER);
    for octet in octets {
        match *octet {
            0 => out.extend([ESCAPE, ESCAPED_NUL]),
            ESCAPE => out.extend([ESCAPE, ESCAPED_ESCAPE]),
            plain => out.push(plain),
        }
    }
}

/// The zcode of `octets`.
pub fn encoded(octets: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len() + octets.len() / 8 + 2);
    encode(octets, &mut text);
    text
}

/// The octets that `text` stands for, at most `max` of them.
///
/// # Errors
///
/// When the marker is missing, an escape is broken, or there are more than `max` octets.
pub fn decode(text: &[u8], max: usize) -> Result<Vec<u8>, CodingError> {
    let Some((&MARKER, coded)) = text.split_first() else {
        return Err(CodingError::NoMarker);
    };
    let mut octets = Vec::with_capacity(coded.len().min(max));
    let mut coded = coded.iter();
    while let Some(&octet) = coded.next() {
        if octets.len() == max {
            return Err(CodingError::TooLong(max));
        }
        octets.push(match octet {
            ESCAPE => match coded.next() {
                Some(&ESCAPED_NUL) => 0,
                Some(&ESCAPED_ESCAPE) => ESCAPE,
                _ => return Err(CodingError::BadEscape),
            },
            plain => plain,
        });
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_two_octets_are_escaped() {
        assert_eq!(encoded(&[]), b"Z");
        assert_eq!(encoded(&[0, 0xF0, 0xFF]), [b'Z', 0xFF, 0xF0, 0xF0, 0xFF, 0xF1]);
    }

    #[test]
    fn broken_text_is_refused() {
        assert_eq!(decode(b"", 9), Err(CodingError::NoMarker));
        assert_eq!(decode(b"z", 9), Err(CodingError::NoMarker));
        assert_eq!(decode(b"Z\xFF", 9), Err(CodingError::BadEscape));
        assert_eq!(decode(b"Z\xFF\xF2", 9), Err(CodingError::BadEscape));
        assert_eq!(decode(b"Zabc", 2), Err(CodingError::TooLong(2)));
        assert_eq!(decode(b"Zabc", 3).as_deref(), Ok(&b"abc"[..]));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(octets in prop::collection::vec(prop_oneof![Just(0), Just(0xFF), any::<u8>()], 0..100)) {
            let text = encoded(&octets);
            prop_assert!(!text.contains(&0));
            prop_assert_eq!(decode(&text, octets.len()), Ok(octets));
        }

        #[test]
        fn writing_undoes_reading(text in prop::collection::vec(any::<u8>(), 0..100)) {
            // A raw NUL cannot stand in a field, so the parser never hands one over.
            prop_assume!(!text.contains(&0));
            if let Ok(octets) = decode(&text, usize::MAX) {
                prop_assert_eq!(encoded(&octets), text);
            }
        }
    }
}
