//! Bursts of changes, which count as one; and leaps of the clock, which are changes as well.

use std::time::{Duration, Instant, SystemTime};

/// How long a burst of changes takes: all that the system tells in this time is one change. A host that gets an address gets
/// routes in the same moment.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// A leap of the time of day, against the monotonic clock, that is a change. Less may be a correction of the clock.
const LEAP: Duration = Duration::from_secs(2);

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) monotonic: Instant,
    pub(super) time_of_day: SystemTime,
}

/// Changes that are not told yet.
#[derive(Debug)]
pub(super) struct Burst {
    /// When the first of them came.
    began: Option<Instant>,
    /// When the clocks were last looked at.
    last: Clocks,
}

impl Burst {
    pub(super) const fn new(clocks: Clocks) -> Self {
        Self { began: None, last: clocks }
    }

    /// Notes a change.
    pub(super) fn note(&mut self, now: Instant) {
        self.began.get_or_insert(now);
    }

    /// When the burst is over, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.began.map(|began| began + INTERVAL)
    }

    /// Whether a burst is over, which it is once.
    pub(super) fn is_over(&mut self, now: Instant, clocks: Clocks) -> bool {
        if self.has_leapt(clocks) {
            self.note(now);
        }
        let is_over = self.due().is_some_and(|due| due <= now);
        if is_over {
            self.began = None;
        }
        is_over
    }

    /// Whether the time of day has leapt since the last look: the host slept, or was stopped and went on elsewhere, or
    /// its clock was set.
    fn has_leapt(&mut self, clocks: Clocks) -> bool {
        let last = std::mem::replace(&mut self.last, clocks);
        let passed = clocks.monotonic.saturating_duration_since(last.monotonic);
        let expected = last.time_of_day.checked_add(passed);
        let difference = |expected: SystemTime| match clocks.time_of_day.duration_since(expected) {
            Ok(ahead) => ahead,
            Err(behind) => behind.duration(),
        };
        expected.map(difference).is_some_and(|difference| difference > LEAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host {
        clocks: Clocks,
        burst: Burst,
    }

    impl Host {
        fn new() -> Self {
            let clocks = Clocks { monotonic: Instant::now(), time_of_day: SystemTime::now() };
            Self { clocks, burst: Burst::new(clocks) }
        }

        fn note(&mut self) {
            self.burst.note(self.clocks.monotonic);
        }

        /// So many seconds later, of which the monotonic clock knows.
        fn after(&mut self, seconds: f64) -> bool {
            self.clocks.monotonic += Duration::from_secs_f64(seconds);
            self.clocks.time_of_day += Duration::from_secs_f64(seconds);
            self.burst.is_over(self.clocks.monotonic, self.clocks)
        }
    }

    #[test]
    fn many_changes_are_one() {
        let mut host = Host::new();
        assert!(!host.after(100.0), "nothing has happened");
        for _ in 0..9 {
            host.note();
            assert!(!host.after(0.1), "it goes on");
        }
        assert_eq!(host.burst.due(), Some(host.clocks.monotonic - Duration::from_millis(900) + INTERVAL));
        assert!(host.after(0.2));
        assert!(!host.after(100.0), "told once");
        assert_eq!(host.burst.due(), None);
    }

    #[test]
    fn changes_without_end_are_told_once_in_an_interval() {
        let mut host = Host::new();
        let mut told = 0;
        for _ in 0..1000 {
            host.note();
            told += u32::from(host.after(0.01));
        }
        assert!((9..=10).contains(&told), "{told}");
    }

    #[test]
    fn a_sleep_is_a_change() {
        let mut host = Host::new();
        host.clocks.time_of_day += Duration::from_secs(3600);
        assert!(!host.after(5.0), "its network comes in a moment");
        assert!(host.after(1.0));
        assert!(!host.after(3600.0));
        host.clocks.time_of_day += Duration::from_millis(1900);
        assert!(!host.after(10.0) && host.burst.due().is_none(), "a correction of the clock");
        host.clocks.time_of_day -= Duration::from_millis(1900);
        assert!(!host.after(10.0) && host.burst.due().is_none(), "and another");
        host.clocks.time_of_day -= Duration::from_secs(3600);
        assert!(!host.after(0.0) && host.after(1.0), "the clock was set");
    }

    #[test]
    fn no_time_of_day_is_too_odd() {
        let mut host = Host::new();
        host.clocks.time_of_day = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 62);
        assert!(!host.after(1.0));
        host.clocks.time_of_day = SystemTime::UNIX_EPOCH - Duration::from_secs(1 << 40);
        assert!(host.after(2.0));
        let back = Clocks { monotonic: host.clocks.monotonic - Duration::from_secs(1), ..host.clocks };
        assert!(!host.burst.is_over(back.monotonic, back), "a clock that goes back");
    }
}
