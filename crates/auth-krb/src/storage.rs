//! Keys to encrypt with what a server keeps, derived from the service's own.

use crate::{
    binding::ServiceKey,
    checksum,
    enctype::{self, Permitted},
};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use std::cmp::Reverse;
use zephyr_core::auth::StorageKey;
use zeroize::Zeroizing;

/// Tells these keys from everything else that is derived from the service's keys.
const SALT: &[u8] = b"zephyr storage key 1";

/// Types by strength, the strongest first.
const BY_STRENGTH: [i32; 8] = [20, 18, 26, 19, 17, 25, 23, 16];

/// The length of the keys.
struct Octets(usize);

impl KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key from each of the service's keys, for this purpose (HKDF with SHA-256, RFC 5869): those of the newest version first, and
/// of one version those of permitted types. What was kept can be read for as long as the service has the key, whatever is
/// permitted meanwhile. None from keys of types that notices cannot be proven with: they are too weak.
pub(crate) fn keys(keys: &[ServiceKey], permitted: &Permitted, purpose: &[u8]) -> Vec<StorageKey> {
    let mut keys: Vec<&ServiceKey> = keys.iter().filter(|key| checksum::is_known(key.key.enctype)).collect();
    keys.sort_by_key(|ServiceKey { version, key }| {
        let strength = BY_STRENGTH.iter().position(|enctype| *enctype == key.enctype);
        (Reverse(*version), !permitted.has(key.enctype), strength)
    });
    keys.dedup();
    keys.into_iter().filter_map(|key| derived(key, purpose)).collect()
}

/// Without a key where the library makes none of so many octets.
fn derived(ServiceKey { version, key }: &ServiceKey, purpose: &[u8]) -> Option<StorageKey> {
    let mut octets = Zeroizing::new([0; 32]);
    let (version_octets, enctype_octets) = (version.to_be_bytes(), key.enctype.to_be_bytes());
    // Version and type have a length of their own, so no two of these texts are one.
    let info = [purpose, &version_octets, &enctype_octets];
    let source = Salt::new(HKDF_SHA256, SALT).extract(&key.octets);
    source.expand(&info, Octets(octets.len())).ok()?.fill(octets.as_mut_slice()).ok()?;
    Some(StorageKey { label: format!("kvno {version}, {}", enctype::name_of(key.enctype)), octets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{enctype::Enctype, ticket::Key};

    fn key(version: u32, enctype: i32, octet: u8) -> ServiceKey {
        ServiceKey { version, key: Key { enctype, octets: vec![octet; 32].into() } }
    }

    fn labels(keys: &[StorageKey]) -> Vec<&str> {
        keys.iter().map(|key| key.label.as_str()).collect()
    }

    #[test]
    fn the_newest_and_strongest_comes_first() {
        let permitted = Permitted::new(&Enctype::DEFAULT);
        let all = [key(2, 23, 1), key(2, 17, 2), key(10, 23, 3), key(10, 17, 4), key(10, 18, 5), key(3, 3, 6)];
        let made = keys(&all, &permitted, b"state");
        assert_eq!(
            labels(&made),
            [
                "kvno 10, aes256-cts-hmac-sha1-96",
                "kvno 10, aes128-cts-hmac-sha1-96",
                "kvno 10, arcfour-hmac",
                "kvno 2, aes128-cts-hmac-sha1-96",
                "kvno 2, arcfour-hmac"
            ]
        );
        // The file's order means nothing, nor that it holds a key twice.
        let mut twice = all.to_vec();
        twice.extend_from_slice(&all);
        twice.reverse();
        assert_eq!(keys(&twice, &permitted, b"state"), made);
        // What is permitted only says which comes first.
        let weak = ["rc4-hmac"].map(|name| name.parse().unwrap());
        let mut other = keys(&all, &Permitted::new(&weak), b"state");
        assert_eq!(other.first().map(|key| key.label.as_str()), Some("kvno 10, arcfour-hmac"));
        let mut made = made;
        for keys in [&mut other, &mut made] {
            keys.sort_by(|a, b| a.label.cmp(&b.label));
        }
        assert_eq!(other, made);
    }

    #[test]
    fn each_purpose_version_and_type_has_its_own() {
        let permitted = Permitted::new(&Enctype::DEFAULT);
        let of = |key: ServiceKey, purpose: &[u8]| keys(&[key], &permitted, purpose).remove(0).octets;
        let one = of(key(1, 18, 7), b"state");
        assert_eq!(one, of(key(1, 18, 7), b"state"));
        for other in [
            of(key(1, 18, 7), b"other"),
            of(key(2, 18, 7), b"state"),
            of(key(1, 20, 7), b"state"),
            of(key(1, 18, 8), b"state"),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(*one, [7; 32]);
    }

    /// Computed by another program (Python's hmac, by the two steps of RFC 5869): what was kept can still be read by whoever
    /// comes later.
    #[test]
    fn the_derivation_stays() {
        let permitted = Permitted::new(&Enctype::DEFAULT);
        let made = keys(&[key(1, 18, 7)], &permitted, b"state").remove(0).octets;
        let hex: String = made.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "134242f0ca640c113eeccd2cde92381d491a8196abe9d12cf06ddb33cdc1c12e");
    }
}
