//! The character set label of a notice (wire format, section 2.3).

use std::borrow::Cow;

/// A character set label, its two octets read in network order.
///
/// Deployed senders write the number of the character set with its octets swapped; readers meet both orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charset(pub u16);

impl Charset {
    /// No label.
    pub const UNKNOWN: Self = Self(0);
    /// ISO-8859-1, as deployed senders write it.
    pub const LATIN1: Self = Self(4_u16.swap_bytes());
    /// UTF-8, as deployed senders write it.
    pub const UTF8: Self = Self(106_u16.swap_bytes());

    /// The same label in the order that deployed senders write, or [`Charset::UNKNOWN`].
    pub const fn normalized(self) -> Self {
        match self.0 {
            106 | 0x6A00 => Self::UTF8,
            4 | 0x0400 => Self::LATIN1,
            _ => Self::UNKNOWN,
        }
    }

    /// The label for a codeset name as in a locale or `ZEPHYR_CHARSET`, in any case; unknown names give
    /// [`Charset::UNKNOWN`].
    pub fn from_codeset(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" => Self::UTF8,
            "ISO-8859-1" | "ANSI_X3.4-1968" => Self::LATIN1,
            _ => Self::UNKNOWN,
        }
    }

    /// The text of octets with this label; without a known one it is read as UTF-8. What is no text becomes U+FFFD.
    ///
    /// Valid UTF-8 is UTF-8 also where the label says ISO-8859-1: C programs label so what they send without a locale, as from
    /// cron, and nobody writes letters of ISO-8859-1 that look like UTF-8.
    pub fn decode(self, octets: &[u8]) -> Cow<'_, str> {
        match self.normalized() {
            Self::LATIN1 if str::from_utf8(octets).is_err() => octets.iter().map(|&octet| char::from(octet)).collect(),
            _ => String::from_utf8_lossy(octets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_are_understood() {
        for (wire, label) in [
            (0x6A00, Charset::UTF8),
            (0x006A, Charset::UTF8),
            (0x0400, Charset::LATIN1),
            (0x0004, Charset::LATIN1),
            (0, Charset::UNKNOWN),
            (0x6A6A, Charset::UNKNOWN),
        ] {
            assert_eq!(Charset(wire).normalized(), label, "{wire:#06x}");
        }
    }

    #[test]
    fn text_is_read_as_its_label_says() {
        assert_eq!(Charset::LATIN1.decode(b"caf\xe9"), "café");
        assert_eq!(Charset::LATIN1.decode("café".as_bytes()), "café", "which C programs call so without a locale");
        assert_eq!(Charset(0x6A).decode("café".as_bytes()), "café");
        assert_eq!(Charset::UNKNOWN.decode("café\u{0}".as_bytes()), "café\u{0}");
        assert_eq!(Charset::UNKNOWN.decode(b"caf\xe9"), "caf\u{fffd}");
    }
}
