//! Streams between servers: proven by construction, records in order, none lost while a stream lives; and all that goes wrong
//! with streams. They break without a word at one end, are heard of late, and take no more than fits into their buffers.

use super::{
    invariants::Incarnation,
    network::{Network, Path},
    random::Random,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};
use zephyr_engine::server::peers::stream::{OFFER_SECONDS, StreamEvent, StreamId};

/// How long a connection may take until both ends have proven themselves.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// When it is tried again whether there is a way.
const RETRY: Duration = Duration::from_millis(500);
/// How long it takes a listener to say that it does not want a connection.
const REFUSAL: Duration = Duration::from_millis(2);
/// The stream of who has not accepted a connection yet.
const UNNUMBERED: StreamId = StreamId(u64::MAX);
/// Records that a fault loses, of a thousand.
const LOST_BY_FAULT: u16 = 60;
/// The first port of offers.
const FIRST_OFFER_PORT: u16 = 20_000;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that has connected.
    Connector,
    /// The other one.
    Acceptor,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Connector => Self::Acceptor,
            Self::Acceptor => Self::Connector,
        }
    }
}

/// Something that will happen to a stream.
#[derive(Debug)]
pub(super) enum Step {
    /// Something arrives at an end.
    Arrives(u64, Side, Item),
    /// The acceptor has looked at a token.
    Proven(u64),
    /// What waits at an end is tried again.
    Pump(u64, Side),
    /// The time for a handshake is over.
    HandshakeEnds(u64),
    /// An end hears that the stream is gone.
    Gone(u64, Side, &'static str),
    /// The system has taken so many octets.
    Drained(u64, Side, usize),
    /// Nobody has come.
    OfferEnds(Incarnation, StreamId),
    /// The port of an offer is known.
    Offered(Incarnation, StreamId, u16),
}

/// What travels on a connection.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// The proof of the connector.
    Token,
    /// The proof of the acceptor.
    Answer,
    Record(Bytes),
    /// The end.
    End,
}

impl Item {
    fn octets(&self) -> usize {
        match self {
            Self::Record(record) => record.len(),
            Self::Token | Self::Answer | Self::End => 0,
        }
    }
}

/// What follows from what has happened.
#[derive(Debug)]
pub(super) enum Consequence {
    /// This happens after that long.
    Later(Duration, Step),
    /// A process hears of it.
    Told(Incarnation, StreamEvent),
}

/// Who is at an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    /// The process.
    pub who: Incarnation,
    /// Its host.
    pub host: usize,
    /// Its address.
    pub address: IpAddr,
}

/// Whom a connection reaches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callee {
    /// A listener who will take it, if it proves what it should.
    Listener(Party),
    /// An offer.
    Offer(Party, StreamId),
    /// Nobody listens there, or not for who calls.
    Nobody,
    /// There is no such host.
    NoHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not proven yet.
    Waiting,
    Open,
    /// Nobody is there, or nobody cares any longer.
    Closed,
}

#[derive(Debug)]
struct End {
    party: Option<Party>,
    stream: StreamId,
    state: State,
    /// What the system has not taken yet.
    queue: VecDeque<Item>,
    /// Octets that the system has, and that have not arrived.
    under_way: usize,
    /// When the last of them arrives.
    arrives: Duration,
    /// Since when nothing can leave.
    stuck: Option<Duration>,
    is_pumped: bool,
}

impl End {
    const fn new(party: Option<Party>, stream: StreamId) -> Self {
        Self {
            party,
            stream,
            state: State::Waiting,
            queue: VecDeque::new(),
            under_way: 0,
            arrives: Duration::ZERO,
            stuck: None,
            is_pumped: false,
        }
    }
}

#[derive(Debug)]
struct Connection {
    connector: End,
    acceptor: End,
    /// It is not taken.
    callee: Callee,
    /// Octets that fit into the system's buffers.
    window: usize,
    /// How long it may be stuck.
    patience: Duration,
    /// Nothing arrives any more.
    is_broken: bool,
}

impl Connection {
    const fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Connector => &mut self.connector,
            Side::Acceptor => &mut self.acceptor,
        }
    }
}

#[derive(Debug)]
struct Offer {
    party: Party,
    stream: StreamId,
    port: u16,
    to: IpAddr,
}

