//! A replay cache of authenticators: each proves one notice, and proves it once.
//!
//! Kerberos libraries keep such a list as well, but theirs refuses a packet that a host manager sends again. Here the
//! list says which notice an authenticator proved, so that a copy can be told from a fraud. Only proven notices get
//! into it, so nobody can use up an authenticator that is not his.
//!
//! A copy is recognised wherever it comes from: what a thief sends again from his own machine is acknowledged, like
//! every repetition, and does nothing. The same holds for what another server of the realm forwards, which is the same
//! octets.

use crate::server::{
    limits::{digest::Digest, response_cache::Fingerprint},
    reply::Reply,
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

/// A notice that an authenticator has proved.
#[derive(Debug)]
pub(crate) struct Served {
    notice: Digest,
    host: IpAddr,
    answer: Option<Reply>,
    /// It changed what the server knows of its host, and not only handed a notice to others.
    of_host: bool,
    /// Its host has begun anew and may have it done again.
    undone: bool,
}

impl Served {
    pub(crate) const fn new(packet: &Fingerprint, answer: Option<Reply>, of_host: bool) -> Self {
        Self { notice: packet.octets, host: packet.from.ip(), answer, of_host, undone: false }
    }
}

/// The state of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is new, or what it proved has been undone: the notice is to be handled.
    No,
    /// It has proved just this notice, which got this answer.
    WithThisNotice(Option<Reply>),
    /// It has proved another notice.
    WithAnother,
}

/// A cache of the authenticators that Kerberos would still accept.
#[derive(Debug, Default)]
pub(crate) struct ReplayCache {
    served: HashMap<Digest, Served>,
    /// Those that proved what a host told of itself, until that is undone.
    of_hosts: BTreeSet<(IpAddr, Digest)>,
    order: VecDeque<(Duration, Digest)>,
}

impl ReplayCache {
    /// Whether this authenticator has been used.
    pub(crate) fn seen(&self, authenticator: &Digest, packet: &Fingerprint) -> Seen {
        match self.served.get(authenticator) {
            None => Seen::No,
            Some(served) if served.notice != packet.octets => Seen::WithAnother,
            Some(served) if served.undone && served.host == packet.from.ip() => Seen::No,
            Some(served) => Seen::WithThisNotice(served.answer),
        }
    }

    /// Remembers for `memory` what an authenticator proved. When `max` are remembered the oldest is forgotten before
    /// its time: true then, since a copy of it would be taken for new.
    pub(crate) fn remember(
        &mut self,
        now: Duration,
        authenticator: Digest,
        served: Served,
        memory: Duration,
        max: usize,
    ) -> bool {
        while let Some(&(at, oldest)) = self.order.front()
            && now.saturating_sub(at) > memory
        {
            self.order.pop_front();
            self.forget(&oldest);
        }
        if served.of_host {
            self.of_hosts.insert((served.host, authenticator));
        }
        if self.served.insert(authenticator, served).is_some() {
            return false;
        }
        self.order.push_back((now, authenticator));
        let overfull = self.order.len() > max;
        if overfull && let Some((_, oldest)) = self.order.pop_front() {
            self.forget(&oldest);
        }
        overfull
    }

    /// Forgets what a rebooted host has proved: what it has told of itself is undone, and it may tell it again.
    pub(crate) fn undo_host(&mut self, host: IpAddr) {
        for (_, authenticator) in self.of_hosts.extract_if((host, Digest::FIRST)..=(host, Digest::LAST), |_| true) {
            if let Some(served) = self.served.get_mut(&authenticator) {
                served.undone = true;
            }
        }
    }

    fn forget(&mut self, authenticator: &Digest) {
        if let Some(served) = self.served.remove(authenticator) {
            self.of_hosts.remove(&(served.host, *authenticator));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.served.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const MEMORY: Duration = Duration::from_secs(600);
    const MAX: usize = 3;

    fn sent(packet: &Fingerprint, of_host: bool) -> Served {
        Served::new(packet, Some(Reply::Sent), of_host)
    }

    fn packet(host: u8, octets: &[u8]) -> Fingerprint {
        Fingerprint::of(SocketAddr::from(([10, 0, 0, host], 2104)), octets)
    }

    #[test]
    fn an_authenticator_proves_one_notice_once() {
        let mut replays = ReplayCache::default();
        let authenticator = Digest::of(b"authenticator");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No);
        replays.remember(Duration::ZERO, authenticator, sent(&packet(1, b"notice"), true), MEMORY, MAX);
        let again = Seen::WithThisNotice(Some(Reply::Sent));
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), again);
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "wherever it comes from");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);

        let message = Digest::of(b"of a message");
        replays.remember(Duration::ZERO, message, sent(&packet(1, b"message"), false), MEMORY, MAX);
        replays.undo_host(packet(2, b"").from.ip());
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), again, "another host has begun anew");
        replays.undo_host(packet(1, b"").from.ip());
        assert_eq!(replays.seen(&authenticator, &packet(1, b"notice")), Seen::No, "its host may do it again");
        assert_eq!(replays.seen(&authenticator, &packet(2, b"notice")), again, "another host may not");
        assert_eq!(replays.seen(&authenticator, &packet(1, b"another")), Seen::WithAnother);
        assert_eq!(replays.seen(&message, &packet(1, b"message")), again, "delivered is delivered");
    }

    #[test]
    fn memory_is_bounded_in_number_and_time() {
        let mut replays = ReplayCache::default();
        let authenticators: Vec<Digest> = (0..5_u8).map(|number| Digest::of(&[number])).collect();
        for (second, &authenticator) in (0..).zip(&authenticators[..4]) {
            let now = Duration::from_secs(second);
            let overfull = replays.remember(now, authenticator, sent(&packet(1, b"x"), true), MEMORY, MAX);
            assert_eq!(overfull, second == 3);
        }
        assert_eq!(replays.len(), 3);
        assert_eq!(replays.seen(&authenticators[0], &packet(1, b"x")), Seen::No, "the oldest is forgotten");
        replays.remember(Duration::from_secs(603), authenticators[4], sent(&packet(1, b"x"), true), MEMORY, MAX);
        assert_eq!(replays.len(), 2, "what is older than 600 s is forgotten");
        assert_eq!(replays.of_hosts.len(), 2);
    }
}
