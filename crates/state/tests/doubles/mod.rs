//! A service whose keys are what the test says, and some changes.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use bytes::Bytes;
use std::{
    borrow::Cow,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Channel, Direction, Ends, Lifetime, PendingChannel, Service, Session, SessionKey, StorageKey},
    exposure::Exposure,
    limits::Limits,
    notice::{Notice, Packet},
    time::Now,
};
use zephyr_engine::server::{
    self, Change, Changed, Destination, KeptAnswer, Located, ServerId, Stamp, UsedAuthenticator,
};
use zephyr_state::{Owner, Store};

pub const ALICE: &[u8] = b"alice@R";
/// Alice's session key.
pub const SECRET: &[u8] = b"the octets of a session key";

/// A session that is nothing but its key.
pub struct Key(pub Vec<u8>);

impl Session for Key {
    fn seal(&self, _: &Notice<'_>, _: Direction, _: Limits, _: Now) -> Result<Bytes, AuthError> {
        Err(AuthError::NoCredentials)
    }

    fn open<'a>(&self, _: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
        None
    }

    fn key(&self) -> Option<SessionKey> {
        Some(SessionKey { kind: 18, octets: self.0.clone().into() })
    }
}

/// A service with these keys, the newest first.
pub struct Keys(pub Vec<u8>);

impl Service for Keys {
    fn session(&self, _: &str) -> Result<Arc<dyn Session>, AuthError> {
        Err(AuthError::NoCredentials)
    }

    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        assert_eq!(key.kind, 18);
        Ok(Arc::new(Key(key.octets.to_vec())))
    }

    fn storage_keys(&self, _: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
        Ok(storage_keys(&self.0))
    }

    fn connect(&self, _: Ends, _: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
        Err(AuthError::NoCredentials)
    }

    fn accept(&self, _: Ends, _: &[u8], _: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
        Err(AuthError::NoCredentials)
    }
}

pub fn storage_keys(numbers: &[u8]) -> Vec<StorageKey> {
    numbers.iter().map(|&number| StorageKey { label: format!("key {number}"), octets: [number; 32].into() }).collect()
}

pub fn owner() -> Owner {
    Owner { realm: "R".to_owned(), new_id: ServerId(7) }
}

pub fn open(path: &Path, keys: &[u8]) -> Store {
    Store::open(path, &owner(), &storage_keys(keys)).unwrap()
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

pub fn client(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 5000))
}

pub fn changed(time: u64, change: Change) -> Changed {
    Changed { stamp: stamp(time), change }
}

/// The stamp of the change that was made then.
pub fn stamp(time: u64) -> Stamp {
    Stamp { time, server: ServerId(7) }
}

pub fn known(host: u8, principal: &[u8], session: Option<Arc<dyn Session>>) -> Change {
    Change::ClientKnown { client: client(host), principal: principal.into(), session, through: 2104, local: None }
}

/// Alice is at a place and subscribed twice, and bob is there.
pub fn some_changes() -> Vec<Changed> {
    let of_alice = || server::ClientOwner { principal: ALICE.into(), proven: true };
    let to = |text: &[u8]| Destination::from_text(text).unwrap();
    let located = Located {
        user: ALICE.into(),
        address: client(1),
        exposure: Exposure::NetVisible,
        proven: true,
        machine: b"m"[..].into(),
        time: b"t"[..].into(),
        tty: b"y"[..].into(),
    };
    let used = UsedAuthenticator {
        authenticator: [1; 16],
        packet: [2; 16],
        principal: ALICE.into(),
        sender: client(1),
        answer: Some(KeptAnswer::Sent),
        of_host: true,
        undone: false,
        lifetime: Some(Lifetime { made: at(1), ends: at(300) }),
    };
    [
        Change::HostKnown { manager: SocketAddr::new(client(1).ip(), 2104), local: Some([10, 0, 0, 9].into()) },
        known(1, ALICE, Some(Arc::new(Key(SECRET.to_vec())))),
        Change::ClientConfirmed { client: client(1), owner: of_alice() },
        Change::Subscribed { client: client(1), owner: of_alice(), destinations: vec![to(b"b\0*\0")] },
        Change::Subscribed {
            client: client(1),
            owner: of_alice(),
            destinations: vec![to(b"c\0d\0Me@R"), to(b"a\0d\0")],
        },
        known(2, b"bob@R", None),
        Change::Located(located),
        Change::AuthenticatorUsed(used),
    ]
    .into_iter()
    .zip(5..)
    .map(|(change, time)| changed(time, change))
    .collect()
}
