//! The task that drives a client: its socket, clock and jobs, and the requests of programs.

use crate::{
    Error, Options, Result, SubscriptionEvent, TicketEvent,
    error::{cannot_bind, system_text},
    jobs::{Jobs, log},
    local_senders::LocalSenders,
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
    client::{Command, Connection, Done, Endpoint, Event, Job, Operation, OperationError, OperationId, Outcome},
    machine::Input,
};
use zephyr_net::{
    clock::Clock,
    driver::{Driver, Environment, Failure},
    network_watch::NetworkChanges,
    socket,
};

/// A request of a program to the task.
pub(crate) enum Request {
    Begin {
        operation: Box<Operation>,
        /// Signalled when the host manager has accepted all packets.
        queued: oneshot::Sender<()>,
        finished: oneshot::Sender<std::result::Result<Outcome, OperationError>>,
    },
    /// Report changes of the tickets, and do not renew them.
    WatchTickets(mpsc::UnboundedSender<TicketEvent>),
    TicketsFailed,
    /// Report that the server had forgotten the client.
    WatchSubscriptions(mpsc::UnboundedSender<SubscriptionEvent>),
    /// The machine's network has changed.
    NetworkChanged,
    Close,
}

/// The state that the task and the handles share.
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
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) state: Arc<State>,
}

/// Starts a client and the task that drives it, and waits until it is ready.
pub(crate) async fn start(options: Options) -> Result<Started> {
    let local = options.local();
    let socket = socket::bind(local).map_err(|error| cannot_bind(local, error))?;
    let clock = Clock::new();
    let senders = options.names_local_senders.then(|| LocalSenders::new(&socket)).flatten();
    let client = Connection::new(options.config(socket.local_addr()?.port()), clock.now());
    let state = Arc::new(State { endpoint: Mutex::new(client.endpoint().clone()), mailbox: Mailbox::default() });
    let (requests, received) = mpsc::unbounded_channel();
    let (ready, started) = oneshot::channel();
    let environment = TaskEnvironment {
        host_manager: options.host_manager,
        jobs: Arc::new(Jobs::new(options)),
        done: JoinSet::new(),
        state: Arc::clone(&state),
        senders,
        ready: Some(ready),
        waiters: HashMap::new(),
        tickets: None,
        subscriptions: None,
        cannot_send: None,
    };
    tokio::spawn(
        Task {
            driver: Driver::new(client, socket, clock),
            environment,
            network: NetworkChanges::new(),
            requests: received,
            last_id: 0,
        }
        .run(),
    );
    started.await.map_err(|_| Error::Closed)??;
    Ok(Started { requests, state })
}

/// The senders to the waiter for an operation.
struct Waiter {
    queued: Option<oneshot::Sender<()>>,
    finished: oneshot::Sender<std::result::Result<Outcome, OperationError>>,
}

/// The environment that the client is driven in.
struct TaskEnvironment {
    host_manager: SocketAddr,
    jobs: Arc<Jobs>,
    done: JoinSet<Done>,
    state: Arc<State>,
    senders: Option<LocalSenders>,
    /// Signalled when the client has started.
    ready: Option<oneshot::Sender<Result<()>>>,
    waiters: HashMap<OperationId, Waiter>,
    tickets: Option<mpsc::UnboundedSender<TicketEvent>>,
    subscriptions: Option<mpsc::UnboundedSender<SubscriptionEvent>>,
    /// That the system has not sent the last packet to the host manager, or to a server.
    cannot_send: Option<Command>,
}

impl Environment<Connection> for TaskEnvironment {
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
            Event::Received(mut received) => {
                if let Some(senders) = &mut self.senders {
                    senders.identify(&mut received, self.state.endpoint().address.into());
                }
                self.state.mailbox.put(received);
            }
            Event::Acknowledged { from, packet } => {
                self.state.mailbox.put_acknowledgement(Acknowledgement { from, packet });
            }
            Event::Queued { id, .. } => {
                if let Some(queued) = self.waiters.get_mut(&id).and_then(|waiter| waiter.queued.take()) {
                    // A waiter that is gone needs no signal; so below.
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
                None => log_ticket_event(event),
            },
            Event::Subscriptions(event) => match &self.subscriptions {
                Some(listener) => drop(listener.send(event)),
                None => log_subscription_event(&event),
            },
            Event::Log(line) => log(&line),
        }
    }

    fn failed(&mut self, failure: Failure) {
        match failure {
            Failure::Send { to, error } if to == self.host_manager => {
                self.cannot_send = Some(Command::CannotSend(system_text(&error)));
            }
            Failure::Send { to, error } => {
                tracing::debug!(%to, %error, "cannot send");
                self.cannot_send.get_or_insert(Command::NotSent { to, error: system_text(&error) });
            }
            failure @ Failure::Receive(_) => tracing::debug!("{failure}"),
        }
    }
}

