//! Restoration: subscribing again when the server has forgotten this client.
//!
//! Servers forget clients without a word: when somebody flushes their host, when they start without state, or when a client
//! was suspended for so long that they gave it up. Such a client would wait for notices for ever. So it asks now and then, by a
//! request to unsubscribe from nothing: any server answers whether it knows the client, and changes nothing. Only for a client
//! that is not known at all everything is subscribed again, so what other programs of the user have changed stays as it is.
//! The same question finds that this machine has another address by now: the server knows nobody there.

use super::{Client, Event, LogEvent, Operation, OperationError, Outcome, operations::Owner, procedure::Procedure};
use std::{
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};
use zephyr_core::time::Now;

/// The default time between two checks; up to a quarter more, by address and port. So a client that was forgotten has subscribed
/// again within a minute, also if a packet of each exchange is lost once. For the server each check is a small request: 10,000
/// clients make some 220 a second.
pub const SUBSCRIPTION_CHECK: Duration = Duration::from_secs(40);
/// The minimum time between two checks.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How often the time between two checks doubles at most, while the server refuses the subscriptions.
const MAX_DOUBLINGS: u32 = 3;

/// The end of an attempt to subscribe again after the server had forgotten this client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// The client has subscribed again. The server has forgotten the user's locations, too, unless only the subscriptions were
    /// flushed.
    Restored {
        /// The time since the server last knew the client: notices of that time may be lost.
        unknown_for: Duration,
    },
    /// The server refuses the subscriptions. Reported once; the client tries again, less and less often.
    NotRestored(OperationError),
}

/// When the server is asked next, and how often it had forgotten the client.
pub(super) struct Restoration {
    /// The time between two checks; `None`: none are made.
    interval: Option<Duration>,
    next_check: Option<Duration>,
    /// When the server last knew the client.
    last_known: Option<Now>,
    /// Refusals since then.
    refusals: u32,
    /// Whether it was reported that the server refuses them.
    is_reported: bool,
}

impl Restoration {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        let interval = interval.map(|interval| interval.max(MIN_INTERVAL));
        Self { interval, next_check: None, last_known: None, refusals: 0, is_reported: false }
    }

    /// The monotonic time of the next check.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.next_check
    }

    fn is_due(&self, now: Now) -> bool {
        self.next_check.is_some_and(|due| now.monotonic >= due)
    }

    /// Records that the server knows the client.
    pub(super) fn record_known(&mut self, now: Now) {
        *self = Self { last_known: Some(now), ..Self::new(self.interval) };
    }

    /// The time since the server last knew the client, by the clock that says more: one of them stands still in suspended
    /// machines.
    fn unknown_for(&self, now: Now) -> Duration {
        let Some(last) = self.last_known else { return Duration::ZERO };
        let by_wall = |last: SystemTime| now.wall.duration_since(last).unwrap_or_default();
        now.monotonic.saturating_sub(last.monotonic).max(by_wall(last.wall))
    }
}

impl Client {
    /// Sets the time of the next check, after the client's own subscriptions have changed, or after a check. It is a little
    /// different for each client, so that those which started together do not ask together.
    pub(super) fn schedule_check(&mut self, now: Now) {
        let endpoint = &self.shared.endpoint;
        let restoration = &mut self.restoration;
        restoration.next_check = match restoration.interval {
            Some(interval) if self.tickets.has_subscriptions() => {
                let wait = interval.saturating_mul(1 << restoration.refusals.min(MAX_DOUBLINGS));
                Some(now.monotonic.saturating_add(spread(wait, endpoint.address, endpoint.port)))
            }
            _ => None,
        };
    }

    /// Asks the server whether it knows this client, when that is due.
    pub(super) fn check_subscriptions(&mut self, now: Now) {
        if !self.restoration.is_due(now) {
            return;
        }
        self.schedule_check(now);
        if !self.changes_subscriptions() && !self.operations.contains_key(&Owner::Restoration) {
            self.begin(now, Owner::Restoration, Operation::CheckSubscriptions);
        }
    }

    /// Whether an operation is in progress that changes the client's own subscriptions.
    fn changes_subscriptions(&self) -> bool {
        let port = self.shared.endpoint.port;
        let others = self.operations.iter().filter(|(owner, _)| **owner != Owner::Restoration);
        others.into_iter().any(|(_, procedure)| procedure.changes_subscriptions(port))
    }

    /// Handles the end of a check, or of a step of a restoration.
    pub(super) fn handle_restoration(
        &mut self,
        now: Now,
        outcome: Result<Outcome, OperationError>,
        procedure: &Procedure,
    ) {
        match outcome {
            Ok(Outcome::Known(true)) => self.restoration.record_known(now),
            Ok(Outcome::Known(false)) => {
                // Who had subscribed with proof does not do so without.
                let is_as_good = procedure.session().is_some() || self.tickets.subscribed_without_proof();
                if is_as_good && self.tickets.has_subscriptions() && !self.changes_subscriptions() {
                    // Perhaps it knows nobody at this address, because it is a new one.
                    self.shared.address.request();
                    let operation = self.tickets.resubscription();
                    return self.begin(now, Owner::Restoration, operation);
                }
            }
            Ok(_) => {
                if let Some(operation) = self.tickets.unsubscription().filter(|_| !procedure.unsubscribes()) {
                    return self.begin(now, Owner::Restoration, operation);
                }
                let unknown_for = self.restoration.unknown_for(now);
                self.restoration.record_known(now);
                self.shared.events.push_back(Event::Subscriptions(SubscriptionEvent::Restored { unknown_for }));
            }
            Err(error) if procedure.is_check() || !error.is_refusal() => {
                self.shared.log(LogEvent::NotChecked { error });
            }
            Err(error) => {
                self.restoration.refusals += 1;
                if !std::mem::replace(&mut self.restoration.is_reported, true) {
                    self.shared.events.push_back(Event::Subscriptions(SubscriptionEvent::NotRestored(error)));
                }
            }
        }
        self.schedule_check(now);
    }
}

/// Up to a quarter more than `wait`, by the client's address and port.
fn spread(wait: Duration, address: Ipv4Addr, port: u16) -> Duration {
    const STEPS: u32 = 256;
    // Neighbouring numbers come far from each other.
    let number = (address.to_bits() ^ u32::from(port)).wrapping_mul(0x9E37_79B1) >> 24;
    wait.saturating_add((wait / 4 / STEPS).saturating_mul(number % STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn clients_do_not_ask_together() {
        let minute = Duration::from_secs(60);
        let waits: BTreeSet<_> = (40_000..41_000).map(|port| spread(minute, Ipv4Addr::LOCALHOST, port)).collect();
        assert!(waits.iter().all(|wait| (minute..minute * 5 / 4).contains(wait)) && waits.len() > 200);
    }
}
