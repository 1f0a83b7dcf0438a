//! The event loop of a simulation.

use super::{
    Options,
    clock::WallClock,
    disturbance::Disturbance,
    history::History,
    host_managers::Waiting,
    interference::Interference,
    invariants::{Checked, Checker, Incarnation, Invariant, Violation},
    mutant::Mutant,
    network::{Fate, Network, Path},
    node::{Domain, Host, Node, Role},
    process::Stimulus,
    promises::Promise,
    random::Random,
    scenario::Scenario,
    stranger::Stranger,
    streams::{self, Streams},
    trace::{Trace, described},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    client::Job,
    host_manager::Lookup,
    machine::Transmit,
    server::{VerifyJob, peers::stream::StreamEvent},
};

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    /// Where it says it comes from.
    pub from: SocketAddr,
    /// The host that it goes to.
    pub host: usize,
    /// The address and port there.
    pub to: SocketAddr,
    /// Its octets.
    pub payload: Bytes,
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A datagram arrives.
    Arrival(Box<Datagram>),
    /// A driver wakes up.
    Timer(usize),
    /// A socket takes packets again.
    Writable(Incarnation),
    /// A verification ends.
    Verified(Incarnation, Box<VerifyJob>),
    /// A client's job ends.
    JobDone(Incarnation, Job),
    /// A host manager's look-up ends.
    LookUpDone(Incarnation, Lookup),
    /// A host manager's discovery ends.
    DiscoveryDone(Incarnation),
    /// A host manager must have left a dead server.
    MustHaveLeft(Waiting),
    /// The programs of a host hear that its network is another one.
    NetworkTold(usize),
    /// Something happens to a stream.
    Stream(streams::Step),
    /// A server hears of its stream.
    StreamTold(Incarnation, StreamEvent),
    /// A server's disk has stored what it was writing.
    Stored(Incarnation),
    /// A server hears that so many changes are stored.
    ToldStored(Incarnation, u64),
    /// A program orders something.
    Order(Incarnation),
    /// A program starts.
    Start(usize),
    /// Something goes wrong.
    Disturbance(Disturbance),
    /// The stranger does something.
    Attack,
    /// Everything is well from now on.
    Heal,
    /// A program subscribes once more.
    SubscribeAtLast(usize),
    /// A program sends one more thing.
    SendAtLast(usize),
    /// A server of this domain crashes once more.
    FailAtLast(usize),
    /// Everybody must be at the best server.
    CheckBest,
    /// Everybody must have got that.
    CheckAll,
    /// A program orders what was planned for it.
    PlannedOrder(usize),
    /// Strangers do what they can.
    Interference,
}

/// Everything.
pub(super) struct World {
    pub(super) now: Duration,
    queue: BTreeMap<(Duration, u64), Happening>,
    queued: u64,
    pub(super) random: Random,
    /// What becomes of names and look-ups.
    pub(super) name_service: Random,
    pub(super) scenario: Scenario,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) nodes: Vec<Node>,
    pub(super) domains: Vec<Domain>,
    pub(super) stranger: Stranger,
    pub(super) streams: Streams,
    pub(super) checker: Checker,
    pub(super) history: History,
    /// What readers are to be shown.
    pub(super) promises: Vec<Promise>,
    /// Uids of packets that were damaged, or of which strangers have sent something.
    pub(super) doubtful: HashSet<Uid>,
    pub(super) trace: Trace,
    pub(super) mutant: Option<Mutant>,
    /// Nothing goes wrong any more.
    pub(super) is_well: bool,
    /// Addresses that hosts have moved to so far.
    pub(super) moves: usize,
    /// Texts that programs have made up so far.
    pub(super) texts: u64,
    /// What was sent in the end, by whom.
    pub(super) last_words: Vec<super::recovery::LastWord>,
    /// Where the same world is compared with and without strangers.
    pub(super) interference: Option<Interference>,
}

