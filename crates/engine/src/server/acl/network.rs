//! Addresses in access control lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Of version 4.
    V4 {
        /// The common beginning, zeros behind.
        bits: u32,
        /// Which bits count.
        mask: u32,
    },
    /// Of version 6.
    V6 {
        /// The common beginning, zeros behind.
        bits: u128,
        /// Which bits count.
        mask: u128,
    },
}

/// Errors of parsing a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address.
    #[error("an address is expected after @, like 10.1.2.3 or 2001:db8::1 (everybody of a realm is *@REALM)")]
    Address,
    /// No length, or one longer than an address.
    #[error("a number from 0 to {max} is expected after /")]
    Length {
        /// Bits of such an address.
        max: u32,
    },
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/BITS`. What follows the first so many bits of the address does not matter. An error
    /// comes with the offset of what is wrong.
    ///
    /// # Errors
    ///
    /// See [`NetworkError`].
    pub fn read(text: &[u8]) -> Result<Self, (usize, NetworkError)> {
        let slash = text.iter().position(|&octet| octet == b'/');
        let (address, length) = match slash {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
            None => (text, None),
        };
        let address: IpAddr = std::str::from_utf8(address)
            .ok()
            .and_then(|address| address.parse().ok())
            .ok_or((0, NetworkError::Address))?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => max,
            Some(length) => number(length)
                .filter(|length| *length <= max)
                .ok_or((slash.unwrap_or_default() + 1, NetworkError::Length { max }))?,
        };
        Ok(match address {
            IpAddr::V4(address) => Self::v4(address, length),
            // An IPv4-mapped address.
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(inner) if length >= 96 => Self::v4(inner, length - 96),
                _ => Self::v6(address, length),
            },
        })
    }

    fn v4(address: Ipv4Addr, length: u32) -> Self {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        Self::V4 { bits: u32::from(address) & mask, mask }
    }

    fn v6(address: Ipv6Addr, length: u32) -> Self {
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        Self::V6 { bits: u128::from(address) & mask, mask }
    }

    /// Whether the address is one of these. An IPv4-mapped address is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (*self, address.to_canonical()) {
            (Self::V4 { bits, mask }, IpAddr::V4(address)) => u32::from(address) & mask == bits,
            (Self::V6 { bits, mask }, IpAddr::V6(address)) => u128::from(address) & mask == bits,
            _ => false,
        }
    }
}

/// A short decimal number.
fn number(text: &[u8]) -> Option<u32> {
    let digits = (1..=3).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.77.0.0/24", "10.77.0.255", "10.77.1.0"),
            ("10.77.0.9/24", "10.77.0.1", "10.77.1.9"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "::ffff:10.1.2.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::/0", "fe80::1", "10.0.0.1"),
            ("::ffff:10.77.0.0/120", "10.77.0.8", "10.77.1.8"),
        ] {
            let read = Network::read(network.as_bytes()).expect("a network");
            assert!(read.contains(inside.parse().expect("an address")), "{network} {inside}");
            assert!(!read.contains(outside.parse().expect("an address")), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_none() {
        use NetworkError::{Address, Length};
        for (text, offset, error) in [
            ("", 0, Address),
            ("10.1", 0, Address),
            ("10.1.2.256", 0, Address),
            ("010.1.2.3", 0, Address),
            ("ATHENA.MIT.EDU", 0, Address),
            ("10.1.2.3/", 9, Length { max: 32 }),
            ("10.1.2.3/33", 9, Length { max: 32 }),
            ("10.1.2.3/-1", 9, Length { max: 32 }),
            ("10.1.2.3/+8", 9, Length { max: 32 }),
            ("10.1.2.3/255.0.0.0", 9, Length { max: 32 }),
            ("::/129", 3, Length { max: 128 }),
        ] {
            assert_eq!(Network::read(text.as_bytes()), Err((offset, error)), "{text}");
        }
    }
}
