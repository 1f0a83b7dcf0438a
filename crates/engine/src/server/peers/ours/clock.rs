//! How far the clock of another server is from the one here.
//!
//! What Kerberos proves at one server it does not prove at another whose clock is minutes off: of whoever comes to it, nothing
//! is proven, and nobody sees why. So each says its time when it connects.

use crate::plural::Plural;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// Clocks that are not farther apart than this are said to be right.
const TOLERATED: Duration = Duration::from_secs(60);
/// What Kerberos bears.
const KERBEROS_SKEW: Duration = Duration::from_secs(300);

/// A clock that is not right, or the one here is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockGap {
    apart: Duration,
    is_ahead: bool,
}

impl ClockGap {
    /// Between the time that another server says and the one here; none, when they are about the same.
    pub(super) fn between(theirs: SystemTime, here: SystemTime) -> Option<Self> {
        let gap = match theirs.duration_since(here) {
            Ok(apart) => Self { apart, is_ahead: true },
            Err(error) => Self { apart: error.duration(), is_ahead: false },
        };
        (gap.apart > TOLERATED).then_some(gap)
    }

    /// Whether Kerberos proves nothing across it.
    pub const fn is_beyond_kerberos(self) -> bool {
        self.apart.as_secs() > KERBEROS_SKEW.as_secs()
    }
}

impl fmt::Display for ClockGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Plural(usize::try_from(self.apart.as_secs()).unwrap_or(usize::MAX), "second", "seconds");
        write!(f, "{seconds} {} the one here", if self.is_ahead { "ahead of" } else { "behind" })
    }
}
