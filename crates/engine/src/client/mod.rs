//! The client as a state machine: commands become packets and jobs, received packets become events.
//!
//! Several operations are in progress at a time, and notices arrive meanwhile. A session with the servers is a job
//! ([`Job::Session`]), which may wait for a KDC: notices that a remembered key authenticates, or that claim no
//! authentication, are delivered without it; those that need the user's current credentials wait for it, within bounds.
//!
//! * [`Message`], [`Operation`], [`Command`]: input from the program; [`Event`]: output to it
//! * [`Connection`]: a client with its way to a server, by the host manager or, where none answers, directly; `fallback`: what a
//!   client holds meanwhile
//! * `startup`: the start; `host_manager`: the query of the host manager's status, at start and later
//! * `operations`: the operations in progress; `procedure`: one of them; `exchange`, `receipt`: a notice of it and its answer
//! * `receiving`: received datagrams; `verification`, `keyring`: the verdict about their origin; `unverified`: those that wait for it
//! * `policy`: the domain's policy, for notices that are sent or received
//! * `renewal`, `tickets`: the renewal of subscriptions with new tickets; `restoration`: of those that the server has forgotten;
//!   `network`: changes of the machine's network

mod backlog;
mod direct;
#[cfg(test)]
mod doubles;
mod endpoint;
mod error;
mod exchange;
mod fallback;
mod host_manager;
mod interface;
mod keyring;
mod location;
mod log;
mod message;
mod network;
mod operations;
mod policy;
mod procedure;
mod queue_lengths;
mod receipt;
mod received;
mod receiving;
mod renewal;
mod restoration;
mod shared;
mod startup;
mod subscription;
#[cfg(test)]
mod tests;
mod tickets;
mod unverified;
mod verification;

pub use backlog::{Backlog, BacklogFull};
pub use direct::Connection;
pub use endpoint::{Config, Direct, DirectServer, Endpoint, Settings, Setup};
pub use error::OperationError;
pub use interface::{Command, Done, Event, Job, Operation, OperationId, Outcome, Trust};
pub use location::{LocationChange, UserLocation};
pub use log::{LogEvent, Severity};
pub use message::Message;
pub use policy::Hidden;
pub use queue_lengths::QueueLengths;
pub use receipt::{DeliveryStatus, NakReason, Receipt};
pub use received::{Name, Received};
pub use renewal::TicketEvent;
pub use restoration::{SUBSCRIPTION_CHECK, SubscriptionEvent};
pub use subscription::{Subscription, SubscriptionRequest};

use crate::machine::{Input, Machine, Output, Transmit};
use fallback::{Fallback, Loss};
use host_manager::StatusQuery;
use network::NetworkCheck;
use operations::Owner;
use procedure::Procedure;
use receiving::Receiver;
use restoration::Restoration;
use shared::Shared;
use startup::Phase;
use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};
use tickets::TicketWatch;
use zephyr_core::{limits::Limits, policy::Policy, time::Now};

/// The state machine of a client; [`crate::machine`] describes how it is driven.
pub struct Client {
    phase: Phase,
    settings: Settings,
    shared: Shared,
    receiver: Receiver,
    operations: BTreeMap<Owner, Procedure>,
    tickets: TicketWatch,
    restoration: Restoration,
    network: NetworkCheck,
    fallback: Fallback,
}

impl Client {
    /// A client that starts by querying the host manager.
    pub fn new(config: Config, now: Now) -> Self {
        let endpoint = Endpoint {
            realm: String::new(),
            sender: b"unknown".to_vec(),
            limits: Limits::COMPATIBLE,
            address: Ipv4Addr::UNSPECIFIED,
            port: config.port,
            host_manager: config.host_manager,
            server: None,
        };
        let mut client = Self { phase: Phase::Starting, ..Self::ready(endpoint, Policy::KERBEROS, config.settings) };
        match StatusQuery::new(now, config.port, false) {
            Ok(query) if config.settings.direct == Direct::Fallback => {
                client.shared.query = Some(query.with_fallback());
            }
            Ok(query) => client.shared.query = Some(query),
            Err(error) => client.fail(error.into()),
        }
        client
    }

    /// A client that has started, with a known endpoint and policy.
    pub fn ready(endpoint: Endpoint, policy: Policy, settings: Settings) -> Self {
        Self {
            phase: Phase::Ready,
            settings,
            shared: Shared::new(endpoint, policy),
            receiver: Receiver::new(settings.raw),
            operations: BTreeMap::new(),
            tickets: TicketWatch::default(),
            restoration: Restoration::new(settings.subscription_check),
            network: NetworkCheck::default(),
            fallback: Fallback::default(),
        }
    }

    /// The client's identity and addresses, as far as they are known.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// The domain's policy; until it is known, the default one for Kerberos.
    pub const fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    fn handle_command(&mut self, now: Now, command: Command) {
        match command {
            Command::Begin { id, operation } => self.begin(now, Owner::Program(id), operation),
            Command::Enforce(policy) => {
                self.shared.policy = *policy;
                let Shared { arrived, policy, endpoint, .. } = &mut self.shared;
                arrived.enforce(policy, &endpoint.realm);
            }
            Command::WatchTickets => self.watch_tickets(false),
            Command::TicketsFailed => self.tickets.handle_failure(now),
            Command::CannotSend(text) => self.handle_send_error(now, text),
            Command::NetworkChanged => self.handle_network_change(now),
            Command::NotSent { .. } => {}
        }
    }

    fn handle_done(&mut self, now: Now, done: Done) {
        match done {
            Done::Setup(Ok(setup)) => self.set_up(now, setup),
            Done::Setup(Err(error)) => self.fail(error.into()),
            Done::Session(session) => self.handle_session(now, &session),
            Done::Principal(principal) => self.handle_principal(now, principal),
            Done::Address(address) => self.handle_address(address),
            // Only of a connection without a host manager.
            Done::Discovered(_) | Done::Lookup(_) | Done::HostManagerOwner(_) => {}
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        match self.shared.query.as_mut().map(|query| query.due(now)) {
            Some(Ok(payload)) => self.shared.transmit(payload),
            Some(Err(host_manager::NotResponding)) => self.handle_host_manager_timeout(now, Loss::Silent),
            None => {}
        }
        self.give_up_incomplete(now);
        self.hold_unacknowledged(now);
        self.advance(now, |procedure, shared| procedure.expire(now, shared));
        if self.tickets.is_due(now) {
            self.shared.session.request();
        }
        self.check_subscriptions(now);
        self.check_after_change(now);
    }

    fn deadline(&self) -> Option<Duration> {
        let operations = self.operations.values().filter_map(Procedure::deadline);
        let query = self.shared.query.as_ref().map(StatusQuery::deadline);
        let own =
            [self.tickets.deadline(), self.restoration.deadline(), self.network.deadline(), self.receiver.deadline()];
        operations.chain(query).chain(own.into_iter().flatten()).min()
    }

    /// The next job to be done, if there is one.
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
        if shared.principal.begin() {
            return Some(Job::Principal);
        }
        shared.address.begin().then_some(Job::Address)
    }
}

impl Machine for Client {
    type Command = Command;
    type Job = Job;
    type Done = Done;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        match input {
            Input::Datagram { from, local, octets } => self.receive(now, from, local, octets),
            Input::Unreachable { to, quoted } => self.handle_refusal(now, to, quoted),
            Input::Done(done) => self.handle_done(now, done),
            Input::Timeout => self.handle_timeout(now),
            Input::Command(command) => self.handle_command(now, command),
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
