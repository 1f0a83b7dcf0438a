//! Packets that have been seen before (wire format, section 7, step 4).

use crate::{kind::Kind, schedule::DUPLICATE_MEMORY, time::Now, uid::Uid};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// How many packets are remembered; beyond, the oldest are forgotten early.
const MAX_ENTRIES: usize = 65_536;

/// Remembers which packets have come within the last [`DUPLICATE_MEMORY`].
#[derive(Debug, Default)]
pub struct DuplicateFilter {
    seen: HashMap<(Uid, Kind), Duration>,
    /// The keys of `seen`, in the order of their times when last looked at.
    order: VecDeque<(Duration, (Uid, Kind))>,
}

impl DuplicateFilter {
    /// A filter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many packets are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// True when this packet has not been seen lately. It is remembered from now on in either case.
    pub fn is_new(&mut self, now: Now, uid: Uid, kind: Kind) -> bool {
        let now = now.monotonic;
        self.forget(now);
        if self.seen.insert((uid, kind), now).is_some() {
            return false;
        }
        self.order.push_back((now, (uid, kind)));
        true
    }

    fn forget(&mut self, now: Duration) {
        let over = |since: Duration| now.saturating_sub(since) > DUPLICATE_MEMORY;
        while let Some(&(since, key)) = self.order.front() {
            let full = self.order.len() >= MAX_ENTRIES;
            if !over(since) && !full {
                break;
            }
            self.order.pop_front();
            match self.seen.get(&key) {
                Some(&latest) if !over(latest) && !full => self.order.push_back((latest, key)),
                _ => {
                    self.seen.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, time::UNIX_EPOCH};

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: UNIX_EPOCH }
    }

    fn uid(number: u32) -> Uid {
        Uid { address: Ipv4Addr::LOCALHOST, seconds: number, micros: 0 }
    }

    #[test]
    fn a_packet_is_new_once_in_fifteen_minutes() {
        let mut filter = DuplicateFilter::new();
        assert!(filter.is_new(at(0), uid(1), Kind::Acked));
        assert!(filter.is_new(at(0), uid(1), Kind::ServAck), "the kind counts");
        assert!(!filter.is_new(at(900), uid(1), Kind::Acked));
        assert!(!filter.is_new(at(1800), uid(1), Kind::Acked), "seeing it again refreshes its age");
        assert!(filter.is_new(at(2701), uid(1), Kind::Acked));
    }

    #[test]
    fn memory_is_bounded() {
        let mut filter = DuplicateFilter::new();
        for number in 0..200_000 {
            assert!(filter.is_new(at(1), uid(number), Kind::Acked));
        }
        assert!(filter.seen.len() <= MAX_ENTRIES && filter.order.len() <= MAX_ENTRIES);
        assert!(!filter.is_new(at(1), uid(199_999), Kind::Acked));
    }
}
