//! A server with a scripted clock, its clients, and the packets that they receive.
//!
//! Packets reach the server in memory, or over sockets: as the test program's `transport` has it.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of the stage")]

pub(crate) use crate::transport::host;
use crate::{
    mirror::{Mirror, Restored},
    transport::{self, Transport},
};
use bytes::Bytes;
use std::{
    borrow::Cow,
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Judgement, Reason, Session, SessionKey, Verdict},
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::Policy,
    realm::Realms,
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine, Transmit},
    server::{
        Bounds, Change, ChangeSource, Command, Config, Event, LogEvent, Neighbours, ProbeSecret, Published, ServerId,
        acl::{Acl, ClassAcls, Defaults, Rules},
    },
};
use zeroize::Zeroizing;

pub const REALM: &str = "ATHENA.TEST";

/// The network that texts of the tests mean by 127.77.0.x.
const MADE_UP: [u8; 3] = [127, 77, 0];

/// The host manager of the first host.
pub fn here() -> SocketAddr {
    SocketAddr::from((host(1), 2104))
}

/// The host manager of another host.
pub fn there() -> SocketAddr {
    SocketAddr::from((host(2), 2104))
}

/// The host manager of a host on another network.
pub fn outside() -> SocketAddr {
    SocketAddr::from((transport::outside(), 2104))
}

/// A text in which hosts are 127.77.0.x, with the addresses that they have in this test.
pub fn as_here(text: &str) -> String {
    let prefix = |[first, second, third]: [u8; 3]| format!("{first}.{second}.{third}.");
    let [first, second, third, _] = host(0).octets();
    text.replace(&prefix(MADE_UP), &prefix([first, second, third]))
}

/// The program at this port of a host.
pub fn at(host: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(host.ip(), port)
}

/// A session whose checksum is a hash of its key and what must be covered.
pub struct Key(pub u64);

impl Key {
    fn checksum(&self, covered: [&[u8]; 3], direction: Direction) -> [u8; 8] {
        let mut hasher = DefaultHasher::new();
        (self.0, covered.concat(), direction).hash(&mut hasher);
        hasher.finish().to_be_bytes()
    }
}

impl Session for Key {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        let unsealed = notice.unsealed(0, b"")?;
        let checksum = self.checksum(unsealed.covered(), direction);
        Ok(unsealed.seal(&checksum, limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        let mut expected = Vec::new();
        zephyr_core::coding::zcode::encode(&self.checksum(packet.covered()?, direction), &mut expected);
        (packet.claim.checksum == expected).then_some(Cow::Borrowed(packet.notice.body))
    }

    fn key(&self) -> Option<SessionKey> {
        Some(SessionKey { kind: 99, octets: Zeroizing::new(self.0.to_be_bytes().to_vec()) })
    }
}

/// What a packet proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proof {
    Yes,
    #[default]
    No,
    Failed,
    /// It is made by this principal, whoever its sender is.
    By(&'static str),
}
pub use Proof::{By, Failed, No, Yes};

/// The session that a key is of.
pub fn session_of(key: &SessionKey) -> Option<Arc<dyn Session>> {
    let octets = key.octets.as_slice().try_into().ok().filter(|_| key.kind == 99)?;
    Some(Arc::new(Key(u64::from_be_bytes(octets))))
}

/// Rules that restrict nothing, with these default subscriptions.
pub fn with_defaults(file: &[u8]) -> Arc<Rules> {
    Arc::new(Rules::new(Acl::default(), Defaults::read(file).unwrap()))
}

/// A packet that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The server's address that it came from.
    pub from: Option<IpAddr>,
    pub to: SocketAddr,
    pub octets: Bytes,
}

impl From<Transmit> for Received {
    fn from(Transmit { to, local, payload }: Transmit) -> Self {
        Self { from: local, to, octets: payload }
    }
}

