//! HMAC with a precomputed key.

use hmac::{Hmac, KeyInit, Mac as _};
use ring::digest::SHA384_OUTPUT_LEN;
use sha1::Sha1;

/// A key, ready to be used many times.
pub(crate) enum Mac {
    /// With SHA-1, by a crate that uses what processors have for it; ring, which keeps it for the sake of old protocols
    /// alone, does not.
    Sha1(Box<Hmac<Sha1>>),
    /// With SHA-256 or SHA-384.
    Sha2(ring::hmac::Key),
}

/// A message authentication code.
pub(crate) struct Tag {
    octets: [u8; SHA384_OUTPUT_LEN],
    len: usize,
}

impl Mac {
    pub(crate) fn sha1(key: &[u8]) -> Self {
        // Keys of any length will do; without one there is none that verifies anything.
        match Hmac::new_from_slice(key) {
            Ok(ready) => Self::Sha1(Box::new(ready)),
            Err(_) => Self::Sha2(ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key)),
        }
    }

    pub(crate) fn sha2(algorithm: ring::hmac::Algorithm, key: &[u8]) -> Self {
        Self::Sha2(ring::hmac::Key::new(algorithm, key))
    }

    /// The tag of these parts, one after the other.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Tag {
        match self {
            Self::Sha1(ready) => {
                let mut context = Hmac::clone(ready);
                parts.iter().for_each(|part| context.update(part));
                Tag::new(&context.finalize().into_bytes())
            }
            Self::Sha2(key) => {
                let mut context = ring::hmac::Context::with_key(key);
                parts.iter().for_each(|part| context.update(part));
                Tag::new(context.sign().as_ref())
            }
        }
    }
}

impl Tag {
    fn new(made: &[u8]) -> Self {
        let mut octets = [0; SHA384_OUTPUT_LEN];
        octets.iter_mut().zip(made).for_each(|(octet, made)| *octet = *made);
        Self { octets, len: made.len() }
    }

    /// Its first octets; all when there are no more.
    pub(crate) fn first(&self, len: usize) -> &[u8] {
        self.octets.get(..len.min(self.len)).unwrap_or_default()
    }
}