/// All streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    connections: BTreeMap<u64, Connection>,
    ends: HashMap<(Incarnation, StreamId), (u64, Side)>,
    offers: Vec<Offer>,
    connected: u64,
    accepted: u64,
    offered: u16,
    consequences: VecDeque<Consequence>,
}

/// What streams need to know of the world.
pub(super) struct Surroundings<'a> {
    pub now: Duration,
    pub network: &'a mut Network,
    pub random: &'a mut Random,
    /// Nothing goes wrong any more.
    pub is_well: bool,
    /// Whether records are lost, which is a fault.
    pub loses_records: bool,
}

impl Streams {
    /// What has followed from what has happened, one after the other.
    pub(super) fn next(&mut self) -> Option<Consequence> {
        self.consequences.pop_front()
    }

    fn later(&mut self, delay: Duration, step: Step) {
        self.consequences.push_back(Consequence::Later(delay, step));
    }

    fn told(&mut self, who: Incarnation, event: StreamEvent) {
        self.consequences.push_back(Consequence::Told(who, event));
    }

    /// A process connects. Somebody who has no stream to hear of it is a stranger.
    pub(super) fn connect(&mut self, caller: Party, stream: StreamId, callee: Callee, world: &mut Surroundings<'_>) {
        self.connected += 1;
        let number = self.connected;
        let acceptor = match callee {
            Callee::Listener(party) | Callee::Offer(party, _) => Some(party),
            Callee::Nobody | Callee::NoHost => None,
        };
        let connection = Connection {
            connector: End::new(Some(caller), stream),
            acceptor: End::new(acceptor, UNNUMBERED),
            callee,
            window: world.random.one_of(1200, [8192, 65_536]),
            patience: world.random.seconds(3, 30),
            is_broken: false,
        };
        let connection = self.connections.entry(number).or_insert(connection);
        self.ends.insert((caller.who, stream), (number, Side::Connector));
        match callee {
            Callee::NoHost | Callee::Listener(_) => {}
            Callee::Nobody => return self.later(REFUSAL, Step::Gone(number, Side::Connector, "refused")),
            Callee::Offer(party, stream) => {
                connection.acceptor.stream = stream;
                self.ends.insert((party.who, stream), (number, Side::Acceptor));
                self.offers.retain(|it| it.party.who != party.who || it.stream != stream);
            }
        }
        self.later(HANDSHAKE_TIMEOUT, Step::HandshakeEnds(number));
        if acceptor.is_some() {
            self.put(number, Side::Connector, Item::Token, world);
        }
    }

    /// A process waits for one connection.
    pub(super) fn offer(&mut self, party: Party, stream: StreamId, to: IpAddr, random: &mut Random) {
        let port = FIRST_OFFER_PORT + self.offered % 10_000;
        self.offered = self.offered.wrapping_add(1);
        self.offers.push(Offer { party, stream, port, to });
        self.later(random.millis(0, 5), Step::Offered(party.who, stream, port));
        self.later(Duration::from_secs(OFFER_SECONDS), Step::OfferEnds(party.who, stream));
    }

    /// The offer at this port, if it is for this caller.
    pub(super) fn offer_at(&self, host: usize, port: u16, caller: IpAddr) -> Callee {
        let found = self.offers.iter().find(|it| it.party.host == host && it.port == port && it.to == caller);
        found.map_or(Callee::Nobody, |offer| Callee::Offer(offer.party, offer.stream))
    }

    /// A process sends a record.
    pub(super) fn send(&mut self, who: Incarnation, stream: StreamId, record: Bytes, world: &mut Surroundings<'_>) {
        if let Some(&(number, side)) = self.ends.get(&(who, stream)) {
            self.put(number, side, Item::Record(record), world);
        }
    }

