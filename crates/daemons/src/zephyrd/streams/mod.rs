//! Streams to the other servers of the realm, over TCP: connecting, listening, proving and sealing, all of it on another
//! thread than the server's.
//!
//! The server's machine sees open streams and their records only. What nobody has proven ends here, and costs others nothing.

mod carriage;
mod handshake;
mod offer;
mod transfer;
mod worker;

use bytes::Bytes;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{
    mpsc::{Receiver, Sender, UnboundedSender, channel, unbounded_channel},
    oneshot,
};
use zephyr_config::system_text;
use zephyr_core::auth::Service;
use zephyr_engine::server::{
    Belief,
    peers::stream::{OFFER_SECONDS, StreamEvent, StreamId, StreamOrder},
};
use zephyr_net::clock::Clock;

/// Streams that a server has at a time.
const MAX_STREAMS: usize = 128;
/// Octets that wait to be sent on one stream before it ends: what the machine was told to be too slow for, it must not go on
/// filling.
const MAX_WAITING: usize = 8 << 20;
/// What a record takes beside its octets, about.
const RECORD_COST: usize = 64;
/// Events that wait for the server. When there are more, less is read.
const MAX_EVENTS: usize = 256;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until the network has made a connection.
    pub connect: Duration,
    /// From then until both ends have proven themselves.
    pub handshake: Duration,
    /// Until who something is offered to has come.
    pub offer: Duration,
    /// Until the other end takes something, or sends the rest of what it has begun.
    pub stall: Duration,
    /// After the last record, until the other end closes, too.
    pub linger: Duration,
    /// At the server's end, for what was to be sent.
    pub farewell: Duration,
}

impl Limits {
    /// Those of a server.
    pub const USUAL: Self = Self {
        connect: Duration::from_secs(5),
        handshake: Duration::from_secs(10),
        offer: Duration::from_secs(OFFER_SECONDS),
        stall: Duration::from_secs(30),
        linger: Duration::from_secs(5),
        farewell: Duration::from_secs(1),
    };
}

/// What streams need.
#[derive(Clone)]
pub struct Options {
    /// Who proves that this server and the others are servers.
    pub service: Arc<dyn Service>,
    /// Whether addresses make servers where nobody can prove anything.
    pub belief: Belief,
    /// The address that others know this server by.
    pub own: IpAddr,
    /// The server's clock.
    pub clock: Clock,
    /// How long things may take.
    pub limits: Limits,
}

/// A command to the thread.
enum Command {
    Order(StreamOrder),
    Peers(HashSet<IpAddr>),
    Listen(Option<TcpListener>),
    Prove(Arc<dyn Service>),
    Believe(Belief),
    Finish(oneshot::Sender<()>),
}

/// The thread of the streams. There is none before something is to be done.
enum Worker {
    Waiting(Box<(Options, Sender<StreamEvent>)>),
    Running(UnboundedSender<Command>),
    /// The system gave none.
    Failed(String),
}

/// A stream as the server sees it.
#[derive(Default)]
struct Known {
    is_open: bool,
    /// What waits to be sent, with what that takes.
    waiting: usize,
    /// The records of it: octets are told of together, records are not.
    records: VecDeque<usize>,
}

/// All streams of a server.
pub struct Streams {
    worker: Worker,
    events: Receiver<StreamEvent>,
    /// Events that are not the thread's.
    own_events: VecDeque<StreamEvent>,
    known: HashMap<StreamId, Known>,
    is_listening: bool,
}

impl Streams {
    /// No streams yet, nobody listens, and there are no other servers.
    pub fn new(options: Options) -> Self {
        let (sender, events) = channel(MAX_EVENTS);
        let worker = Worker::Waiting(Box::new((options, sender)));
        Self { worker, events, own_events: VecDeque::new(), known: HashMap::new(), is_listening: false }
    }

    /// Does what the server's machine wants. Never waits.
    pub fn order(&mut self, order: StreamOrder) {
        let usable = match &order {
            StreamOrder::Connect { stream, .. } | StreamOrder::Offer { stream, .. } => self.begin(*stream),
            StreamOrder::Send { stream, record } => self.fill(*stream, record),
            StreamOrder::Close { stream } => self.known.remove(stream).is_some(),
        };
        if usable {
            self.command(Command::Order(order));
        }
    }

    /// Which addresses other servers have, of those that connect here: nobody else is let in, and whoever is in and not among
    /// them is sent away.
    pub fn set_peers(&mut self, peers: HashSet<IpAddr>) {
        if !peers.is_empty() || self.is_running() {
            self.command(Command::Peers(peers));
        }
    }

    /// Lets other servers connect here, or at no listener any more.
    pub fn listen(&mut self, listener: Option<TcpListener>) {
        self.is_listening = listener.is_some();
        if listener.is_some() || self.is_running() {
            self.command(Command::Listen(listener));
        }
    }

    /// Whether other servers can connect.
    pub const fn is_listening(&self) -> bool {
        self.is_listening
    }

