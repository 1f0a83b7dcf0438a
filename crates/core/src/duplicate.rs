//! Detection of duplicate packets (wire format, section 7, step 4), by who is proven to have sent them.
//!
//! A packet that proves nothing never makes a proven one a duplicate, and never pushes one out of the memory; a principal
//! pushes out only its own. What was forgotten of a principal leaves a horizon, below which nothing is new.

use crate::{
    auth::Identity, horizon::Horizons, kind::Kind, memory::Memory, schedule::RECEIVER_MEMORY, shares::Holder,
    time::Now, uid::Uid,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Maximum number of remembered packets.
pub const MAX_REMEMBERED: usize = 65_536;
/// Maximum number of remembered acknowledgements, which count only where a program is told of them.
const MAX_ACKNOWLEDGEMENTS: usize = 4096;
/// Maximum number of remembered notices' packets. Beyond, some are forgotten early, those that prove nothing first.
const MAX_NOTICES: usize = MAX_REMEMBERED - MAX_ACKNOWLEDGEMENTS;
/// Entries that proven packets leave to the others.
const MIN_UNPROVEN: usize = 4096;
/// Maximum number of packets forgotten because of their age for each one that comes, so that none costs much.
const MAX_FORGOTTEN_AT_ONCE: usize = 2;
/// Longer than this no packet is remembered because its sender's clock is ahead.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// The uid and kind of a packet.
pub type PacketId = (Uid, Kind);
type Key = (Uid, u32);

/// Whether a packet has come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It has not.
    New,
    /// It has.
    Duplicate,
    /// It is proven, and as old as something of its sender that is forgotten: nobody can tell.
    Unknown,
}

/// A filter of packets that have come within the last [`RECEIVER_MEMORY`].
#[derive(Debug, Default)]
pub struct DuplicateFilter {
    proven: Memory<(Key, Identity), Identity>,
    unproven: Memory<Key, IpAddr>,
    /// Each source's apart, so that a stranger's makes no duplicate of the host manager's.
    acknowledgements: Memory<(SocketAddr, Key), IpAddr>,
    horizons: Horizons,
}

impl DuplicateFilter {
    /// A filter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many packets are remembered.
    pub fn len(&self) -> usize {
        self.notices() + self.acknowledgements.len()
    }