impl Received {
    pub fn packet(&self) -> Packet<'_> {
        Packet::parse(&self.octets).unwrap()
    }

    pub fn notice(&self) -> Notice<'_> {
        self.packet().notice
    }

    /// Whether it only asks whether somebody is there.
    pub fn is_probe(&self) -> bool {
        self.notice().opcode == b"PROBE"
    }

    /// What its recipient sends when it has it.
    pub fn acknowledgement(&self) -> Bytes {
        let ack = Notice { kind: Kind::ClientAck, body: b"", ..self.notice() };
        ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
    }

    pub fn body(&self) -> String {
        String::from_utf8_lossy(self.notice().body).replace('\0', "|")
    }

    /// `SERVACK SENT` and the like.
    pub fn answer(&self) -> String {
        let body = self.body();
        format!("{} {}", self.notice().kind, body.split('|').next().unwrap_or_default())
    }

    /// What is said beside that.
    pub fn reason(&self) -> Option<String> {
        self.body().split('|').nth(1).filter(|reason| !reason.is_empty()).map(str::to_owned)
    }
}

/// Rules from what files would say: lists by file name without `.acl`, and operators; the usual defaults. Hosts are
/// 127.77.0.x in them.
pub fn rules(lists: &[(&str, &str)]) -> Arc<Rules> {
    let read = |text: &str| Acl::read(as_here(text).as_bytes()).unwrap();
    let mut classes: BTreeMap<&str, ClassAcls> = BTreeMap::new();
    let mut operators = Acl::default();
    for (name, text) in lists {
        let Some((act, class)) = name.split_once('-') else {
            assert_eq!(*name, "opstaff");
            operators = read(text);
            continue;
        };
        let class = classes.entry(class).or_default();
        match act {
            "xmt" => class.xmt = Some(read(text)),
            "sub" => class.sub = Some(read(text)),
            "iws" => class.iws = Some(read(text)),
            "iui" => class.iui = Some(read(text)),
            // Registered, without a list.
            _ => assert_eq!(act, "all"),
        }
    }
    let mut rules = Rules::new(operators, Defaults::usual());
    for (class, lists) in classes {
        rules.register(&zephyr_core::fold::fold(class.as_bytes()), lists);
    }
    Arc::new(rules)
}

/// The rules of the lists that Debian ships, as far as they matter to what is told of locations and operations.
pub fn shipped_rules() -> Vec<(&'static str, &'static str)> {
    vec![
        ("xmt-login", "*.*@*"),
        ("sub-login", "*.*@*"),
        ("iws-login", ""),
        ("iui-login", ""),
        ("xmt-operations", ""),
        ("sub-operations", "*.*@*"),
        ("iws-operations", "*.*@*"),
        ("iui-operations", "*.*@*"),
    ]
}

/// What whoever knows all keys finds out about a packet that proves so much.
pub fn judgement(packet: &Packet<'_>, expected: &[u8], proof: Proof) -> Judgement {
    let maker = match proof {
        No => return Judgement::bare(Verdict::Unauthenticated),
        Failed => return Judgement::bare(Verdict::Failed(Reason::Checksum)),
        Yes => packet.notice.sender,
        By(maker) => maker.as_bytes(),
    };
    if maker != expected {
        return Judgement::bare(Verdict::Failed(Reason::WrongPrincipal));
    }
    Judgement::authentic(Identity::new(maker), Arc::new(key_of(std::str::from_utf8(maker).unwrap())))
}

/// Judges as the test says.
#[derive(Debug, Default)]
pub struct Double {
    /// What the packets prove that are on their way, and how many were judged.
    proof: Mutex<(Proof, usize)>,
}

impl Double {
    pub fn set(&self, proof: Proof) {
        self.proof.lock().unwrap().0 = proof;
    }

    pub fn judged(&self) -> usize {
        self.proof.lock().unwrap().1
    }
}

impl Acceptor for Double {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], _: Now) -> Result<Judgement, AuthError> {
        let mut proof = self.proof.lock().unwrap();
        proof.1 += 1;
        Ok(judgement(packet, expected, proof.0))
    }
}

pub struct Stage {
    pub engine: Transport,
    pub now: Now,
    /// What was worth a line in the log.
    pub events: Vec<LogEvent>,
    /// The other events.
    pub published: Vec<Published>,
    pub changes: Vec<Change>,
    mirror: Mirror,
    restored: Restored,
    /// Hosts at which nobody is. Elsewhere there is a program at every port, which acknowledges the server's probes.
    pub absent: Vec<IpAddr>,
    /// How often it was asked where a packet comes from.
    pub judged: usize,
    /// Packets that were no notices.
    pub malformed: u64,
    micros: u32,
}

