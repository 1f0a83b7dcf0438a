//! Servers of one domain with streams between them that tests cut, hold up and join, on a scripted clock. From a seed, the same
//! each time.

use crate::rows::Rows;
use bytes::Bytes;
use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Direction, Identity, Judgement, Lifetime, Session, SessionKey, Verdict},
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::Policy,
    realm::Realms,
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine, Output},
    server::{
        Bounds, Change, ChangeSource, Changed, Command, Config, Done, Event, Job, LogEvent, NeighbourRealm, Neighbours,
        PeerKind, PeerServer, ProbeSecret, RealmDone, RealmJob, RealmServer, Server, ServerId, SessionMaker, Stamp,
        Verified,
        acl::{Acl, Defaults, Rules},
        peers::stream::{StreamEvent, StreamId, StreamOrder},
    },
};

/// A session that its key is.
pub(crate) struct Key(u64);

impl Session for Key {
    fn seal(&self, notice: &Notice<'_>, _: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        Ok(notice.unsealed(0, b"")?.seal(&self.0.to_be_bytes(), limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(packet.notice.body))
    }

    fn key(&self) -> Option<SessionKey> {
        Some(SessionKey { kind: 1, octets: self.0.to_be_bytes().to_vec().into() })
    }
}

/// Numbers that look like chance.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end.max(1)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Something on its way on a stream.
enum Flying {
    Record(Bytes),
    End(String),
}

/// A connection: of each end the server, the stream, and what is on its way to it.
struct Connection {
    ends: [(usize, StreamId, VecDeque<Flying>); 2],
}

pub(crate) struct Node {
    pub(crate) server: Option<Server>,
    id: ServerId,
    address: SocketAddr,
    /// All that its disk has.
    kept: Vec<Changed>,
    /// What is left in the file of all that was told.
    rows: Rows,
    due: Option<Duration>,
    pub(crate) log: Vec<LogEvent>,
    /// Answers that it has sent.
    pub(crate) answers: Vec<Bytes>,
    /// Packets that it has sent to the other realm.
    pub(crate) to_realm: Vec<Bytes>,
    /// Notices that it has sent to clients.
    pub(crate) delivered: Vec<(SocketAddr, Bytes)>,
    /// Its host managers' packets, and others, to them.
    accepted: u64,
    /// How far its clock is ahead.
    pub(crate) ahead: Duration,
}

pub(crate) struct World {
    bounds: Bounds,
    pub(crate) now: Now,
    pub(crate) nodes: Vec<Node>,
    pub(crate) random: Random,
    connections: Vec<Connection>,
    /// Pairs of servers that cannot reach each other.
    pub(crate) cut: Vec<(usize, usize)>,
    /// Clients that acknowledge nothing to this server.
    pub(crate) unreachable: Vec<(usize, SocketAddr)>,
    runs: u64,
    uids: u32,
    pub(crate) records: usize,
    /// When authenticators were made.
    made: HashMap<Vec<u8>, SystemTime>,
}

fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(number + 1).unwrap()], 2103))
}

/// The server of another realm.
pub(crate) fn other_realm() -> SocketAddr {
    SocketAddr::from(([10, 0, 2, 1], 2103))
}

/// The host manager of a host.
pub(crate) fn manager(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, host], 2104))
}

impl World {
    pub(crate) fn new(servers: usize, seed: u64) -> Self {
        Self::with(servers, seed, Bounds::default())
    }

