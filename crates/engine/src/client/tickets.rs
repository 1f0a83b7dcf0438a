//! The watch over the user's tickets, and the subscriptions to be made with new ones.

use super::{
    Operation,
    procedure::SubscriptionChange,
    renewal::{Renewal, TicketEvent},
    subscription::{Subscription, SubscriptionRequest},
};
use std::{sync::Arc, time::Duration};
use zephyr_core::{auth::Session, time::Now};

/// The watch over the user's tickets.
#[derive(Default)]
pub(super) struct TicketWatch {
    state: State,
    /// Whether the client subscribes again with new tickets.
    renews: bool,
    subscribed: Subscribed,
    /// The session of the last request to subscribe, which may have been made without any; `None` before the first.
    last_request: Option<Option<Arc<dyn Session>>>,
}

#[derive(Default)]
enum State {
    #[default]
    Off,
    /// The first check is in progress.
    Beginning,
    On {
        renewal: Renewal,
        checking: bool,
    },
}

/// The subscriptions of the program.
#[derive(Default)]
struct Subscribed {
    list: Vec<Subscription>,
    defaults: bool,
    /// What was removed after the defaults were added, of which it may have been one.
    removed: Vec<Subscription>,
}

impl TicketWatch {
    /// Begins to watch; with `renews`, the client subscribes again with new tickets. The caller must start a check.
    pub(super) fn begin(&mut self, renews: bool) {
        self.renews = renews;
        self.state = State::Beginning;
    }

    /// Whether the watch is off.
    pub(super) const fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    /// The monotonic time of the next check.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::On { renewal, checking: false } => Some(renewal.next_check()),
            _ => None,
        }
    }

    /// Whether a check is to be started now.
    pub(super) fn is_due(&mut self, now: Now) -> bool {
        match &mut self.state {
            State::On { renewal, checking } if !*checking && now.monotonic >= renewal.next_check() => {
                *checking = true;
                true
            }
            _ => false,
        }
    }

    /// Handles the session of the user's current tickets.
    pub(super) fn handle_session(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        match &mut self.state {
            State::Off => None,
            State::Beginning => {
                // Tickets may have come since the last request was made without them.
                let subscribed_with = self.last_request.clone().unwrap_or_else(|| found.clone());
                let mut renewal = Renewal::new(now, subscribed_with);
                let event = renewal.check(now, found);
                self.state = State::On { renewal, checking: false };
                event
            }
            State::On { checking: false, .. } => None,
            State::On { renewal, checking } => {
                *checking = false;
                renewal.check(now, found)
            }
        }
    }

    /// Handles that subscribing with new tickets has failed.
    pub(super) fn handle_failure(&mut self, now: Now) {
        if let State::On { renewal, .. } = &mut self.state {
            renewal.handle_failure(now);
        }
    }

    /// Records that a request to subscribe was made with this session, or without any, whatever its outcome.
    pub(super) fn record_request(&mut self, session: Option<Arc<dyn Session>>) {
        self.last_request = Some(session);
    }

    /// Records a change of the subscriptions.
    pub(super) fn record(&mut self, change: SubscriptionChange) {
        let Subscribed { list, defaults, removed } = &mut self.subscribed;
        match change {
            SubscriptionChange::Cancelled => self.subscribed = Subscribed::default(),
            SubscriptionChange::Listed(SubscriptionRequest::Unsubscribe, gone) => {
                // What the program has added itself needs no more than to be left out.
                let of_defaults = |one: &Subscription| *defaults && !list.contains(one) && !removed.contains(one);
                let removed_now: Vec<_> = gone.iter().filter(|one| of_defaults(one)).cloned().collect();
                removed.extend(removed_now);
                list.retain(|subscription| !gone.contains(subscription));
            }
            SubscriptionChange::Listed(request, more) => {
                if request == SubscriptionRequest::Subscribe {
                    *defaults = true;
                    removed.clear();
                }
                removed.retain(|subscription| !more.contains(subscription));
                for subscription in more {
                    if !list.contains(&subscription) {
                        list.push(subscription);
                    }
                }
            }
        }
    }

    /// Whether the program has subscribed to anything.
    pub(super) fn has_subscriptions(&self) -> bool {
        self.subscribed.defaults || !self.subscribed.list.is_empty()
    }

    /// Whether the last request to subscribe was made without proof.
    pub(super) const fn subscribed_without_proof(&self) -> bool {
        matches!(self.last_request, Some(None))
    }

    /// The operation that removes again what had been removed, after [`TicketWatch::resubscription`] with the defaults.
    pub(super) fn unsubscription(&self) -> Option<Operation> {
        let Subscribed { removed, defaults, .. } = &self.subscribed;
        let list = removed.clone();
        (*defaults && !list.is_empty()).then_some(Operation::Subscribe {
            request: SubscriptionRequest::Unsubscribe,
            list,
            port: None,
        })
    }

    /// The operation that the client starts by itself after an event: it asks first whether the server still knows the client, or
    /// reads the principal if there were no tickets.
    pub(super) fn reaction(&self, event: TicketEvent) -> Option<Operation> {
        match event {
            TicketEvent::New if self.renews => Some(Operation::CheckSubscriptions),
            TicketEvent::First if self.renews => Some(Operation::Identify),
            _ => None,
        }
    }

    /// The operation that sends the key of new tickets to a server that knows the client, whose subscriptions stay as they are.
    pub(super) const fn key_renewal() -> Operation {
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        Operation::Subscribe { request, list: Vec::new(), port: None }
    }

    /// The operation that makes all subscriptions again.
    pub(super) fn resubscription(&self) -> Operation {
        let request = match self.subscribed.defaults {
            true => SubscriptionRequest::Subscribe,
            false => SubscriptionRequest::SubscribeWithoutDefaults,
        };
        Operation::Subscribe { request, list: self.subscribed.list.clone(), port: None }
    }
}
