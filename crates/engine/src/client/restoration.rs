//! Restoration: subscribing again when the server has forgotten this client.
//!
//! Servers forget clients without a word: when somebody flushes their host, when they start without state, or when a client
//! was suspended for so long that they gave it up. Such a client would wait for notices for ever. So it asks now and then, by a
//! request to unsubscribe from nothing: any server answers whether it knows the client, and changes nothing. Only for a client
//! that is not known at all everything is subscribed again, so what other programs of the user have changed stays as it is.
//! The same question finds that this machine has another address by now: the server knows nobody there.
//!
//! Without tickets a client that had subscribed with proof asks as well, so that its user hears that nothing reaches him. And he
//! hears when nobody has answered the question for a while.

use super::{Client, Event, LogEvent, Operation, OperationError, Outcome, operations::Owner, procedure::Procedure};
use std::{net::Ipv4Addr, time::Duration};
use zephyr_core::time::Now;

/// The default time between two checks; up to a quarter more, by address and port. So a client that was forgotten has subscribed
/// again within a minute, also if a packet of each exchange is lost once. For the server each check is a small request: 10,000
/// clients make some 220 a second.
pub const SUBSCRIPTION_CHECK: Duration = Duration::from_secs(40);
/// The minimum time between two checks.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How often the time between two checks doubles at most, while the server refuses the subscriptions.
const MAX_DOUBLINGS: u32 = 3;
/// How long a server must not have answered until the program is told. A question that is not answered takes longer than that with
/// the wait before it, so it is told within two minutes. The host manager sends a question again and again: no packet that is
/// lost matters.
const SILENCE: Duration = Duration::from_secs(100);

/// What a client finds out about its subscriptions by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// The client has subscribed again. The server has forgotten the user's locations, too, unless only the subscriptions were
    /// flushed.
    Restored {
        /// The time since the server last knew the client: notices of that time may be lost.
        unknown_for: Duration,
    },
    /// The network of this machine has changed, or it has slept, and the server did not know the client where it is now. The client
    /// has subscribed again. The server most likely has a location of the user's at the old address only.
    Moved {
        /// The time since the server last knew the client: notices of that time may be lost.
        unknown_for: Duration,
    },
    /// The server refuses the subscriptions. Reported once; the client tries again, less and less often.
    NotRestored(OperationError),
    /// The server has forgotten the client, which had subscribed with proof and cannot prove anything now: nothing reaches it
    /// until there are tickets again. Reported once.
    Forgotten,
    /// The server has not answered for some two minutes: notices may be missed. Reported once.
    Silent,
    /// The server answers again. Whether it has forgotten the client is for other events.
    Answers,
}

/// When the server is asked next, and what became of the questions before.
pub(super) struct Restoration {
    /// The time between two checks; `None`: none are made.
    interval: Option<Duration>,
    next_check: Option<Duration>,
    /// Refusals since the server last knew the client.
    refusals: u32,
    /// Whether it was reported that the server refuses them.
    is_reported: bool,
    /// Whether it was reported that the server has forgotten a client without tickets.
    is_forgotten: bool,
    silence: Silence,
}

/// For how long the server has not answered.
#[derive(Default)]
struct Silence {
    /// When it last did, in monotonic time: of a suspended machine nobody has expected that it asks.
    last_answer: Option<Duration>,
    is_reported: bool,
}

impl Restoration {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        let interval = interval.map(|interval| interval.max(MIN_INTERVAL));
        let silence = Silence::default();
        Self { interval, next_check: None, refusals: 0, is_reported: false, is_forgotten: false, silence }
    }

    /// The monotonic time of the next check.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.next_check
    }

    fn is_due(&self, now: Now) -> bool {
        self.next_check.is_some_and(|due| now.monotonic >= due)
    }

    /// Records an answer; true when it was reported that none came.
    fn record_answer(&mut self, now: Now) -> bool {
        let was_reported = self.silence.is_reported;
        self.silence = Silence { last_answer: Some(now.monotonic), ..Silence::default() };
        was_reported
    }

    /// Records that a question was not answered; true when that is to be reported.
    fn record_silence(&mut self, now: Now) -> bool {
        let Silence { last_answer, is_reported } = &mut self.silence;
        let since = *last_answer.get_or_insert(now.monotonic);
        now.monotonic.saturating_sub(since) >= SILENCE && !std::mem::replace(is_reported, true)
    }
}

impl Client {
    /// Records that the server knows the client.
    pub(super) fn record_known(&mut self, now: Now) {
        self.shared.last_known = Some(now);
        self.restoration = Restoration::new(self.restoration.interval);
        self.restoration.record_answer(now);
    }

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
    pub(super) fn changes_subscriptions(&self) -> bool {
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
        // Whether it was answered, by whomever.
        let is_answered = outcome.as_ref().err().is_none_or(OperationError::is_refusal);
        match outcome {
            Ok(Outcome::Known) => {
                self.handle_answer(now);
                self.record_known(now);
            }
            Ok(Outcome::Unknown { .. }) => {
                self.handle_answer(now);
                if self.tickets.has_subscriptions() && !self.changes_subscriptions() {
                    // Perhaps it knows nobody at this address, because it is a new one.
                    self.shared.address.request();
                    // Who had subscribed with proof does not do so without.
                    if procedure.session().is_some() || self.tickets.subscribed_without_proof() {
                        let operation = self.tickets.resubscription();
                        return self.begin(now, Owner::Restoration, operation);
                    }
                    if !std::mem::replace(&mut self.restoration.is_forgotten, true) {
                        self.report_subscriptions(SubscriptionEvent::Forgotten);
                    }
                }
            }
            Ok(_) => {
                if let Some(operation) = self.tickets.unsubscription().filter(|_| !procedure.unsubscribes()) {
                    return self.begin(now, Owner::Restoration, operation);
                }
                let unknown_for = self.shared.unknown_for(now);
                self.record_known(now);
                let event = match self.network.finish(now, true) {
                    true => SubscriptionEvent::Moved { unknown_for },
                    false => SubscriptionEvent::Restored { unknown_for },
                };
                self.report_subscriptions(event);
            }
            Err(error) if procedure.is_check() || !error.is_refusal() => {
                if error.is_refused_by_server() {
                    self.handle_answer(now);
                } else if !error.is_refusal() && self.restoration.record_silence(now) {
                    self.report_subscriptions(SubscriptionEvent::Silent);
                }
                self.shared.log(LogEvent::NotChecked { error });
            }
            Err(error) => {
                self.restoration.record_answer(now);
                self.restoration.refusals += 1;
                if !std::mem::replace(&mut self.restoration.is_reported, true) {
                    self.report_subscriptions(SubscriptionEvent::NotRestored(error));
                }
            }
        }
        self.network.finish(now, is_answered);
        self.schedule_check(now);
    }

    /// Handles an answer of the server, whatever it says.
    fn handle_answer(&mut self, now: Now) {
        if self.restoration.record_answer(now) {
            self.report_subscriptions(SubscriptionEvent::Answers);
        }
    }

    fn report_subscriptions(&mut self, event: SubscriptionEvent) {
        self.shared.events.push_back(Event::Subscriptions(event));
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
