//! A cache of responses to packets that are retransmitted.
//!
//! A host manager repeats a packet, octet for octet, until it receives an answer. The repetition is answered as the
//! first was and nothing else happens, so a notice is delivered once however often its acknowledgement is lost. It is
//! recognised before anybody asks who sent it, so it costs no Kerberos work.

use crate::server::{
    limits::digest::Digest,
    reply::PARTS,
    state::standing::{ByStanding, Standing},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::schedule::DUPLICATE_MEMORY;

/// The fingerprint of a packet: its source and its octets.
///
/// The source belongs to it, because what a packet without proof means depends on where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint {
    pub(crate) from: SocketAddr,
    pub(crate) octets: Digest,
}

impl Fingerprint {
    pub(crate) fn of(from: SocketAddr, octets: &[u8]) -> Self {
        Self { from, octets: Digest::of(octets) }
    }
}

/// The outcome of a packet.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) answer: Option<Bytes>,
    /// Whether it was proven.
    pub(crate) standing: Standing,
    /// It changed what the server knows of its host, and not only handed a notice to others.
    pub(crate) of_host: bool,
}

/// A cache of the newest packets of the last quarter of an hour, with their answers.
///
/// Whoever proves nothing may fill it, but a quarter is all that he keeps when there is need, and three quarters are what
/// he cannot have.
#[derive(Debug, Default)]
pub(crate) struct ResponseCache {
    packets: BTreeMap<Fingerprint, Handled>,
    order: ByStanding<VecDeque<(Duration, Fingerprint)>>,
}

impl ResponseCache {
    /// The answer that this packet got, when it has come before.
    pub(crate) fn answer(&self, packet: &Fingerprint) -> Option<Option<Bytes>> {
        self.packets.get(packet).map(|handled| handled.answer.clone())
    }

    /// Remembers a packet that was handled, and how, among `max`. One takes about a kilooctet.
    pub(crate) fn remember(&mut self, now: Duration, packet: Fingerprint, handled: Handled, max: usize) {
        let standing = handled.standing;
        for standing in [Standing::Unproven, Standing::Proven] {
            let order = self.order.of_mut(standing);
            while let Some(&(at, oldest)) = order.front()
                && now.saturating_sub(at) > DUPLICATE_MEMORY
            {
                order.pop_front();
                self.packets.remove(&oldest);
            }
        }
        while self.remembered() >= max.max(1)
            && let Some(oldest) = self.oldest(standing, max)
        {
            self.packets.remove(&oldest);
        }
        if self.packets.insert(packet, handled).is_none() {
            self.order.of_mut(standing).push_back((now, packet));
        }
    }

    /// A packet that was handled before has got its answer.
    pub(crate) fn answered(&mut self, packet: &Fingerprint, answer: Bytes) {
        if let Some(handled) = self.packets.get_mut(packet) {
            handled.answer = Some(answer);
        }
    }

    /// Those that were forgotten with their host included.
    fn remembered(&self) -> usize {
        self.order.of(Standing::Unproven).len() + self.order.of(Standing::Proven).len()
    }

    /// The packet that makes room for one of this standing, taken from its queue.
    fn oldest(&mut self, newcomer: Standing, max: usize) -> Option<Fingerprint> {
        let unproven = self.order.of(Standing::Unproven).len() + usize::from(!newcomer.is_proven());
        let (first, second) = match unproven > max / PARTS {
            true => (Standing::Unproven, Standing::Proven),
            false => (Standing::Proven, Standing::Unproven),
        };
        let oldest = self.order.of_mut(first).pop_front();
        oldest.or_else(|| self.order.of_mut(second).pop_front()).map(|(_, packet)| packet)
    }

    /// Forgets what a host that begins anew has told of itself: what it sends again then must be done again. What it
    /// has sent to others stays done.
    pub(crate) fn forget_host(&mut self, host: IpAddr) {
        let first = Fingerprint { from: SocketAddr::new(host, 0), octets: Digest::FIRST };
        let last = Fingerprint { from: SocketAddr::new(host, u16::MAX), octets: Digest::LAST };
        self.packets.extract_if(first..=last, |_, handled| handled.of_host).for_each(drop);
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const MAX: usize = 100;

    fn handled(answer: Option<&'static [u8]>, of_host: bool) -> Handled {
        Handled { answer: answer.map(Bytes::from_static), standing: Standing::Proven, of_host }
    }

    #[test]
    fn memory_is_bounded_in_number_and_time() {
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 2104));
        let packet = |octets: &[u8]| Fingerprint::of(from, octets);
        let mut cache = ResponseCache::default();
        for number in 0..MAX {
            cache.remember(Duration::ZERO, packet(&number.to_be_bytes()), handled(None, true), MAX);
        }
        assert_eq!(cache.len(), MAX);
        cache.remember(Duration::from_secs(1), packet(b"first"), handled(Some(b"ack"), true), MAX);
        assert_eq!(cache.len(), MAX);
        assert_eq!(cache.answer(&packet(&0_usize.to_be_bytes())), None, "the oldest is forgotten");
        assert_eq!(cache.answer(&packet(b"first")), Some(Some(Bytes::from_static(b"ack"))));

        cache.remember(Duration::from_secs(901), packet(b"other"), handled(None, true), MAX);
        assert_eq!(cache.len(), 2, "all but the two of the last 900 s are forgotten");
        let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 2105));
        assert_eq!(cache.answer(&Fingerprint::of(elsewhere, b"first")), None, "another source, another packet");
    }

    #[test]
    fn a_host_that_begins_anew_may_tell_of_itself_again() {
        let at = |host: u8| SocketAddr::from(([10, 0, 0, host], 2104));
        let mut cache = ResponseCache::default();
        for (host, octets, of_host) in [(1, b"subscribe", true), (1, b"a notice.", false), (2, b"subscribe", true)] {
            cache.remember(Duration::ZERO, Fingerprint::of(at(host), octets), handled(None, of_host), MAX);
        }
        cache.forget_host(at(1).ip());
        assert_eq!(cache.answer(&Fingerprint::of(at(1), b"subscribe")), None);
        assert_eq!(cache.answer(&Fingerprint::of(at(1), b"a notice.")), Some(None), "delivered is delivered");
        assert_eq!(cache.answer(&Fingerprint::of(at(2), b"subscribe")), Some(None));
    }
}
