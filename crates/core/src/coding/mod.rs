//! The two encodings of octets in header fields, which cannot hold a NUL (wire format, section 2.2).

pub mod ascii;
pub(crate) mod decimal;
pub mod zcode;

/// Errors of decoding a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// The text ends before the wanted number of octets.
    #[error("the field is too short")]
    TooShort,
    /// There is text after the wanted number of octets.
    #[error("the field goes on after its last digit")]
    TrailingText,
    /// An octet that is no upper-case hexadecimal digit where one must stand.
    #[error("octet {0:#04x} where a hexadecimal digit should be")]
    NotADigit(u8),
    /// Zcode that does not begin with `Z`.
    #[error("zcode does not begin with Z")]
    NoMarker,
    /// An escape octet that is not followed by one of its two codes.
    #[error("broken zcode escape")]
    BadEscape,
    /// More octets than the field may hold.
    #[error("the field holds more than {0} octets")]
    TooLong(usize),
}
