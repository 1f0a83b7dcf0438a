//! The task that drives a client: its socket, its clock, its jobs, and what programs order.

use crate::{
    Error, Options, Result, TicketEvent,
    error::system_text,
    jobs::{Jobs, log},
    localtime,
    mailbox::{Acknowledgement, Mailbox},
};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use zephyr_core::{limits::MAX_PACKET, time::Now};
use zephyr_engine::{
    client::{Client, Command, Config, Done, Endpoint, Event, Operation, OperationError, OperationId, Outcome},
    machine::{Input, Machine as _, Output},
};
use zephyr_net::socket;

/// Datagrams that are taken at a time, before anything else gets its turn.
const BATCH: usize = 64;

/// What a program orders.
pub(crate) enum Order {
    Begin {
        operation: Operation,
        /// Told when the host manager has everything.
        queued: oneshot::Sender<()>,
        finished: oneshot::Sender<std::result::Result<Outcome, OperationError>>,
    },
    /// Tell of the tickets, and do nothing about them.
    WatchTickets(mpsc::UnboundedSender<TicketEvent>),
    TicketsFailed,
    Close,
}

/// What the task and the handles share.
pub(crate) struct State {
    endpoint: Mutex<Endpoint>,
    pub(crate) mailbox: Mailbox,
}

