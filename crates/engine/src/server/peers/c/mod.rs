//! Peers that are C's programs (server to server, sections 2 to 4).
//!
//! * `hello`: who of them is there
//! * `records`, `dump`, `merge`: exchanging all that both know, over a proven stream
//! * `forwards`, `forwarding`: handing on what clients say, as they said it
//! * `talk`: packets from and to them
//! * `witness`: which of them ran on while we were apart
//!
//! Only dumps are proven. What comes over UDP is from whoever can send from a C server's address, so it does little: a
//! forwarded packet is verified again, a client that is said to be gone is asked, a server that is said to be gone as well.

mod dump;
mod forwarding;
mod forwards;
mod hello;
mod merge;
mod records;
mod sessions;
mod talk;
mod witness;

pub use records::{Key, Record, RecordError, Sender};
pub use sessions::{RestoreJob, Restored};

use crate::server::{
    Change, Destination, Job, LogEvent, PeerKind, PeerServer, PeerView, Server,
    peers::stream::{StreamId, StreamOrder},
};
use dump::{Exchange, Role, Tells};
use forwards::Forwards;
use hello::{Act, Hello, Liveness};
use merge::Merge;
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{sanitize, time::Now};

/// Streams to C servers have numbers from this one on.
const FIRST_STREAM: u64 = 1 << 62;
/// After an exchange that came to nothing, and before one that only repeats what was told.
const OFFER_INTERVAL: Duration = Duration::from_secs(10);
/// What cannot be forwarded is told by a dump after this time, together with what else there is by then.
const RETELL_INTERVAL: Duration = Duration::from_secs(60);
/// As long after what it has been told wrongly, so that more of that may come to light.
const RETELL_SOON: Duration = Duration::from_secs(1);
/// Between exchanges that one server may begin with offers.
const GET_INTERVAL: Duration = Duration::from_secs(5);
/// What is forwarded later than this may be too old to prove anything there, by a clock that differs a little: Kerberos takes five
/// minutes.
const MAX_FORWARD_AGE: Duration = Duration::from_secs(240);
/// Between notes of how far a server is known to know everything, which are kept.
const SYNCED_INTERVAL: Duration = Duration::from_secs(1);
/// Under which mark that is kept.
const SYNCED: &[u8] = b"C server ";
/// What has ended since a server last knew everything: so much is remembered.
const MAX_REMOVED: usize = 100_000;
/// How long the end of this server waits for acknowledgements.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(2);

/// All C servers.
#[derive(Debug, Default)]
pub(crate) struct CPeers {
    peers: Vec<CPeer>,
    last_stream: u64,
    last_restore: u64,
    /// This server ends; until then it waits for what it has forwarded.
    leaving: Option<Duration>,
}

/// A C server.
#[derive(Debug)]
struct CPeer {
    name: Box<str>,
    addresses: Vec<SocketAddr>,
    /// Which of its addresses it was last heard from, and which of ours it was sent to.
    last_from: Option<SocketAddr>,
    local: Option<IpAddr>,
    hello: Hello,
    /// Why the last exchange of dumps came to nothing, until one is done.
    failure: Option<Box<str>>,
    forwards: Forwards,
    /// Clients that it is to forget, before anything else.
    kills: Forwards,
    /// What is offered to it, what it has offered, and what is under way; at most one of them is open.
    exchanges: Vec<Exchange>,
    merge: Option<Merge>,
    /// Whether it has told everything since it was last not there, and whether it was told everything.
    heard_all: bool,
    told_all: bool,
    /// When it was first told everything since then, since 1970.
    told_at: Option<Duration>,
    /// Since when it lacks something that was to be told, which only a dump brings.
    lacks: Option<Duration>,
    /// When it is to be offered a dump.
    offer_due: Option<Duration>,
    last_get: Option<Duration>,
    /// What it has offered last, until it is fetched.
    offered: Option<Offered>,
    /// Answers to its questions within this second.
    answered: (u64, u32),
    /// Up to which of this server's changes it is known to know everything; microseconds since 1970.
    synced: u64,
    /// When that was last handed to who keeps this server's state, and when it is to be again.
    synced_kept: Option<Duration>,
    keep_due: Option<Duration>,
    /// What has ended since.
    removed: HashSet<Removed>,
}

