//! Digests, by which packets and authenticators are recognised.

use ring::digest::{SHA256, digest};

/// Half of a SHA-256 digest: nobody can make other octets with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    pub(crate) const FIRST: Self = Self([0; 16]);
    pub(crate) const LAST: Self = Self([u8::MAX; 16]);

    pub(crate) const fn octets(&self) -> [u8; 16] {
        self.0
    }

    pub(crate) fn of(octets: &[u8]) -> Self {
        let digest = digest(&SHA256, octets);
        Self(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

/// A digest that was made before.
impl From<[u8; 16]> for Digest {
    fn from(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}