    /// A process closes a stream, and hears no more of it.
    pub(super) fn close(&mut self, who: Incarnation, stream: StreamId, world: &mut Surroundings<'_>) {
        self.offers.retain(|offer| offer.party.who != who || offer.stream != stream);
        if let Some((number, side)) = self.ends.remove(&(who, stream)) {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.end(side).state = State::Closed;
            }
            self.put(number, side, Item::End, world);
            self.forget(number);
        }
    }

    /// Forgets a connection of which nobody knows any more.
    fn forget(&mut self, number: u64) {
        let is_over = |it: &Connection| it.connector.state == State::Closed && it.acceptor.state == State::Closed;
        if self.connections.get(&number).is_some_and(is_over) {
            self.connections.remove(&number);
        }
    }

    /// A process is gone. Some of what it has sent arrives; the other ends hear of it soon, or late.
    pub(super) fn crashed(&mut self, who: Incarnation, world: &mut Surroundings<'_>) {
        self.offers.retain(|offer| offer.party.who != who);
        self.ends.retain(|(of, _), _| *of != who);
        let mut ends = Vec::new();
        for (&number, connection) in &mut self.connections {
            for side in [Side::Connector, Side::Acceptor] {
                let end = connection.end(side);
                if end.party.is_some_and(|party| party.who == who) && end.state != State::Closed {
                    (end.state, end.queue) = (State::Closed, VecDeque::new());
                    ends.push((number, side.other(), end.arrives.saturating_sub(world.now)));
                }
            }
        }
        for (number, side, arrives) in ends {
            let is_late = world.random.chance(300) && !world.is_well;
            let delay = if is_late { world.random.seconds(1, 60) } else { world.random.millis(1, 50) };
            self.later(arrives + delay, Step::Gone(number, side, "the other end is gone"));
        }
    }

    /// A stream of this process breaks, if it has one. Both ends hear of it, one perhaps late.
    pub(super) fn break_one(&mut self, node: usize, world: &mut Surroundings<'_>) {
        let is_of = |end: &End| end.party.is_some_and(|party| party.who.node == node) && end.state == State::Open;
        let of_node = self.connections.iter().filter(|(_, it)| is_of(&it.connector) || is_of(&it.acceptor));
        let numbers: Vec<u64> = of_node.map(|(&number, _)| number).collect();
        if let Some(&number) = world.random.pick(&numbers) {
            self.break_off(number, world);
        }
    }

    fn break_off(&mut self, number: u64, world: &mut Surroundings<'_>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if std::mem::replace(&mut connection.is_broken, true) {
            return;
        }
        for side in [Side::Connector, Side::Acceptor] {
            let is_late = world.random.chance(300) && !world.is_well;
            let delay = if is_late { world.random.seconds(1, 60) } else { world.random.millis(0, 100) };
            self.later(delay, Step::Gone(number, side, "broken"));
        }
    }

    /// Something happens that was to happen.
    pub(super) fn happens(&mut self, step: Step, world: &mut Surroundings<'_>) {
        match step {
            Step::Arrives(number, side, item) => self.arrives(number, side, item, world),
            Step::Proven(number) => self.proven(number, world),
            Step::Pump(number, side) => {
                if let Some(connection) = self.connections.get_mut(&number) {
                    connection.end(side).is_pumped = false;
                }
                self.pump(number, side, world);
            }
            Step::HandshakeEnds(number) => {
                let Some(connection) = self.connections.get_mut(&number) else { return };
                if connection.connector.state == State::Waiting {
                    connection.is_broken = true;
                    self.gone(number, Side::Connector, "timed out");
                    self.gone(number, Side::Acceptor, "timed out");
                }
            }
            Step::Gone(number, side, why) => self.gone(number, side, why),
            Step::Drained(number, side, octets) => {
                let Some(connection) = self.connections.get_mut(&number) else { return };
                let End { party, stream, state, .. } = *connection.end(side);
                if let (State::Open, Some(party)) = (state, party) {
                    self.told(party.who, StreamEvent::Drained { stream, octets });
                }
            }
            Step::Offered(who, stream, port) => {
                if self.offers.iter().any(|offer| offer.party.who == who && offer.stream == stream) {
                    self.told(who, StreamEvent::Offered { stream, port });
                }
            }
            Step::OfferEnds(who, stream) => {
                let before = self.offers.len();
                self.offers.retain(|offer| offer.party.who != who || offer.stream != stream);
                if self.offers.len() < before {
                    self.told(who, StreamEvent::Closed { stream, why: "nobody has connected".to_owned() });
                }
            }
        }
    }

    fn put(&mut self, number: u64, side: Side, item: Item, world: &mut Surroundings<'_>) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.end(side).queue.push_back(item);
            self.pump(number, side, world);
        }
    }

    /// Hands to the system what it takes.
    fn pump(&mut self, number: u64, side: Side, world: &mut Surroundings<'_>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (window, patience, is_broken) = (connection.window, connection.patience, connection.is_broken);
        let [from, to] = [side, side.other()].map(|side| connection.end(side).party.map(|party| party.host));
        let (Some(from), Some(to)) = (from, to) else { return };
        let end = connection.end(side);
        let mut steps = Vec::new();
        while let Some(item) = end.queue.front().filter(|_| !is_broken) {
            let octets = item.octets();
            if end.under_way > 0 && end.under_way + octets > window {
                break;
            }
            let Some(delay) = world.network.stream_delay(world.now, Path { from, to }, world.random) else {
                let since = *end.stuck.get_or_insert(world.now);
                let is_over = world.now.saturating_sub(since) > patience;
                if !is_over && !std::mem::replace(&mut end.is_pumped, true) {
                    steps.push((RETRY, Step::Pump(number, side)));
                }
                steps.into_iter().for_each(|(delay, step)| self.later(delay, step));
                if is_over {
                    self.break_off(number, world);
                }
                return;
            };
            end.stuck = None;
            let Some(item) = end.queue.pop_front() else { break };
            end.arrives = end.arrives.max(world.now + delay);
            end.under_way += octets;
            if let Item::Record(_) = item {
                let late = if world.random.chance(20) && !world.is_well { 400 } else { 3 };
                steps.push((world.random.millis(0, late), Step::Drained(number, side, octets)));
            }
            steps.push((end.arrives - world.now, Step::Arrives(number, side.other(), item)));
        }
        steps.into_iter().for_each(|(delay, step)| self.later(delay, step));
    }

    fn arrives(&mut self, number: u64, side: Side, item: Item, world: &mut Surroundings<'_>) {
        let Some(connection) = self.connections.get_mut(&number).filter(|connection| !connection.is_broken) else {
            return;
        };
        let sender = connection.end(side.other());
        sender.under_way = sender.under_way.saturating_sub(item.octets());
        let end = connection.end(side);
        let (stream, Some(party)) = (end.stream, end.party) else { return };
        match item {
            // It takes its time on a thread of its own.
            Item::Token => {
                let is_slow = world.random.chance(50) && !world.is_well;
                let delay = if is_slow { world.random.millis(100, 9000) } else { world.random.millis(1, 20) };
                self.later(delay, Step::Proven(number));
            }
            Item::Answer if end.state == State::Waiting => {
                end.state = State::Open;
                self.told(party.who, StreamEvent::Open { stream });
            }
            Item::Record(_) if world.loses_records && world.random.chance(LOST_BY_FAULT) => {}
            Item::Record(record) if end.state == State::Open => {
                self.told(party.who, StreamEvent::Record { stream, record });
            }
            Item::Answer | Item::Record(_) => {}
            Item::End => self.gone(number, side, "closed by the other end"),
        }
        self.pump(number, side.other(), world);
    }

    /// The acceptor has looked at the connector's proof, and believes it.
    fn proven(&mut self, number: u64, world: &mut Surroundings<'_>) {
        let Some(connection) = self.connections.get_mut(&number).filter(|connection| !connection.is_broken) else {
            return;
        };
        let Some(from) = connection.connector.party.map(|party| party.address) else { return };
        if connection.acceptor.state != State::Waiting {
            return;
        }
        let (party, stream, event) = match connection.callee {
            Callee::Listener(party) => {
                self.accepted += 1;
                let stream = StreamId(StreamId::FIRST_OF_OTHERS.0 + self.accepted);
                (party, stream, StreamEvent::Accepted { stream, from })
            }
            Callee::Offer(party, stream) => (party, stream, StreamEvent::Open { stream }),
            Callee::Nobody | Callee::NoHost => return,
        };
        (connection.acceptor.stream, connection.acceptor.state) = (stream, State::Open);
        self.ends.insert((party.who, stream), (number, Side::Acceptor));
        // Before anything else that the acceptor sends.
        self.put(number, Side::Acceptor, Item::Answer, world);
        self.told(party.who, event);
    }

    /// An end hears that the stream is gone, unless it has closed it itself.
    fn gone(&mut self, number: u64, side: Side, why: &str) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let end = connection.end(side);
        let is_new = std::mem::replace(&mut end.state, State::Closed) != State::Closed;
        let (stream, party) = (end.stream, end.party);
        end.queue.clear();
        self.forget(number);
        let Some(party) = party.filter(|_| is_new) else { return };
        if self.ends.remove(&(party.who, stream)).is_some() {
            self.told(party.who, StreamEvent::Closed { stream, why: why.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::network::Conditions, *};
    use std::net::Ipv4Addr;

    const STREAM: StreamId = StreamId(1);

    /// Two hosts, on each of which one process runs, and what they are told.
    struct Pair {
        streams: Streams,
        network: Network,
        random: Random,
        now: Duration,
        agenda: BTreeMap<(Duration, usize), Step>,
        planned: usize,
        told: Vec<(usize, StreamEvent)>,
    }

    fn party(node: usize) -> Party {
        let host = u8::try_from(node).unwrap();
        Party { who: Incarnation { node, start: 1 }, host: node, address: Ipv4Addr::new(10, 0, 0, host).into() }
    }

    impl Pair {
        fn new(seed: u64, conditions: Conditions) -> Self {
            Self {
                streams: Streams::default(),
                network: Network::new(conditions),
                random: Random::new(seed),
                now: Duration::ZERO,
                agenda: BTreeMap::new(),
                planned: 0,
                told: Vec::new(),
            }
        }

        fn with(&mut self, does: impl FnOnce(&mut Streams, &mut Surroundings<'_>)) {
            let Self { streams, network, random, now, .. } = self;
            does(streams, &mut Surroundings { now: *now, network, random, is_well: false, loses_records: false });
            while let Some(consequence) = self.streams.next() {
                match consequence {
                    Consequence::Later(delay, step) => {
                        self.planned += 1;
                        self.agenda.insert((self.now + delay, self.planned), step);
                    }
                    Consequence::Told(who, event) => self.told.push((who.node, event)),
                }
            }
        }

        fn run(&mut self, seconds: u64) {
            let end = self.now + Duration::from_secs(seconds);
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= end) {
                let ((at, _), step) = entry.remove_entry();
                self.now = at;
                self.with(|streams, world| streams.happens(step, world));
            }
            self.now = end;
        }

        fn open(seed: u64, conditions: Conditions) -> (Self, StreamId) {
            let mut pair = Self::new(seed, conditions);
            pair.with(|streams, world| streams.connect(party(1), STREAM, Callee::Listener(party(2)), world));
            pair.run(10);
            let accepted = pair.told.iter().find_map(|(_, event)| match event {
                StreamEvent::Accepted { stream, from } if *from == party(1).address => Some(*stream),
                _ => None,
            });
            assert!(pair.told.contains(&(1, StreamEvent::Open { stream: STREAM })), "{:?}", pair.told);
            (pair, accepted.expect("an accepted stream"))
        }

        fn received(&self, node: usize) -> Vec<u8> {
            let records = self.told.iter().filter_map(|(of, event)| match event {
                StreamEvent::Record { record, .. } if *of == node => record.first().copied(),
                _ => None,
            });
            records.collect()
        }

        fn is_closed(&self, node: usize) -> bool {
            self.told.iter().any(|(of, event)| *of == node && matches!(event, StreamEvent::Closed { .. }))
        }
    }

    fn record(number: u8) -> Bytes {
        vec![number; 1000].into()
    }

    #[test]
    fn records_arrive_in_order_whatever_the_network_loses_and_the_system_says_what_it_has_taken() {
        for seed in 0..20 {
            let bad = Conditions { loss: 400, reordering: 300, jitter: Duration::from_millis(200), ..Conditions::GOOD };
            let (mut pair, accepted) = Pair::open(seed, bad);
            for number in 0..50 {
                let who = party(1).who;
                pair.with(|streams, world| streams.send(who, STREAM, record(number), world));
                let who = party(2).who;
                pair.with(|streams, world| streams.send(who, accepted, record(number + 100), world));
            }
            let drained = |pair: &Pair| {
                let of =
                    |event: &StreamEvent| if let StreamEvent::Drained { octets, .. } = event { *octets } else { 0 };
                pair.told.iter().map(|(_, event)| of(event)).sum::<usize>()
            };
            assert_eq!(drained(&pair), 0, "not at once");
            pair.run(300);
            assert_eq!(pair.received(2), (0..50).collect::<Vec<u8>>());
            assert_eq!(pair.received(1), (100..150).collect::<Vec<u8>>());
            assert_eq!(drained(&pair), 100_000);
        }
    }

    #[test]
    fn a_close_comes_after_what_was_sent_and_who_closes_hears_nothing_more() {
        let (mut pair, _) = Pair::open(1, Conditions::GOOD);
        let who = party(1).who;
        pair.with(|streams, world| streams.send(who, STREAM, record(7), world));
        pair.with(|streams, world| streams.close(who, STREAM, world));
        pair.run(10);
        assert!(pair.received(2) == [7] && pair.is_closed(2) && !pair.is_closed(1));
        assert!(pair.streams.connections.is_empty() && pair.streams.ends.is_empty());
    }

    #[test]
    fn a_short_partition_delays_and_a_long_one_breaks() {
        for (seconds, survives) in [(2, true), (100, false)] {
            let (mut pair, _) = Pair::open(1, Conditions::GOOD);
            let until = pair.now + Duration::from_secs(seconds);
            pair.network.cut(super::super::network::Cut { host: 2, other: None, outward: true, inward: false, until });
            let who = party(1).who;
            pair.with(|streams, world| streams.send(who, STREAM, record(7), world));
            pair.run(200);
            assert_eq!(pair.received(2) == [7], survives);
            assert_eq!([pair.is_closed(1), pair.is_closed(2)], [!survives; 2]);
        }
    }

    #[test]
    fn after_a_crash_the_other_end_hears_of_it_sooner_or_later() {
        let (mut pair, accepted) = Pair::open(1, Conditions::GOOD);
        pair.with(|streams, world| streams.crashed(party(1).who, world));
        pair.with(|streams, world| streams.send(party(2).who, accepted, record(1), world));
        pair.run(100);
        assert!(pair.is_closed(2) && !pair.is_closed(1) && pair.received(1).is_empty());
        assert!(pair.streams.connections.is_empty() && pair.streams.ends.is_empty());
        // Whose proof is looked at when the listener is gone gets none.
        let mut pair = Pair::new(1, Conditions::GOOD);
        pair.with(|streams, world| streams.connect(party(1), STREAM, Callee::Listener(party(2)), world));
        pair.with(|streams, world| streams.crashed(party(2).who, world));
        pair.run(100);
        assert!(pair.is_closed(1) && !pair.told.contains(&(1, StreamEvent::Open { stream: STREAM })));
    }

    #[test]
    fn whom_nobody_answers_hears_of_it_within_the_time_for_a_handshake() {
        for callee in [Callee::Nobody, Callee::NoHost] {
            let mut pair = Pair::new(1, Conditions::GOOD);
            pair.with(|streams, world| streams.connect(party(1), STREAM, callee, world));
            pair.run(10);
            assert!(pair.is_closed(1) && pair.told.len() == 1);
        }
    }

    #[test]
    fn an_offer_waits_for_one_connection_of_one_host() {
        let mut pair = Pair::new(1, Conditions::GOOD);
        pair.with(|streams, world| streams.offer(party(2), STREAM, party(1).address, world.random));
        pair.run(1);
        let [(2, StreamEvent::Offered { stream: STREAM, port })] = pair.told[..] else { panic!("{:?}", pair.told) };
        assert!(matches!(pair.streams.offer_at(2, port, party(3).address), Callee::Nobody));
        let callee = pair.streams.offer_at(2, port, party(1).address);
        pair.with(|streams, world| streams.connect(party(1), StreamId(9), callee, world));
        assert!(matches!(pair.streams.offer_at(2, port, party(1).address), Callee::Nobody), "it is taken");
        pair.run(30);
        assert!(pair.told.contains(&(2, StreamEvent::Open { stream: STREAM })));
        assert!(pair.told.contains(&(1, StreamEvent::Open { stream: StreamId(9) })));
        assert!(!pair.is_closed(2));

        let mut pair = Pair::new(1, Conditions::GOOD);
        pair.with(|streams, world| streams.offer(party(2), STREAM, party(1).address, world.random));
        pair.run(OFFER_SECONDS + 1);
        assert!(pair.is_closed(2));
    }
}
