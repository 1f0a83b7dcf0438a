//! A blocking client without a runtime: for short commands, and for libraries whose callers have an event loop.
//!
//! Work is done only during a call: notices are received, acknowledged and kept while any of these functions waits. Jobs, such
//! as getting a ticket, block the call. A program with an event loop waits for the file descriptor
//! ([`Client`] is [`AsFd`]), for at most [`Client::timeout`], and then calls [`Client::receive`] with a wait of zero.
//!
//! That the machine's network has changed is noticed while any of these functions waits, and otherwise by the next call. A program with
//! an event loop waits for [`Client::network_descriptor`] as well: then its client subscribes again at once where the machine has another
//! address.

use crate::{
    Error, Options, Result, Subscriptions,
    driver::{log_subscription_event, log_ticket_event},
    error::{cannot_bind, system_text},
    jobs::{Jobs, log},
    mailbox::Acknowledgement,
};
use std::{
    collections::{HashMap, VecDeque},
    net::UdpSocket,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};
use zephyr_engine::client::{
    Backlog, Command, Connection, Endpoint, Event, Message, Operation, OperationError, OperationId, Outcome, Receipt,
    Received, SubscriptionRequest,
};
use zephyr_net::{
    blocking::{Driver, Occurrence},
    clock::Clock,
    network_watch::NetworkWatch,
};

/// The maximum number of acknowledgements kept, in raw mode; beyond, the oldest are lost.
const MAX_ACKNOWLEDGEMENTS: usize = 1024;

/// The maximum number of events handled after the time that a program wants to wait: a flood, of which each packet may be one, does
/// not keep it from going on.
const MAX_LATE_EVENTS: usize = 64;

/// A blocking connection to Zephyr, which does its work only during calls.
pub struct Client {
    driver: Driver<Connection>,
    jobs: Jobs,
    /// The operations that have not ended, or whose outcome was not fetched yet.
    operations: HashMap<OperationId, Progress>,
    last_id: u64,
    arrived: Backlog,
    acknowledgements: VecDeque<Acknowledgement>,
    failed: Option<OperationError>,
    network: NetworkWatch,
}

/// The progress of an operation.
#[derive(Default)]
struct Progress {
    queued: bool,
    outcome: Option<std::result::Result<Outcome, OperationError>>,
}

impl Client {
    /// Connects to the host manager; where none answers, to a server, as the options allow.
    ///
    /// # Errors
    ///
    /// When the host manager does not answer within 10 s and there is no server to speak to without it, or on an error of the
    /// system or of the authentication's configuration.
    pub fn connect(options: Options) -> Result<Self> {
        Self::connect_slowly(options, Duration::MAX, || ())
    }

