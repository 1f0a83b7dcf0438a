//! Tests of a client with a scripted clock and with test doubles of credentials.

mod encrypting;
mod locating;
mod network;
mod policy;
mod receiving;
mod restoration;
mod sending;
mod start;
mod strangers;
mod tickets;
mod waiting;

use super::{
    Client, Command, Done, Endpoint, Event, Job, Message, Operation, OperationError, OperationId, Outcome, Receipt,
    Received, Settings, doubles::Credentials,
};
use crate::machine::{Input, Machine as _, Output, Transmit};
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use zephyr_core::{auth::Initiator, limits::Limits, policy::Policy, time::Now};

const HM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2104);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 2103);

/// A client, driven by a test.
struct Harness<C = Credentials> {
    client: Client,
    credentials: C,
    /// Whether jobs are kept and not run.
    holds_jobs: bool,
    jobs: VecDeque<Job>,
    sent: VecDeque<Transmit>,
    events: Vec<Event>,
    received: VecDeque<Received>,
    /// This machine's address by now.
    address: Ipv4Addr,
    last_id: u64,
}

fn endpoint() -> Endpoint {
    Endpoint {
        realm: "TEST".to_owned(),
        sender: b"alice@TEST".to_vec(),
        limits: Limits::COMPATIBLE,
        address: Ipv4Addr::new(10, 0, 0, 5),
        port: 4321,
        host_manager: HM,
        server: None,
    }
}

impl<C: Initiator> Harness<C> {
    fn new(credentials: C) -> Self {
        Self::with_policy(credentials, Policy::KERBEROS)
    }

    fn with_policy(credentials: C, policy: Policy) -> Self {
        Self::with_client(Client::ready(endpoint(), policy, Settings::default()), credentials)
    }

    fn with_client(client: Client, credentials: C) -> Self {
        Self {
            client,
            credentials,
            holds_jobs: false,
            jobs: VecDeque::new(),
            sent: VecDeque::new(),
            events: Vec::new(),
            received: VecDeque::new(),
            address: endpoint().address,
            last_id: 0,
        }
    }

    fn input(&mut self, now: Now, input: Input<'_, Client>) {
        self.client.handle(now, input);
        self.drive(now);
    }

    /// Handles the client's output; gives the time of its next timeout.
    fn drive(&mut self, now: Now) -> Option<std::time::Duration> {
        loop {
            match self.client.poll(now) {
                Output::Transmit(transmit) => self.sent.push_back(transmit),
                Output::Job(job) if self.holds_jobs => self.jobs.push_back(job),
                Output::Job(job) => self.run_job(now, job),
                Output::Event(Event::Received(received)) => self.received.push_back(*received),
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => return until,
            }
        }
    }

    fn run_job(&mut self, now: Now, job: Job) {
        let done = match job {
            Job::Session { realm } => Done::Session(self.credentials.session(&realm)),
            Job::Principal => Done::Principal(self.credentials.principal()),
            Job::Address => Done::Address(self.address),
            Job::Setup { .. } => panic!("a client that is ready needs no setup"),
            Job::Discover | Job::Lookup(_) | Job::HostManagerOwner => panic!("a client has a host manager"),
        };
        self.client.handle(now, Input::Done(done));
    }

    /// Runs the jobs that were held.
    fn run_held_jobs(&mut self, now: Now) {
        while let Some(job) = self.jobs.pop_front() {
            self.run_job(now, job);
        }
        self.drive(now);
    }

    fn datagram(&mut self, now: Now, from: SocketAddr, octets: &[u8]) {
        self.input(now, Input::Datagram { from, local: None, octets });
    }

    fn begin(&mut self, now: Now, operation: Operation) -> OperationId {
        self.last_id += 1;
        let id = OperationId(self.last_id);
        self.input(now, Input::Command(Command::Begin { id, operation }));
        id
    }

    fn send(&mut self, now: Now, message: Message) -> OperationId {
        self.begin(now, Operation::Send(message))
    }

    /// The outcome of an operation, if it has ended.
    fn outcome(&self, wanted: OperationId) -> Option<Result<Outcome, OperationError>> {
        self.events.iter().find_map(|event| match event {
            Event::Finished { id, outcome } if *id == wanted => Some(outcome.clone()),
            _ => None,
        })
    }

    /// The error of a failed operation.
    fn error(&self, id: OperationId) -> OperationError {
        self.outcome(id).unwrap().unwrap_err()
    }

    fn is_queued(&self, wanted: OperationId) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Queued { id, .. } if *id == wanted))
    }

    fn receipt(&self, id: OperationId) -> Option<Receipt> {
        match self.outcome(id)? {
            Ok(Outcome::Sent(receipt)) => Some(receipt),
            other => panic!("{other:?}"),
        }
    }
}
