//! A client as a state machine: what a program orders becomes packets and jobs, what comes becomes events.
//!
//! Several operations are under way at a time, and notices arrive meanwhile. A session with the servers is a job
//! ([`Job::Session`]), which may wait for a KDC: notices that the remembered keys prove, or that claim nothing, are delivered
//! without it; those that need the user's current credentials wait for it, within bounds, while others go on.
//!
//! * [`Message`], [`Operation`], [`Command`]: what a program can order; [`Event`]: what it learns
//! * `procedure`: the course of an operation; `exchange`: of one notice of it
//! * `receiving`: what becomes of a datagram; `verification`, `keyring`: whether it is what the server sent
//! * `policy`: what the domain demands, of what is sent and of what has come
//! * `renewal`, `tickets`: what becomes of the subscriptions when tickets end and new ones come
//! * `host_manager`: the question about its status, at start and later

mod backlog;
#[cfg(test)]
mod doubles;
mod endpoint;
mod error;
mod exchange;
mod host_manager;
mod interface;
mod keyring;
mod location;
mod log;
mod message;
mod policy;
mod procedure;
mod queue_lengths;
mod received;
mod receiving;
mod renewal;
mod shared;
mod subscription;
#[cfg(test)]
mod tests;
mod tickets;
mod verification;

pub use backlog::{Backlog, BacklogFull};
pub use endpoint::{Config, Endpoint, Settings, Setup};
pub use error::OperationError;
pub use exchange::{DeliveryStatus, NakReason, Receipt};
pub use interface::{Command, Done, Event, Job, Operation, OperationId, Outcome};
pub use location::LocationChange;
pub use log::{LogEvent, Severity};
pub use message::Message;
pub use policy::Hidden;
pub use queue_lengths::QueueLengths;
pub use received::{Name, Received};
pub use renewal::TicketEvent;
pub use subscription::{Subscription, SubscriptionRequest};

use crate::machine::{Input, Machine, Output, Transmit};
use host_manager::{HostManagerStatus, StatusQuery};
use procedure::{Owner, Procedure, Progress};
use receiving::Receiver;
use shared::Shared;
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};
use tickets::TicketWatch;
use zephyr_core::{
    auth::{AuthError, Session},
    limits::Limits,
    policy::Policy,
    time::Now,
    uid::UidSource,
};

/// A client. See the module's description, and [`crate::machine`] for how it is driven.
pub struct Client {
    phase: Phase,
    settings: Settings,
    shared: Shared,
    receiver: Receiver,
    operations: BTreeMap<Owner, Procedure>,
    tickets: TicketWatch,
}

/// How far the start is.
enum Phase {
    /// The host manager is asked, and then it is found out what domain its server is in.
    Starting,
    Ready,
    Failed(OperationError),
}

impl Client {
    /// A client that first asks the host manager who and where it is.
    pub fn new(config: Config, now: Now) -> Self {
        let endpoint = Endpoint {
            realm: String::new(),
            sender: b"unknown".to_vec(),
            limits: Limits::COMPATIBLE,
            address: Ipv4Addr::UNSPECIFIED,
            port: config.port,
            host_manager: config.host_manager,
        };
        let mut client = Self { phase: Phase::Starting, ..Self::ready(endpoint, Policy::KERBEROS, config.settings) };
        match StatusQuery::new(now, config.port, false) {
            Ok(query) => client.shared.query = Some(query),
            Err(error) => client.fail(error.into()),
        }
        client
    }

    /// A client that knows already who and where it is, and what its domain demands.
    pub fn ready(endpoint: Endpoint, policy: Policy, settings: Settings) -> Self {
        Self {
            phase: Phase::Ready,
            settings,
            shared: Shared::new(endpoint, policy),
            receiver: Receiver::new(settings.raw),
            operations: BTreeMap::new(),
            tickets: TicketWatch::default(),
        }
    }

    /// Who and where the client is, as far as it knows yet.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// What the domain demands, as far as is known yet.
    pub const fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    fn command(&mut self, now: Now, command: Command) {
        match command {
            Command::Begin { id, operation } => self.begin(now, Owner::Program(id), operation),
            Command::Enforce(policy) => {
                self.shared.policy = *policy;
                let Shared { arrived, policy, endpoint, .. } = &mut self.shared;
                arrived.enforce(policy, &endpoint.realm);
            }
            Command::WatchTickets => self.watch_tickets(false),
            Command::TicketsFailed => self.tickets.failed(now),
            Command::CannotSend(words) => self.cannot_send(now, &words),
        }
    }

