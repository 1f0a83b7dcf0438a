//! Time as an argument: engines never read a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic and on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since some fixed moment of this process; time-outs are computed with it.
    pub monotonic: Duration,
    /// The calendar; uids and tickets are about it.
    pub wall: SystemTime,
}

impl Now {
    /// Seconds and microseconds since 1970, the seconds as the 32 bits that the wire has for them.
    pub fn unix(&self) -> (u32, u32) {
        let since = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs() & u64::from(u32::MAX);
        (u32::try_from(seconds).unwrap_or(0), since.subsec_micros())
    }
}
