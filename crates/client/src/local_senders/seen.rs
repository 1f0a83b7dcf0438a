//! Control notices that have arrived and were not received yet, with the users whose programs have sent them.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use zephyr_core::uid::Uid;

/// The maximum number of them; the oldest are forgotten.
const MAX_SEEN: usize = 16;
/// How long after it was seen a notice is received at most, however busy the machine is.
const MAX_AGE: Duration = Duration::from_secs(5);

/// The notices that were seen.
#[derive(Debug, Default)]
pub(super) struct SeenNotices(Mutex<VecDeque<Seen>>);

#[derive(Debug)]
struct Seen {
    from: SocketAddr,
    uid: Uid,
    user: u32,
    at: Instant,
}

impl SeenNotices {
    /// Records that a program of this user has sent a notice.
    pub(super) fn add(&self, from: SocketAddr, uid: Uid, user: u32) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.truncate(MAX_SEEN - 1);
        seen.push_front(Seen { from, uid, user, at: Instant::now() });
    }

    /// Whose program has sent this very notice. What is known of its socket is forgotten: somebody else may have the port next.
    pub(super) fn take(&self, from: SocketAddr, uid: Uid) -> Option<u32> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_sender = seen.iter().filter(|seen| seen.from == from && seen.at.elapsed() <= MAX_AGE);
        let user = of_sender.find(|seen| seen.uid == uid).map(|seen| seen.user);
        seen.retain(|seen| seen.from != from);
        user
    }

    /// Whether something of this socket was seen.
    #[cfg(test)]
    pub(super) fn knows(&self, from: SocketAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|seen| seen.from == from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(seconds: u32) -> Uid {
        Uid { address: [127, 0, 0, 1].into(), seconds, micros: 0 }
    }

    #[test]
    fn a_socket_is_known_for_one_notice() {
        let seen = SeenNotices::default();
        let [one, other] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        seen.add(one, uid(1), 1000);
        seen.add(other, uid(2), 1001);
        assert_eq!(seen.take(one, uid(2)), None, "another notice");
        assert_eq!(seen.take(one, uid(1)), None, "that was the socket's notice");
        assert_eq!((seen.take(other, uid(2)), seen.take(other, uid(2))), (Some(1001), None));
    }

    #[test]
    fn few_are_kept() {
        let seen = SeenNotices::default();
        let port = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        for number in 0..40 {
            seen.add(port(number), uid(number.into()), 1000);
        }
        let known = (0..40).filter(|&number| seen.take(port(number), uid(number.into())).is_some());
        assert_eq!(known.collect::<Vec<_>>(), (24..40).collect::<Vec<_>>());
    }
}
