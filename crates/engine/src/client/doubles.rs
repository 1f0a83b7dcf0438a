//! Test doubles for a Kerberos realm, a clock and a server.

use bytes::Bytes;
use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Direction, Initiator, Session},
    coding::zcode,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::Uid,
};

/// The time this many seconds after the start of a test.
pub(super) fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), wall: UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds) }
}

pub(super) fn uid(number: u32) -> Uid {
    Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: number }
}

/// A session whose key is a number, and whose checksum is a hash.
pub(super) struct Key(pub(super) u8);

impl Key {
    fn checksum(&self, covered: [&[u8]; 3], direction: Direction) -> [u8; 8] {
        let mut hash = DefaultHasher::new();
        (self.0, direction, covered.concat()).hash(&mut hash);
        hash.finish().to_be_bytes()
    }
}

/// The length in octets of the authenticator towards servers.
pub(super) const AUTHENTICATOR_LEN: usize = 400;

impl Session for Key {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        let mut text = Vec::new();
        let len = if direction == Direction::ToServer { AUTHENTICATOR_LEN } else { 0 };
        if len > 0 {
            zcode::encode(&vec![self.0; len], &mut text);
        }
        let unsealed = notice.unsealed(len, &text)?;
        let checksum = self.checksum(unsealed.covered(), direction);
        Ok(unsealed.seal(&checksum, limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        let claimed = zcode::decode(packet.claim.checksum, 8).ok()?;
        (claimed == self.checksum(packet.covered()?, direction)).then_some(Cow::Borrowed(packet.notice.body))
    }
}

/// Credentials with a key or without.
#[derive(Default)]
pub(super) struct Credentials {
    key: Mutex<Option<u8>>,
    lookups: AtomicUsize,
}

impl Credentials {
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) fn with(key: u8) -> Self {
        Self { key: Mutex::new(Some(key)), ..Self::default() }
    }

    pub(super) fn set_key(&self, key: u8) {
        *self.key.lock().unwrap() = Some(key);
    }

    pub(super) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }
}

impl Initiator for Credentials {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        Ok(self.key.lock().unwrap().map(|_| "alice@TEST".to_owned()))
    }

    fn realm_of(&self, _host: &str) -> Result<String, AuthError> {
        Ok("TEST".to_owned())
    }

    fn session(&self, _realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let key = self.key.lock().unwrap().ok_or(AuthError::NoCredentials)?;
        Ok(Arc::new(Key(key)))
    }
}

/// A notice from alice.
pub(super) fn notice(body: &[u8]) -> Notice<'_> {
    Notice {
        kind: Kind::Acked,
        uid: uid(1),
        multiuid: uid(1),
        class: b"MESSAGE",
        instance: b"PERSONAL",
        sender: b"alice@TEST",
        body,
        ..Notice::EMPTY
    }
}

/// A packet that a server has sealed for its client with this key.
pub(super) fn sealed(key: u8, body: &[u8]) -> Bytes {
    Key(key).seal(&notice(body), Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap()
}

/// A packet without proof.
pub(super) fn plain(body: &[u8]) -> Bytes {
    notice(body).write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

/// An acknowledgement of the packet with this number.
pub(super) fn ack(kind: Kind, number: u32, body: &[u8]) -> Bytes {
    acknowledging(kind, uid(number), body)
}

/// An acknowledgement of the packet with this uid.
pub(super) fn acknowledging(kind: Kind, uid: Uid, body: &[u8]) -> Bytes {
    let notice = Notice { kind, uid, multiuid: uid, ..notice(body) };
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}
