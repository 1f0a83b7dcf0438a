//! The framing of authenticated TCP connections between servers (server to server, section 3.2): each end's token with its
//! length in decimal, and then records with their length in two octets.

use crate::auth::{MAX_SEALED_RECORD, MAX_TOKEN};

/// What the field before a token begins with: the version of Kerberos.
const VERSION: &[u8] = b"V5-";
/// The end of the field before a token.
pub const END_OF_FIELD: u8 = b' ';
/// Maximum octets of the field before a token, without its end.
pub const MAX_FIELD: usize = 19;

/// Errors of framing. Nothing after one can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// The field before a token is none.
    #[error("what came begins no connection between servers")]
    Field,
    /// The token is empty, or longer than any may be.
    #[error("a token of {0} octets, not of 1 to {MAX_TOKEN}")]
    Token(u64),
    /// The record is empty, or longer than any may be.
    #[error("a record of {0} octets, not of 1 to {MAX_SEALED_RECORD}")]
    Record(usize),
}

/// A token with the field before it.
pub fn token(token: &[u8]) -> Vec<u8> {
    let length = token.len().to_string();
    [VERSION, length.as_bytes(), &[END_OF_FIELD], token].concat()
}

/// The length of a token, by the field before it, which is given without its end.
///
/// # Errors
///
/// When the field is none, or the length is none that a token may have.
pub fn token_len(field: &[u8]) -> Result<usize, FramingError> {
    let digits = field.strip_prefix(VERSION).filter(|_| field.len() <= MAX_FIELD).ok_or(FramingError::Field)?;
    let is_canonical = digits.first().is_some_and(|first| *first != b'0') || digits == b"0";
    if !is_canonical || !digits.iter().all(u8::is_ascii_digit) {
        return Err(FramingError::Field);
    }
    // No more than 16 digits, which is less than 64 bits hold.
    let length = digits.iter().fold(0, |length: u64, digit| length * 10 + u64::from(digit - b'0'));
    let usable = usize::try_from(length).ok().filter(|length| (1..=MAX_TOKEN).contains(length));
    usable.ok_or(FramingError::Token(length))
}

/// A sealed record with its length before it.
///
/// # Errors
///
/// When it has a length that no record may have.
pub fn record(sealed: &[u8]) -> Result<Vec<u8>, FramingError> {
    let usable = u16::try_from(sealed.len()).ok().filter(|length| record_len(length.to_be_bytes()).is_ok());
    let length = usable.ok_or(FramingError::Record(sealed.len()))?;
    Ok([&length.to_be_bytes(), sealed].concat())
}

/// The length of a sealed record, by the two octets before it.
///
/// # Errors
///
/// When it is a length that no record may have.
pub fn record_len(octets: [u8; 2]) -> Result<usize, FramingError> {
    let length = usize::from(u16::from_be_bytes(octets));
    if (1..=MAX_SEALED_RECORD).contains(&length) { Ok(length) } else { Err(FramingError::Record(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        assert_eq!(token(b"abc"), b"V5-3 abc");
        for (field, length) in [("V5-1", 1), ("V5-471", 471), ("V5-16384", MAX_TOKEN)] {
            assert_eq!(token_len(field.as_bytes()), Ok(length));
        }
        for field in ["", "V", "V5", "V5-", "V4-1", "1", "v5-1", "V5-+1", "V5--1", "V5-01", "V5-1 ", "V5-0x1", "V5-1e3"]
        {
            assert_eq!(token_len(field.as_bytes()), Err(FramingError::Field), "{field}");
        }
        for (field, length) in [("V5-0", 0), ("V5-16385", 16_385), ("V5-9999999999999999", 9_999_999_999_999_999)] {
            assert_eq!(token_len(field.as_bytes()), Err(FramingError::Token(length)), "{field}");
        }
        assert_eq!(token_len(b"V5-99999999999999999"), Err(FramingError::Field), "20 octets");
    }

    #[test]
    fn records() {
        assert_eq!(record(b"abc"), Ok(b"\0\x03abc".to_vec()));
        assert!(record(&[0; MAX_SEALED_RECORD]).is_ok());
        for len in [0, MAX_SEALED_RECORD + 1, 65_535, 65_536] {
            assert_eq!(record(&vec![0; len]), Err(FramingError::Record(len)));
        }
        assert_eq!(record_len([8, 0]), Ok(2048));
        assert_eq!(record_len([8, 1]), Err(FramingError::Record(2049)));
        assert_eq!(record_len([0, 0]), Err(FramingError::Record(0)));
    }
}
