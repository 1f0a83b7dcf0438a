//! The unique identifier of a packet (wire format, section 4).

use crate::time::Now;
use std::{fmt, net::Ipv4Addr};

/// Octets of a uid.
pub const UID_LEN: usize = 12;

/// The unique identifier of a packet: its maker's address and the moment it was made. Acknowledgements are matched by
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid {
    /// The maker's own idea of its address.
    pub address: Ipv4Addr,
    /// Seconds since 1970.
    pub seconds: u32,
    /// Microseconds of that second; not checked to be below a million.
    pub micros: u32,
}

impl Uid {
    /// The twelve octets, in network order.
    pub fn to_octets(self) -> [u8; UID_LEN] {
        let mut octets = [0; UID_LEN];
        let (address, rest) = octets.split_at_mut(4);
        let (seconds, micros) = rest.split_at_mut(4);
        address.copy_from_slice(&self.address.octets());
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        micros.copy_from_slice(&self.micros.to_be_bytes());
        octets
    }
}

impl From<[u8; UID_LEN]> for Uid {
    fn from([a, b, c, d, s1, s2, s3, s4, m1, m2, m3, m4]: [u8; UID_LEN]) -> Self {
        Self {
            address: Ipv4Addr::new(a, b, c, d),
            seconds: u32::from_be_bytes([s1, s2, s3, s4]),
            micros: u32::from_be_bytes([m1, m2, m3, m4]),
        }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{:06}", self.address, self.seconds, self.micros)
    }
}

/// A generator of uids, unique within a program even within one tick of the clock.
#[derive(Debug)]
pub struct UidSource {
    address: Ipv4Addr,
    last: (u32, u32),
}

impl UidSource {
    /// A generator of uids with this `address`.
    pub const fn new(address: Ipv4Addr) -> Self {
        Self { address, last: (0, 0) }
    }

    /// The address in the uids.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A new uid: of this moment, or one microsecond after the last one when the clock has not moved on.
    pub fn next(&mut self, now: &Now) -> Uid {
        const MICROS_PER_SECOND: u32 = 1_000_000;
        let (seconds, micros) = self.last;
        let following = match micros + 1 {
            MICROS_PER_SECOND => (seconds.wrapping_add(1), 0),
            micros => (seconds, micros),
        };
        self.last = now.unix().max(following);
        Uid { address: self.address, seconds: self.last.0, micros: self.last.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn octets_are_in_network_order() {
        let uid = Uid { address: Ipv4Addr::new(10, 77, 0, 1), seconds: 0x6B02_C9AA, micros: 0x0009_1668 };
        assert_eq!(uid.to_octets(), [10, 77, 0, 1, 0x6B, 2, 0xC9, 0xAA, 0, 9, 0x16, 0x68]);
        assert_eq!(Uid::from(uid.to_octets()), uid);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_still_gives_new_uids() {
        let mut uids = UidSource::new(Ipv4Addr::LOCALHOST);
        let at = |micros| Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_micros(micros) };
        let made = [5_999_999, 5_999_999, 5_999_999, 3_000_000, 7_000_000].map(|micros| uids.next(&at(micros)));
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert_eq!(made[4].seconds, 7);
    }
}