/// A dump that a C server has offered.
#[derive(Clone, Copy, Debug)]
struct Offered {
    to: SocketAddr,
    /// From when on it may be fetched, and until when it waits.
    due: Duration,
    until: Duration,
}

/// Something that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Removed {
    Client(SocketAddr),
    Subscription(SocketAddr, Destination),
    Location(Arc<[u8]>, SocketAddr),
}

impl CPeer {
    fn new(name: Box<str>, addresses: Vec<SocketAddr>, now: Duration) -> Self {
        Self {
            name,
            addresses,
            last_from: None,
            local: None,
            hello: Hello::new(now),
            failure: None,
            forwards: Forwards::default(),
            kills: Forwards::default(),
            exchanges: Vec::new(),
            merge: None,
            heard_all: false,
            told_all: false,
            told_at: None,
            lacks: None,
            offer_due: None,
            last_get: None,
            offered: None,
            answered: (0, 0),
            synced: 0,
            synced_kept: None,
            keep_due: None,
            removed: HashSet::new(),
        }
    }

    /// Where it is sent to.
    fn address(&self) -> Option<SocketAddr> {
        self.last_from.filter(|from| self.addresses.contains(from)).or_else(|| self.addresses.first().copied())
    }

    /// It could not be told something: a dump brings it soon, and it does not count as known before.
    fn lacks_something(&mut self, now: Duration) {
        self.lacks = Some(now);
        self.offer_due.get_or_insert(now + RETELL_INTERVAL);
    }

    fn is_open(&self) -> bool {
        self.merge.is_some() || self.exchanges.iter().any(Exchange::is_open)
    }

    /// Whether what is forwarded can go now: not before it knows what was before.
    fn takes_forwards(&self) -> bool {
        matches!(self.hello.state(), Liveness::Up | Liveness::Tardy) && self.told_all && !self.is_open()
    }

    /// When what it offers may be fetched: one exchange at a time.
    fn may_get_at(&self) -> Option<Duration> {
        let is_getting = self.exchanges.iter().any(|exchange| exchange.role == Role::Getter);
        self.offered.map(|offered| offered.due).filter(|_| !is_getting && !self.is_open())
    }

    fn next_due(&self) -> Duration {
        let forwards = self.forwards.next_due().filter(|_| self.takes_forwards());
        let exchanges = self.exchanges.iter().map(Exchange::deadline);
        let others = [forwards, self.kills.next_due(), self.offer_due, self.may_get_at(), self.keep_due];
        others.into_iter().flatten().chain(exchanges).fold(self.hello.next_due(), Duration::min)
    }
}

impl CPeers {
    /// The server at this address.
    fn at(&self, from: SocketAddr) -> Option<usize> {
        self.peers.iter().position(|peer| peer.addresses.contains(&from))
    }

    /// Whether there is one at this address.
    pub(crate) fn has(&self, from: SocketAddr) -> bool {
        self.at(from).is_some()
    }

    fn of_stream(&self, stream: StreamId) -> Option<(usize, usize)> {
        self.peers.iter().enumerate().find_map(|(place, peer)| {
            Some((place, peer.exchanges.iter().position(|exchange| exchange.stream == stream)?))
        })
    }

    fn new_stream(&mut self) -> StreamId {
        self.last_stream += 1;
        StreamId(FIRST_STREAM | self.last_stream)
    }

