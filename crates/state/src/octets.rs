//! Addresses, names and times as they are in a file.

use rusqlite::types::Value;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::uid::Uid;

/// A host in sixteen octets.
pub(crate) fn of_host(host: IpAddr) -> [u8; 16] {
    match host {
        IpAddr::V4(host) => host.to_ipv6_mapped().octets(),
        IpAddr::V6(host) => host.octets(),
    }
}

/// The host in these octets.
pub(crate) fn host(octets: &[u8]) -> Option<IpAddr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_canonical())
}

/// An address and port in eighteen octets.
pub(crate) fn of_address(address: SocketAddr) -> Vec<u8> {
    [&of_host(address.ip())[..], &address.port().to_be_bytes()].concat()
}

/// The address in these octets.
pub(crate) fn address(octets: &[u8]) -> Option<SocketAddr> {
    let (address, port) = octets.split_last_chunk::<2>()?;
    Some(SocketAddr::new(host(address)?, u16::from_be_bytes(*port)))
}

pub(crate) fn of_uid(uid: Uid) -> Vec<u8> {
    [uid.address.octets(), uid.seconds.to_be_bytes(), uid.micros.to_be_bytes()].concat()
}

pub(crate) fn uid(octets: &[u8]) -> Option<Uid> {
    let [address, seconds, micros] = octets.as_chunks::<4>().0 else { return None };
    let (seconds, micros) = (u32::from_be_bytes(*seconds), u32::from_be_bytes(*micros));
    Some(Uid { address: Ipv4Addr::from(*address), seconds, micros })
}

/// Microseconds since 1970.
pub(crate) fn of_time(time: SystemTime) -> i64 {
    let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    i64::try_from(micros).unwrap_or(i64::MAX)
}

pub(crate) fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A number of 64 bits without sign; SQLite has them with one.
pub(crate) const fn of_number(number: u64) -> i64 {
    number.cast_signed()
}

pub(crate) const fn number(number: i64) -> u64 {
    number.cast_unsigned()
}

/// A name in lower case, and as it is spelt if that is something else.
pub(crate) fn of_name(name: &[u8]) -> (Vec<u8>, Value) {
    let lower = name.to_ascii_lowercase();
    let spelt = if lower == name { Value::Null } else { Value::Blob(name.to_vec()) };
    (lower, spelt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["10.0.0.1:2104", "[2001:db8::7]:65535", "0.0.0.0:0"] {
            let there: SocketAddr = text.parse().unwrap();
            assert_eq!(address(&of_address(there)), Some(there));
        }
        assert_eq!(address(b"short"), None);
        let some = Uid { address: Ipv4Addr::new(1, 2, 3, 4), seconds: u32::MAX, micros: 7 };
        assert_eq!(uid(&of_uid(some)), Some(some));
        assert_eq!(uid(b"short"), None);
        assert_eq!(number(of_number(u64::MAX)), u64::MAX);
        let now = UNIX_EPOCH + Duration::from_micros(1_800_000_000_123_456);
        assert_eq!(time(of_time(now)), now);
        assert_eq!(of_name(b"a\0b\0"), (b"a\0b\0".to_vec(), Value::Null));
        assert_eq!(of_name(b"a\0b\0Me"), (b"a\0b\0me".to_vec(), Value::Blob(b"a\0b\0Me".to_vec())));
    }
}
