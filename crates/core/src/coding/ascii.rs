//! Octets as upper-case hexadecimal: `0x0A4D0001 0x6B02C9AA`.

use super::CodingError;

/// Octets in one `0x…` group.
const GROUP: usize = 4;

/// Appends the text of `octets` to `out`. No octets give no text.
pub fn encode(octets: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for (index, group) in octets.chunks(GROUP).enumerate() {
        out.extend_from_slice(if index == 0 { b"0x" } else { b" 0x" });
        for octet in group {
            out.extend([digit(octet >> 4), digit(octet & 0xF)]);
        }
    }
}

/// Appends a 32-bit number: `0x` and eight digits.
pub fn encode_u32(value: u32, out: &mut Vec<u8>) {
    encode(&value.to_be_bytes(), out);
}

/// Appends a 16-bit number: `0x` and four digits.
pub fn encode_u16(value: u16, out: &mut Vec<u8>) {
    encode(&value.to_be_bytes(), out);
}

/// Reads exactly `N` octets, as tolerant as deployed readers: before each octet one space and then one `0x` may stand.
///
/// Stricter than they are in one point: the characters `:` to `@` are not digits.
///
/// # Errors
///
/// When a digit is missing or wrong, or text is left over.
pub fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], CodingError> {
    let mut octets = [0; N];
    decode_into(text, &mut octets)?;
    Ok(octets)
}

/// As [`decode`], for a number of octets known only at run time.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_into(text: &[u8], octets: &mut [u8]) -> Result<(), CodingError> {
    let mut rest = text;
    for octet in octets {
        rest = rest.strip_prefix(b" ").unwrap_or(rest);
        rest = rest.strip_prefix(b"0x").unwrap_or(rest);
        let [high, low, after @ ..] = rest else {
            return Err(CodingError::TooShort);
        };
        *octet = nibble(*high)? << 4 | nibble(*low)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(CodingError::TrailingText) }
}

/// Reads a 32-bit number.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_u32(text: &[u8]) -> Result<u32, CodingError> {
    decode(text).map(u32::from_be_bytes)
}

/// Reads a 16-bit number.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_u16(text: &[u8]) -> Result<u16, CodingError> {
    decode(text).map(u16::from_be_bytes)
}

fn nibble(digit: u8) -> Result<u8, CodingError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        other => Err(CodingError::NotADigit(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_of_four() {
        let mut text = Vec::new();
        encode(&[1, 2, 3, 4, 5], &mut text);
        assert_eq!(text, b"0x01020304 0x05");
    }

    #[test]
    fn what_readers_accept_and_refuse() {
        assert_eq!(decode_u32(b" 00 0x0000 13"), Ok(0x13));
        assert_eq!(decode_u32(b"0x00000013 "), Err(CodingError::TrailingText));
        assert_eq!(decode_u32(b"0x0000001"), Err(CodingError::TooShort));
        assert_eq!(decode_u16(b"0x13"), Err(CodingError::TooShort));
        assert_eq!(decode_u16(b"0x00af"), Err(CodingError::NotADigit(b'a')));
        assert_eq!(decode_u16(b"0x00:1"), Err(CodingError::NotADigit(b':')));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut text = Vec::new();
            encode(&octets, &mut text);
            let mut back = vec![0; octets.len()];
            prop_assert_eq!(decode_into(&text, &mut back), Ok(()));
            prop_assert_eq!(back, octets);
        }
    }
}