    /// When something is to be done next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.peers.iter().map(CPeer::next_due).chain(self.leaving).min()
    }

    /// Remembers what has ended, until every server knows.
    pub(crate) fn note(&mut self, change: &Change) {
        for peer in &mut self.peers {
            let has_room = peer.removed.len() < MAX_REMOVED;
            let removed = &mut peer.removed;
            match change {
                Change::ClientGone { client, .. } if has_room => {
                    removed.insert(Removed::Client(*client));
                }
                Change::Unsubscribed { client, destinations, .. } if has_room => {
                    removed.extend(destinations.iter().map(|it| Removed::Subscription(*client, it.clone())));
                }
                Change::LocationGone { user, address, .. } if has_room => {
                    removed.insert(Removed::Location(user.clone(), *address));
                }
                Change::ClientKnown { client, .. } => {
                    removed.remove(&Removed::Client(*client));
                }
                Change::Subscribed { client, destinations, .. } => {
                    for destination in destinations {
                        removed.remove(&Removed::Subscription(*client, destination.clone()));
                    }
                }
                Change::Located(located) => {
                    removed.remove(&Removed::Location(located.user.clone(), located.address));
                }
                _ => {}
            }
        }
    }

    /// Whether a stream is to a C server.
    pub(crate) const fn is_own(stream: StreamId) -> bool {
        stream.0 & FIRST_STREAM != 0 && stream.0 < StreamId::FIRST_OF_OTHERS.0
    }
}

impl Server {
    /// Takes the servers of a configuration. Those that stay are known as they were.
    pub(crate) fn set_c_peers(&mut self, now: Now) {
        let listed: Vec<PeerServer> =
            self.config.neighbours.peers.iter().filter(|peer| peer.kind == PeerKind::C).cloned().collect();
        let mut before = std::mem::take(&mut self.c_peers.peers);
        for PeerServer { name, addresses, .. } in listed {
            let known = before.iter().position(|peer| peer.name == name).map(|place| before.swap_remove(place));
            let peer = match known {
                Some(mut peer) => {
                    if peer.addresses != addresses {
                        peer.addresses = addresses;
                        peer.hello.ask_at_once(now.monotonic);
                    }
                    peer
                }
                None => {
                    self.report(LogEvent::PeerAdded { name: name.clone() });
                    CPeer::new(name, addresses, now.monotonic)
                }
            };
            self.c_peers.peers.push(peer);
        }
        for gone in before {
            for exchange in &gone.exchanges {
                self.order(StreamOrder::Close { stream: exchange.stream });
            }
            self.report(LogEvent::PeerRemoved { name: gone.name });
        }
    }

    /// What is known of C servers, for operators.
    pub(crate) fn view_of_c_peer(&self, now: Now, server: &PeerServer) -> Option<PeerView> {
        let peer = self.c_peers.peers.iter().find(|peer| peer.name == server.name)?;
        let state = match (peer.hello.state(), peer.is_open()) {
            (Liveness::Dead, false) => "dead",
            (_, true) => "dumping",
            (Liveness::Starting, false) => "starting",
            (Liveness::Tardy, false) => "tardy",
            (Liveness::Up, false) => "up",
        };
        Some(PeerView {
            name: server.name.clone(),
            kind: PeerKind::C,
            is_known: true,
            addresses: server.addresses.clone(),
            state,
            since: now.monotonic.saturating_sub(peer.hello.since()),
            behind: peer.forwards.len() + peer.kills.len(),
            remarks: peer.failure.iter().map(|why| sanitize::name(why.as_bytes())).collect(),
        })
    }

    fn order(&mut self, order: StreamOrder) {
        self.jobs.push_back(Job::Stream(order));
    }

    /// Does what is due.
    pub(crate) fn c_timeout(&mut self, now: Now) {
        for place in 0..self.c_peers.peers.len() {
            let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
            let before = peer.hello.state();
            let acts = peer.hello.timeout(now.monotonic);
            self.c_act(now, place, before, acts);
            self.c_check_exchanges(now, place);
            self.c_get_if_due(now, place);
            self.c_offer_if_due(now, place);
            self.c_pump(now, place);
            self.c_keep_if_due(now, place);
        }
        if self.c_peers.leaving.is_some_and(|until| until <= now.monotonic) {
            self.c_goodbye(now);
        }
    }

