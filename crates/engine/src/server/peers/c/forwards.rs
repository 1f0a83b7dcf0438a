//! What is forwarded to one C server, and repeated until it is acknowledged (server to server, section 4).
//!
//! What a client says is forwarded in its order: a packet that was lost is not overtaken by what the same client said later.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::{schedule::TO_CLIENT, uid::Uid};

/// Packets on their way at most.
const MAX_IN_FLIGHT: usize = 64;
/// Packets that wait looked at for one that may go now.
const MAX_LOOKED_AT: usize = 256;
/// Packets that wait at most. Beyond, the other is told by a dump.
pub(super) const MAX_WAITING: usize = 8192;

/// About whom a packet is: a client or, for one of a host manager, its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    Client(SocketAddr),
    Host(IpAddr),
}

impl Concerned {
    const fn host(self) -> IpAddr {
        match self {
            Self::Client(client) => client.ip(),
            Self::Host(host) => host,
        }
    }

    /// Whether what is said about one may change what is said about the other.
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Client(one), Self::Client(other)) => one == other,
            _ => self.host() == other.host(),
        }
    }
}

#[derive(Clone, Debug)]
struct Forward {
    uid: Uid,
    concerned: Concerned,
    packet: Bytes,
    /// Since when it waits.
    since: Duration,
    /// How often it was sent, and when it is sent again.
    sent: usize,
    due: Duration,
}

/// The packets for one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwards {
    in_flight: Vec<Forward>,
    waiting: VecDeque<Forward>,
}

impl Forwards {
    /// Takes a packet; false when there are too many.
    pub(super) fn push(&mut self, now: Duration, uid: Uid, concerned: Concerned, packet: Bytes) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.waiting.push_back(Forward { uid, concerned, packet, since: now, sent: 0, due: Duration::ZERO });
        true
    }

    /// The next packet that is to be sent now.
    pub(super) fn next(&mut self, now: Duration) -> Option<Bytes> {
        if let Some(due) = self.in_flight.iter_mut().find(|forward| forward.due <= now) {
            due.sent += 1;
            due.due = now + wait_after(due.sent);
            return Some(due.packet.clone());
        }
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return None;
        }
        let place = (0..self.waiting.len().min(MAX_LOOKED_AT)).find(|&place| self.may_go(place))?;
        let mut forward = self.waiting.remove(place)?;
        (forward.sent, forward.due) = (1, now + wait_after(1));
        let packet = forward.packet.clone();
        self.in_flight.push(forward);
        Some(packet)
    }

    /// Whether nothing that was said before a waiting packet, about whom it is about, is still to be acknowledged.
    fn may_go(&self, place: usize) -> bool {
        let Some(forward) = self.waiting.get(place) else { return false };
        let earlier = self.in_flight.iter().chain(self.waiting.iter().take(place));
        earlier.into_iter().all(|other| !other.concerned.meets(forward.concerned))
    }

    /// When the next is to be repeated.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.in_flight.iter().map(|forward| forward.due).min()
    }

    /// A packet is acknowledged; gives since when it has waited, and nothing when it is none of these.
    pub(super) fn acknowledged(&mut self, uid: Uid) -> Option<Duration> {
        let place = self.in_flight.iter().position(|forward| forward.uid == uid)?;
        Some(self.in_flight.remove(place).since)
    }

    /// Packets that are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The wait after the nth transmission, counted from one; the last repeats for ever.
fn wait_after(transmission: usize) -> Duration {
    let last = TO_CLIENT.last().copied().unwrap_or_default();
    TO_CLIENT.get(transmission - 1).copied().unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn uid(micros: u32) -> Uid {
        Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros }
    }

    fn client(port: u16) -> Concerned {
        Concerned::Client(([10, 0, 0, 1], port).into())
    }

    fn push(forwards: &mut Forwards, micros: u32, concerned: Concerned) {
        assert!(forwards.push(Duration::ZERO, uid(micros), concerned, Bytes::copy_from_slice(&micros.to_be_bytes())));
    }

    fn sent(forwards: &mut Forwards, seconds: u64) -> Vec<u32> {
        let next = || forwards.next(Duration::from_secs(seconds));
        std::iter::from_fn(next).map(|packet| u32::from_be_bytes(packet[..].try_into().unwrap())).collect()
    }

    #[test]
    fn a_packet_is_repeated_for_ever_until_it_is_acknowledged() {
        let mut forwards = Forwards::default();
        push(&mut forwards, 1, client(1));
        let mut times = Vec::new();
        for second in 0..2200 {
            times.extend(sent(&mut forwards, second).iter().map(|_| second));
        }
        assert_eq!(times, [0, 2, 4, 8, 12, 20, 28, 44, 76, 140, 268, 524, 1036, 1548, 2060]);
        let acknowledged: Vec<_> = [2, 1, 1].iter().map(|&it| forwards.acknowledged(uid(it))).collect();
        assert_eq!(acknowledged, [None, Some(Duration::ZERO), None]);
        assert_eq!((forwards.next_due(), forwards.is_empty()), (None, true));
    }

    #[test]
    fn what_a_client_says_later_does_not_overtake() {
        let mut forwards = Forwards::default();
        let host = Concerned::Host(Ipv4Addr::new(10, 0, 0, 1).into());
        for (micros, concerned) in [(1, client(1)), (2, client(2)), (3, client(1)), (4, host), (5, client(2))] {
            push(&mut forwards, micros, concerned);
        }
        assert_eq!(sent(&mut forwards, 0), [1, 2]);
        forwards.acknowledged(uid(1));
        assert_eq!(sent(&mut forwards, 0), [3]);
        forwards.acknowledged(uid(3));
        assert_eq!(sent(&mut forwards, 0), [0; 0], "the host manager speaks of both");
        forwards.acknowledged(uid(2));
        assert_eq!(sent(&mut forwards, 0), [4]);
        forwards.acknowledged(uid(4));
        assert_eq!(sent(&mut forwards, 0), [5]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut forwards = Forwards::default();
        for port in 0..u16::try_from(MAX_WAITING).unwrap() {
            push(&mut forwards, u32::from(port), client(port));
        }
        assert!(!forwards.push(Duration::ZERO, uid(1), client(1), Bytes::new()));
        assert_eq!(sent(&mut forwards, 0).len(), MAX_IN_FLIGHT);
    }
}
