//! Authenticators that have served: each proves one notice, and proves it once.
//!
//! Kerberos libraries keep such a list as well, but theirs refuses a packet that a host manager sends again. Here the
//! list says which notice an authenticator proved, so that a copy can be told from a fraud. Only proven notices get into
//! it, so nobody can use up an authenticator that is not his.
//!
//! A copy is recognised wherever it comes from: what a thief sends again from his own machine is acknowledged, like every
//! repetition, and does nothing. The same holds for what another server of the realm forwards, which is the same octets.

use super::{digest::Digest, recent::Fingerprint, reply::Answer};
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

#[derive(Debug)]
struct Served {
    notice: Digest,
    host: IpAddr,
    answer: Option<Answer>,
    /// Its host has begun anew and may have it done again.
    undone: bool,
}

/// What is known of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new, or what it proved has been undone: the notice is to be handled.
    No,
    /// It has proved just this notice, which got this answer.
    WithThisNotice(Option<Answer>),
    /// It has proved another notice.
    WithAnother,
}

/// The authenticators of the time during which Kerberos takes them.
#[derive(Debug, Default)]
pub(super) struct Replays {
    served: HashMap<Digest, Served>,
    order: VecDeque<(Duration, Digest)>,
}

impl Replays {
    /// Whether this authenticator has served.
    pub(super) fn seen(&self, authenticator: &Digest, packet: &Fingerprint) -> Seen {
        match self.served.get(authenticator) {
            None => Seen::No,
            Some(served) if served.notice != packet.octets => Seen::WithAnother,
            Some(served) if served.undone && served.host == packet.from.ip() => Seen::No,
            Some(served) => Seen::WithThisNotice(served.answer),
        }
    }

    /// Remembers for `memory` what an authenticator proved. When `most` are remembered the oldest is forgotten before its
    /// time: true then, since a copy of it would be taken for new.
    pub(super) fn remember(
        &mut self,
        now: Duration,
        authenticator: Digest,
        packet: &Fingerprint,
        answer: Option<Answer>,
        (memory, most): (Duration, usize),
    ) -> bool {
        while let Some(&(at, oldest)) = self.order.front()
            && now.saturating_sub(at) > memory
        {
            self.order.pop_front();
            self.served.remove(&oldest);
        }
        let served = Served { notice: packet.octets, host: packet.from.ip(), answer, undone: false };
        if self.served.insert(authenticator, served).is_some() {
            return false;
        }
        self.order.push_back((now, authenticator));
        let overfull = self.order.len() > most;
        if overfull && let Some((_, oldest)) = self.order.pop_front() {
            self.served.remove(&oldest);
        }
        overfull
    }

    /// What this authenticator proved is undone, and may be done again by the same host.
    pub(super) fn undo(&mut self, authenticator: &Digest) {
        if let Some(served) = self.served.get_mut(authenticator) {
            served.undone = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.served.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const LIMITS: (Duration, usize) = (Duration::from_secs(600), 3);

    fn packet(host: u8, octets: &[u8]) -> Fingerprint {
        Fingerprint::of(SocketAddr::from(([10, 0, 0, host], 2104)), octets)
    }

    #[test]
    fn an_authenticator_proves_one_notice_once() {
        let mut replays = Replays::default();
        let authenticator = Digest::of(b"authenticator");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No);
        replays.remember(Duration::ZERO, authenticator, &packet(1, b"notice"), Some(Answer::Sent), LIMITS);
        let again = Seen::WithThisNotice(Some(Answer::Sent));
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), again);
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "wherever it comes from");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);

        replays.undo(&authenticator);
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No, "its host may do it again");
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "another host may not");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);
    }

    #[test]
    fn memory_is_bounded_in_number_and_time() {
        let mut replays = Replays::default();
        let authenticators: Vec<Digest> = (0..5_u8).map(|number| Digest::of(&[number])).collect();
        for (second, &authenticator) in (0..).zip(&authenticators[..4]) {
            let overfull = replays.remember(Duration::from_secs(second), authenticator, &packet(1, b"x"), None, LIMITS);
            assert_eq!(overfull, second == 3);
        }
        assert_eq!(replays.len(), 3);
        assert_eq!(replays.seen(&authenticators[0], &packet(1, b"x")), Seen::No, "the oldest is forgotten");
        replays.remember(Duration::from_secs(603), authenticators[4], &packet(1, b"x"), None, LIMITS);
        assert_eq!(replays.len(), 2, "what is older than 600 s is forgotten");
    }
}