impl TaskEnvironment {
    fn started(&mut self, result: Result<()>) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(result);
        }
    }
}

struct Task {
    driver: Driver<Connection>,
    environment: TaskEnvironment,
    /// The machine's network.
    network: NetworkChanges,
    requests: mpsc::UnboundedReceiver<Request>,
    last_id: u64,
}

impl Task {
    /// Drives the client until it is closed or all handles are dropped.
    async fn run(mut self) {
        let error = self.serve().await.err().map(Error::Io);
        self.environment.state.mailbox.end(error);
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            self.reload_policy();
            let turn = self.driver.turn(&mut self.environment);
            if let Some(command) = self.environment.cannot_send.take() {
                self.driver.handle(Input::Command(command));
                continue;
            }
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Close) | None => return Ok(()),
                    Some(request) => self.handle_request(request),
                },
                Some(done) = self.environment.done.join_next(), if !self.environment.done.is_empty() => {
                    self.driver.handle(Input::Done(done.map_err(io::Error::other)?));
                }
                () = self.network.changed() => self.driver.handle(Input::Command(Command::NetworkChanged)),
                () = self.driver.wait(&turn, None) => {}
            }
        }
    }

    /// Applies the policy file if it has changed.
    fn reload_policy(&mut self) {
        if let Some(policy) = self.environment.jobs.changed_policy() {
            let state = &self.environment.state;
            state.mailbox.enforce(&policy, &state.endpoint().realm);
            self.driver.handle(Input::Command(Command::Enforce(Box::new(policy))));
        }
    }

    fn handle_request(&mut self, request: Request) {
        self.reload_policy();
        let command = match request {
            Request::Begin { operation, queued, finished } => {
                self.last_id += 1;
                let id = OperationId(self.last_id);
                self.environment.waiters.insert(id, Waiter { queued: Some(queued), finished });
                Command::Begin { id, operation: *operation }
            }
            Request::WatchTickets(listener) => {
                self.environment.tickets = Some(listener);
                Command::WatchTickets
            }
            Request::TicketsFailed => Command::TicketsFailed,
            Request::NetworkChanged => Command::NetworkChanged,
            Request::WatchSubscriptions(listener) => {
                self.environment.subscriptions = Some(listener);
                return;
            }
            Request::Close => return,
        };
        self.driver.handle(Input::Command(command));
    }
}

/// Logs a change of the user's tickets, for programs that leave the renewal to the client.
pub(crate) fn log_ticket_event(event: TicketEvent) {
    match event {
        TicketEvent::New | TicketEvent::First => tracing::info!("there are new tickets: subscribing with them"),
        TicketEvent::EndsSoon(end) => tracing::warn!("the tickets end at {}", localtime::date_and_time(end)),
        TicketEvent::Ended => tracing::warn!("the tickets have ended: nothing can be proven without new ones"),
    }
}

/// Logs that the server had forgotten the client, for programs that do not watch for it.
pub(crate) fn log_subscription_event(event: &SubscriptionEvent) {
    match event {
        SubscriptionEvent::Restored { unknown_for } => {
            let seconds = unknown_for.as_secs();
            tracing::warn!(
                "the server had forgotten this client: subscribed again; notices of the last {seconds} s may be lost"
            );
        }
        SubscriptionEvent::Moved { unknown_for } => {
            let seconds = unknown_for.as_secs();
            tracing::warn!(
                "the network of this machine has changed: subscribed again; notices of the last {seconds} s may be lost"
            );
        }
        SubscriptionEvent::NotRestored(error) => {
            tracing::warn!("the server has forgotten this client, and cannot be subscribed with again: {error}");
        }
        SubscriptionEvent::Forgotten => {
            tracing::warn!(
                "the server has forgotten this client, and there are no tickets: nothing is received until there are"
            );
        }
        SubscriptionEvent::Silent => tracing::warn!("the server does not answer: notices may be missed"),
        SubscriptionEvent::Answers => tracing::info!("the server answers again"),
    }
}
