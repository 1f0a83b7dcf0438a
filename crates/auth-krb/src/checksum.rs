//! Checksums over notices: the type for each session key, and its computation (authentication, section 3).
//!
//! The AES families are computed here, with a derived key that is kept: a server makes one checksum for every recipient
//! of every notice. The rest is left to libkrb5.

use crate::{
    binding::Context,
    derivation::{self, Purpose},
    error::Error,
    mac::Mac,
    ticket::Key,
};
use std::sync::OnceLock;
use subtle::ConstantTimeEq;
use zephyr_core::auth::Direction;

/// How the checksum of an enctype is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// HMAC-SHA1 with a key derived by RFC 3961, cut off.
    AesSha1,
    /// HMAC-SHA2 with a key derived by RFC 8009, cut off.
    AesSha2,
    /// As libkrb5 does it.
    Library,
}

/// The checksum that goes with an enctype.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    enctype: i32,
    key_len: usize,
    checksum_type: i32,
    len: usize,
    method: Method,
}

const KINDS: [Kind; 8] = [
    kind(16, 24, 12, 20, Method::Library),
    kind(17, 16, 15, 12, Method::AesSha1),
    kind(18, 32, 16, 12, Method::AesSha1),
    kind(19, 16, 19, 16, Method::AesSha2),
    kind(20, 32, 20, 24, Method::AesSha2),
    kind(23, 16, -138, 16, Method::Library),
    kind(25, 16, 17, 16, Method::Library),
    kind(26, 32, 18, 16, Method::Library),
];

const fn kind(enctype: i32, key_len: usize, checksum_type: i32, len: usize, method: Method) -> Kind {
    Kind { enctype, key_len, checksum_type, len, method }
}

/// Whether notices can be proven with a session key of this type.
pub(crate) fn is_known(enctype: i32) -> bool {
    KINDS.iter().any(|kind| kind.enctype == enctype)
}

/// Whether C programs can check what is proven with a session key of this type.
pub(crate) fn is_known_to_c(enctype: i32) -> bool {
    KINDS.iter().any(|kind| kind.enctype == enctype && kind.method != Method::AesSha2)
}

/// The number of the checksum that goes with session keys of this type.
pub(crate) fn checksum_type(enctype: i32) -> Option<i32> {
    KINDS.iter().find(|kind| kind.enctype == enctype).map(|kind| kind.checksum_type)
}

/// Errors of a session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No checksum goes with keys of this type.
    #[error("no checksum is known for keys of enctype {0}")]
    Enctype(i32),
    /// The key does not have the octets that its type demands.
    #[error("a key of {found} octets, where enctype {enctype} has {expected}")]
    Length {
        /// The key's type.
        enctype: i32,
        /// Octets that a key of this type has.
        expected: usize,
        /// Octets that this one has.
        found: usize,
    },
}

/// A session key, ready to make and check the checksums of both directions.
pub(crate) struct Checksums {
    kind: &'static Kind,
    key: Key,
    to_server: OnceLock<Mac>,
    to_client: OnceLock<Mac>,
}

impl Checksums {
    pub(crate) fn new(key: Key) -> Result<Self, KeyError> {
        let kind = KINDS.iter().find(|kind| kind.enctype == key.enctype).ok_or(KeyError::Enctype(key.enctype))?;
        if key.octets.len() != kind.key_len {
            return Err(KeyError::Length { enctype: kind.enctype, expected: kind.key_len, found: key.octets.len() });
        }
        Ok(Self { kind, key, to_server: OnceLock::new(), to_client: OnceLock::new() })
    }

    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) const fn enctype(&self) -> i32 {
        self.kind.enctype
    }

    /// The checksum over `parts`, one after the other.
    pub(crate) fn make(&self, direction: Direction, parts: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let usage = usage(direction);
        let derive: fn(&[u8], i32) -> Mac = match self.kind.method {
            Method::Library => return self.by_library(usage, parts),
            Method::AesSha1 => |key, usage| derivation::mac_of_rfc3961(key, usage, Purpose::Checksum),
            Method::AesSha2 => |key, usage| derivation::mac_of_rfc8009(key, usage, Purpose::Checksum),
        };
        let derived = match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        };
        let ready = derived.get_or_init(|| derive(&self.key.octets, usage));
        Ok(ready.of(parts).first(self.kind.len).to_vec())
    }

    /// Whether `claimed` is the checksum over `parts`: all of it, no shorter and no longer.
    pub(crate) fn verify(&self, direction: Direction, parts: &[&[u8]], claimed: &[u8]) -> Result<bool, Error> {
        let made = self.make(direction, parts)?;
        Ok(claimed.len() == self.kind.len && bool::from(made.as_slice().ct_eq(claimed)))
    }

    fn by_library(&self, usage: i32, parts: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let input = parts.concat();
        Context::with_own(|context| context.checksum(self.kind.checksum_type, &self.key, usage, &input))
    }
}

