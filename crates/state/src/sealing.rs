//! Session keys at rest: each is sealed by itself, and bound to the row that it is in.
//!
//! The key that seals is derived from a key of the service, which is in the keytab and not in the file, and from a salt of
//! the file's own: AES-256-GCM with a random nonce in front.

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use zephyr_core::auth::StorageKey;
use zeroize::Zeroizing;

/// What the service's keys are asked for to seal with.
pub const PURPOSE: &[u8] = b"zephyr state 1";

/// Octets of a file's salt.
pub(crate) const SALT_LEN: usize = 32;

/// The keys that the session keys of one file are sealed with.
pub(crate) struct Sealing {
    random: SystemRandom,
    /// The newest first; each with its label.
    keys: Vec<(String, LessSafeKey)>,
}

/// A sealed session key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Of the key that opens it.
    pub(crate) label: String,
    /// Nonce, encrypted key and tag.
    pub(crate) octets: Vec<u8>,
}

impl Sealing {
    /// With these keys, the newest first, for the file with this salt.
    pub(crate) fn new(keys: &[StorageKey], salt: &[u8; SALT_LEN]) -> Self {
        let keys = keys.iter().filter_map(|key| Some((key.label.clone(), of_file(key, salt)?))).collect();
        Self { random: SystemRandom::new(), keys }
    }

    /// The label of what is sealed now; `None` when nothing can be.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.keys.first().map(|(label, _)| &**label)
    }

    /// Seals a session key for a row; `None` when there is no key to seal with.
    pub(crate) fn seal(&self, key: &[u8], row: &[u8]) -> Option<Sealed> {
        let (label, newest) = self.keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut octets = Vec::with_capacity(NONCE_LEN + key.len() + AES_256_GCM.tag_len());
        octets.extend_from_slice(&nonce);
        // Room for the tag as well, so that no copy of the key is left behind by growing.
        let mut text = Vec::with_capacity(key.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(key);
        newest.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(row), &mut text).ok()?;
        octets.extend_from_slice(&text);
        Some(Sealed { label: label.clone(), octets })
    }

    /// Opens what was sealed for this row; `None` when no key does.
    pub(crate) fn open(&self, label: &str, octets: &[u8], row: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = octets.split_at_checked(NONCE_LEN)?;
        // Labels only say which to try first: a new keytab may number its keys from one again.
        let (named, others): (Vec<_>, Vec<_>) = self.keys.iter().partition(|(known, _)| known == label);
        named.into_iter().chain(others).find_map(|(_, key)| {
            let mut text = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let len = key.open_in_place(nonce, Aad::from(row), &mut text).ok()?.len();
            text.truncate(len);
            Some(text)
        })
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(label, _)| label)).finish()
    }
}

/// A new salt.
pub(crate) fn new_salt() -> Option<[u8; SALT_LEN]> {
    let mut salt = [0; SALT_LEN];
    SystemRandom::new().fill(&mut salt).ok()?;
    Some(salt)
}

/// The length of a key.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        AES_256_GCM.key_len()
    }
}

fn of_file(key: &StorageKey, salt: &[u8; SALT_LEN]) -> Option<LessSafeKey> {
    let derived = Salt::new(HKDF_SHA256, salt).extract(&key.octets[..]);
    let mut octets = Zeroizing::new([0; 32]);
    derived.expand(&[PURPOSE], Length).ok()?.fill(&mut octets[..]).ok()?;
    UnboundKey::new(&AES_256_GCM, &octets[..]).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; SALT_LEN] = [7; SALT_LEN];

    fn key(label: &str, octet: u8) -> StorageKey {
        StorageKey { label: label.to_owned(), octets: Zeroizing::new([octet; 32]) }
    }

    #[test]
    fn what_is_sealed_is_opened_with_any_key_that_is_left_and_for_its_row_only() {
        let old = Sealing::new(&[key("1 aes", 1)], &SALT);
        let sealed = old.seal(b"secret", b"row").unwrap();
        assert_eq!(sealed.label, "1 aes");
        assert!(!sealed.octets.windows(6).any(|octets| octets == b"secret"));
        let open =
            |sealing: &Sealing, row: &[u8]| sealing.open(&sealed.label, &sealed.octets, row).map(|key| key.to_vec());
        assert_eq!(open(&old, b"row").as_deref(), Some(&b"secret"[..]));
        assert_eq!(open(&old, b"other"), None, "it is moved to no other row");
        let rolled = Sealing::new(&[key("2 aes", 2), key("1 aes", 1)], &SALT);
        assert_eq!((rolled.newest(), open(&rolled, b"row").is_some()), (Some("2 aes"), true));
        let renumbered = Sealing::new(&[key("1 aes", 9), key("5 aes", 1)], &SALT);
        assert!(open(&renumbered, b"row").is_some());
        assert_eq!(open(&Sealing::new(&[key("1 aes", 9)], &SALT), b"row"), None);
        assert_eq!(open(&Sealing::new(&[key("1 aes", 1)], &[8; SALT_LEN]), b"row"), None, "nor to another file");
        assert!(Sealing::new(&[], &SALT).seal(b"secret", b"row").is_none());
        assert_eq!(old.open("1 aes", b"short", b"row"), None);
        assert_ne!(old.seal(b"secret", b"row").unwrap().octets, sealed.octets);
    }
}