    /// As [`Client::connect`]; calls `still_waiting` once when that takes longer than `delay`, so that the user can be told.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect_slowly(options: Options, delay: Duration, still_waiting: impl FnOnce()) -> Result<Self> {
        let local = options.local();
        let socket = UdpSocket::bind(local).map_err(|error| cannot_bind(local, error))?;
        let clock = Clock::new();
        let machine = Connection::new(options.config(socket.local_addr()?.port()), clock.now());
        let mut client = Self {
            driver: Driver::new(machine, socket, clock)?,
            jobs: Jobs::new(options),
            operations: HashMap::new(),
            last_id: 0,
            arrived: Backlog::default(),
            acknowledgements: VecDeque::new(),
            failed: None,
            network: NetworkWatch::new(),
        };
        // Where it cannot be waited for, the next call notices.
        let descriptor = client.network.descriptor().and_then(|descriptor| descriptor.try_clone_to_owned().ok());
        descriptor.into_iter().for_each(|descriptor| client.driver.wake_by(descriptor));
        let hint_at = client.driver.clock().now().monotonic.saturating_add(delay);
        let mut still_waiting = Some(still_waiting);
        while !client.driver.machine().is_ready() {
            client.step(still_waiting.is_some().then_some(hint_at))?;
            if client.driver.clock().now().monotonic >= hint_at
                && let Some(still_waiting) = still_waiting.take()
            {
                still_waiting();
            }
            if let Some(error) = client.failed.take() {
                return Err(error.into());
            }
        }
        Ok(client)
    }

    /// The identity and addresses of this client.
    pub const fn endpoint(&self) -> &Endpoint {
        self.driver.machine().endpoint()
    }

    /// Begins an operation, without waiting. Its outcome is kept until [`Client::finish`] or [`Client::receipt`] fetches it.
    pub fn begin(&mut self, operation: Operation) -> OperationId {
        self.reload_policy();
        self.last_id += 1;
        let id = OperationId(self.last_id);
        self.operations.insert(id, Progress::default());
        self.driver.command(Command::Begin { id, operation });
        id
    }

    /// Waits until the host manager has accepted a message.
    ///
    /// # Errors
    ///
    /// When the message cannot be authenticated or sent, or the host manager does not acknowledge a packet within 10 s;
    /// [`Error::Closed`] for an unknown operation.
    pub fn queued(&mut self, id: OperationId) -> Result<()> {
        loop {
            let progress = self.operations.get(&id).ok_or(Error::Closed)?;
            if progress.queued {
                return Ok(());
            }
            if progress.outcome.is_some() {
                return self.finish(id).map(drop);
            }
            self.step(None)?;
        }
    }

    /// Waits for at most this time until the host manager has accepted a message; true when it has, or when the operation has
    /// ended otherwise.
    ///
    /// # Errors
    ///
    /// When the socket fails; [`Error::Closed`] for an unknown operation.
    pub fn is_queued_within(&mut self, id: OperationId, wait: Duration) -> Result<bool> {
        self.is_within(id, wait, |progress| progress.queued || progress.outcome.is_some())
    }

    /// Waits for at most this time until an operation has ended; true when it has.
    ///
    /// # Errors
    ///
    /// When the socket fails; [`Error::Closed`] for an unknown operation.
    pub fn is_finished_within(&mut self, id: OperationId, wait: Duration) -> Result<bool> {
        self.is_within(id, wait, |progress| progress.outcome.is_some())
    }

    fn is_within(&mut self, id: OperationId, wait: Duration, is_done: fn(&Progress) -> bool) -> Result<bool> {
        let deadline = self.driver.clock().now().monotonic.saturating_add(wait);
        loop {
            if is_done(self.operations.get(&id).ok_or(Error::Closed)?) {
                return Ok(true);
            }
            let is_idle = !self.step(Some(deadline))?;
            // Whatever comes meanwhile, the wait ends.
            if is_idle || self.driver.clock().now().monotonic >= deadline {
                return Ok(is_done(self.operations.get(&id).ok_or(Error::Closed)?));
            }
        }
    }

    /// Waits for the outcome of an operation, whose number is unknown afterwards.
    ///
    /// # Errors
    ///
    /// That of the operation; [`Error::Closed`] for an unknown operation.
    pub fn finish(&mut self, id: OperationId) -> Result<Outcome> {
        loop {
            let progress = self.operations.get_mut(&id).ok_or(Error::Closed)?;
            if let Some(outcome) = progress.outcome.take() {
                self.operations.remove(&id);
                return Ok(outcome?);
            }
            self.step(None)?;
        }
    }

    /// Waits for the server's answer to a message that was begun.
    ///
    /// # Errors
    ///
    /// As [`Client::queued`]; and when the server does not answer within the message's [timeout](Message::answer_timeout).
    pub fn receipt(&mut self, id: OperationId) -> Result<Receipt> {
        match self.finish(id)? {
            Outcome::Sent(receipt) => Ok(receipt),
            _ => Err(OperationError::InvalidAnswer.into()),
        }
    }

    /// Sends a message, and waits for the server's answer.
    ///
    /// # Errors
    ///
    /// As [`Client::receipt`].
    pub fn send(&mut self, message: Message) -> Result<Receipt> {
        let id = self.begin(Operation::Send(message));
        self.receipt(id)
    }

    /// Adds subscriptions.
    ///
    /// # Errors
    ///
    /// When a request cannot be sent or is refused, or a single subscription is too long for a packet.
    pub fn subscribe(&mut self, list: impl Into<Subscriptions>) -> Result<()> {
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        let id = self.begin(Operation::Subscribe { request, list: list.into().0, port: None });
        self.finish(id).map(drop)
    }

    /// Waits for the next notice of any kind, for at most this time; `None` when none has come. With a wait of zero it does
    /// not wait for packets. It may give `None` while there is more to do, as after a flood: [`Client::timeout`] is zero then.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn receive(&mut self, wait: Duration) -> Result<Option<Received>> {
        let deadline = self.driver.clock().now().monotonic.saturating_add(wait);
        let mut late_events = 0;
        loop {
            // A notice in the queue is returned without waiting.
            let wait_until = if self.arrived.is_empty() { deadline } else { Duration::ZERO };
            let idle = !self.step(Some(wait_until))?;
            if let Some(received) = self.arrived.pop() {
                return Ok(Some(*received));
            }
            late_events += usize::from(self.driver.clock().now().monotonic >= deadline);
            if idle || late_events >= MAX_LATE_EVENTS {
                return Ok(None);
            }
        }
    }

    /// The next acknowledgement that was received, in raw mode; does not wait. Beyond 1024 the oldest are lost.
    pub fn next_acknowledgement(&mut self) -> Option<Acknowledgement> {
        self.acknowledgements.pop_front()
    }

    /// The maximum time that a program with an event loop may wait for the file descriptor before it calls
    /// [`Client::receive`] again; `None`: no limit.
    pub fn timeout(&self) -> Option<Duration> {
        let now = self.driver.clock().now().monotonic;
        let timeouts = [self.driver.timeout(), self.network_due()].into_iter().flatten();
        timeouts.min().map(|timeout| timeout.saturating_sub(now))
    }

    /// What can be read when the machine's network changes: a program with an event loop calls [`Client::receive`] then. `None` where the
    /// system does not tell.
    pub fn network_descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.network.descriptor()
    }

    /// Tells the client that the machine's network has changed, or that the machine has slept: for programs that know it otherwise.
    pub fn network_changed(&mut self) {
        self.driver.command(Command::NetworkChanged);
    }

    /// When a burst of changes of the network is over, in monotonic time.
    fn network_due(&self) -> Option<Duration> {
        let wait = self.network.due()?.saturating_duration_since(Instant::now());
        Some(self.driver.clock().now().monotonic.saturating_add(wait))
    }

    /// Applies the policy file if it has changed.
    fn reload_policy(&mut self) {
        if let Some(policy) = self.jobs.changed_policy() {
            self.arrived.enforce(&policy, &self.driver.machine().endpoint().realm);
            self.driver.command(Command::Enforce(Box::new(policy)));
        }
    }

    /// Handles one event; false when there was none until the deadline.
    fn step(&mut self, deadline: Option<Duration>) -> Result<bool> {
        self.reload_policy();
        if self.network.drain(Instant::now()) {
            self.network_changed();
        }
        let network_due = self.network_due();
        let until = [deadline, network_due].into_iter().flatten().min();
        let Self { driver, jobs, .. } = self;
        match driver.next(until, &mut |job| jobs.run(job))? {
            Some(Occurrence::Event(event)) => self.handle_event(event),
            Some(Occurrence::SendFailed { to, error }) if to == self.endpoint().host_manager => {
                self.driver.command(Command::CannotSend(system_text(&error)));
            }
            Some(Occurrence::SendFailed { to, error }) => {
                tracing::debug!(%to, %error, "cannot send");
                self.driver.command(Command::NotSent { to, error: system_text(&error) });
            }
            // The next step looks at the network.
            Some(Occurrence::Woken) => {}
            None => return Ok(network_due.is_some_and(|due| deadline.is_none_or(|deadline| due < deadline))),
        }
        Ok(true)
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Endpoint(_) => {}
            Event::StartFailed(error) => self.failed = Some(error),
            Event::Received(received) => {
                if self.arrived.push(received).is_err() {
                    tracing::warn!("too many notices wait to be received: one is lost");
                }
            }
            Event::Acknowledged { from, packet } => {
                if self.acknowledgements.len() >= MAX_ACKNOWLEDGEMENTS {
                    self.acknowledgements.pop_front();
                }
                self.acknowledgements.push_back(Acknowledgement { from, packet });
            }
            Event::Queued { id, .. } => {
                if let Some(progress) = self.operations.get_mut(&id) {
                    progress.queued = true;
                }
            }
            Event::Finished { id, outcome } => {
                if let Some(progress) = self.operations.get_mut(&id) {
                    progress.outcome = Some(outcome);
                }
            }
            Event::Tickets(event) => log_ticket_event(event),
            Event::Subscriptions(event) => log_subscription_event(&event),
            Event::Log(line) => log(&line),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.as_fd()
    }
}
