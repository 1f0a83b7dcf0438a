//! Stamps of changes: by which server a change was made, and in which order.
//!
//! Every change of state has a stamp, and every element of the state keeps the stamp of the change that made it. Servers of a
//! domain hand on their changes, and after a time apart they compare what they have: an element that one has and the other
//! has not was removed there if the other's [`VersionVector`] covers its stamp, and is new to it if not. So nothing must be
//! remembered of what is gone. (The field calls this an observed-remove set without tombstones.)

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::time::Now;

/// Maximum number of runs of servers that a vector knows. Those that changed nothing for longest are forgotten first.
const MAX_SERVERS: usize = 1024;

/// How far ahead of the clock here a stamp may be: a server whose clock was wrong by hours or a day goes on from there, and
/// nobody minds. What is later was made by a clock that is no clock.
const MAX_AHEAD: Duration = Duration::from_secs(7 * DAY);
/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// The greatest time of a clock, in microseconds: there is room behind it, so stamps grow even if a clock once said this.
const MAX_CLOCK: u64 = 1 << 62;

/// The identity of one run of a server: a random number, another one at each start.
///
/// Not of its state, which is kept: what it had told others just before it ended may not have been kept any more, and a server
/// that goes on as the same would say that it knows all of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// When and by which server a change was made. Later changes have greater stamps, as far as servers know of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Microseconds since 1970 by the server's clock; more where a greater stamp is known already.
    pub time: u64,
    /// The server.
    pub server: ServerId,
}

impl Stamp {
    /// How far this is ahead of the clock, in whole days, where it is too far.
    pub fn days_ahead(self, now: SystemTime) -> Option<u64> {
        let ahead = self.time.saturating_sub(micros(now));
        let ahead = Duration::from_micros(ahead);
        (ahead > MAX_AHEAD).then_some(ahead.as_secs() / DAY)
    }
}

/// A clock's time as that of a stamp.
fn micros(time: SystemTime) -> u64 {
    let micros = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(MAX_CLOCK).min(MAX_CLOCK)
}

/// For each server, up to which of its changes everything is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(BTreeMap<ServerId, u64>);

impl VersionVector {
    /// Whether the change with this stamp is known: it is here, or was and is gone.
    pub fn covers(&self, stamp: Stamp) -> bool {
        self.0.get(&stamp.server).is_some_and(|&time| stamp.time <= time)
    }

    /// The change with this stamp is known, and all that its server made before it.
    pub fn raise(&mut self, stamp: Stamp) {
        let time = self.0.entry(stamp.server).or_default();
        *time = stamp.time.max(*time);
        if self.0.len() > MAX_SERVERS
            && let Some(oldest) = self.0.iter().min_by_key(|(_, time)| **time).map(|(&server, _)| server)
        {
            self.0.remove(&oldest);
        }
    }

    /// What another vector covers is known, too.
    pub fn merge(&mut self, other: &Self) {
        other.stamps().for_each(|stamp| self.raise(stamp));
    }

    /// The latest known stamp of each server.
    pub fn stamps(&self) -> impl Iterator<Item = Stamp> {
        self.0.iter().map(|(&server, &time)| Stamp { time, server })
    }
}

impl FromIterator<Stamp> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Stamp>>(stamps: I) -> Self {
        let mut vector = Self::default();
        stamps.into_iter().for_each(|stamp| vector.raise(stamp));
        vector
    }
}

/// Makes the stamps of one server's changes: a hybrid logical clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StampClock {
    server: ServerId,
    last: u64,
}

impl StampClock {
    pub(crate) const fn new(server: ServerId) -> Self {
        Self { server, last: 0 }
    }

    /// The stamp of a change that is made now: greater than all that were made or seen here.
    pub(crate) fn next(&mut self, now: Now) -> Stamp {
        self.last = micros(now.wall).max(self.last.saturating_add(1));
        Stamp { time: self.last, server: self.server }
    }

    /// The greatest time of a stamp that was made or seen.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// A stamp was seen, which is earlier than all that will be made.
    pub(crate) fn saw(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(micros: u64) -> Now {
        Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_micros(micros) }
    }

    #[test]
    fn stamps_grow_whatever_the_clock_does() {
        let mut clock = StampClock::new(ServerId(1));
        let first = clock.next(at(500));
        let back = clock.next(at(100));
        clock.saw(Stamp { time: 900, server: ServerId(2) });
        let seen = clock.next(at(600));
        assert_eq!([first.time, back.time, seen.time], [500, 501, 901]);
    }

    #[test]
    fn a_clock_that_is_none_makes_stamps_that_grow_and_that_others_refuse() {
        let mut clock = StampClock::new(ServerId(1));
        let [first, second] = [at(u64::MAX), at(5)].map(|now| clock.next(now));
        assert!(first < second && second.time < u64::MAX / 2);
        let week = 7 * DAY * 1_000_000;
        for (time, days) in [(0, None), (week, None), (week + 1_000_000, Some(7)), (9 * week, Some(63))] {
            assert_eq!(Stamp { time, server: ServerId(1) }.days_ahead(UNIX_EPOCH), days, "{time}");
        }
        assert_eq!(Stamp { time: 7, server: ServerId(1) }.days_ahead(at(u64::MAX).wall), None);
    }

    #[test]
    fn a_vector_covers_what_came_before_of_each_server() {
        let stamp = |time, server| Stamp { time, server: ServerId(server) };
        let mut vector: VersionVector = [stamp(5, 1), stamp(3, 2), stamp(4, 1)].into_iter().collect();
        for (stamp, is_known) in [(stamp(5, 1), true), (stamp(6, 1), false), (stamp(4, 2), false), (stamp(1, 3), false)]
        {
            assert_eq!(vector.covers(stamp), is_known, "{stamp:?}");
        }
        vector.merge(&[stamp(4, 2), stamp(2, 1)].into_iter().collect());
        assert_eq!(vector.stamps().collect::<Vec<_>>(), [stamp(5, 1), stamp(4, 2)]);
    }
}
