//! The sessions that a client has subscribed with, whose keys servers prove their notices with (authentication, section 7).

use std::{collections::VecDeque, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{Direction, Session},
    notice::Packet,
    time::Now,
};

/// A session this much older than one that has been in use this long is forgotten: no server uses it any more.
const OVERLAP: Duration = Duration::from_secs(60);
/// Sessions that are kept at most.
const MAX_ENTRIES: usize = 32;

/// Remembered sessions, newest first.
#[derive(Default)]
pub struct Keyring {
    keys: VecDeque<Key>,
}

struct Key {
    session: Arc<dyn Session>,
    /// When a subscription was last asked for with it.
    sent: Duration,
    /// When it first proved a notice.
    first_use: Option<Duration>,
}

impl Keyring {
    /// Remembers the session of a subscription that is about to be asked for.
    pub fn remember(&mut self, now: Now, session: Arc<dyn Session>) {
        if let Some(newest) = self.keys.front_mut()
            && Arc::ptr_eq(&newest.session, &session)
        {
            newest.sent = now.monotonic;
            return;
        }
        self.keys.push_front(Key { session, sent: now.monotonic, first_use: None });
        self.keys.truncate(MAX_ENTRIES);
    }

    /// Whether a remembered session proves that a server made this packet for us.
    pub fn proves(&mut self, now: Now, packet: &Packet<'_>) -> bool {
        let Some(key) = self.keys.iter_mut().find(|key| key.session.check(packet, Direction::ToClient)) else {
            return false;
        };
        let first_use = *key.first_use.get_or_insert(now.monotonic);
        let sent = key.sent;
        if now.monotonic.saturating_sub(first_use) > OVERLAP {
            self.keys.retain(|other| sent.saturating_sub(other.sent) <= OVERLAP);
        }
        true
    }

    /// True when nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{Key as DoubleKey, at, sealed};

    fn knows(ring: &mut Keyring, seconds: u64, key: u8) -> bool {
        let packet = sealed(key, b"body");
        Packet::parse(&packet).is_ok_and(|packet| ring.proves(at(seconds), &packet))
    }

    #[test]
    fn old_keys_go_once_a_newer_one_has_been_in_use() {
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
