//! Internals for this crate's tests, its benchmark and the fuzz targets; not part of the interface.

use crate::{
    apreq::{self, Parts},
    authenticator::Authenticator,
    binding::{Checksum, Context, MemoryKeytab},
    channel::{self, KerberosPending},
    checksum,
    decryption::Decryption,
    derivation,
    enctype::{Enctype, Permitted},
    error, initiator,
    ticket::Key,
};
use std::{path::Path, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Ends, PendingChannel},
    time::Now,
};

/// libkrb5 alone, without anything of ours before or after it: what C servers have.
pub struct Library {
    realm: String,
    keytab: MemoryKeytab,
}

/// The proof of an AP-REQ.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The client's text.
    pub client: Vec<u8>,
    key: Key,
    checksum_type: i32,
}

impl Proof {
    /// The type of the session key, and its octets.
    pub fn key(&self) -> (i32, &[u8]) {
        (self.key.enctype, &self.key.octets)
    }
}

impl Library {
    /// Loads the keys of `realm`'s service.
    ///
    /// # Errors
    ///
    /// When the keytab cannot be used.
    pub fn new(realm: &str, keytab: &Path) -> Result<Self, AuthError> {
        let keytab = MemoryKeytab::read(keytab, realm.as_bytes());
        let keytab = keytab.map_err(|error| AuthError::Backend(error.to_string()))?;
        Ok(Self { realm: realm.to_owned(), keytab })
    }

    /// `krb5_rd_req`.
    ///
    /// # Errors
    ///
    /// When it refuses.
    pub fn accept(&self, request: &[u8], now: Now) -> Result<Proof, AuthError> {
        let accept = |context: &Context| context.accept(request, self.realm.as_bytes(), &self.keytab, now);
        let accepted = Context::with_own(accept).map_err(error::ours)?;
        let checksum_type = checksum::checksum_type(accepted.key.enctype).unwrap_or_default();
        Ok(Proof { client: accepted.client, key: accepted.key, checksum_type })
    }

    /// `krb5_c_verify_checksum` for the way to a server.
    pub fn verify(&self, proof: &Proof, covered: &[u8], claimed: &[u8]) -> bool {
        const TO_SERVER: i32 = 1027;
        let claimed = Checksum { kind: proof.checksum_type, octets: claimed };
        Context::with_own(|context| context.verify(claimed, &proof.key, TO_SERVER, covered)).unwrap_or(false)
    }
}

/// Begins a connection to the service of `realm` with the tickets of this process's user: what somebody does who is not the
/// service.
///
/// # Errors
///
/// When the user has no ticket for it.
pub fn connect_as_user(realm: &str, ends: Ends, now: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
    let ticket = initiator::ticket_for(None, realm, None)?;
    let permitted = Arc::new(Permitted::new(&Enctype::DEFAULT));
    let (request, pending) = KerberosPending::begin(&ticket, permitted, ends, now)?;
    Ok((request, Box::new(pending)))
}

/// The strict look at an AP-REQ: the types of the service's key and of the session key.
///
/// # Errors
///
/// Why it is refused.
pub fn inspect(request: &[u8], realm: &[u8]) -> Result<(i32, i32), String> {
    let seen = apreq::inspect(request, realm).map_err(|refusal| refusal.to_string())?;
    Ok((seen.ticket, seen.session))
}

/// Whether this is an AP-REQ, an AP-REP or a KRB-PRIV that a connection between servers of `realm` may have.
pub fn connection_messages(octets: &[u8], realm: &[u8]) -> [bool; 3] {
    [
        apreq::inspect_mutual(octets, realm).is_ok(),
        channel::inspect_answer(octets).is_ok(),
        channel::inspect_record(octets).is_ok(),
    ]
}

/// The encoded ticket, the session key's type and the encrypted authenticator of a usual AP-REQ.
pub fn parts(request: &[u8]) -> Option<(&[u8], i32, &[u8])> {
    Parts::of(request).map(|parts| (parts.ticket, parts.enctype, parts.cipher))
}

/// Realm, encoded name and second of a usual authenticator.
pub fn authenticator(plain: &[u8]) -> Option<(&[u8], &[u8], u32)> {
    Authenticator::decode(plain)
        .map(|authenticator| (authenticator.realm, authenticator.name, authenticator.made.seconds))
}

/// Decrypts what was encrypted with this key for this usage.
pub fn decrypt(enctype: i32, key: &[u8], usage: i32, cipher: &[u8]) -> Option<Vec<u8>> {
    let key = Key { enctype, octets: key.to_vec().into() };
    Decryption::new(key, usage).decrypt(cipher).map(|plain| plain.to_vec())
}

/// The purpose of a derived key.
pub enum Purpose {
    /// Encryption.
    Encryption,
    /// Proving that what is encrypted was not changed.
    Integrity,
}

/// The key that is derived from one of types 17 to 20.
pub fn derived(enctype: i32, key: &[u8], usage: i32, purpose: &Purpose) -> Vec<u8> {
    let purpose = match purpose {
        Purpose::Encryption => derivation::Purpose::Encryption,
        Purpose::Integrity => derivation::Purpose::Integrity,
    };
    match enctype {
        19 | 20 => derivation::rfc8009(key, usage, purpose).to_vec(),
        _ => derivation::rfc3961(key, usage, purpose).to_vec(),
    }
}

/// The checksum that goes with this key, for any usage, by libkrb5.
pub fn checksum(enctype: i32, key: &[u8], usage: i32, input: &[u8]) -> Option<Vec<u8>> {
    let key = Key { enctype, octets: key.to_vec().into() };
    let kind = checksum::checksum_type(enctype)?;
    Context::with_own(|context| context.checksum(kind, &key, usage, input)).ok()
}
