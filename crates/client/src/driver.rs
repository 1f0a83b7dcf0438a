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
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use zephyr_core::time::Now;
use zephyr_engine::{
    client::{Client, Command, Config, Done, Endpoint, Event, Job, Operation, OperationError, OperationId, Outcome},
    machine::Input,
};
use zephyr_net::{
    clock::Clock,
    driver::{Driver, Environment, Failure},
    socket,
};

/// What a program orders.
pub(crate) enum Order {
    Begin {
        operation: Box<Operation>,
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
    let clock = Clock::new();
    let client = Client::new(config, clock.now());
    let state = Arc::new(State { endpoint: Mutex::new(client.endpoint().clone()), mailbox: Mailbox::default() });
    let (orders, received) = mpsc::unbounded_channel();
    let (ready, started) = oneshot::channel();
    let program = Program {
        host_manager: options.host_manager,
        jobs: Arc::new(Jobs::new(options)),
        done: JoinSet::new(),
        state: Arc::clone(&state),
        ready: Some(ready),
        waiters: HashMap::new(),
        tickets: None,
        cannot_send: None,
    };
    tokio::spawn(Task { driver: Driver::new(client, socket, clock), program, orders: received, last_id: 0 }.run());
    started.await.map_err(|_| Error::Closed)??;
    Ok(Started { orders, state })
}

/// Who waits for an operation.
struct Waiter {
    queued: Option<oneshot::Sender<()>>,
    finished: oneshot::Sender<std::result::Result<Outcome, OperationError>>,
}

/// What the client is driven for.
struct Program {
    host_manager: SocketAddr,
    jobs: Arc<Jobs>,
    done: JoinSet<Done>,
    state: Arc<State>,
    /// Who waits for the start.
    ready: Option<oneshot::Sender<Result<()>>>,
    waiters: HashMap<OperationId, Waiter>,
    tickets: Option<mpsc::UnboundedSender<TicketEvent>>,
    /// Why the system has just not sent to the host manager.
    cannot_send: Option<String>,
}

impl Environment<Client> for Program {
    fn job(&mut self, _: Now, job: Job) -> Option<Done> {
        let jobs = Arc::clone(&self.jobs);
        self.done.spawn_blocking(move || jobs.run(job));
        None
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

    fn failed(&mut self, failure: Failure) {
        match failure {
            Failure::Send { to, error } if to == self.host_manager => self.cannot_send = Some(system_text(&error)),
            failure => tracing::debug!("{failure}"),
        }
    }
}

impl Program {
    fn started(&mut self, result: Result<()>) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(result);
        }
    }
}

struct Task {
    driver: Driver<Client>,
    program: Program,
    orders: mpsc::UnboundedReceiver<Order>,
    last_id: u64,
}

impl Task {
    /// Drives the client until nobody has a handle on it any more.
    async fn run(mut self) {
        let error = self.serve().await.err().map(Error::Io);
        self.program.state.mailbox.end(error);
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.look_at_policy();
            let turn = self.driver.turn(&mut self.program);
            if let Some(text) = self.program.cannot_send.take() {
                self.driver.handle(Input::Command(Command::CannotSend(text)));
                continue;
            }
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Close) | None => return Ok(()),
                    Some(order) => self.order(order),
                },
                Some(done) = self.program.done.join_next(), if !self.program.done.is_empty() => {
                    self.driver.handle(Input::Done(done.map_err(io::Error::other)?));
                }
                () = self.driver.wait(&turn, None) => {}
            }
        }
    }

    /// Goes by the policy file as it is now.
    fn look_at_policy(&mut self) {
        if let Some(policy) = self.program.jobs.changed_policy() {
            let state = &self.program.state;
            state.mailbox.enforce(&policy, &state.endpoint().realm);
            self.driver.handle(Input::Command(Command::Enforce(Box::new(policy))));
        }
    }

    fn order(&mut self, order: Order) {
        self.look_at_policy();
        let command = match order {
            Order::Begin { operation, queued, finished } => {
                self.last_id += 1;
                let id = OperationId(self.last_id);
                self.program.waiters.insert(id, Waiter { queued: Some(queued), finished });
                Command::Begin { id, operation: *operation }
            }
            Order::WatchTickets(listener) => {
                self.program.tickets = Some(listener);
                Command::WatchTickets
            }
            Order::TicketsFailed => Command::TicketsFailed,
            Order::Close => return,
        };
        self.driver.handle(Input::Command(command));
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