/// A notice without a uid: the stage gives it one.
pub fn notice<'a>(class: &'a str, instance: &'a str, opcode: &'a str, sender: &'a str) -> Notice<'a> {
    Notice {
        kind: Kind::Acked,
        port: 5000,
        class: class.as_bytes(),
        instance: instance.as_bytes(),
        opcode: opcode.as_bytes(),
        sender: sender.as_bytes(),
        address: host(1).into(),
        ..Notice::EMPTY
    }
}

pub fn control<'a>(opcode: &'a str, sender: &'a str, body: &'a [u8]) -> Notice<'a> {
    Notice { body, ..notice("ZEPHYR_CTL", "CLIENT", opcode, sender) }
}

pub const ALICE: &str = "alice@ATHENA.TEST";
pub const BOB: &str = "bob@ATHENA.TEST";

/// The key that a person's session has on this stage.
pub fn key_of(person: &str) -> Key {
    let mut hasher = DefaultHasher::new();
    person.hash(&mut hasher);
    Key(hasher.finish())
}

impl Stage {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let now = Now { monotonic: Duration::from_secs(1000), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        Self::starting(now, change)
    }

    /// The same with a server that starts at this moment.
    pub fn starting(now: Now, change: impl FnOnce(&mut Config)) -> Self {
        let defaults = b"operations,message,*\nmessage,personal,%me%\nmessage,urgent,%me%\n";
        let mut config = Config {
            host: "zsrv.zlab.example".to_owned(),
            address: host(100),
            port: 2103,
            version: "Zephyr Server test".to_owned(),
            realms: Realms::local_only(REALM.as_bytes()),
            policy: Policy::KERBEROS,
            rules: Arc::new(Rules::new(Acl::default(), Defaults::read(defaults).unwrap())),
            host_manager_port: 2104,
            probe_secret: ProbeSecret::new(&[7; 32]),
            bounds: Bounds::default(),
            neighbours: Neighbours::default(),
            id: ServerId(1),
            in_flight: usize::MAX,
        };
        change(&mut config);
        Self {
            restored: Restored::new(config.clone(), now),
            engine: Transport::new(config, now),
            now,
            events: Vec::new(),
            published: Vec::new(),
            changes: Vec::new(),
            mirror: Mirror::default(),
            absent: Vec::new(),
            judged: 0,
            malformed: 0,
            micros: 0,
        }
    }

    /// The server has just started, and takes what another one has kept.
    pub fn take_kept(&mut self, before: &Self) {
        for changed in before.engine.snapshot() {
            self.mirror.apply(&changed.change);
            self.restored.apply(self.now, changed.clone());
            self.engine.apply(self.now, changed, ChangeSource::Kept);
        }
    }

    /// A packet's octets, with a uid of its own.
    pub fn packet(&mut self, notice: Notice<'_>, proof: Proof) -> Bytes {
        self.micros += 1;
        let uid = Uid { address: host(1), seconds: 1_800_000_000, micros: self.micros };
        let notice = Notice { uid, multiuid: uid, ..notice };
        let digit = |place: u32| u8::try_from(self.micros / 100_u32.pow(place) % 100).unwrap() + b'0';
        let authenticator = [b'Z', digit(2), digit(1), digit(0)];
        let claim = match proof {
            No => Claim::NONE,
            // An authenticator is never the same.
            Yes | Failed | By(_) => Claim { auth: 1, authent_len: 3, authenticator: &authenticator, checksum: b"Zsum" },
        };
        notice.write(&claim, Limits::WHOLE_PACKET).unwrap()
    }

    /// Gives octets to the server; proven ones have the session of their sender.
    pub fn give(&mut self, from: SocketAddr, octets: &[u8], proof: Proof) -> Vec<Received> {
        self.engine.give(self.now, from, octets, proof);
        let received = self.receive();
        (self.judged, self.malformed) = (self.engine.judged(), self.engine.counters().malformed);
        received
    }

    /// From now on packets are sent to this address of the server.
    pub fn ask_at(&mut self, server: IpAddr) {
        self.engine.asked = server;
    }

    /// The network says that nobody listens where a packet was sent, of which it quotes so much.
    pub fn is_closed(&mut self, to: SocketAddr, quoted: &[u8]) -> Vec<Received> {
        self.engine.handle(self.now, Input::Unreachable { to, quoted });
        self.receive()
    }