    /// Proves with another service from now on. What is open stays so.
    pub fn prove_by(&mut self, service: Arc<dyn Service>) {
        match &mut self.worker {
            Worker::Waiting(waiting) => waiting.0.service = service,
            _ => self.command(Command::Prove(service)),
        }
    }

    /// Whether addresses make servers from now on, where nobody can prove anything.
    pub fn believe(&mut self, belief: Belief) {
        match &mut self.worker {
            Worker::Waiting(waiting) => waiting.0.belief = belief,
            _ => self.command(Command::Believe(belief)),
        }
    }

    /// Waits for the next event, for ever when there is none. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> StreamEvent {
        loop {
            if let Some(event) = self.own_events.pop_front() {
                return event;
            }
            match self.events.recv().await {
                Some(event) if self.concerns_server(&event) => return event,
                Some(_) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<StreamEvent> {
        if let Some(event) = self.own_events.pop_front() {
            return Some(event);
        }
        loop {
            let event = self.events.try_recv().ok()?;
            if self.concerns_server(&event) {
                return Some(event);
            }
        }
    }

    /// Closes all streams, and gives what was to be sent a moment.
    pub async fn finish(&mut self) {
        if !self.is_running() {
            return;
        }
        let (done, mut finished) = oneshot::channel();
        self.command(Command::Finish(done));
        loop {
            tokio::select! {
                _ = &mut finished => return,
                // Who closes a stream may still have something to tell, which nobody wants any more.
                event = self.events.recv() => if event.is_none() {
                    return;
                },
            }
        }
    }

    const fn is_running(&self) -> bool {
        matches!(self.worker, Worker::Running(_))
    }

    /// Whether a stream can begin; when it cannot, that is told.
    fn begin(&mut self, stream: StreamId) -> bool {
        if self.known.contains_key(&stream) {
            return false;
        }
        if self.known.len() >= MAX_STREAMS {
            self.own_events.push_back(StreamEvent::Closed { stream, why: "there are too many streams".to_owned() });
            return false;
        }
        self.known.insert(stream, Known::default());
        true
    }

    /// Whether a record can be sent. A stream that has too much to send ends.
    fn fill(&mut self, stream: StreamId, record: &Bytes) -> bool {
        let Some(known) = self.known.get_mut(&stream).filter(|known| known.is_open) else { return false };
        known.waiting += record.len() + RECORD_COST;
        known.records.push_back(record.len());
        if known.waiting <= MAX_WAITING {
            return true;
        }
        self.known.remove(&stream);
        self.command(Command::Order(StreamOrder::Close { stream }));
        self.own_events.push_back(StreamEvent::Closed { stream, why: "too much waits to be sent".to_owned() });
        false
    }

    /// Keeps the books. Nothing is told of a stream that the server has closed.
    fn concerns_server(&mut self, event: &StreamEvent) -> bool {
        match event {
            StreamEvent::Accepted { stream, .. } => {
                self.known.insert(*stream, Known { is_open: true, ..Known::default() });
                true
            }
            StreamEvent::Open { stream } => self.known.get_mut(stream).map(|known| known.is_open = true).is_some(),
            StreamEvent::Drained { stream, octets } => {
                self.known.get_mut(stream).map(|known| known.drain(*octets)).is_some()
            }
            StreamEvent::Closed { stream, .. } => self.known.remove(stream).is_some(),
            StreamEvent::Offered { stream, .. } | StreamEvent::Record { stream, .. } => self.known.contains_key(stream),
        }
    }

    fn command(&mut self, command: Command) {
        self.start();
        let why = match &self.worker {
            Worker::Running(commands) => match commands.send(command) {
                Ok(()) => return,
                Err(_) => "the thread of the streams has broken down".to_owned(),
            },
            Worker::Failed(why) => why.clone(),
            Worker::Waiting(_) => "there is no thread of the streams".to_owned(),
        };
        // Whatever there was is no more, and what is to begin does not.
        for (stream, _) in self.known.drain() {
            self.own_events.push_back(StreamEvent::Closed { stream, why: why.clone() });
        }
    }

    fn start(&mut self) {
        if let Worker::Waiting(waiting) = &self.worker {
            let (options, events) = waiting.as_ref().clone();
            let (sender, commands) = unbounded_channel();
            self.worker = match worker::run(options, commands, events) {
                Ok(()) => Worker::Running(sender),
                Err(error) => {
                    let why = format!("there is no thread for streams: {}", system_text(&error));
                    tracing::error!("{why}");
                    Worker::Failed(why)
                }
            };
        }
    }
}

impl Known {
    fn drain(&mut self, mut octets: usize) {
        while let Some(&record) = self.records.front() {
            if record > octets {
                break;
            }
            // Records without octets go with those before them.
            octets -= record;
            self.waiting = self.waiting.saturating_sub(record + RECORD_COST);
            self.records.pop_front();
        }
    }
}