    fn begin(&mut self, now: Now, owner: Owner, operation: Operation) {
        let mut procedure = Procedure::new(owner, operation);
        let progress = match &self.phase {
            Phase::Starting => Ok(None),
            Phase::Ready => procedure.start(now, &mut self.shared),
            Phase::Failed(error) => Err(error.clone()),
        };
        self.go_on(now, owner, procedure, progress);
    }

    /// Keeps an operation that goes on, or tells of its end.
    fn go_on(&mut self, now: Now, owner: Owner, procedure: Procedure, progress: Progress) {
        let outcome = match progress {
            Ok(None) => {
                self.operations.insert(owner, procedure);
                return;
            }
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        let Owner::Program(id) = owner else { return self.renewed(now, outcome.err(), &procedure) };
        if outcome.is_ok()
            && let Some(change) = procedure.change(self.shared.endpoint.port)
        {
            self.tickets.note(change);
            if self.settings.renews_tickets && self.tickets.is_off() {
                self.watch_tickets(true);
            }
        }
        self.shared.events.push_back(Event::Finished { id, outcome });
    }

    /// Lets operations that something may concern take it, and removes those that have ended.
    fn advance(&mut self, now: Now, mut step: impl FnMut(&mut Procedure, &mut Shared) -> Progress) {
        let owners: Vec<Owner> = self.operations.keys().copied().collect();
        for owner in owners {
            let Some(procedure) = self.operations.get_mut(&owner) else { continue };
            let progress = step(procedure, &mut self.shared);
            if !matches!(progress, Ok(None))
                && let Some(procedure) = self.operations.remove(&owner)
            {
                self.go_on(now, owner, procedure, progress);
            }
        }
    }

    fn watch_tickets(&mut self, acts: bool) {
        self.tickets.begin(acts);
        self.shared.session.want();
    }

    /// A step of a subscription with new tickets has ended.
    fn renewed(&mut self, now: Now, error: Option<OperationError>, procedure: &Procedure) {
        if error.is_none() && procedure.wants_principal() {
            let operation = self.tickets.resubscription();
            return self.begin(now, Owner::Renewal, operation);
        }
        if error.is_some() {
            self.tickets.failed(now);
        }
        self.shared.log(LogEvent::Resubscribed { error });
    }

    fn cannot_send(&mut self, now: Now, words: &str) {
        let error = OperationError::CannotSend(words.to_owned());
        if matches!(self.phase, Phase::Starting) {
            return self.fail(error);
        }
        self.advance(now, |procedure, _| if procedure.is_queuing() { Err(error.clone()) } else { Ok(None) });
    }

    /// The client cannot start.
    fn fail(&mut self, error: OperationError) {
        self.shared.query = None;
        for owner in std::mem::take(&mut self.operations).into_keys() {
            if let Owner::Program(id) = owner {
                self.shared.events.push_back(Event::Finished { id, outcome: Err(error.clone()) });
            }
        }
        self.phase = Phase::Failed(error.clone());
        self.shared.events.push_back(Event::StartFailed(error));
    }

    /// The host manager has answered the question about its status.
    fn host_manager_answered(&mut self, now: Now, status: HostManagerStatus) {
        self.shared.query = None;
        self.shared.endpoint.limits = status.limits;
        match self.phase {
            Phase::Starting => self.shared.setup = Some(Job::Setup { server: status.server }),
            Phase::Ready => {
                self.tell_endpoint();
                self.advance(now, |procedure, shared| procedure.limits_known(now, shared));
            }
            Phase::Failed(_) => {}
        }
    }

    /// The host manager has not answered it in time.
    fn host_manager_silent(&mut self, now: Now) {
        self.shared.query = None;
        if matches!(self.phase, Phase::Starting) {
            return self.fail(OperationError::HostManagerSilent);
        }
        let silent = |waits| if waits { Err(OperationError::HostManagerSilent) } else { Ok(None) };
        self.advance(now, |procedure, _| silent(procedure.wants_limits()));
    }

    fn done(&mut self, now: Now, done: Done) {
        match done {
            Done::Setup(Ok(setup)) => self.set_up(now, setup),
            Done::Setup(Err(error)) => self.fail(error.into()),
            Done::Session(found) => self.looked(now, &found),
            Done::Principal(found) => self.identified(now, found),
        }
    }

    fn set_up(&mut self, now: Now, setup: Setup) {
        let Setup { realm, sender, address, policy } = setup;
        self.shared.uids = UidSource::new(address);
        self.shared.endpoint = Endpoint { realm, sender, address, ..self.shared.endpoint.clone() };
        self.shared.policy = policy;
        self.phase = Phase::Ready;
        self.tell_endpoint();
        self.advance(now, |procedure, shared| procedure.start(now, shared));
    }

    /// A look at the user's credentials is done: for whoever waits for it.
    fn looked(&mut self, now: Now, found: &Result<Arc<dyn Session>, AuthError>) {
        self.shared.session.done();
        self.advance(now, |procedure, shared| procedure.looked(now, shared, found));
        self.credentials_for_waiting(now, found);
        if let Some(event) = self.tickets.looked(now, found.as_ref().ok().cloned()) {
            self.shared.events.push_back(Event::Tickets(event));
            if let Some(operation) = self.tickets.reaction(event) {
                self.begin(now, Owner::Renewal, operation);
            }
        }
    }

    fn identified(&mut self, now: Now, found: Result<Option<String>, AuthError>) {
        self.shared.principal.done();
        let error = match found {
            Ok(None) => None,
            Ok(Some(principal)) => {
                self.shared.endpoint.sender = principal.into_bytes();
                self.tell_endpoint();
                None
            }
            Err(error) => Some(error),
        };
        if let Some(error) = &error {
            self.shared.log(LogEvent::NoPrincipal { error: error.clone() });
        }
        self.advance(now, |procedure, _| match &error {
            Some(error) if procedure.wants_principal() => Err(error.clone().into()),
            _ => procedure.identified(),
        });
    }

    fn tell_endpoint(&mut self) {
        self.shared.events.push_back(Event::Endpoint(self.shared.endpoint.clone()));
    }

    fn expire(&mut self, now: Now) {
        match self.shared.query.as_mut().map(|query| query.due(now)) {
            Some(Ok(question)) => self.shared.hand_over(question),
            Some(Err(host_manager::Silent)) => self.host_manager_silent(now),
            None => {}
        }
        self.advance(now, |procedure, shared| procedure.expire(now, shared));
        if self.tickets.is_due(now) {
            self.shared.session.want();
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let operations = self.operations.values().filter_map(Procedure::deadline);
        let query = self.shared.query.as_ref().map(StatusQuery::deadline);
        operations.chain(query).chain(self.tickets.deadline()).min()
    }

    /// The next job, when it is time for one.
    fn next_job(&mut self) -> Option<Job> {
        let shared = &mut self.shared;
        if let Some(setup) = shared.setup.take() {
            return Some(setup);
        }
        if !matches!(self.phase, Phase::Ready) {
            return None;
        }
        if shared.session.begin() {
            return Some(Job::Session { realm: shared.endpoint.realm.clone() });
        }
        shared.principal.begin().then_some(Job::Principal)
    }
}

impl Machine for Client {
    type Command = Command;
    type Job = Job;
    type Done = Done;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        match input {
            Input::Datagram { from, octets } => self.receive(now, from, octets),
            Input::Done(done) => self.done(now, done),
            Input::Timeout => self.expire(now),
            Input::Command(command) => self.command(now, command),
        }
    }

    fn poll(&mut self, _: Now) -> Output<Self> {
        if let Some(transmit) = self.shared.transmits.pop_front() {
            return Output::Transmit(transmit);
        }
        if let Some(job) = self.next_job() {
            return Output::Job(job);
        }
        if let Some(event) = self.shared.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(received) = self.shared.arrived.pop() {
            return Output::Event(Event::Received(received));
        }
        Output::Wait(self.deadline())
    }

    fn put_back(&mut self, transmit: Transmit) {
        self.shared.transmits.push_front(transmit);
    }
}
