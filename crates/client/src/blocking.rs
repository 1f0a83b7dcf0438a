//! Zephyr without a runtime: for short commands, and for libraries whose callers have a loop of their own.
//!
//! Nothing happens but during a call: a notice is received, acknowledged and kept while any of these functions waits. Jobs,
//! such as getting a ticket, are done on the spot. A program with a loop of its own waits for the file descriptor
//! ([`Client`] is [`AsFd`]), for at most [`Client::timeout`], and then calls [`Client::receive`] with a wait of zero.

use crate::{
    Error, Options, Result, Subscriptions,
    driver::tell_tickets,
    error::system_text,
    jobs::{Jobs, log},
    mailbox::Acknowledgement,
};
use std::{
    collections::{HashMap, VecDeque},
    net::UdpSocket,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};
use zephyr_engine::client::{
    self as machine, Backlog, Command, Config, Endpoint, Event, Message, Operation, OperationError, OperationId,
    Outcome, Receipt, Received, SubscriptionRequest,
};
use zephyr_net::{
    blocking::{Driver, Occurrence},
    clock::Clock,
};

/// Acknowledgements that wait, in raw mode; beyond, the oldest are lost.
const MAX_ACKNOWLEDGEMENTS: usize = 1024;

/// A connection to Zephyr that does something only while it is called.
pub struct Client {
    driver: Driver<machine::Client>,
    jobs: Jobs,
    /// Operations that have not ended, or whose outcome was not asked for yet.
    operations: HashMap<OperationId, Progress>,
    last_id: u64,
    arrived: Backlog,
    acknowledgements: VecDeque<Acknowledgement>,
    failed: Option<OperationError>,
}

/// How far an operation is.
#[derive(Default)]
struct Progress {
    queued: bool,
    outcome: Option<std::result::Result<Outcome, OperationError>>,
}

impl Client {
    /// Asks the host manager who and where we are.
    ///
    /// # Errors
    ///
    /// When the host manager does not answer within 10 s, or the system or the authentication's configuration fail.
    pub fn connect(options: Options) -> Result<Self> {
        let socket = UdpSocket::bind(options.local())?;
        let config = Config {
            host_manager: options.host_manager,
            port: socket.local_addr()?.port(),
            settings: options.settings(),
        };
        let clock = Clock::new();
        let machine = machine::Client::new(config, clock.now());
        let mut client = Self {
            driver: Driver::new(machine, socket, clock)?,
            jobs: Jobs::new(options),
            operations: HashMap::new(),
            last_id: 0,
            arrived: Backlog::default(),
            acknowledgements: VecDeque::new(),
            failed: None,
        };
        while !client.driver.machine().is_ready() {
            client.step(None)?;
            if let Some(error) = client.failed.take() {
                return Err(error.into());
            }
        }
        Ok(client)
    }

    /// Who and where this client is.
    pub const fn endpoint(&self) -> &Endpoint {
        self.driver.machine().endpoint()
    }

    /// Begins an operation. Its outcome is kept until [`Client::finish`] asks for it.
    pub fn begin(&mut self, operation: Operation) -> OperationId {
        self.look_at_policy();
        self.last_id += 1;
        let id = OperationId(self.last_id);
        self.operations.insert(id, Progress::default());
        self.driver.command(Command::Begin { id, operation });
        id
    }

    /// Waits until the host manager has all of a message.
    ///
    /// # Errors
    ///
    /// When it cannot be made or sent, or the host manager does not acknowledge a packet within 10 s.
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

    /// Waits for the end of an operation. Afterwards it is forgotten.
    ///
    /// # Errors
    ///
    /// Why it has failed; [`Error::Closed`] for one that is not known.
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
    /// As [`Client::queued`]; and when the server says nothing for as long as the message's patience.
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

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// When a request cannot be sent or is refused, or a single subscription is too long for a packet.
    pub fn subscribe(&mut self, list: impl Into<Subscriptions>) -> Result<()> {
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        let id = self.begin(Operation::Subscribe { request, list: list.into().0, port: None });
        self.finish(id).map(drop)
    }

    /// The next notice, whatever it is, if one comes within this time.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn receive(&mut self, wait: Duration) -> Result<Option<Received>> {
        let deadline = self.driver.clock().now().monotonic + wait;
        loop {
            // What waits already is not waited for.
            let deadline = if self.arrived.is_empty() { deadline } else { Duration::ZERO };
            let idle = !self.step(Some(deadline))?;
            if let Some(received) = self.arrived.pop() {
                return Ok(Some(*received));
            }
            if idle {
                return Ok(None);
            }
        }
    }

    /// The next acknowledgement that has come, in raw mode. Does not wait.
    pub fn take_acknowledgement(&mut self) -> Option<Acknowledgement> {
        self.acknowledgements.pop_front()
    }

    /// How long a program with a loop of its own may wait for the file descriptor before it must call again.
    pub fn timeout(&self) -> Option<Duration> {
        let now = self.driver.clock().now().monotonic;
        self.driver.timeout().map(|timeout| timeout.saturating_sub(now))
    }

    /// Goes by the policy file as it is now.
    fn look_at_policy(&mut self) {
        if let Some(policy) = self.jobs.changed_policy() {
            self.arrived.enforce(&policy, &self.driver.machine().endpoint().realm);
            self.driver.command(Command::Enforce(Box::new(policy)));
        }
    }

    /// Lets one thing happen; false when nothing has until the deadline.
    fn step(&mut self, deadline: Option<Duration>) -> Result<bool> {
        self.look_at_policy();
        let Self { driver, jobs, .. } = self;
        match driver.next(deadline, &mut |job| jobs.run(job))? {
            Some(Occurrence::Event(event)) => self.event(event),
            Some(Occurrence::SendFailed { to, error }) if to == self.endpoint().host_manager => {
                self.driver.command(Command::CannotSend(system_text(&error)));
            }
            Some(Occurrence::SendFailed { to, error }) => tracing::debug!(%to, %error, "cannot acknowledge"),
            None => return Ok(false),
        }
        Ok(true)
    }

    fn event(&mut self, event: Event) {
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
            Event::Tickets(event) => tell_tickets(event),
            Event::Log(line) => log(&line),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.as_fd()
    }
}