/// The key usage number of a direction.
const fn usage(direction: Direction) -> i32 {
    match direction {
        Direction::ToServer => 1027,
        Direction::ToClient => 1029,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn key(enctype: i32, len: usize) -> Key {
        let octet = |i| u8::try_from(i * 37 % 251).unwrap();
        // The octets of a triple-DES key have an odd number of ones.
        let odd = |octet: u8| octet ^ u8::from(octet.count_ones().is_multiple_of(2));
        let octets = (0..len).map(|i| if enctype == 16 { odd(octet(i)) } else { octet(i) }).collect();
        Key { enctype, octets: Zeroizing::new(octets) }
    }

    /// RFC 3961, appendix A.1, has n-folds of five octets only for other sizes; so the whole derivation is compared
    /// with libkrb5's, with which all other programs compute.
    #[test]
    fn ours_are_the_librarys() {
        let text: Vec<u8> = (0..1000_u32).map(|i| u8::try_from(i * i % 256).unwrap()).collect();
        for kind in KINDS.iter().filter(|kind| kind.method != Method::Library) {
            let checksums = Checksums::new(key(kind.enctype, kind.key_len)).unwrap();
            for direction in [Direction::ToServer, Direction::ToClient] {
                for len in [0, 1, 63, 64, 128, 1000] {
                    let (start, end) = text[..len].split_at(len / 3);
                    let ours = checksums.make(direction, &[start, b"", end]).unwrap();
                    let theirs = checksums.by_library(usage(direction), &[start, end]).unwrap();
                    assert_eq!(ours, theirs, "{kind:?} {direction:?} {len}");
                    assert_eq!(ours.len(), kind.len);
                }
            }
        }
    }

    #[test]
    fn only_the_whole_checksum_of_the_right_direction_holds() {
        for kind in &KINDS {
            let checksums = Checksums::new(key(kind.enctype, kind.key_len)).unwrap();
            let parts: [&[u8]; 2] = [b"head", b"tail"];
            let made = checksums.make(Direction::ToServer, &parts).unwrap();
            let verify =
                |direction, parts: &[&[u8]], claimed: &[u8]| checksums.verify(direction, parts, claimed).unwrap();
            assert_eq!(made.len(), kind.len);
            assert!(verify(Direction::ToServer, &parts, &made));
            assert!(!verify(Direction::ToClient, &parts, &made));
            assert!(!verify(Direction::ToServer, &[b"head", b"Tail"], &made));
            assert!(!verify(Direction::ToServer, &parts, &made[1..]));
            assert!(!verify(Direction::ToServer, &parts, &made[..made.len() - 1]));
            assert!(!verify(Direction::ToServer, &parts, &[&made[..], b"\0"].concat()));
            assert!(!verify(Direction::ToServer, &parts, b""));
        }
    }

    #[test]
    fn keys_of_other_types_and_sizes_are_refused() {
        assert_eq!(Checksums::new(key(3, 8)).err(), Some(KeyError::Enctype(3)));
        assert_eq!(Checksums::new(key(24, 16)).err(), Some(KeyError::Enctype(24)));
        let wrong = KeyError::Length { enctype: 18, expected: 32, found: 16 };
        assert_eq!(Checksums::new(key(18, 16)).err(), Some(wrong));
    }
}