impl World {
    /// The world of this seed before anything has happened.
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let scenario = Scenario::draw(&mut random);
        let mut world = Self::of(scenario, random, options);
        world.plan();
        world
    }

    /// The world of a scenario, in which nothing is planned yet but that programs start.
    pub(super) fn of(scenario: Scenario, random: Random, options: Options) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            network: Network::new(scenario.network),
            name_service: random.clone(),
            random,
            scenario,
            hosts: Vec::new(),
            nodes: Vec::new(),
            domains: Vec::new(),
            stranger: Stranger::default(),
            streams: Streams::default(),
            checker: Checker::default(),
            history: History::default(),
            promises: Vec::new(),
            doubtful: HashSet::new(),
            trace: Trace::new(options.traces),
            mutant: options.mutant,
            is_well: false,
            moves: 0,
            texts: 0,
            last_words: Vec::new(),
            interference: None,
        };
        world.build();
        world
    }

    /// Lets all happen that will, unless something happens that must not.
    ///
    /// # Errors
    ///
    /// When an invariant does not hold.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        self.run_until(self.scenario.active + super::recovery::SETTLING)?;
        self.check_quiescence()?;
        self.check_best()?;
        self.check_promises()?;
        self.check_servers()
    }

    /// Lets all happen that will until then.
    ///
    /// # Errors
    ///
    /// When an invariant does not hold.
    pub(super) fn run_until(&mut self, end: Duration) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.checker.numbers.steps += 1;
            self.happens(happening)?;
        }
        Ok(())
    }

    /// Lets something happen after this long.
    pub(super) fn later(&mut self, delay: Duration, happening: Happening) {
        self.queued += 1;
        self.queue.insert((self.now + delay, self.queued), happening);
    }

    /// The time that a node's program sees.
    pub(super) fn now_of(&self, node: usize) -> Now {
        let node = &self.nodes[node];
        self.hosts[node.host].clock.now(self.now, node.born)
    }

    /// The right time.
    pub(super) fn right_time(&self) -> Now {
        WallClock::default().now(self.now, Duration::ZERO)
    }

    /// Whether this very program still runs.
    pub(super) fn runs(&self, who: Incarnation) -> bool {
        let node = &self.nodes[who.node];
        node.process.is_some() && node.starts == who.start
    }

    /// Adds a line about a node to the trace.
    pub(super) fn tell(&mut self, node: usize, text: impl FnOnce() -> String) {
        self.trace.add(self.now, &self.nodes[node].name, text);
    }

    /// What a check says, with time and place.
    pub(super) fn checked(&self, node: usize, checked: Checked) -> Result<(), Violation> {
        checked.map_err(|(invariant, seen)| {
            let Node { name, starts, .. } = &self.nodes[node];
            Violation { invariant, at: self.now, node: format!("{name}, start {starts}"), seen }
        })
    }

    fn happens(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Arrival(datagram) => self.arrives(&datagram),
            Happening::Timer(node) => self.wakes(node),
            Happening::Writable(who) if self.runs(who) => {
                self.nodes[who.node].blocked = false;
                self.give(who.node, Stimulus::Timeout)
            }
            Happening::Verified(who, job) if self.runs(who) => {
                self.nodes[who.node].jobs -= 1;
                let verified = self.verify(who.node, *job);
                self.give(who.node, Stimulus::Verified(verified))
            }
            Happening::JobDone(who, job) if self.runs(who) => {
                self.nodes[who.node].jobs -= 1;
                let done = self.work(who.node, &job);
                self.give(who.node, Stimulus::Done(done))
            }
            Happening::LookUpDone(who, lookup) if self.runs(who) => {
                let answer = self.look_up(who.node, lookup);
                self.give(who.node, Stimulus::LookedUp(answer))
            }
            Happening::DiscoveryDone(who) if self.runs(who) => {
                self.nodes[who.node].jobs -= 1;
                let found = self.discover(who.node);
                self.give(who.node, Stimulus::Discovered(found))
            }
            Happening::MustHaveLeft(waiting) => self.check_failover(waiting),
            Happening::NetworkTold(host) => self.network_told(host),
            Happening::Order(who) if self.runs(who) && !self.is_well => self.order(who.node),
            Happening::Stream(step) => {
                self.stream_happens(step);
                Ok(())
            }
            Happening::StreamTold(who, event) if self.runs(who) => self.hears_of_stream(who.node, event),
            Happening::Stored(who) if self.runs(who) => self.stored(who.node),
            Happening::ToldStored(who, up_to) if self.runs(who) => self.told_stored(who.node, up_to),
            Happening::Writable(_)
            | Happening::Verified(..)
            | Happening::JobDone(..)
            | Happening::LookUpDone(..)
            | Happening::DiscoveryDone(_)
            | Happening::StreamTold(..)
            | Happening::Stored(_)
            | Happening::ToldStored(..)
            | Happening::Order(_) => Ok(()),
            Happening::Start(node) => self.start(node),
            Happening::Disturbance(disturbance) => self.disturb(disturbance),
            Happening::Attack => self.attack(),
            Happening::Heal => self.heal(),
            Happening::SubscribeAtLast(node) => self.subscribe_at_last(node),
            Happening::SendAtLast(node) => self.send_at_last(node),
            Happening::FailAtLast(domain) => {
                self.fail_at_last(domain);
                Ok(())
            }
            Happening::CheckBest => self.check_best(),
            Happening::CheckAll => self.check_all(),
            Happening::PlannedOrder(node) => self.planned_order(node),
            Happening::Interference => {
                self.interfere();
                Ok(())
            }
        }
    }

    fn arrives(&mut self, datagram: &Datagram) -> Result<(), Violation> {
        let Datagram { from, host, to, payload } = datagram;
        let here = |node: &Node| node.host == *host && node.port == to.port() && node.process.is_some();
        let Some(node) = self.nodes.iter().position(here) else { return Ok(()) };
        self.tell(node, || format!("receives from {from}: {}", described(payload)));
        if let Ok(packet) = Packet::parse(payload) {
            let who = self.nodes[node].incarnation(node);
            if self.hides_status(node, &packet.notice) {
                return Ok(());
            }
            self.watch_failover(node, *from, &packet.notice);
            self.checker.came(who, self.now, &packet.notice);
            if self.nodes[node].role == Role::Server {
                self.history.came(who, *from, &packet);
            }
        }
        self.give(node, Stimulus::Datagram(*from, to.ip(), payload))
    }

    /// A driver wakes up; not oftener than sense makes it.
    fn wakes(&mut self, index: usize) -> Result<(), Violation> {
        const MAX_WAKES_PER_SECOND: u32 = 5000;
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.process.is_none() || node.timer.is_none_or(|timer| timer > now) {
            return Ok(());
        }
        node.timer = None;
        let second = now.as_secs();
        node.wakes = (second, if node.wakes.0 == second { node.wakes.1 + 1 } else { 1 });
        if node.wakes.1 > MAX_WAKES_PER_SECOND {
            return self.checked(index, Err((Invariant::Timers, "wakes up again and again".to_owned())));
        }
        self.give(index, Stimulus::Timeout)
    }

    /// Puts a packet that a node sends onto the network.
    pub(super) fn send(&mut self, node: usize, transmit: &Transmit) {
        let Transmit { to, local, payload } = transmit;
        let to = *to;
        self.tell(node, || format!("sends to {to}: {}", described(payload)));
        let (host, port) = (self.nodes[node].host, self.nodes[node].port);
        let is_server = self.nodes[node].role == Role::Server;
        let has_answered =
            is_server && self.history.sent(self.group_of(node), self.nodes[node].incarnation(node), payload);
        let here = &self.hosts[host];
        let own = if *local == Some(here.alias().into()) { here.alias() } else { here.address };
        let target = if to.ip().is_loopback() { Some(host) } else { self.host_at(to) };
        let Some(target) = target else { return };
        let from = if to.ip().is_loopback() { SocketAddr::new(to.ip(), port) } else { (own, port).into() };
        if host != target {
            self.stranger.sees(from, to, payload, &mut self.random);
            self.overtake(from, to, payload);
        }
        self.answers_for_the_dead(node, transmit);
        if !(is_server && self.swallows(from, to, payload)) {
            self.carry(Path { from: host, to: target }, from, to, payload);
        }
        if has_answered && let Some(back) = self.nodes[node].dies_of_answer.take() {
            self.crash(node);
            self.later(back, Happening::Start(node));
        }
    }

    /// Somebody may have acknowledged what is in this packet without having got it.
    pub(super) fn doubt(&mut self, payload: &Bytes) {
        if let Ok(packet) = Packet::parse(payload) {
            self.doubtful.insert(packet.notice.uid);
        }
    }

    /// A fault: a reader's notice is acknowledged, and gone.
    fn swallows(&mut self, from: SocketAddr, to: SocketAddr, payload: &Bytes) -> bool {
        if self.mutant != Some(Mutant::SwallowsNotices) || self.is_well || !self.random.chance(200) {
            return false;
        }
        let Ok(packet) = Packet::parse(payload) else { return false };
        let Notice { kind, class, .. } = packet.notice;
        if kind != Kind::Acked || class == names::ZEPHYR_CTL {
            return false;
        }
        let answer = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
        let (Ok(payload), Some(host)) = (answer.write(&Claim::NONE, Limits::WHOLE_PACKET), self.host_at(from)) else {
            return false;
        };
        let datagram = Datagram { from: to, host, to: from, payload };
        self.later(Duration::from_millis(1), Happening::Arrival(Box::new(datagram)));
        true
    }

    /// Decides what becomes of a datagram, wherever it says it comes from.
    pub(super) fn carry(&mut self, path: Path, from: SocketAddr, to: SocketAddr, payload: &Bytes) {
        match self.network.fate(self.now, path, payload, &mut self.random) {
            Fate::Lost(why) => self.trace.add(self.now, "network", || format!("{from} to {to}: {why}")),
            Fate::Arrives(arrivals) => {
                let copies = arrivals.len();
                for arrival in arrivals {
                    if arrival.corrupt {
                        self.doubt(payload);
                    }
                    if arrival.corrupt || copies > 1 {
                        let how = if arrival.corrupt { "is damaged" } else { "comes more than once" };
                        self.trace.add(self.now, "network", || format!("{from} to {to}: {how}"));
                    }
                    let payload = arrival.payload;
                    let datagram = Datagram { from, host: path.to, to, payload };
                    self.later(arrival.delay, Happening::Arrival(Box::new(datagram)));
                }
            }
        }
    }

    /// The host with this address.
    pub(super) fn host_at(&self, to: SocketAddr) -> Option<usize> {
        self.hosts.iter().position(|host| to.ip() == host.address || to.ip() == host.alias())
    }
}
