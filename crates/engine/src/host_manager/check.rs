//! A check whether the current server is there: it is greeted again and again, and given up when it answers none of that.
//! One greeting may be lost on its way, and a server must not be taken for dead for that.

use super::{HostManager, reachability::Change};
use std::time::Duration;
use zephyr_core::{names, schedule::TO_SERVER, time::Now};

/// The timeout of a check: the last wait of a packet's schedule, so that a dead server is given up when C host managers
/// give it up.
const TIMEOUT: Duration = {
    let [.., last] = TO_SERVER;
    last
};
/// The wait between two greetings of a check.
const INTERVAL: Duration = Duration::from_secs(2);

/// A check of the current server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    since: Duration,
    next_greeting: Duration,
    /// Whether all that is queued is sent again as soon as the server answers.
    pub(super) resends: bool,
}

impl Check {
    /// Because a packet went unanswered for long.
    pub(super) const fn for_packet(now: Duration) -> Self {
        Self { since: now, next_greeting: now, resends: false }
    }

    /// Because the network has changed: what was sent may be lost.
    pub(super) const fn for_network(now: Duration) -> Self {
        Self { resends: true, ..Self::for_packet(now) }
    }

    /// When to go on with it.
    pub(super) fn due(&self) -> Duration {
        self.next_greeting.min(self.since + TIMEOUT)
    }
}

impl HostManager {
    /// Begins to ask the current server whether it is there, and the name service where.
    pub(super) fn check(&mut self, now: Now, check: Check) {
        self.reachability.check = Some(check);
        self.go_on_with_check(now);
        self.look_up();
    }

    /// Greets the current server once more, or gives it up.
    pub(super) fn go_on_with_check(&mut self, now: Now) {
        let Some(check) = self.reachability.check.as_mut().filter(|check| check.due() <= now.monotonic) else { return };
        if check.since + TIMEOUT <= now.monotonic {
            return self.change_server(now, Change::Silent);
        }
        check.next_greeting = now.monotonic + INTERVAL;
        self.tell_server(now, names::ATTACH);
    }
}
