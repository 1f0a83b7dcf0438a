//! The operations in progress, and the results of the jobs that they wait for.

use super::{
    Client, Event, LogEvent, Operation, OperationError, OperationId, Outcome,
    procedure::{Procedure, Progress},
    shared::Shared,
    startup::Phase,
    tickets::TicketWatch,
};
use std::{net::Ipv4Addr, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Session},
    time::Now,
    uid::UidSource,
};

/// The owner of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The program.
    Program(OperationId),
    /// The client itself, which subscribes again with new tickets.
    Renewal,
    /// The client itself, which asks whether the server knows it, and subscribes again if not.
    Restoration,
}

impl Client {
    /// Begins an operation.
    pub(super) fn begin(&mut self, now: Now, owner: Owner, operation: Operation) {
        let mut procedure = Procedure::new(owner, operation);
        let progress = match &self.phase {
            Phase::Starting => Ok(None),
            Phase::Ready => procedure.start(now, &mut self.shared),
            Phase::Failed(error) => Err(error.clone()),
        };
        self.continue_or_finish(now, owner, procedure, progress);
    }

    /// Keeps an operation that goes on, or reports its outcome.
    fn continue_or_finish(&mut self, now: Now, owner: Owner, procedure: Procedure, progress: Progress) {
        let outcome = match progress {
            Ok(None) => {
                self.operations.insert(owner, procedure);
                return;
            }
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        let id = match owner {
            Owner::Program(id) => id,
            Owner::Renewal => return self.handle_renewal(now, outcome, &procedure),
            Owner::Restoration => return self.handle_restoration(now, outcome, &procedure),
        };
        if procedure.subscribes(self.shared.endpoint.port) {
            self.tickets.record_request(procedure.session());
        }
        // Who has cancelled does not want any, though the server may have known of none.
        if (outcome.is_ok() || procedure.cancels())
            && let Some(change) = procedure.into_subscription_change(self.shared.endpoint.port)
        {
            self.tickets.record(change);
            if outcome.is_ok() {
                self.record_known(now);
            }
            self.schedule_check(now);
            if self.settings.renews_tickets && self.tickets.is_off() {
                self.watch_tickets(true);
            }
        }
        self.shared.events.push_back(Event::Finished { id, outcome });
    }

    /// Applies a step to every operation, and finishes those that it ends.
    pub(super) fn advance(&mut self, now: Now, mut step: impl FnMut(&mut Procedure, &mut Shared) -> Progress) {
        let owners: Vec<Owner> = self.operations.keys().copied().collect();
        for owner in owners {
            let Some(procedure) = self.operations.get_mut(&owner) else { continue };
            let progress = step(procedure, &mut self.shared);
            if !matches!(progress, Ok(None))
                && let Some(procedure) = self.operations.remove(&owner)
            {
                self.continue_or_finish(now, owner, procedure, progress);
            }
        }
    }

    /// Watches the user's tickets; with `renews`, subscribes again with new ones.
    pub(super) fn watch_tickets(&mut self, renews: bool) {
        self.tickets.begin(renews);
        self.shared.session.request();
    }

    /// Handles the end of a step of a subscription with new tickets.
    fn handle_renewal(&mut self, now: Now, outcome: Result<Outcome, OperationError>, procedure: &Procedure) {
        let next = match &outcome {
            Ok(Outcome::Known) => Some(TicketWatch::key_renewal()),
            // A server that has forgotten the client would take the key for the beginning of one without subscriptions.
            Ok(Outcome::Unknown { .. }) => Some(Operation::Identify),
            Ok(_) if procedure.wants_principal() => Some(self.tickets.resubscription()),
            _ => None,
        };
        if let Some(operation) = next {
            return self.begin(now, Owner::Renewal, operation);
        }
        let error = outcome.err();
        if error.is_some() {
            self.tickets.handle_failure(now);
        }
        self.shared.log(LogEvent::Resubscribed { error });
    }

    /// Handles the result of [`Job::Address`](super::Job::Address): uids and notices carry it from now on.
    pub(super) fn handle_address(&mut self, address: Ipv4Addr) {
        self.shared.address.done();
        if address != self.shared.endpoint.address {
            self.shared.uids = UidSource::new(address);
            self.shared.endpoint.address = address;
            self.report_endpoint();
        }
    }

    /// Handles that the system cannot send to the host manager.
    pub(super) fn handle_send_error(&mut self, now: Now, text: String) {
        if self.hold_unsent() {
            return;
        }
        let error = OperationError::CannotSend(text);
        if matches!(self.phase, Phase::Starting) {
            return self.fail(error);
        }
        self.advance(now, |procedure, _| if procedure.is_queuing() { Err(error.clone()) } else { Ok(None) });
    }

    /// Handles the result of [`Job::Session`](super::Job::Session) for everything that waits for it.
    pub(super) fn handle_session(&mut self, now: Now, session: &Result<Arc<dyn Session>, AuthError>) {
        self.shared.session.done();
        self.advance(now, |procedure, shared| procedure.handle_session(now, shared, session));
        self.verify_waiting(now, session);
        if let Some(event) = self.tickets.handle_session(now, session.as_ref().ok().cloned()) {
            self.shared.events.push_back(Event::Tickets(event));
            if let Some(operation) = self.tickets.reaction(event) {
                self.begin(now, Owner::Renewal, operation);
            }
        }
    }

    /// Handles the result of [`Job::Principal`](super::Job::Principal).
    pub(super) fn handle_principal(&mut self, now: Now, principal: Result<Option<String>, AuthError>) {
        self.shared.principal.done();
        let error = match principal {
            Ok(None) => None,
            Ok(Some(principal)) => {
                self.shared.endpoint.sender = principal.into_bytes();
                self.report_endpoint();
                None
            }
            Err(error) => Some(error),
        };
        if let Some(error) = &error {
            self.shared.log(LogEvent::NoPrincipal { error: error.clone() });
        }
        self.advance(now, |procedure, _| match &error {
            Some(error) if procedure.wants_principal() => Err(error.clone().into()),
            _ => procedure.handle_principal(),
        });
    }
}
