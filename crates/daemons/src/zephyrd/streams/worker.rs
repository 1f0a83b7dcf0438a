//! The thread of all streams: it connects, listens and carries, so that the server's own thread never waits for any of it.

use super::{
    Command, Options,
    carriage::Carriage,
    handshake::{Confirmation, Established, MAX_CONNECTING, Prover},
    offer::{MAX_HANDSHAKES, Offer},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{
        Semaphore,
        mpsc::{Sender, UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{sleep, timeout},
};
use zephyr_config::system_text;
use zephyr_engine::server::peers::stream::{StreamEvent, StreamId, StreamOrder};

/// Connections of other servers that are open at a time.
const MAX_ACCEPTED: usize = 16;
/// And of these, from one address: a new one may come before the end of the old one is noticed.
const MAX_ACCEPTED_FROM_ONE: usize = 2;
/// Connections of all other servers that may prove themselves at a time.
const MAX_ALL_HANDSHAKES: usize = 16;
/// Threads for what may wait for a KDC or a file.
const MAX_THREADS: usize = 32;
/// How long to wait when the system gives no connection, perhaps for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a server that proves nothing is not warned of again.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the thread until nobody gives it commands any more.
pub(super) fn run(
    options: Options,
    commands: UnboundedReceiver<Command>,
    events: Sender<StreamEvent>,
) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MAX_THREADS).build()?;
    let thread = std::thread::Builder::new().name("streams".to_owned());
    thread.spawn(move || {
        runtime.block_on(Worker::new(options, events).work(commands));
        // A step that waits for a KDC is not waited for.
        runtime.shutdown_background();
    })?;
    Ok(())
}

/// One stream, or what may become one.
struct Place {
    task: AbortHandle,
    /// Whose connection it is, of those that others have opened.
    from: Option<IpAddr>,
    /// Where its records go, once it is open.
    records: Option<UnboundedSender<Bytes>>,
}

/// What has become of a task.
enum Outcome {
    /// Both ends have proven themselves.
    Established(Result<Established, String>),
    /// An open stream has ended; why, unless it was closed by order.
    Ended(Option<String>),
}

struct Worker {
    options: Options,
    events: Sender<StreamEvent>,
    connecting: Arc<Semaphore>,
    listener: Option<TcpListener>,
    /// The other servers, each with its turn to be judged.
    peers: HashMap<IpAddr, Arc<Semaphore>>,
    warned: HashMap<IpAddr, Instant>,
    places: BTreeMap<StreamId, Place>,
    tasks: JoinSet<Outcome>,
    streams: HashMap<Id, StreamId>,
    next_of_others: StreamId,
}

impl Worker {
    fn new(options: Options, events: Sender<StreamEvent>) -> Self {
        Self {
            options,
            events,
            connecting: Arc::new(Semaphore::new(MAX_CONNECTING)),
            listener: None,
            peers: HashMap::new(),
            warned: HashMap::new(),
            places: BTreeMap::new(),
            tasks: JoinSet::new(),
            streams: HashMap::new(),
            next_of_others: StreamId::FIRST_OF_OTHERS,
        }
    }

