//! The keyring: the sessions that a client has subscribed with, whose keys authenticate servers' notices (authentication,
//! section 7).

use std::{borrow::Cow, collections::VecDeque, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{Direction, Identity, Session, Verdict},
    inbox::Opened,
    notice::Packet,
    time::Now,
};

/// Opens a packet that a server has sealed with this session's key; `None` when it was not.
pub(super) fn open(session: &dyn Session, packet: &Packet<'_>) -> Option<Opened> {
    let body = match session.open(packet, Direction::ToClient)? {
        Cow::Borrowed(_) => None,
        // A fragment whose length changes would not be at its place in the whole.
        Cow::Owned(body) if body.len() != packet.notice.body.len() => return None,
        Cow::Owned(body) => Some(body.into()),
    };
    Some(Opened { verdict: Verdict::Authentic(Identity::new(packet.notice.sender)), body })
}

/// A session this much older than one that has been in use this long is removed: no server uses it any more.
const OVERLAP: Duration = Duration::from_secs(60);
/// The maximum number of sessions.
const MAX_ENTRIES: usize = 32;

/// Remembered sessions, newest first.
#[derive(Default)]
pub(super) struct Keyring {
    keys: VecDeque<Key>,
}

struct Key {
    session: Arc<dyn Session>,
    /// When a subscription request was last sent with it.
    sent: Duration,
    /// When it first opened a packet.
    first_use: Option<Duration>,
}

impl Keyring {
    /// Adds the session of a subscription request that is about to be sent.
    pub(super) fn remember(&mut self, now: Now, session: Arc<dyn Session>) {
        if let Some(newest) = self.keys.front_mut()
            && Arc::ptr_eq(&newest.session, &session)
        {
            newest.sent = now.monotonic;
            return;
        }
        self.keys.push_front(Key { session, sent: now.monotonic, first_use: None });
        self.keys.truncate(MAX_ENTRIES);
    }

    /// Opens a packet that a server has sealed with the key of a remembered session.
    pub(super) fn open(&mut self, now: Now, packet: &Packet<'_>) -> Option<Opened> {
        let try_key =
            |key: &mut Key| Some((open(&*key.session, packet)?, key.sent, *key.first_use.get_or_insert(now.monotonic)));
        let (opened, sent, first_use) = self.keys.iter_mut().find_map(try_key)?;
        if now.monotonic.saturating_sub(first_use) > OVERLAP {
            self.keys.retain(|other| sent.saturating_sub(other.sent) <= OVERLAP);
        }
        Some(opened)
    }

    /// Whether there are no sessions.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Key as DoubleKey, at, sealed};
    use super::*;

    fn knows(ring: &mut Keyring, seconds: u64, key: u8) -> bool {
        let packet = sealed(key, b"body");
        Packet::parse(&packet).is_ok_and(|packet| ring.open(at(seconds), &packet).is_some())
    }

    #[test]
    fn old_keys_are_removed_once_a_newer_one_has_been_in_use() {
        let mut ring = Keyring::default();
        ring.remember(at(0), Arc::new(DoubleKey(1)));
        ring.remember(at(100), Arc::new(DoubleKey(2)));
        assert!(knows(&mut ring, 110, 1) && knows(&mut ring, 110, 2));
        assert!(knows(&mut ring, 170, 2), "60 s after its first use nothing is forgotten yet");
        assert!(knows(&mut ring, 170, 1));
        assert!(knows(&mut ring, 171, 2));
        assert!(!knows(&mut ring, 171, 1), "forgotten");
        assert!(!knows(&mut ring, 171, 3));
    }

    #[test]
    fn keys_of_the_same_minute_stay() {
        let mut ring = Keyring::default();
        ring.remember(at(0), Arc::new(DoubleKey(1)));
        ring.remember(at(60), Arc::new(DoubleKey(2)));
        assert!(knows(&mut ring, 61, 2) && knows(&mut ring, 1000, 2) && knows(&mut ring, 1000, 1));
    }

    #[test]
    fn the_same_session_again_is_one_key_and_memory_is_bounded() {
        let mut ring = Keyring::default();
        let session: Arc<dyn Session> = Arc::new(DoubleKey(1));
        ring.remember(at(0), session.clone());
        ring.remember(at(5), session);
        assert_eq!(ring.keys.len(), 1);
        for key in 0..200 {
            ring.remember(at(6), Arc::new(DoubleKey(key)));
        }
        assert_eq!(ring.keys.len(), MAX_ENTRIES);
        assert!(knows(&mut ring, 7, 199) && !knows(&mut ring, 7, 1));
    }
}
