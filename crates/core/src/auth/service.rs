//! What a server does with its service's own keys, beyond judging packets: sessions with other realms, the keys that it keeps
//! or hands on, and authenticated connections to the other servers of its realm.

use super::{AuthError, Session};
use crate::{limits::MAX_PACKET, time::Now};
use std::{fmt, net::SocketAddr, sync::Arc};
use zeroize::Zeroizing;

/// Maximum octets of a token that begins a connection, in both directions.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Maximum octets of a record that a channel carries: one packet.
pub const MAX_RECORD: usize = MAX_PACKET;
/// Maximum octets of a sealed record.
pub const MAX_SEALED_RECORD: usize = 2 * 1024;

/// A session's key as octets, for who keeps or hands on what a server knows. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The type of the key: a Kerberos encryption type.
    pub kind: i32,
    /// The key.
    pub octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are not for anybody's eyes.
        f.debug_struct("SessionKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A key to encrypt with what a server keeps. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageKey {
    /// Which of the service's keys it is derived from, to find it again: version and type. No secret.
    pub label: String,
    /// The key.
    pub octets: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageKey").field("label", &self.label).finish_non_exhaustive()
    }
}

/// The two ends of a connection, which what is sent over it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Ours.
    pub local: SocketAddr,
    /// The other one.
    pub remote: SocketAddr,
}

/// What a server does with its service's own keys, beyond judging packets.
///
/// Its methods may wait for a KDC or read files: no machine calls them, nor a thread that serves others.
pub trait Service: Send + Sync {
    /// A session as the service with the servers of another realm, made with the service's own credentials of this moment.
    ///
    /// # Errors
    ///
    /// When the service gets no credentials, or they do not serve for that realm.
    fn session(&self, realm: &str) -> Result<Arc<dyn Session>, AuthError>;

    /// The session whose [key](Session::key) this is.
    ///
    /// # Errors
    ///
    /// When the key is none of this backend's.
    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError>;

    /// Keys for this purpose, derived from the service's own, the newest first: what was encrypted with an older one can be
    /// decrypted for as long as the service has that. None of a backend without keys.
    ///
    /// # Errors
    ///
    /// When the service's keys cannot be used.
    fn storage_keys(&self, purpose: &[u8]) -> Result<Vec<StorageKey>, AuthError>;

    /// Begins an authenticated connection to another server of this realm: the token to send, of at most [`MAX_TOKEN`]
    /// octets, and what waits for the answer.
    ///
    /// # Errors
    ///
    /// When the service gets no credentials.
    fn connect(&self, ends: Ends, now: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError>;

    /// Accepts a connection: the token to answer with, and the channel. The other must have proven to be the service itself,
    /// of this realm.
    ///
    /// # Errors
    ///
    /// When the token proves nothing, or somebody else.
    fn accept(&self, ends: Ends, token: &[u8], now: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError>;

    /// Whether its connections prove who is at the other end, and hide what they carry.
    fn proves(&self) -> bool {
        true
    }
}

/// A connection whose other end has not proven itself yet.
pub trait PendingChannel: Send {
    /// The channel, when this answer proves that the other is the service.
    ///
    /// # Errors
    ///
    /// When it does not.
    fn finish(self: Box<Self>, answer: &[u8]) -> Result<Box<dyn Channel>, AuthError>;
}

/// An authenticated connection. Records arrive once, as they were sent and in the order in which they were sent, or not at
/// all: an error is its end.
pub trait Channel: Send {
    /// The form in which the next record is sent, of at most [`MAX_SEALED_RECORD`] octets; the record has at most
    /// [`MAX_RECORD`].
    ///
    /// # Errors
    ///
    /// When the record is too long, or the backend fails.
    fn seal(&mut self, record: &[u8]) -> Result<Vec<u8>, AuthError>;

    /// The next record, from the form in which it was sent.
    ///
    /// # Errors
    ///
    /// When it is not the next that the other end sealed.
    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, AuthError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let session = SessionKey { kind: 18, octets: Zeroizing::new(vec![231; 32]) };
        let storage = StorageKey { label: "kvno 3, aes".to_owned(), octets: Zeroizing::new([231; 32]) };
        let shown = format!("{session:?} {storage:?}");
        assert!(shown.contains("18") && shown.contains("kvno 3") && !shown.contains("231"), "{shown}");
    }
}