    pub(crate) fn with(servers: usize, seed: u64, bounds: Bounds) -> Self {
        let now = Now { monotonic: Duration::from_secs(1000), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        let node = |number| Node {
            server: None,
            id: ServerId(0),
            address: address(number),
            kept: Vec::new(),
            rows: Rows::default(),
            due: None,
            log: Vec::new(),
            answers: Vec::new(),
            to_realm: Vec::new(),
            delivered: Vec::new(),
            accepted: 0,
            ahead: Duration::ZERO,
        };
        let mut world = Self {
            bounds,
            now,
            nodes: (0..servers).map(node).collect(),
            random: Random::new(seed),
            connections: Vec::new(),
            cut: Vec::new(),
            unreachable: Vec::new(),
            runs: 0,
            uids: 0,
            records: 0,
            made: HashMap::new(),
        };
        for number in 0..servers {
            world.start(number);
        }
        // What was proven before the start proves nothing.
        world.wait(Duration::from_millis(1));
        world
    }

    /// What a server takes for now.
    pub(crate) fn clock(&self, number: usize) -> Now {
        Now { wall: self.now.wall + self.nodes[number].ahead, ..self.now }
    }

    fn config(&self, number: usize, id: ServerId) -> Config {
        let others = (0..self.nodes.len()).filter(|&other| other != number);
        let peers = others.map(|other| PeerServer {
            name: format!("s{other}").into(),
            kind: PeerKind::Ours,
            addresses: vec![address(other)],
        });
        let sessions = SessionMaker::new(|key| {
            let octets = key.octets.as_slice().try_into().ok()?;
            Some(Arc::new(Key(u64::from_be_bytes(octets))))
        });
        let IpAddr::V4(own) = address(number).ip() else { panic!() };
        let server = RealmServer { name: "z".to_owned(), addresses: vec![other_realm()], sends: true };
        let other = NeighbourRealm { name: b"OTHER.TEST"[..].into(), servers: vec![server] };
        Config {
            id,
            host: format!("s{number}"),
            address: own,
            port: 2103,
            host_manager_port: 2104,
            version: "test".to_owned(),
            realms: Realms::local_only(b"R.TEST"),
            neighbours: Neighbours { peers: peers.collect(), sessions, realms: vec![other], ..Neighbours::default() },
            policy: Policy::KERBEROS,
            rules: Arc::new(Rules::new(Acl::default(), Defaults::default())),
            probe_secret: ProbeSecret::new(&[7; 32]),
            bounds: self.bounds,
            in_flight: usize::MAX,
        }
    }

    /// What is left on a disk of all that was told: what is there, and what a server says is to be remembered.
    fn folded(&self, number: usize) -> Vec<Changed> {
        let node = &self.nodes[number];
        let now = self.clock(number);
        let mut disk = Server::new(self.config(number, node.id), now);
        let (ended, changes): (Vec<Changed>, Vec<Changed>) =
            node.kept.iter().cloned().partition(|it| matches!(it.change, Change::Ended { .. }));
        for changed in changes {
            let own = (changed.stamp.server == node.id && changed.stamp.time > 0).then_some(changed.stamp);
            disk.apply(now, changed, ChangeSource::Kept);
            let versions = own.into_iter().collect();
            let known = Changed { stamp: Stamp::default(), change: Change::VersionsKnown { versions } };
            disk.apply(now, known, ChangeSource::Kept);
        }
        let folded = disk.snapshot().filter(|it| !matches!(it.change, Change::Ended { .. }));
        ended.into_iter().chain(folded).collect()
    }

    /// The file of a server has what the server knows.
    pub(crate) fn check_rows(&self, number: usize) -> Result<(), String> {
        let node = &self.nodes[number];
        let Some(server) = &node.server else { return Ok(()) };
        let knows = Rows::of(&server.snapshot().collect::<Vec<_>>());
        let differences = node.rows.differences(&knows);
        if differences.is_empty() { Ok(()) } else { Err(format!("the file of {number}: {differences:#?}")) }
    }

    /// A server starts with what its disk has.
    pub(crate) fn start(&mut self, number: usize) {
        self.runs += 1;
        let id = ServerId(self.runs * 1000 + number as u64);
        let kept = std::mem::take(&mut self.nodes[number].kept);
        let config = self.config(number, id);
        let now = self.clock(number);
        let mut server = Server::new(config, now);
        let node = &mut self.nodes[number];
        // All that was used before is kept.
        server.remember_since(UNIX_EPOCH);
        for changed in kept {
            server.apply(now, changed, ChangeSource::Kept);
        }
        node.kept = server.snapshot().collect();
        node.rows = Rows::of(&node.kept);
        (node.id, node.server, node.due) = (id, Some(server), None);
        self.settle(number);
        let now = self.now.monotonic;
        self.go_to(now + Duration::from_millis(1));
    }

    /// A server is killed; its disk keeps everything, or nothing.
    pub(crate) fn kill(&mut self, number: usize, keeps: bool) {
        self.nodes[number].kept = if keeps { self.folded(number) } else { Vec::new() };
        self.nodes[number].server = None;
        self.close_all(|one, other| one == number || other == number);
    }

    pub(crate) fn cut(&mut self, one: usize, other: usize) {
        self.cut.push((one.min(other), one.max(other)));
        self.close_all(|a, b| (a.min(b), a.max(b)) == (one.min(other), one.max(other)));
    }

    /// Streams between these end: what is on its way arrives in part.
    fn close_all(&mut self, concerned: impl Fn(usize, usize) -> bool) {
        for place in 0..self.connections.len() {
            let [(one, ..), (other, ..)] = self.connections[place].ends;
            if !concerned(one, other) {
                continue;
            }
            for end in 0..2 {
                let flying = self.connections[place].ends[end].2.len();
                let arrives = self.random.below(flying + 1);
                let queue = &mut self.connections[place].ends[end].2;
                queue.truncate(arrives);
                queue.push_back(Flying::End("cut".to_owned()));
            }
        }
    }

    /// Takes what a server wants.
    fn settle(&mut self, number: usize) {
        let now = self.clock(number);
        loop {
            let Some(server) = &mut self.nodes[number].server else { return };
            match server.poll(now) {
                Output::Wait(due) => {
                    self.nodes[number].due = due;
                    return;
                }
                Output::Event(Event::Changed(changed)) => {
                    self.nodes[number].rows.write(&changed);
                    self.nodes[number].kept.push(changed);
                }
                Output::Event(Event::Log(entry)) => self.nodes[number].log.push(entry.event),
                Output::Event(Event::Published(_)) => {}
                Output::Transmit(transmit) => {
                    let packet = Packet::parse(&transmit.payload).unwrap();
                    let to = transmit.to;
                    if to == other_realm() {
                        self.nodes[number].to_realm.push(transmit.payload.clone());
                        if packet.notice.kind == Kind::Acked {
                            let answer = Notice { kind: Kind::ServAck, body: b"SENT\0", ..packet.notice };
                            let answer = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
                            let input = Input::Datagram { from: to, local: None, octets: &answer };
                            self.nodes[number].server.as_mut().unwrap().handle(self.now, input);
                        }
                    } else if to.port() == 2104 {
                        self.nodes[number].answers.push(transmit.payload.clone());
                    } else {
                        self.nodes[number].delivered.push((to, transmit.payload.clone()));
                        if !self.unreachable.contains(&(number, to)) {
                            let ack = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
                            let ack = ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
                            let input = Input::Datagram { from: to, local: None, octets: &ack };
                            self.nodes[number].server.as_mut().unwrap().handle(now, input);
                        }
                    }
                }
                Output::Job(Job::Verify(job)) => {
                    let sender = &*job.expected;
                    let number_of =
                        sender.iter().fold(7, |sum: u64, &octet| sum.wrapping_mul(31).wrapping_add(octet.into()));
                    let authenticator = job.packet.claim().authenticator.to_vec();
                    let made = *self.made.entry(authenticator).or_insert(now.wall);
                    let lifetime = Lifetime { made, ends: made + Duration::from_secs(300) };
                    let judgement = Judgement {
                        verdict: Verdict::Authentic(Identity::new(sender)),
                        session: Some(Arc::new(Key(number_of))),
                        opened: None,
                        lifetime: Some(lifetime),
                    };
                    let done = Done::Verified(Verified { id: job.id, result: Ok(judgement) });
                    self.nodes[number].server.as_mut().unwrap().handle(now, Input::Done(done));
                }
                Output::Job(Job::Stream(order)) => self.order(number, order),
                Output::Job(Job::Realm(RealmJob::Session(realm))) => {
                    let done = RealmDone::Session { realm, result: Ok(Arc::new(Key(99))) };
                    self.nodes[number].server.as_mut().unwrap().handle(now, Input::Done(Done::Realm(done)));
                }
                Output::Job(_) => {}
            }
        }
    }

    fn order(&mut self, number: usize, order: StreamOrder) {
        match order {
            StreamOrder::Connect { stream, to } => {
                let other = self.nodes.iter().position(|node| node.address == to).unwrap();
                let pair = (number.min(other), number.max(other));
                if self.cut.contains(&pair) || self.nodes[other].server.is_none() {
                    let why = "Connection refused".to_owned();
                    return self.happens(number, StreamEvent::Closed { stream, why });
                }
                self.nodes[other].accepted += 1;
                let accepted = StreamId(StreamId::FIRST_OF_OTHERS.0 + self.nodes[other].accepted);
                let ends = [(number, stream, VecDeque::new()), (other, accepted, VecDeque::new())];
                self.connections.push(Connection { ends });
                let from = self.nodes[number].address.ip();
                self.happens(number, StreamEvent::Open { stream });
                self.happens(other, StreamEvent::Accepted { stream: accepted, from });
                self.settle(other);
            }
            StreamOrder::Send { stream, record } => {
                assert!(record.len() <= 1024 && !record.is_empty());
                let at_end = |end: &(usize, StreamId, _)| (end.0, end.1) == (number, stream);
                let found = self.connections.iter_mut().find_map(|connection| {
                    let end = connection.ends.iter().position(at_end)?;
                    Some(&mut connection.ends[1 - end].2)
                });
                if let Some(queue) = found {
                    queue.push_back(Flying::Record(record));
                }
            }
            StreamOrder::Close { stream } => {
                let of =
                    |connection: &Connection| connection.ends.iter().position(|end| (end.0, end.1) == (number, stream));
                if let Some((place, end)) =
                    self.connections.iter().enumerate().find_map(|(place, it)| Some((place, of(it)?)))
                {
                    self.connections[place].ends[1 - end].2.push_back(Flying::End("closed".to_owned()));
                    // Nothing more is told of it here.
                    self.connections[place].ends[end].1 = StreamId(0);
                }
            }
            StreamOrder::Offer { .. } => panic!("nothing is offered to servers of ours"),
        }
    }

    fn happens(&mut self, number: usize, event: StreamEvent) {
        let now = self.clock(number);
        if let Some(server) = &mut self.nodes[number].server {
            server.handle(now, Input::Done(Done::Stream(event)));
        }
    }

    /// Something that is on its way arrives; false when there is nothing.
    pub(crate) fn deliver_one(&mut self) -> bool {
        let busy: Vec<(usize, usize)> = (0..self.connections.len())
            .flat_map(|place| [(place, 0), (place, 1)])
            .filter(|&(place, end)| !self.connections[place].ends[end].2.is_empty())
            .collect();
        if busy.is_empty() {
            return false;
        }
        let (place, end) = busy[self.random.below(busy.len())];
        let connection = &mut self.connections[place];
        let (to, stream) = (connection.ends[end].0, connection.ends[end].1);
        let (from, sending) = (connection.ends[1 - end].0, connection.ends[1 - end].1);
        match connection.ends[end].2.pop_front().unwrap() {
            Flying::Record(record) => {
                self.records += 1;
                let octets = record.len();
                if stream != StreamId(0) {
                    self.happens(to, StreamEvent::Record { stream, record });
                }
                self.happens(from, StreamEvent::Drained { stream: sending, octets });
            }
            Flying::End(why) => {
                self.connections[place].ends[end].2.clear();
                self.connections[place].ends[end].1 = StreamId(0);
                if stream != StreamId(0) {
                    self.happens(to, StreamEvent::Closed { stream, why });
                }
                let is_over = self.connections[place].ends.iter().all(|end| end.1 == StreamId(0));
                if is_over {
                    self.connections.remove(place);
                }
            }
        }
        self.settle(to);
        self.settle(from);
        true
    }

    /// Lets this much time pass, doing what is due. What is on its way arrives.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        loop {
            while self.deliver_one() {}
            let due = self.nodes.iter().filter(|node| node.server.is_some()).filter_map(|node| node.due).min();
            let Some(due) = due.filter(|&due| due <= end) else { break };
            self.go_to(due.max(self.now.monotonic));
            self.do_due();
        }
        self.go_to(end);
    }

    /// Lets time pass without anything arriving.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        self.go_to(end);
        self.do_due();
    }

    fn do_due(&mut self) {
        for number in 0..self.nodes.len() {
            let is_due = self.nodes[number].due.is_some_and(|due| due <= self.now.monotonic);
            let now = self.clock(number);
            if is_due && let Some(server) = &mut self.nodes[number].server {
                server.handle(now, Input::Timeout);
                self.settle(number);
            }
        }
    }

    fn go_to(&mut self, moment: Duration) {
        // What happens at one moment is told apart.
        let passed = (moment - self.now.monotonic).max(Duration::from_micros(1));
        self.now.monotonic += passed;
        self.now.wall += passed;
    }

    /// A proven notice through a host manager; gives the packet.
    pub(crate) fn send(&mut self, number: usize, from: SocketAddr, notice: Notice<'_>) -> Bytes {
        self.uids += 1;
        let uid = Uid { address: Ipv4Addr::new(10, 9, 9, 9), seconds: 1_800_000_000, micros: self.uids };
        let IpAddr::V4(host) = from.ip() else { panic!() };
        let notice = Notice { uid, multiuid: uid, address: host.into(), ..notice };
        let authenticator = format!("Z{:07}", self.uids);
        let claim = Claim { auth: 1, authent_len: 8, authenticator: authenticator.as_bytes(), checksum: b"Zsum" };
        let packet = notice.write(&claim, Limits::WHOLE_PACKET).unwrap();
        self.give(number, from, &packet);
        packet
    }

    pub(crate) fn give(&mut self, number: usize, from: SocketAddr, octets: &[u8]) {
        let now = self.clock(number);
        if let Some(server) = &mut self.nodes[number].server {
            server.handle(now, Input::Datagram { from, local: None, octets });
            self.settle(number);
        }
        // Two changes are never made at the same microsecond here.
        self.go_to(now.monotonic + Duration::from_micros(3));
    }

    pub(crate) fn control(&mut self, number: usize, client: Client<'_>, opcode: &str, body: &[u8]) -> Bytes {
        let notice = Notice {
            kind: Kind::Acked,
            port: client.port,
            class: b"ZEPHYR_CTL",
            instance: b"CLIENT",
            opcode: opcode.as_bytes(),
            sender: client.who.as_bytes(),
            body,
            ..Notice::EMPTY
        };
        self.send(number, manager(client.host), notice)
    }

    pub(crate) fn login(&mut self, number: usize, client: Client<'_>, opcode: &str) -> Bytes {
        let notice = Notice {
            kind: Kind::Acked,
            port: client.port,
            class: b"LOGIN",
            instance: client.who.as_bytes(),
            opcode: opcode.as_bytes(),
            sender: client.who.as_bytes(),
            body: b"machine\0time\0tty\0",
            ..Notice::EMPTY
        };
        self.send(number, manager(client.host), notice)
    }

    /// The server of the other realm asks or tells something, for somebody of its own.
    pub(crate) fn realm(&mut self, number: usize, who: &str, opcode: &str, body: &[u8]) {
        let notice = Notice {
            kind: Kind::Acked,
            port: 2103,
            class: b"ZEPHYR_CTL",
            instance: b"REALM",
            opcode: opcode.as_bytes(),
            sender: who.as_bytes(),
            body,
            ..Notice::EMPTY
        };
        self.send(number, other_realm(), notice);
    }

    pub(crate) fn realm_subscribes(&mut self, number: usize, who: &str, list: &[u8]) {
        let body = [b"10.0.3.1\0", &b"0x1388\0"[..], list].concat();
        self.realm(number, who, "REQ_SUBSCRIBE", &body);
    }

    pub(crate) fn boot(&mut self, number: usize, host: u8) {
        let notice = Notice { kind: Kind::HmCtl, port: 2104, class: b"HM_CTL", opcode: b"BOOT", ..Notice::EMPTY };
        self.uids += 1;
        let uid = Uid { address: Ipv4Addr::new(10, 9, 9, 9), seconds: 1_800_000_000, micros: self.uids };
        let packet = Notice { uid, multiuid: uid, ..notice }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        self.give(number, manager(host), &packet);
    }

    pub(crate) fn message(&mut self, number: usize, from: Client<'_>, class: &str, body: &[u8]) {
        let notice = Notice {
            kind: Kind::Acked,
            port: from.port,
            class: class.as_bytes(),
            instance: b"x",
            sender: from.who.as_bytes(),
            body,
            ..Notice::EMPTY
        };
        self.send(number, manager(from.host), notice);
    }

    /// Something happens to a stream of a server.
    pub(crate) fn stream(&mut self, number: usize, event: StreamEvent) {
        self.happens(number, event);
        self.settle(number);
    }

    pub(crate) fn command(&mut self, number: usize, command: Command) {
        let now = self.clock(number);
        if let Some(server) = &mut self.nodes[number].server {
            server.handle(now, Input::Command(command));
            self.settle(number);
        }
    }

    /// What a server knows, without whose view it is.
    pub(crate) fn state(&self, number: usize) -> Vec<String> {
        let dump = self.nodes[number].server.as_ref().unwrap().dump();
        let mut state: Vec<String> = Vec::new();
        let mut locations = Vec::new();
        for line in dump.lines().skip_while(|line| line.contains("/SERV_")) {
            if line.starts_with('\'') {
                // Those of one user are in the order in which each server heard of them.
                locations.push(line.to_owned());
            } else {
                state.push(line.to_owned());
            }
        }
        locations.sort();
        locations.into_iter().chain(state).collect()
    }

    /// Whether a client is subscribed to a class at a server.
    pub(crate) fn has(&self, number: usize, client: Client<'_>, class: &str) -> bool {
        let server = self.nodes[number].server.as_ref().unwrap();
        server.subscriptions_to(class.as_bytes()).any(|held| held.client == client.address())
    }

    pub(crate) fn runs(&self, number: usize) -> bool {
        self.nodes[number].server.is_some()
    }

    /// All servers run and all streams are joined, and it is quiet.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        for number in 0..self.nodes.len() {
            if !self.runs(number) {
                self.start(number);
            }
        }
        self.pass(Duration::from_secs(100));
    }

    /// All servers know the same.
    pub(crate) fn check(&self, what: &str) {
        let first = self.state(0);
        for number in 1..self.nodes.len() {
            assert_eq!(self.state(number), first, "{what}: server {number}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client<'a> {
    pub(crate) host: u8,
    pub(crate) port: u16,
    pub(crate) who: &'a str,
}

impl Client<'_> {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(manager(self.host).ip(), self.port)
    }
}
