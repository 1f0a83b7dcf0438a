//! The clock of drivers and shells.

use std::time::{Instant, SystemTime};
use zephyr_core::time::Now;

/// Both clocks of this process; the monotonic one counts from the clock's making. It is the one of tokio's timers, so where a
/// test lets that pass, it passes here.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::new_without_default, reason = "reads the system's clock, so two of them differ")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }

    /// This moment.
    pub fn now(&self) -> Now {
        Now { monotonic: self.start.elapsed(), wall: SystemTime::now() }
    }

    /// The moment of an engine's deadline, to sleep until. A deadline too far to be represented is a day away.
    pub fn instant(&self, monotonic: std::time::Duration) -> Instant {
        const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
        self.start.into_std().checked_add(monotonic).unwrap_or_else(|| Instant::now() + DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_on_the_same_clock() {
        let clock = Clock::new();
        let now = clock.now();
        assert!(clock.instant(now.monotonic) <= Instant::now());
        assert!(clock.instant(std::time::Duration::MAX) > Instant::now());
    }
}