    pub fn send(&mut self, from: SocketAddr, notice: Notice<'_>, proof: Proof) -> Vec<Received> {
        let octets = self.packet(notice, proof);
        self.give(from, &octets, proof)
    }

    /// Sends what gets one answer and nothing else, and gives the answer.
    pub fn ask(&mut self, notice: Notice<'_>, proof: Proof) -> String {
        let received = self.send(here(), notice, proof);
        assert_eq!(received.len(), 1, "{received:?}");
        assert_eq!(received[0].to, here());
        received[0].answer()
    }

    /// Subscribes without defaults.
    pub fn subscribe(&mut self, host: SocketAddr, person: &str, port: u16, body: &[u8]) {
        let received = self.send(host, Notice { port, ..control("SUBSCRIBE_NODEFS", person, body) }, Yes);
        assert_eq!(received[0].answer(), "SERVACK SENT");
    }

    /// What a client holds, asked by its owner.
    pub fn list(&mut self, host: SocketAddr, person: &str, port: u16) -> String {
        let body = format!("0x{port:04X}\0");
        let received = self.send(host, Notice { port, ..control("GIMME", person, body.as_bytes()) }, Yes);
        assert_eq!(received[0].answer(), "SERVACK SENT");
        for answer in &received[1..] {
            assert_eq!(answer.to, at(host, port));
            self.acknowledge(answer);
        }
        received[1..].iter().map(Received::body).collect()
    }

    /// The recipient acknowledges a packet.
    pub fn acknowledge(&mut self, received: &Received) {
        assert_eq!(self.give(received.to, &received.acknowledgement(), No), []);
    }

    /// Lets time pass, doing whatever becomes due exactly when it is due. Gives the seconds and the packets.
    pub fn wait(&mut self, seconds: u64) -> Vec<(u64, Received)> {
        self.wait_for(Duration::from_secs(seconds))
    }

    /// The same for any time.
    pub fn wait_for(&mut self, time: Duration) -> Vec<(u64, Received)> {
        let start = self.now.monotonic;
        let end = start + time;
        let mut received = Vec::new();
        while let Some(due) = self.engine.next_timeout(self.now).filter(|due| *due <= end) {
            assert!(due >= self.now.monotonic, "time does not go back");
            self.pass_to(due);
            self.engine.timeout(self.now);
            let packets = self.receive();
            let passed = (due - start).as_secs();
            received.extend(packets.into_iter().map(|packet| (passed, packet)));
        }
        self.pass_to(end);
        received
    }

    /// What the server sends now, after the test has told it something itself.
    pub fn settle(&mut self) -> Vec<Received> {
        self.receive()
    }

    pub fn command(&mut self, command: Command) -> Vec<Received> {
        if let Command::Realms(realms) = &command {
            self.restored.know_realms(self.now, realms.clone());
        }
        self.engine.command(self.now, command);
        self.receive()
    }

    fn pass_to(&mut self, moment: Duration) {
        self.now.wall += moment - self.now.monotonic;
        self.now.monotonic = moment;
    }

    /// What the server sends now, without probes that programs have acknowledged.
    pub fn receive(&mut self) -> Vec<Received> {
        let mut received = self.drain();
        while let Some(place) = received.iter().position(|packet| packet.is_probe() && self.is_there(packet)) {
            let probe = received.remove(place);
            self.engine.give(self.now, probe.to, &probe.acknowledgement(), No);
            let more = self.drain();
            received.extend(more);
        }
        // Not each time where there is very much of everything.
        let gauges = self.engine.gauges();
        if gauges.clients + gauges.subscriptions + gauges.locations < 50 {
            self.mirror.check(&self.engine.dump(), &gauges);
            self.restored.check(&self.engine.dump(), &gauges);
        }
        received
    }

    fn is_there(&self, packet: &Received) -> bool {
        !self.absent.contains(&packet.to.ip())
    }

    fn drain(&mut self) -> Vec<Received> {
        let (received, events) = self.engine.drain(self.now);
        for event in events {
            match event {
                Event::Log(entry) => self.events.push(entry.event),
                Event::Published(published) => self.published.push(published),
                Event::Changed(changed) => {
                    self.mirror.apply(&changed.change);
                    self.changes.push(changed.change.clone());
                    self.restored.apply(self.now, changed);
                }
            }
        }
        assert!(received.iter().all(|packet| packet.octets.len() <= 1024), "no packet is too long");
        received
    }
}