    /// Does what a sign of life, or its absence, calls for.
    fn c_act(&mut self, now: Now, place: usize, before: Liveness, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Hello => self.c_send_admin(now, place, zephyr_core::names::HELLO, b"", &[]),
                Act::IHeardYou => self.c_answer_hello(now, place),
                Act::Offer => self.c_offer(now, place),
                Act::Drop => self.c_drop(place),
            }
        }
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let state = peer.hello.state();
        if state == before {
            return;
        }
        let name = peer.name.clone();
        // Each question makes one tardy for a moment.
        let is_news = !matches!((before, state), (Liveness::Up, Liveness::Tardy) | (Liveness::Tardy, Liveness::Up));
        if is_news {
            self.report(LogEvent::PeerState { name, state: state.name() });
        }
    }

    /// It is not there: what is on its way is told by a dump later.
    fn c_drop(&mut self, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        peer.forwards.clear();
        peer.kills.clear();
        (peer.heard_all, peer.told_all, peer.offer_due, peer.merge) = (false, false, None, None);
        (peer.offered, peer.told_at) = (None, None);
        let streams: Vec<StreamId> = peer.exchanges.drain(..).map(|exchange| exchange.stream).collect();
        streams.into_iter().for_each(|stream| self.order(StreamOrder::Close { stream }));
        self.c_peers.peers.iter_mut().skip(place).take(1).for_each(|peer| peer.forwards.clear());
    }

    fn c_offer_if_due(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        // First it forgets what it must forget, or it would forget what it is told.
        if peer.kills.is_empty() && peer.offer_due.is_some_and(|due| due <= now.monotonic) {
            peer.offer_due = None;
            self.c_offer(now, place);
        }
    }

    /// Offers a dump, unless one is offered or under way.
    fn c_offer(&mut self, now: Now, place: usize) {
        let holds_nothing = self.clients.len() == 0 && self.locations.len() == 0;
        let Some(peer) = self.c_peers.peers.get(place) else { return };
        let has_offered = peer.exchanges.iter().any(|exchange| exchange.role == Role::Listener);
        if has_offered || peer.is_open() || peer.hello.state() == Liveness::Dead {
            return;
        }
        let Some(to) = peer.address() else { return };
        // What ended there while we were apart is learned before anything is told: it would come back.
        let tells = if peer.heard_all || holds_nothing { Tells::Everything } else { Tells::Nothing };
        let stream = self.c_peers.new_stream();
        if let Some(peer) = self.c_peers.peers.get_mut(place) {
            peer.exchanges.push(Exchange::new(stream, Role::Listener, tells, now.monotonic));
        }
        self.order(StreamOrder::Offer { stream, to: to.ip() });
    }

    /// Notes how far a C server knows everything, if it does now. What ended before need not be remembered for it.
    fn c_note_synced(&mut self, now: Now, place: usize) {
        let last = self.stamps.last();
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        if !peer.takes_forwards()
            || !peer.forwards.is_empty()
            || !peer.kills.is_empty()
            || peer.offer_due.is_some()
            || peer.lacks.is_some()
        {
            return;
        }
        peer.synced = last;
        peer.removed.clear();
        let due = peer.synced_kept.map_or(now.monotonic, |kept| kept + SYNCED_INTERVAL);
        peer.keep_due = Some(due);
        self.c_keep_if_due(now, place);
    }

    /// Tells who keeps this server's state how far a C server knows everything, if that is to be told.
    fn c_keep_if_due(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        if peer.keep_due.is_some_and(|due| due <= now.monotonic) {
            (peer.keep_due, peer.synced_kept) = (None, Some(now.monotonic));
            self.c_keep_synced(place);
        }
    }

    fn c_keep_synced(&mut self, place: usize) {
        let Some(peer) = self.c_peers.peers.get(place) else { return };
        let (time, name) = (peer.synced, peer.name.clone());
        self.c_keep(SYNCED, &name, time);
    }
}
