//! Telling a packet that is sent again from a new one.
//!
//! A host manager repeats a packet, octet for octet, until it hears an answer. The repetition is answered as the first
//! was and nothing else happens, so a notice is delivered once however often its acknowledgement is lost.

use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::schedule::DUPLICATE_MEMORY;

/// A packet, recognisable: its source and a keyed hash of its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint {
    from: SocketAddr,
    octets: u64,
}

/// The packets of the last quarter of an hour, the newest [`Recent::MOST`] of them, with their answers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answers: BTreeMap<Fingerprint, Option<Bytes>>,
    order: VecDeque<(Duration, Fingerprint)>,
    // The key is random, so nobody can make two packets that look the same.
    key: RandomState,
}

impl Recent {
    /// Packets remembered, so about ten megaoctets at most.
    pub(super) const MOST: usize = 8192;

    pub(super) fn fingerprint(&self, from: SocketAddr, octets: &[u8]) -> Fingerprint {
        Fingerprint { from, octets: self.key.hash_one(octets) }
    }

    /// The answer that this packet got, when it has come before.
    pub(super) fn answer(&self, packet: &Fingerprint) -> Option<Option<Bytes>> {
        self.answers.get(packet).cloned()
    }

    /// Remembers a packet that was handled, and how it was answered.
    pub(super) fn remember(&mut self, now: Duration, packet: Fingerprint, answer: Option<Bytes>) {
        while let Some(&(at, oldest)) = self.order.front()
            && (self.order.len() >= Self::MOST || now.saturating_sub(at) > DUPLICATE_MEMORY)
        {
            self.order.pop_front();
            self.answers.remove(&oldest);
        }
        if self.answers.insert(packet, answer).is_none() {
            self.order.push_back((now, packet));
        }
    }

    /// Forgets the packets of a host that begins anew: what it sends again then must be done again.
    pub(super) fn forget_host(&mut self, host: IpAddr) {
        let first = Fingerprint { from: SocketAddr::new(host, 0), octets: 0 };
        let last = Fingerprint { from: SocketAddr::new(host, u16::MAX), octets: u64::MAX };
        let packets: Vec<Fingerprint> = self.answers.range(first..=last).map(|(&packet, _)| packet).collect();
        for packet in packets {
            self.answers.remove(&packet);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn memory_is_bounded_in_number_and_time() {
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 2104));
        let mut recent = Recent::default();
        let first = recent.fingerprint(from, b"first");
        for number in 0..Recent::MOST {
            let packet = recent.fingerprint(from, &number.to_be_bytes());
            recent.remember(Duration::ZERO, packet, None);
        }
        assert_eq!(recent.len(), Recent::MOST);
        recent.remember(Duration::from_secs(1), first, Some(Bytes::from_static(b"ack")));
        assert_eq!(recent.len(), Recent::MOST);
        assert_eq!(recent.answer(&recent.fingerprint(from, &0_usize.to_be_bytes())), None, "the oldest is forgotten");
        assert_eq!(recent.answer(&first), Some(Some(Bytes::from_static(b"ack"))));

        let other = recent.fingerprint(from, b"other");
        recent.remember(Duration::from_secs(901), other, None);
        assert_eq!(recent.len(), 2, "all but the two of the last 900 s are forgotten");
        let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 2105));
        assert_eq!(recent.answer(&recent.fingerprint(elsewhere, b"first")), None, "another source, another packet");
    }
}
