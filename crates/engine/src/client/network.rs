//! Changes of this machine's network: the client looks for its address again, and asks at once whether the server knows it where it is
//! now.
//!
//! A server knows a client by the address that its packets come from. So a machine that has another address is a stranger there, to
//! whom nothing is sent; what is sent goes to the old address, until the server gives that up because nobody acknowledges it. Nobody
//! but who has the old address could say good-bye for it. A machine that slept may have been given up in the meantime.
//!
//! What says that the network has changed comes in bursts, and before all of it is there. So a [`ChangePacer`] says
//! when the question is asked; it is asked again when it is not answered, and also where a program has turned the regular questions off.

use super::{Client, Operation, operations::Owner, procedure::Procedure, startup::Phase};
use crate::change_pacer::ChangePacer;
use std::time::Duration;
use zephyr_core::time::Now;

/// The wait for an operation in progress that changes the subscriptions, perhaps those at the old address.
const BUSY_WAIT: Duration = Duration::from_secs(1);
/// The time until a question that was not answered is asked again, at first; it doubles.
const RETRY: Duration = Duration::from_secs(5);
/// How often it doubles at most.
const MAX_DOUBLINGS: u32 = 3;

/// The question that a change of the network leads to.
#[derive(Debug, Default)]
pub(super) struct NetworkCheck {
    /// The monotonic time of the next question.
    due: Option<Duration>,
    pacer: ChangePacer,
    /// Whether it is still to be answered.
    is_asked: bool,
    /// The questions since the change that were not answered.
    failures: u32,
}

impl NetworkCheck {
    /// The monotonic time of the next question.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.due
    }

    fn is_due(&self, now: Now) -> bool {
        self.due.is_some_and(|due| now.monotonic >= due)
    }

    /// Records a change.
    fn record(&mut self, now: Now) {
        let due = self.pacer.change(now.monotonic);
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.failures = 0;
    }

    /// Records the end of a question and of what has followed from it; true when it was one because of a change.
    pub(super) fn finish(&mut self, now: Now, is_answered: bool) -> bool {
        let was_asked = std::mem::take(&mut self.is_asked);
        if was_asked && !is_answered {
            let wait = RETRY.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS));
            self.failures = self.failures.saturating_add(1);
            self.due.get_or_insert(now.monotonic.saturating_add(wait));
        }
        was_asked
    }
}

impl Client {
    /// Handles that the network has changed, or that the machine has slept.
    pub(super) fn handle_network_change(&mut self, now: Now) {
        // One that is being looked for may be the old one.
        self.shared.address.request_anew();
        self.network.record(now);
        self.check_after_change(now);
    }

    /// Asks the server whether it knows the client here, when that is due.
    pub(super) fn check_after_change(&mut self, now: Now) {
        if !self.network.is_due(now) {
            return;
        }
        self.network.due = None;
        // One that was asked before may be answered about the time before.
        if self.operations.get(&Owner::Restoration).is_some_and(Procedure::is_check) {
            self.operations.remove(&Owner::Restoration);
        }
        let is_busy = matches!(self.phase, Phase::Starting)
            || self.changes_subscriptions()
            || self.operations.contains_key(&Owner::Restoration);
        if is_busy {
            self.network.due = Some(now.monotonic.saturating_add(BUSY_WAIT));
        } else if self.tickets.has_subscriptions() && !matches!(self.phase, Phase::Failed(_)) {
            self.network.pacer.react(now.monotonic);
            self.network.is_asked = true;
            self.begin(now, Owner::Restoration, Operation::CheckSubscriptions);
        }
    }
}