    async fn work(mut self, mut commands: UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Order(order)) => self.order(order),
                    Some(Command::Peers(peers)) => self.set_peers(peers).await,
                    Some(Command::Listen(listener)) => self.listen(listener),
                    Some(Command::Prove(service)) => self.options.service = service,
                    Some(Command::Believe(belief)) => self.options.belief = belief,
                    Some(Command::Finish(done)) => return self.finish(done).await,
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                (stream, from) = next_connection(self.listener.as_ref()) => self.accept(stream, from),
            }
        }
    }

    fn prover(&self) -> Prover {
        Prover {
            service: Arc::clone(&self.options.service),
            belief: self.options.belief,
            clock: self.options.clock,
            limits: self.options.limits,
            connecting: Arc::clone(&self.connecting),
        }
    }

    fn order(&mut self, order: StreamOrder) {
        match order {
            StreamOrder::Connect { stream, to } => {
                let (prover, own) = (self.prover(), self.options.own);
                let connect = async move { Outcome::Established(prover.connect(own, to).await) };
                self.begin(stream, None, connect);
            }
            StreamOrder::Offer { stream, to } => {
                let (prover, own, events) = (self.prover(), self.options.own, self.events.clone());
                let offer = async move { Outcome::Established(offer(stream, own, to, prover, events).await) };
                self.begin(stream, None, offer);
            }
            StreamOrder::Send { stream, record } => {
                if let Some(Place { records: Some(records), .. }) = self.places.get(&stream) {
                    // When its task has just ended, that is told next.
                    let _ = records.send(record);
                }
            }
            StreamOrder::Close { stream } => self.close(stream),
        }
    }

    fn begin(&mut self, stream: StreamId, from: Option<IpAddr>, task: impl Future<Output = Outcome> + Send + 'static) {
        let task = self.tasks.spawn(task);
        self.streams.insert(task.id(), stream);
        self.places.insert(stream, Place { task, from, records: None });
    }

    /// Closes a stream: one that is open, when what was to be sent is sent.
    fn close(&mut self, stream: StreamId) {
        // One that is open ends without its sender, when its records are sent.
        if let Some(Place { records: None, task, .. }) = self.places.remove(&stream) {
            task.abort();
        }
    }

    /// Takes only these for servers from now on. Connections of others end.
    async fn set_peers(&mut self, peers: HashSet<IpAddr>) {
        let peers: HashSet<IpAddr> = peers.into_iter().map(|peer| peer.to_canonical()).collect();
        self.peers.retain(|peer, _| peers.contains(peer));
        self.warned.retain(|peer, _| peers.contains(peer));
        for peer in peers {
            self.peers.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(1)));
        }
        let is_unlisted = |place: &Place| place.from.is_some_and(|from| !self.peers.contains_key(&from));
        let unlisted: Vec<StreamId> =
            self.places.iter().filter(|(_, place)| is_unlisted(place)).map(|(stream, _)| *stream).collect();
        for stream in unlisted {
            self.end(stream, "it is of no server of this realm any more").await;
        }
    }

    /// Ends a stream at once, and tells it if it is open.
    async fn end(&mut self, stream: StreamId, why: &str) {
        let Some(place) = self.places.remove(&stream) else { return };
        place.task.abort();
        if place.records.is_some() {
            self.tell(StreamEvent::Closed { stream, why: why.to_owned() }).await;
        }
    }

    fn listen(&mut self, listener: Option<std::net::TcpListener>) {
        self.listener = listener.and_then(|listener| {
            let listening = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
            listening.inspect_err(|error| tracing::error!("cannot listen for servers: {}", system_text(error))).ok()
        });
    }

    /// Lets who connects prove itself, if it may be a server. There is always room for the next.
    fn accept(&mut self, stream: TcpStream, from: IpAddr) {
        let Some(turn) = self.peers.get(&from).map(Arc::clone) else {
            tracing::debug!("a connection from {from}, which is no server of this realm");
            return;
        };
        let running = |place: &Place| place.records.is_none().then_some(place.from).flatten();
        let of_all: Vec<(StreamId, IpAddr)> =
            self.places.iter().filter_map(|(stream, place)| Some((*stream, running(place)?))).collect();
        let count = |address: IpAddr| of_all.iter().filter(|(_, other)| *other == address).count();
        let gives_way = if count(from) >= MAX_HANDSHAKES {
            Some(from)
        } else if of_all.len() >= MAX_ALL_HANDSHAKES {
            of_all.iter().map(|(_, address)| *address).max_by_key(|address| count(*address))
        } else {
            None
        };
        // The oldest of whoever has most: an honest one has proven itself within moments.
        if let Some((oldest, _)) = of_all.iter().find(|(_, address)| Some(*address) == gives_way) {
            self.close(*oldest);
        }
        let id = self.next_of_others;
        self.next_of_others = StreamId(id.0.wrapping_add(1) | StreamId::FIRST_OF_OTHERS.0);
        let prover = self.prover();
        let accept = async move { Outcome::Established(prover.accept(stream, turn, Confirmation::FirstRecord).await) };
        self.begin(id, Some(from), accept);
    }

    async fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = match ended {
            Ok(ended) => ended,
            // By an order of ours, or because something broke down.
            Err(error) => (error.id(), Outcome::Ended((!error.is_cancelled()).then(|| "it broke down".to_owned()))),
        };
        let Some(stream) = self.streams.remove(&task) else { return };
        match outcome {
            Outcome::Established(Ok(established)) => self.establish(stream, established).await,
            Outcome::Established(Err(why)) => match self.places.remove(&stream) {
                Some(Place { from: Some(from), .. }) => self.warn(from, &why),
                Some(_) => self.tell(StreamEvent::Closed { stream, why }).await,
                None => {}
            },
            Outcome::Ended(why) => {
                let was_told =
                    self.places.remove(&stream).is_none_or(|place| place.from.is_some() && place.records.is_none());
                if let Some(why) = why
                    && !was_told
                {
                    self.tell(StreamEvent::Closed { stream, why }).await;
                }
            }
        }
    }

    async fn establish(&mut self, stream: StreamId, established: Established) {
        let Some(from) = self.places.get(&stream).map(|place| place.from) else { return };
        if let Some(from) = from {
            self.make_room(from).await;
            if self.open_of_others().count() >= MAX_ACCEPTED {
                self.places.remove(&stream);
                return self.warn(from, "too many servers are connected");
            }
        }
        let (sender, records) = unbounded_channel();
        let carriage = Carriage { stream, records, events: self.events.clone(), limits: self.options.limits };
        self.tell(match from {
            Some(from) => StreamEvent::Accepted { stream, from },
            None => StreamEvent::Open { stream },
        })
        .await;
        let task = self.tasks.spawn(async move { Outcome::Ended(carriage.run(established).await) });
        self.streams.insert(task.id(), stream);
        self.places.insert(stream, Place { task, from, records: Some(sender) });
    }

    /// Ends the oldest connections of a server that has a new one.
    async fn make_room(&mut self, from: IpAddr) {
        let of_it = |worker: &Self| {
            let of_it: Vec<StreamId> =
                worker.open_of_others().filter(|(_, other)| *other == from).map(|(stream, _)| stream).collect();
            (of_it.len() >= MAX_ACCEPTED_FROM_ONE).then(|| of_it.first().copied()).flatten()
        };
        while let Some(oldest) = of_it(self) {
            self.end(oldest, "the other server has connected anew").await;
        }
    }

    fn open_of_others(&self) -> impl Iterator<Item = (StreamId, IpAddr)> {
        let open = self.places.iter().filter(|(_, place)| place.records.is_some());
        open.filter_map(|(stream, place)| Some((*stream, place.from?)))
    }

    fn warn(&mut self, from: IpAddr, why: &str) {
        let now = Instant::now();
        if self.warned.get(&from).is_some_and(|warned| now.duration_since(*warned) < WARNING_INTERVAL) {
            tracing::debug!("a connection from {from} is refused: {why}");
        } else {
            self.warned.insert(from, now);
            tracing::warn!("a connection from {from} is refused: {why}");
        }
    }

    async fn tell(&self, event: StreamEvent) {
        // When nobody takes it any more, the commands end, too.
        let _ = self.events.send(event).await;
    }

    /// Closes everything, and waits a moment for what was to be sent.
    async fn finish(mut self, done: oneshot::Sender<()>) {
        for stream in self.places.keys().copied().collect::<Vec<_>>() {
            self.close(stream);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(self.options.limits.farewell, all).await;
        let _ = done.send(());
    }
}

async fn offer(
    stream: StreamId,
    own: IpAddr,
    to: IpAddr,
    prover: Prover,
    events: Sender<StreamEvent>,
) -> Result<Established, String> {
    let cannot = |error: io::Error| format!("cannot listen for {to}: {}", system_text(&error));
    let offer = Offer::open(own, to).await.map_err(cannot)?;
    let port = offer.port().map_err(cannot)?;
    let _ = events.send(StreamEvent::Offered { stream, port }).await;
    offer.wait(prover).await
}

/// The next connection, for ever where nobody listens. Nothing is lost when this is cancelled.
async fn next_connection(listener: Option<&TcpListener>) -> (TcpStream, IpAddr) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return (stream, from.ip().to_canonical()),
            Err(error) => {
                tracing::debug!("cannot accept a connection: {}", system_text(&error));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