impl State {
    pub(crate) fn endpoint(&self) -> MutexGuard<'_, Endpoint> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that has started.
pub(crate) struct Started {
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    pub(crate) state: Arc<State>,
}

/// Starts a client and the task that drives it, and waits until it knows who it is.
pub(crate) async fn start(options: Options) -> Result<Started> {
    let socket = socket::bind(options.local())?;
    let config =
        Config { host_manager: options.host_manager, port: socket.local_addr()?.port(), settings: options.settings() };
    let start = Instant::now();
    let client = Client::new(config, now(start));
    let state = Arc::new(State { endpoint: Mutex::new(client.endpoint().clone()), mailbox: Mailbox::default() });
    let (orders, received) = mpsc::unbounded_channel();
    let (ready, started) = oneshot::channel();
    let driver = Driver {
        client,
        start,
        socket,
        jobs: Arc::new(Jobs::new(options)),
        orders: received,
        done: JoinSet::new(),
        state: Arc::clone(&state),
        ready: Some(ready),
        waiters: HashMap::new(),
        last_id: 0,
        tickets: None,
    };
    tokio::spawn(driver.run());
    started.await.map_err(|_| Error::Closed)??;
    Ok(Started { orders, state })
}

/// This moment, on the clock of tokio's timers.
fn now(start: Instant) -> Now {
    Now { monotonic: start.elapsed(), wall: SystemTime::now() }
}

/// Who waits for an operation.
struct Waiter {
    queued: Option<oneshot::Sender<()>>,
    finished: oneshot::Sender<std::result::Result<Outcome, OperationError>>,
}

struct Driver {
    client: Client,
    start: Instant,
    socket: UdpSocket,
    jobs: Arc<Jobs>,
    orders: mpsc::UnboundedReceiver<Order>,
    done: JoinSet<Done>,
    state: Arc<State>,
    /// Who waits for the start.
    ready: Option<oneshot::Sender<Result<()>>>,
    waiters: HashMap<OperationId, Waiter>,
    last_id: u64,
    tickets: Option<mpsc::UnboundedSender<TicketEvent>>,
}

/// What the driver waits for besides orders, jobs and datagrams.
struct Waiting {
    until: Option<Duration>,
    /// The socket takes no more packets at the moment.
    writable: bool,
}

impl Driver {
    /// Drives the client until nobody has a handle on it any more.
    async fn run(mut self) {
        let error = self.serve().await.err().map(Error::Io);
        let untold = match (error, self.ready.take()) {
            (Some(error), Some(ready)) => ready.send(Err(error)).err().and_then(Result::err),
            (error, _) => error,
        };
        self.state.mailbox.end(untold);
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            let Waiting { until, writable } = self.drain();
            let until = until.and_then(|until| self.start.checked_add(until));
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Close) | None => return Ok(()),
                    Some(order) => self.order(order),
                },
                Some(done) = self.done.join_next(), if !self.done.is_empty() => {
                    let Ok(done) = done else { return Err(io::Error::other("a job has failed")) };
                    self.handle(Input::Done(done));
                }
                readable = self.socket.readable() => {
                    readable?;
                    self.receive()?;
                }
                writable = self.socket.writable(), if writable => writable?,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.handle(Input::Timeout),
            }
        }
    }

    fn handle(&mut self, input: Input<'_, Client>) {
        self.client.handle(now(self.start), input);
    }

    /// Goes by the policy file as it is now.
    fn look_at_policy(&mut self) {
        if let Some(policy) = self.jobs.changed_policy() {
            self.state.mailbox.enforce(&policy, &self.state.endpoint().realm);
            self.handle(Input::Command(Command::Enforce(Box::new(policy))));
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        self.look_at_policy();
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..BATCH {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((len, from)) => {
                    let octets = buffer.get(..len).unwrap_or_default();
                    self.handle(Input::Datagram { from, octets });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn order(&mut self, order: Order) {
        self.look_at_policy();
        let command = match order {
            Order::Begin { operation, queued, finished } => {
                self.last_id += 1;
                let id = OperationId(self.last_id);
                self.waiters.insert(id, Waiter { queued: Some(queued), finished });
                Command::Begin { id, operation }
            }
            Order::WatchTickets(listener) => {
                self.tickets = Some(listener);
                Command::WatchTickets
            }
            Order::TicketsFailed => Command::TicketsFailed,
            Order::Close => return,
        };
        self.handle(Input::Command(command));
    }

    /// Does what the client wants now.
    fn drain(&mut self) -> Waiting {
        loop {
            match self.client.poll(now(self.start)) {
                Output::Transmit(transmit) => match self.socket.try_send_to(&transmit.payload, transmit.to) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.client.put_back(transmit);
                        return Waiting { until: None, writable: true };
                    }
                    Err(error) => self.cannot_send(transmit.to, &error),
                },
                Output::Job(job) => {
                    let jobs = Arc::clone(&self.jobs);
                    self.done.spawn_blocking(move || jobs.run(job));
                }
                Output::Event(event) => self.event(event),
                Output::Wait(until) => return Waiting { until, writable: false },
            }
        }
    }

    fn cannot_send(&mut self, to: SocketAddr, error: &io::Error) {
        if to == self.client.endpoint().host_manager {
            self.handle(Input::Command(Command::CannotSend(system_text(error))));
        } else {
            tracing::debug!(%to, %error, "cannot acknowledge");
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Endpoint(endpoint) => {
                *self.state.endpoint() = endpoint;
                self.started(Ok(()));
            }
            Event::StartFailed(error) => self.started(Err(error.into())),
            Event::Received(received) => self.state.mailbox.put(received),
            Event::Acknowledged { from, packet } => {
                self.state.mailbox.put_acknowledgement(Acknowledgement { from, packet });
            }
            Event::Queued { id, .. } => {
                if let Some(queued) = self.waiters.get_mut(&id).and_then(|waiter| waiter.queued.take()) {
                    // Whoever does not wait any more need not know; so below.
                    let _ = queued.send(());
                }
            }
            Event::Finished { id, outcome } => {
                if let Some(waiter) = self.waiters.remove(&id) {
                    let _ = waiter.finished.send(outcome);
                }
            }
            Event::Tickets(event) => match &self.tickets {
                Some(listener) => drop(listener.send(event)),
                None => tell_tickets(event),
            },
            Event::Log(line) => log(&line),
        }
    }

    fn started(&mut self, result: Result<()>) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(result);
        }
    }
}

/// What whoever runs a program that renews its tickets by itself should know.
pub(crate) fn tell_tickets(event: TicketEvent) {
    match event {
        TicketEvent::New | TicketEvent::First => tracing::info!("there are new tickets: subscribing with them"),
        TicketEvent::EndsSoon(end) => tracing::warn!("the tickets end at {}", localtime::figures(end)),
        TicketEvent::Ended => tracing::warn!("the tickets have ended: nothing can be proven without new ones"),
    }
}
