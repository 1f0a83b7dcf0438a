//! The clocks of hosts, which may be wrong and jump, and of processes, which only go forward.

use std::time::{Duration, UNIX_EPOCH};
use zephyr_core::time::Now;

/// Seconds since 1970 when simulations begin, by a right clock.
const START: u64 = 1_800_000_000;

/// The calendar of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WallClock {
    /// Seconds by which it is fast, or slow.
    pub offset: i64,
}

impl WallClock {
    /// The moment that a process sees that was started at `born`.
    pub(super) fn now(self, now: Duration, born: Duration) -> Now {
        let right = UNIX_EPOCH + Duration::from_secs(START) + now;
        let off = Duration::from_secs(self.offset.unsigned_abs());
        Now { monotonic: now.saturating_sub(born), wall: if self.offset < 0 { right - off } else { right + off } }
    }
}
