//! The watch over the user's tickets while a client stays, and the subscriptions that new ones are to be made with.

use super::{
    Operation,
    procedure::SubscriptionChange,
    renewal::{Renewal, TicketEvent},
    subscription::{Subscription, SubscriptionRequest},
};
use std::{sync::Arc, time::Duration};
use zephyr_core::{auth::Session, time::Now};

/// See the module's description.
#[derive(Default)]
pub(super) struct TicketWatch {
    state: State,
    /// Whether the client subscribes again by itself.
    acts: bool,
    subscribed: Subscribed,
}

#[derive(Default)]
enum State {
    #[default]
    Off,
    /// The first look is under way.
    Beginning,
    On {
        renewal: Renewal,
        looking: bool,
    },
}

/// What the program has subscribed to.
#[derive(Default)]
struct Subscribed {
    list: Vec<Subscription>,
    defaults: bool,
}

impl TicketWatch {
    /// Begins to watch; with `acts`, the client subscribes again by itself. A look at the tickets is wanted then.
    pub(super) fn begin(&mut self, acts: bool) {
        self.acts = acts;
        self.state = State::Beginning;
    }

    /// Whether nobody watches.
    pub(super) const fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    /// When the next look is due.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::On { renewal, looking: false } => Some(renewal.next_look()),
            _ => None,
        }
    }

    /// True when a look is to be begun now.
    pub(super) fn is_due(&mut self, now: Now) -> bool {
        match &mut self.state {
            State::On { renewal, looking } if !*looking && now.monotonic >= renewal.next_look() => {
                *looking = true;
                true
            }
            _ => false,
        }
    }

    /// Takes the session that the tickets of this moment make.
    pub(super) fn looked(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        match &mut self.state {
            State::Off => None,
            State::Beginning => {
                self.state = State::On { renewal: Renewal::new(now, found), looking: false };
                None
            }
            State::On { looking: false, .. } => None,
            State::On { renewal, looking } => {
                *looking = false;
                renewal.look(now, found)
            }
        }
    }

    /// Takes it that subscribing with new tickets has failed.
    pub(super) fn failed(&mut self, now: Now) {
        if let State::On { renewal, .. } = &mut self.state {
            renewal.failed(now);
        }
    }

    /// Keeps in mind what the program has subscribed to.
    pub(super) fn note(&mut self, change: SubscriptionChange) {
        let Subscribed { list, defaults } = &mut self.subscribed;
        match change {
            SubscriptionChange::Cancelled => self.subscribed = Subscribed::default(),
            SubscriptionChange::Listed(SubscriptionRequest::Unsubscribe, gone) => {
                list.retain(|subscription| !gone.contains(subscription));
            }
            SubscriptionChange::Listed(request, more) => {
                *defaults |= request == SubscriptionRequest::Subscribe;
                for subscription in more {
                    if !list.contains(&subscription) {
                        list.push(subscription);
                    }
                }
            }
        }
    }

    /// What the client does by itself now: first take the tickets' name, if the user had none before.
    pub(super) fn reaction(&self, event: TicketEvent) -> Option<Operation> {
        match event {
            TicketEvent::New if self.acts => Some(Operation::Subscribe {
                // The key is told; the subscriptions stay as they are.
                request: SubscriptionRequest::SubscribeWithoutDefaults,
                list: Vec::new(),
                port: None,
            }),
            TicketEvent::First if self.acts => Some(Operation::Identify),
            _ => None,
        }
    }

    /// Everything that was subscribed to, once more.
    pub(super) fn resubscription(&self) -> Operation {
        let request = match self.subscribed.defaults {
            true => SubscriptionRequest::Subscribe,
            false => SubscriptionRequest::SubscribeWithoutDefaults,
        };
        Operation::Subscribe { request, list: self.subscribed.list.clone(), port: None }
    }
}