    fn notices(&self) -> usize {
        self.proven.len() + self.unproven.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a packet of this holder has come before.
    ///
    /// What proves nothing is also a duplicate of what was proven.
    pub fn novelty(&mut self, now: Now, (uid, kind): PacketId, holder: &Holder) -> Novelty {
        self.forget_old(now.monotonic);
        let key = (uid, kind.number());
        let is_duplicate = match holder {
            Holder::Proven(identity) => self.proven.contains(&(key, identity.clone())),
            Holder::Source(_) => self.unproven.contains(&key) || self.is_proven(key),
        };
        match holder {
            _ if is_duplicate => Novelty::Duplicate,
            Holder::Proven(identity) if self.horizons.hides(identity, uid) => Novelty::Unknown,
            _ => Novelty::New,
        }
    }

    fn is_proven(&self, key: Key) -> bool {
        let first = (key, Identity::new(b""));
        self.proven.first_from(&first).is_some_and(|(found, _)| *found == key)
    }

    /// Remembers a packet from now on, or anew.
    pub fn remember(&mut self, now: Now, (uid, kind): PacketId, holder: &Holder) {
        let key = (uid, kind.number());
        let due = now.monotonic + RECEIVER_MEMORY;
        match holder {
            Holder::Proven(identity) => {
                // Once forgotten it hides what its sender said before it: not as long as that is still to be said.
                self.proven.note((key, identity.clone()), identity.clone(), due + time_ahead(now, uid));
            }
            Holder::Source(_) if !self.unproven.contains(&key) && self.is_proven(key) => {}
            Holder::Source(address) => self.unproven.note(key, *address, due),
        }
        if self.notices() > MAX_NOTICES {
            self.forget_early();
        }
    }

    /// Whether an acknowledgement, of which nothing proves the origin, has not come from this source before. It is remembered
    /// from now on in either case.
    pub fn is_new_acknowledgement(&mut self, now: Now, (uid, kind): PacketId, from: SocketAddr) -> bool {
        self.forget_old(now.monotonic);
        let key = (from, (uid, kind.number()));
        let is_new = !self.acknowledgements.contains(&key);
        self.acknowledgements.note(key, from.ip(), now.monotonic + RECEIVER_MEMORY);
        if self.acknowledgements.len() > MAX_ACKNOWLEDGEMENTS {
            self.acknowledgements.forget_early();
        }
        is_new
    }

    fn forget_early(&mut self) {
        if self.unproven.len() > MIN_UNPROVEN {
            self.unproven.forget_early();
        } else if let Some(((uid, _), sender)) = self.proven.forget_early() {
            self.horizons.raise(&sender, uid);
        }
    }

    fn forget_old(&mut self, now: Duration) {
        for _ in 0..MAX_FORGOTTEN_AT_ONCE {
            self.unproven.forget_due(now);
            self.acknowledgements.forget_due(now);
            if let Some(((uid, _), sender)) = self.proven.forget_due(now) {
                self.horizons.raise(&sender, uid);
            }
        }
    }
}

/// How far the clock of who made the uid is ahead of ours.
fn time_ahead(now: Now, uid: Uid) -> Duration {
    Duration::from_secs(u64::from(uid.seconds.saturating_sub(now.unix().0))).min(MAX_AHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, time::UNIX_EPOCH};

    const START: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: UNIX_EPOCH + Duration::from_secs(START + seconds) }
    }

    fn packet(number: u32) -> PacketId {
        (Uid { address: Ipv4Addr::LOCALHOST, seconds: 1_000_000_000, micros: number }, Kind::Acked)
    }

    /// A packet made at this second by a clock that is that many seconds off.
    fn made_at(seconds: u64, off: i64) -> PacketId {
        let seconds = (START + seconds).checked_add_signed(off).and_then(|time| u32::try_from(time).ok()).unwrap();
        (Uid { address: Ipv4Addr::LOCALHOST, seconds, micros: 0 }, Kind::Acked)
    }

    fn source(number: u8) -> Holder {
        Holder::Source(Ipv4Addr::new(10, 0, 0, number).into())
    }

    fn proven(name: &str) -> Holder {
        Holder::Proven(Identity::new(name.as_bytes()))
    }

    /// What a receiver does.
    fn come(filter: &mut DuplicateFilter, seconds: u64, packet: PacketId, holder: &Holder) -> Novelty {
        let novelty = filter.novelty(at(seconds), packet, holder);
        if novelty != Novelty::Unknown {
            filter.remember(at(seconds), packet, holder);
        }
        novelty
    }

    use Novelty::{Duplicate, New, Unknown};

    #[test]
    fn an_unproven_packet_is_new_once_in_twenty_minutes() {
        let mut filter = DuplicateFilter::new();
        let mut came = |seconds, packet| come(&mut filter, seconds, packet, &source(1));
        assert_eq!((came(0, packet(1)), came(0, (packet(1).0, Kind::ServAck))), (New, New), "the kind counts");
        assert_eq!(came(1200, packet(1)), Duplicate);
        assert_eq!(came(2400, packet(1)), Duplicate, "seeing it again refreshes its age");
        assert_eq!(came(3601, packet(1)), New);
    }

    #[test]
    fn a_server_that_repeats_as_long_as_it_may_repeats_a_duplicate() {
        let all: Duration = crate::schedule::TO_CLIENT.iter().sum();
        assert!(all < RECEIVER_MEMORY, "{all:?}");
    }

    #[test]
    fn a_packet_makes_a_duplicate_only_of_what_is_proven_no_better() {
        let alice = proven("alice@R");
        for (first, second, expected) in [
            (source(1), source(2), Duplicate),
            (source(1), alice.clone(), New),
            (proven("mallory@R"), alice.clone(), New),
            (alice.clone(), alice.clone(), Duplicate),
            (alice, source(1), Duplicate),
        ] {
            let mut filter = DuplicateFilter::new();
            come(&mut filter, 0, packet(1), &first);
            assert_eq!(come(&mut filter, 0, packet(1), &second), expected, "{first:?}, then {second:?}");
        }
    }

    #[test]
    fn what_was_heard_as_proven_is_never_new_again() {
        let mut filter = DuplicateFilter::new();
        let alice = proven("alice@R");
        assert_eq!(come(&mut filter, 0, made_at(0, 0), &alice), New);
        assert_eq!(come(&mut filter, 1200, made_at(0, 0), &alice), Duplicate);
        for seconds in [2401, 10_000, 1_000_000] {
            assert_eq!(come(&mut filter, seconds, made_at(0, 0), &alice), Unknown);
            assert_eq!(come(&mut filter, seconds, made_at(seconds, 0), &alice), New);
        }
    }

    #[test]
    fn a_clock_that_is_wrong_hides_nothing() {
        // The clock of one host is an hour behind, that of another is ahead and is then set right.
        for off in [[-3600, -3600], [3600, 0], [300, -300]] {
            let mut filter = DuplicateFilter::new();
            let alice = proven("alice@R");
            assert_eq!(come(&mut filter, 0, made_at(0, off[0]), &alice), New);
            for seconds in (1..10_000).step_by(100) {
                assert_eq!(come(&mut filter, seconds, made_at(seconds, off[1]), &alice), New, "{off:?} {seconds}");
            }
        }
    }

    #[test]
    fn a_flood_pushes_out_only_what_is_the_floods_own() {
        for (flood, is_proven) in [(source(9), false), (proven("mallory@R"), true)] {
            let mut filter = DuplicateFilter::new();
            let (alice, heard) = (proven("alice@R"), [1, 2, 3].map(packet));
            for packet in heard {
                come(&mut filter, 0, packet, &alice);
            }
            for number in 10..70_000 {
                assert_eq!(come(&mut filter, 1, packet(number), &flood), New);
            }
            assert!(filter.len() <= MAX_REMEMBERED);
            assert_eq!(heard.map(|packet| come(&mut filter, 1, packet, &alice)), [Duplicate; 3]);
            let of_flood = come(&mut filter, 1, packet(10), &flood);
            assert_eq!(of_flood, if is_proven { Unknown } else { New }, "forgotten, and nobody can tell");
        }
    }

    #[test]
    fn proven_packets_leave_some_room_to_others() {
        let mut filter = DuplicateFilter::new();
        come(&mut filter, 0, packet(1), &source(1));
        for number in 10..62_000 {
            come(&mut filter, 1, packet(number), &proven("alice@R"));
        }
        assert_eq!((come(&mut filter, 1, packet(1), &source(1)), filter.len()), (Duplicate, MAX_NOTICES));
    }
}
