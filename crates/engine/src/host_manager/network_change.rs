//! Changes of the network: another address, another way, or the machine has slept. What was known of servers may be
//! wrong by now, so all of it is asked anew, and the current server is greeted at once.

use super::{HostManager, check::Check};
use crate::change_pacer::ChangePacer;
use std::time::Duration;
use zephyr_core::time::Now;

/// When changes of the network are acted on.
#[derive(Debug, Default)]
pub(super) struct NetworkChange {
    pacer: ChangePacer,
    due: Option<Duration>,
}

impl NetworkChange {
    pub(super) const fn next_due(&self) -> Option<Duration> {
        self.due
    }

    /// The network has changed.
    fn note(&mut self, now: Duration) {
        self.due = Some(self.pacer.change(now));
    }

    /// Whether it is time to act on it.
    fn take_due(&mut self, now: Duration) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
            self.pacer.react(now);
        }
        is_due
    }
}

impl HostManager {
    /// The network has changed: acts on it, now or soon.
    pub(super) fn note_network_change(&mut self, now: Now) {
        self.network_change.note(now.monotonic);
        self.handle_network_change(now);
    }

    /// Acts on a change of the network, if it is time for that.
    pub(super) fn handle_network_change(&mut self, now: Now) {
        if !self.network_change.take_due(now.monotonic) {
            return;
        }
        self.servers.forgive_all();
        self.reachability.timeouts = 0;
        if self.reachability.looking {
            self.look_up();
            self.greet(now);
        } else if self.reachability.deactivated {
            // The next packet greets it, and nothing is owed to it until then.
            self.look_up();
        } else {
            self.check(now, Check::for_network(now.monotonic));
        }
        self.discover_soon(now);
    }
}
