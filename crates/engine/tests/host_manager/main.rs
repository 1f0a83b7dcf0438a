//! The rows of the semantics table about the host manager (section K), its schedules, and its choice of servers, driven as a
//! driver does it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod discovered;
mod local_addresses;
mod names;
mod network;
mod outage;
mod returning;
mod statements;
mod users;

use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    host_manager::{
        Candidate, Certainty, Command, Config, Discovered, Done, HostManager, Job, Located, Lookup, MAX_QUEUED_PACKETS,
        NotFound, Owner, OwnerQuery, Server, Servers, Waiting,
        event::{Event, LogEvent, ServerChange},
    },
    machine::{Input, Machine, Output, Transmit},
};

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 3, 2, 1)), 40_001);

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 77, 0, number], 2103))
}

/// A packet that the host manager sent.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    to: SocketAddr,
    octets: Bytes,
}

impl Sent {
    fn notice(&self) -> Notice<'_> {
        Packet::parse(&self.octets).unwrap().notice
    }

    /// `10.77.0.1:2103 BOOT` and the like.
    fn told(&self) -> String {
        format!("{} {}", self.to, self.notice().opcode.escape_ascii())
    }
}

struct Stage {
    machine: HostManager,
    now: Now,
    events: Vec<Event>,
    /// When the machine wants a timeout.
    due: Option<Duration>,
    micros: u32,
    /// Whose programs there are, by their ports.
    owner: fn(u16) -> Owner,
    /// Whether jobs are left undone.
    lazy: bool,
    /// Those that are.
    asked: Vec<OwnerQuery>,
    /// The name service.
    names: Names,
    /// The look-up that takes for ever, where the name service does not answer.
    hung: Option<Lookup>,
    /// Look-ups that were wanted.
    lookups: usize,
    /// What the next discovery finds; while there is nothing here, it does not end.
    discovery: Option<Result<Discovered, NotFound>>,
    /// When discoveries were wanted.
    discoveries: Vec<Duration>,
}

/// What the name service says about a server's name: `None`, as long as it says nothing.
type Names = fn(&str) -> Option<Result<Located, Box<str>>>;

fn located(name: &str, address: SocketAddr) -> Option<Result<Located, Box<str>>> {
    Some(Ok(Located { name: name.into(), address, others: Vec::new(), local: Some(Ipv4Addr::new(10, 77, 0, 9)) }))
}

/// Of `s1.zlab.example` and so on, what the tests begin with.
fn lookup_finds_nothing_new(name: &str) -> Option<Result<Located, Box<str>>> {
    let number = name.strip_prefix('s').and_then(|rest| rest.strip_suffix(".zlab.example"));
    number
        .and_then(|number| number.parse().ok())
        .map_or(Some(Err("no such name".into())), |number| located(name, server(number)))
}

impl Stage {
    fn with(servers: u8, change: impl FnOnce(&mut Config)) -> (Self, Vec<Sent>) {
        let server = |number| Server::at(&format!("s{number}.zlab.example"), server(number));
        Self::of(Servers::new((1..=servers).map(server).collect(), 1).unwrap(), lookup_finds_nothing_new, change)
    }

    /// Of these servers, which `names` tells the addresses of.
    fn of(servers: Servers, names: Names, change: impl FnOnce(&mut Config)) -> (Self, Vec<Sent>) {
        let mut config = Config {
            servers,
            address: Ipv4Addr::new(10, 77, 0, 9),
            port: 2104,
            version: concat!(env!("CARGO_PKG_VERSION"), " (5) zephyr-rs").to_owned(),
            machine: "x".repeat(40),
            attach: false,
            refuse_flush: false,
            own_address: None,
        };
        change(&mut config);
        let now = Now { monotonic: Duration::from_secs(50), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        let machine = HostManager::new(config, now);
        let owner = |_| Owner::User(1000);
        let mut stage = Self {
            machine,
            now,
            events: Vec::new(),
            due: None,
            micros: 0,
            owner,
            lazy: false,
            asked: Vec::new(),
            names,
            hung: None,
            lookups: 0,
            discovery: None,
            discoveries: Vec::new(),
        };
        let greeting = stage.drain();
        (stage, greeting)
    }

    /// With one server that has answered the greeting.
    fn settled() -> Self {
        Self::settled_with(1, b"SENT\0long-headers\0")
    }

    fn settled_with(servers: u8, answer: &[u8]) -> Self {
        let (mut stage, greeting) = Self::with(servers, |_| ());
        assert_eq!(stage.answer(&greeting[0], Kind::ServAck, answer), []);
        assert!(!stage.machine.is_looking());
        stage.events.clear();
        stage
    }

    fn packet(&mut self, notice: Notice<'_>) -> Bytes {
        self.micros += 1;
        let uid = Uid { address: Ipv4Addr::new(10, 77, 0, 8), seconds: 1_800_000_000, micros: self.micros };
        let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zabc", checksum: b"Zsum" };
        Notice { uid, multiuid: uid, ..notice }.write(&claim, Limits::WHOLE_PACKET).unwrap()
    }

    fn give(&mut self, from: SocketAddr, octets: &[u8]) -> Vec<Sent> {
        self.machine.handle(self.now, Input::Datagram { from, local: None, octets });
        self.drain()
    }

    fn send(&mut self, from: SocketAddr, notice: Notice<'_>) -> Vec<Sent> {
        let octets = self.packet(notice);
        self.give(from, &octets)
    }

    /// A discovery ends.
    fn discovered(&mut self, found: Result<Discovered, NotFound>) -> Vec<Sent> {
        self.machine.handle(self.now, Input::Done(Done::Discovered(found)));
        self.drain()
    }

    fn command(&mut self, command: Command) -> Vec<Sent> {
        self.machine.handle(self.now, Input::Command(command));
        self.drain()
    }

    /// The server that got a packet answers it.
    fn answer(&mut self, sent: &Sent, kind: Kind, body: &[u8]) -> Vec<Sent> {
        let answer = Notice { kind, multinotice: b"", body, ..sent.notice() };
        let octets = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        self.give(sent.to, &octets)
    }

    fn wait(&mut self, seconds: u64) -> Vec<(u64, Sent)> {
        let start = self.now.monotonic;
        let end = start + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        while let Some(due) = self.due.filter(|due| *due <= end) {
            assert!(due >= self.now.monotonic);
            self.now.monotonic = due;
            self.machine.handle(self.now, Input::Timeout);
            sent.extend(self.drain().into_iter().map(|packet| ((due - start).as_secs(), packet)));
        }
        self.now.monotonic = end;
        sent
    }

    /// Waits until something is sent; how long that took, and what it is.
    fn next(&mut self) -> (Duration, Vec<Sent>) {
        let start = self.now.monotonic;
        for _ in 0..1000 {
            let Some(due) = self.due else { break };
            self.now.monotonic = due;
            self.machine.handle(self.now, Input::Timeout);
            let sent = self.drain();
            if !sent.is_empty() {
                return (due - start, sent);
            }
        }
        panic!("nothing is sent")
    }

    /// The next so many times that something is sent: how long each took, and what it is.
    fn rounds(&mut self, count: usize) -> (Vec<Duration>, Vec<Vec<String>>) {
        let rounds = (0..count).map(|_| self.next());
        rounds.map(|(wait, sent)| (wait, sent.iter().map(Sent::told).collect())).unzip()
    }

    /// The same, as text.
    fn told(&mut self, seconds: u64) -> Vec<String> {
        self.wait(seconds).iter().map(|(second, packet)| format!("{second} {}", packet.told())).collect()
    }

    fn statistics(&mut self) -> Vec<String> {
        let request = Notice { kind: Kind::Stat, ..notice("HM_STAT", "GIMMESTATS") };
        let sent = self.send(OTHER, request);
        let answer = sent[0].notice();
        assert_eq!((sent[0].to, answer.kind, answer.class), (OTHER, Kind::HmAck, &b"HM_STAT"[..]));
        let lines = answer.body.strip_suffix(b"\0").unwrap().split(|&octet| octet == 0);
        lines.map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    /// Does what the machine wants.
    fn drain(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            match self.machine.poll(self.now) {
                Output::Transmit(Transmit { to, payload, .. }) => sent.push(Sent { to, octets: payload }),
                Output::Job(Job::Owner(query)) if self.lazy => self.asked.push(query),
                Output::Job(Job::Owner(query)) => {
                    let owner = (self.owner)(query.program.port());
                    self.machine.handle(self.now, Input::Done(Done::Owner(query.answer(owner))));
                }
                Output::Job(Job::Lookup(lookup)) => {
                    self.lookups += 1;
                    match (self.names)(&lookup.host) {
                        Some(found) => self.machine.handle(self.now, Input::Done(Done::Lookup(lookup.answer(found)))),
                        None => assert_eq!(self.hung.replace(lookup), None, "one at a time"),
                    }
                }
                Output::Job(Job::Discover) => {
                    self.discoveries.push(self.now.monotonic);
                    if let Some(found) = self.discovery.clone() {
                        self.machine.handle(self.now, Input::Done(Done::Discovered(found)));
                    }
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => {
                    self.due = until;
                    return sent;
                }
            }
        }
    }
}

/// Waits are a fifth shorter or longer than the schedule says, at most, and not all of them are as it says.
fn assert_about(waits: &[Duration], schedule: &[u64]) {
    assert_eq!(waits.len(), schedule.len(), "{waits:?}");
    for (wait, &seconds) in waits.iter().zip(schedule) {
        let middle = Duration::from_secs(seconds);
        assert!(*wait >= middle * 4 / 5 && *wait <= middle * 6 / 5, "{waits:?} for {schedule:?}");
    }
    let exact = schedule.iter().map(|&seconds| Duration::from_secs(seconds));
    assert!(!waits.iter().copied().eq(exact), "all hosts at the same moment: {waits:?}");
}

fn program(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000 + number))
}

fn told(sent: &[Sent]) -> Vec<String> {
    sent.iter().map(Sent::told).collect()
}

fn notice<'a>(class: &'a str, opcode: &'a str) -> Notice<'a> {
    Notice {
        kind: Kind::Acked,
        port: 40_000,
        class: class.as_bytes(),
        instance: b"i",
        opcode: opcode.as_bytes(),
        sender: b"alice@ATHENA.TEST",
        multinotice: b"0/6",
        body: b"hello\0",
        ..Notice::EMPTY
    }
}

#[test]
fn the_greeting_is_as_c_servers_know_it() {
    let (_, greeting) = Stage::with(1, |_| ());
    assert_eq!(greeting.len(), 1);
    let boot = greeting[0].notice();
    assert_eq!((greeting[0].to, boot.kind, boot.port), (server(1), Kind::HmCtl, 2104));
    assert_eq!((boot.class, boot.instance, boot.opcode), (&b"ZEPHYR_CTL"[..], &b"HM"[..], &b"BOOT"[..]));
    assert_eq!(
        (boot.sender, boot.recipient, boot.multinotice, boot.body),
        (&b"HM"[..], &b""[..], &b"0/0"[..], &b""[..])
    );
    let (_, greeting) = Stage::with(1, |config| config.attach = true);
    assert_eq!(greeting[0].notice().opcode, b"ATTACH");
}

#[test]
fn an_unanswered_greeting_is_repeated_ever_slower() {
    let (mut stage, _) = Stage::with(1, |_| ());
    let (waits, sent) = stage.rounds(5);
    assert_about(&waits, &[5, 10, 20, 40, 40]);
    assert_eq!(sent, vec![["10.77.0.1:2103 DETACH", "10.77.0.1:2103 BOOT"]; 5]);
    assert_eq!(stage.statistics()[6], "yes (waiting for an answer of s1.zlab.example (10.77.0.1:2103))");

    let (mut stage, _) = Stage::with(2, |_| ());
    assert_about(&stage.rounds(5).0, &[5, 5, 10, 10, 20]);
}

#[test]
fn s144_acknowledged_and_forwarded_as_it_is() {
    let mut stage = Stage::settled();
    let octets = stage.packet(notice("message", ""));
    let sent = stage.give(CLIENT, &octets);
    assert_eq!(sent.len(), 2);
    let ack = Packet::parse(&sent[0].octets).unwrap();
    assert_eq!(
        (sent[0].to, ack.notice.kind, ack.notice.body, ack.notice.multinotice),
        (CLIENT, Kind::HmAck, &b""[..], &b""[..])
    );
    assert_eq!((ack.claim.authenticator, ack.claim.checksum), (&b"Zabc"[..], &b"0x00000000"[..]));
    assert_eq!(sent[1], Sent { to: server(1), octets });
    let answer = stage.answer(&sent[1], Kind::ServNak, b"LOST\0");
    assert_eq!((answer.len(), answer[0].to, answer[0].notice().kind), (1, CLIENT, Kind::ServNak));
    assert_eq!((answer[0].notice().body, answer[0].notice().uid), (&b"LOST\0"[..], ack.notice.uid));
    assert_eq!(stage.wait(1000), [], "nothing is left");
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0"), []);
    assert_eq!(stage.events, [Event::Log(LogEvent::NotInQueue { from: server(1) })]);
}

/// The server's coming and going are told as what they are, for those who do not read logs.
#[test]
fn changes_of_the_server_are_told() {
    let (mut stage, greeting) = Stage::with(2, |_| ());
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "NEWSERV") });
    let (one, two) = ("s1.zlab.example", "s2.zlab.example");
    let changes = [ServerChange::Found { name: one.into() }, ServerChange::Lost { old: one.into(), new: two.into() }];
    assert_eq!(
        changes.each_ref().map(ToString::to_string),
        [format!("Server {one} answers"), format!("Server {one} went down, finding new server: asking {two}")]
    );
    stage.events.retain(|event| matches!(event, Event::Server(_)));
    assert_eq!(stage.events, changes.map(Event::Server));
}

#[test]
fn what_is_no_notice_is_told_and_not_counted() {
    let mut stage = Stage::settled();
    for (octets, why) in [
        (&b"SMTP0.2\0"[..], "not a packet of protocol version ZEPH0"),
        (b"ZEPH\0", "no protocol version"),
        (b"", "not a packet of protocol version ZEPH0"),
    ] {
        assert_eq!(stage.give(CLIENT, octets), []);
        let Some(Event::Log(event)) = stage.events.pop() else { panic!("nothing told") };
        assert_eq!(event.to_string(), format!("bad notice parse (127.0.0.1:40000): {why}"));
    }
    assert_eq!(stage.statistics()[2], "0");
}

/// What is longer is cut off, as a driver does it, too.
#[test]
fn octets_beyond_a_packet_are_not_looked_at() {
    let mut stage = Stage::settled();
    let mut octets = stage.packet(Notice { multinotice: b"", ..notice("message", "") }).to_vec();
    octets.resize(1030, b'x');
    let sent = stage.give(CLIENT, &octets);
    assert_eq!(sent[1].octets, octets[..1024]);
}

#[test]
fn what_cannot_be_sent_yet_is_the_next_to_be_sent() {
    let mut stage = Stage::settled();
    let octets = stage.packet(notice("message", ""));
    stage.machine.handle(stage.now, Input::Datagram { from: CLIENT, local: None, octets: &octets });
    let Output::Job(Job::Owner(query)) = stage.machine.poll(stage.now) else { panic!("nothing asked") };
    stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(Owner::Unknown))));
    let Output::Transmit(first) = stage.machine.poll(stage.now) else { panic!("nothing to send") };
    stage.machine.put_back(first.clone());
    let sent = stage.drain();
    assert_eq!((sent[0].to, &sent[0].octets), (first.to, &first.payload));
    assert_eq!(sent[1], Sent { to: server(1), octets });
}

#[test]
fn headers_as_long_as_a_packet_are_acknowledged() {
    let mut stage = Stage::settled();
    let class = "c".repeat(750);
    let sent = stage.send(CLIENT, notice(&class, ""));
    assert!(Packet::parse(&sent[0].octets).unwrap().header_len() > 900);
    assert_eq!(sent[0].notice().class.len(), 750);
}

/// Otherwise whoever has a large ticket could not even queue a message while the server is away.
#[test]
fn what_a_server_takes_is_remembered_while_it_is_away() {
    let mut stage = Stage::settled();
    let shutdown = Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") };
    let sent = stage.send(server(1), shutdown);
    assert!(stage.machine.is_looking() && stage.machine.server_takes_long_headers());
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert!(!stage.machine.server_takes_long_headers(), "it came back as a C server");

    let mut stage = Stage::settled_with(2, b"SENT\0long-headers\0");
    let newserv = Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "NEWSERV") };
    let sent = stage.send(CLIENT, newserv);
    assert!(!stage.machine.server_takes_long_headers(), "of the other one nothing is known");
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    stage.wait(5);
    stage.send(CLIENT, newserv);
    assert!(stage.machine.server_takes_long_headers());
}

#[test]
fn the_source_port_stands_in_for_a_missing_port() {
    let mut stage = Stage::settled();
    let sent = stage.send(CLIENT, Notice { port: 0, ..notice("message", "") });
    assert_eq!((sent[0].notice().port, sent[1].notice().port), (40_000, 0));
}

#[test]
fn s145_s146_who_does_not_want_answers_gets_none() {
    let mut stage = Stage::settled();
    for (kind, hmacks) in [(Kind::Unacked, 1), (Kind::Unsafe, 0)] {
        let sent = stage.send(OTHER, Notice { kind, ..notice("message", "") });
        assert_eq!(sent.len(), hmacks + 1);
        assert_eq!(stage.machine.queued(), 1);
        assert_eq!(stage.answer(sent.last().unwrap(), Kind::ServAck, b"SENT\0"), []);
        assert_eq!(stage.machine.queued(), 0);
    }
}

#[test]
fn s147_flush_and_a_new_beginning() {
    let mut stage = Stage::settled();
    let flush = stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "FLUSH") });
    assert_eq!(flush.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 FLUSH"]);
    let sent = stage.send(CLIENT, notice("ZEPHYR_CTL", "SUBSCRIBE"));
    assert_eq!(sent.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 BOOT", "127.0.0.1:40000 SUBSCRIBE"]);
    let sent = stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!(
        sent.iter().map(Sent::told).collect::<Vec<_>>(),
        ["10.77.0.1:2103 SUBSCRIBE"],
        "only after the server has begun anew"
    );

    let (mut stage, greeting) = Stage::with(1, |config| config.refuse_flush = true);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "FLUSH") }), []);
    assert_eq!(stage.events.last(), Some(&Event::Log(LogEvent::FlushRefused)));
}

#[test]
fn hangup_flushes() {
    let mut stage = Stage::settled();
    assert_eq!(told(&stage.command(Command::Flush)), ["10.77.0.1:2103 FLUSH"]);
}

#[test]
fn s148_another_server_on_request() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let sent = stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "NEWSERV") });
    assert_eq!(sent.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"]);
    assert_eq!((stage.statistics()[0].as_str(), stage.statistics()[4].as_str()), ("s2.zlab.example", "1"));
}

#[test]
fn s149_s151_s152_s153_what_is_not_understood_is_dropped() {
    let mut stage = Stage::settled();
    assert_eq!(stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "other") }), []);
    assert_eq!(stage.events.pop(), Some(Event::Log(LogEvent::BadRequest { opcode: b"other"[..].into() })));
    for kind in [Kind::HmAck, Kind::ClientAck, Kind::Other(77)] {
        assert_eq!(stage.send(CLIENT, Notice { kind, ..notice("message", "") }), []);
        assert_eq!(stage.events.pop(), Some(Event::Log(LogEvent::UnknownKind { kind, from: CLIENT })));
    }
    let far = SocketAddr::from(([10, 77, 0, 50], 2103));
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        assert_eq!(stage.send(far, Notice { kind, ..notice("message", "") }), []);
        let asked = Ipv4Addr::LOCALHOST.into();
        assert_eq!(stage.events.pop(), Some(Event::Log(LogEvent::NotFromHere { from: far, asked })));
    }
    let nearly = SocketAddr::from(([10, 77, 0, 1], 2104));
    for from in [far, nearly, CLIENT] {
        for kind in [Kind::ServAck, Kind::ServNak] {
            assert_eq!(stage.send(from, Notice { kind, ..notice("message", "") }), []);
            assert_eq!(stage.events.pop(), Some(Event::Log(LogEvent::NotTheServer { from })));
        }
    }
    assert_eq!(stage.send(far, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "SHUTDOWN") }), []);
    assert_eq!(stage.statistics()[4], "0");
}

#[test]
fn s150_statistics() {
    let mut stage = Stage::settled();
    stage.send(CLIENT, notice("message", ""));
    stage.wait(1);
    let lines = stage.statistics();
    let version = concat!(env!("CARGO_PKG_VERSION"), " (5) zephyr-rs long-headers");
    assert_eq!(lines[..9], ["s1.zlab.example", "1", "1", "1", "0", version, "no", "1", "0"]);
    assert_eq!(lines[9..], ["x".repeat(31)]);
    let mut plain = Stage::settled_with(1, b"SENT\0");
    assert_eq!(plain.statistics()[5], concat!(env!("CARGO_PKG_VERSION"), " (5) zephyr-rs"), "a C server");
}

#[test]
fn s154_a_server_that_goes() {
    let mut stage = Stage::settled();
    let shutdown = Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") };
    let sent = stage.send(server(1), shutdown);
    assert_eq!(sent.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 DETACH", "10.77.0.1:2103 ATTACH"]);

    let mut stage = Stage::settled_with(4, b"SENT\0");
    let sent = stage.send(server(1), Notice { body: b"10.77.0.3\0", multinotice: b"0/10", ..shutdown });
    assert_eq!(sent[1].told(), "10.77.0.3:2103 ATTACH", "the one that it names");
}

#[test]
fn an_order_that_is_none_ends_no_greeting() {
    let (mut stage, _) = Stage::with(1, |_| ());
    let sent = stage.send(server(1), Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "other") });
    assert_eq!(sent, []);
    assert!(stage.machine.is_looking());
    let (_, again) = stage.next();
    stage.answer(again.last().unwrap(), Kind::ServAck, b"SENT\0");
    assert!(!stage.machine.is_looking(), "it was asked again");
}

#[test]
fn s155_ping() {
    let mut stage = Stage::settled();
    let sent = stage.send(server(1), Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "PING") });
    assert_eq!((sent[0].to, sent[0].notice().kind, sent[0].notice().opcode), (server(1), Kind::HmAck, &b"PING"[..]));
}

#[test]
fn resends_until_the_server_is_taken_for_dead() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let octets = stage.packet(notice("message", "x"));
    stage.give(CLIENT, &octets);
    let sent = stage.wait(20);
    let resent: Vec<u64> =
        sent.iter().filter(|(_, packet)| packet.octets == octets).map(|&(second, _)| second).collect();
    assert_eq!(resent, [2, 4, 8, 12]);
    let told: Vec<String> = sent[4..].iter().map(|(second, packet)| format!("{second} {}", packet.told())).collect();
    let asked = [12, 14, 16, 18].map(|second| format!("{second} 10.77.0.1:2103 ATTACH"));
    assert_eq!(told[..4], asked, "a live server would have answered one of these");
    assert_eq!(told[4..], ["20 10.77.0.1:2103 DETACH", "20 10.77.0.2:2103 ATTACH"]);
    let sent = stage.answer(&sent[9].1, Kind::ServAck, b"SENT\0");
    assert_eq!(sent, [Sent { to: server(2), octets }]);
    assert_eq!(stage.told(3), ["2 10.77.0.2:2103 x"]);
}

#[test]
fn a_new_server_gets_the_oldest_first() {
    let (mut stage, greeting) = Stage::with(1, |_| ());
    for opcode in ["one", "two", "three"] {
        let sent = stage.send(CLIENT, notice("message", opcode));
        assert_eq!((sent.len(), sent[0].to), (1, CLIENT), "acknowledged, kept, not sent");
    }
    let sent = stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    let opcodes: Vec<&[u8]> = sent.iter().map(|packet| packet.notice().opcode).collect();
    assert_eq!(opcodes, [&b"one"[..], b"two", b"three"]);
}

/// A server that answers greetings is there, whatever else it leaves unanswered.
#[test]
fn an_unanswerable_packet_does_not_drive_the_host_from_server_to_server() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.send(CLIENT, notice("zephyr_admin", "STATUS"));
    let mut greetings = 0;
    for _ in 0..400 {
        for (_, packet) in stage.wait(1) {
            if packet.notice().opcode == b"ATTACH" {
                greetings += 1;
                stage.answer(&packet, Kind::ServAck, b"SENT\0");
            }
        }
    }
    assert_eq!(stage.statistics()[4], "0");
    assert!((1..20).contains(&greetings), "asked whether it is there, but not often: {greetings}");
    assert_eq!(stage.machine.queued(), 0, "and then it is dropped");
    assert!(
        stage.events.contains(&Event::Log(LogEvent::Expired {
            class: b"zephyr_admin"[..].into(),
            opcode: b"STATUS"[..].into()
        }))
    );
}

/// Nor is it for greetings that are lost on their way.
#[test]
fn a_server_that_answers_one_greeting_of_four_is_there() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.send(CLIENT, notice("zephyr_admin", "STATUS"));
    let mut greetings = 0;
    for _ in 0..400 {
        for (_, packet) in stage.wait(1) {
            greetings += u32::from(packet.notice().opcode == b"ATTACH");
            if packet.notice().opcode == b"ATTACH" && greetings.is_multiple_of(4) {
                stage.answer(&packet, Kind::ServAck, b"SENT\0");
            }
        }
    }
    assert!(greetings >= 12, "{greetings}");
    assert_eq!(stage.statistics()[4], "0");
}

/// Whatever else waits, and since when.
#[test]
fn a_dead_server_is_left_within_25_seconds_of_a_packet() {
    for dies_at in 0..120 {
        let mut stage = Stage::settled_with(2, b"SENT\0");
        stage.send(CLIENT, notice("zephyr_admin", "STATUS"));
        for _ in 0..dies_at {
            for (_, packet) in stage.wait(1) {
                if packet.notice().opcode == b"ATTACH" {
                    stage.answer(&packet, Kind::ServAck, b"SENT\0");
                }
            }
        }
        assert_eq!(stage.machine.server_address(), Some(server(1)), "{dies_at}");
        let octets = stage.packet(notice("message", ""));
        stage.give(CLIENT, &octets);
        let start = stage.now.monotonic;
        let greeting = loop {
            if let Some(packet) = stage.next().1.into_iter().find(|packet| packet.to == server(2)) {
                break packet;
            }
        };
        let sent = stage.answer(&greeting, Kind::ServAck, b"SENT\0");
        assert!(sent.contains(&Sent { to: server(2), octets }), "died at {dies_at}");
        let passed = stage.now.monotonic - start;
        assert!(passed <= Duration::from_secs(20), "died at {dies_at}, left after {passed:?}");
    }
}

#[test]
fn a_host_manager_that_is_idle_wants_nothing() {
    let mut stage = Stage::settled_with(3, b"SENT\0");
    let sent = stage.send(CLIENT, notice("message", ""));
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.due, None);
}

/// Whatever its programs and its jobs do.
#[test]
fn what_is_kept_has_a_bound() {
    let mut stage = Stage::settled_with(1, b"SENT\0");
    let body = "x".repeat(700);
    for number in 0..30_000_u16 {
        stage.lazy = number >= 20_000;
        let notice = Notice { body: body.as_bytes(), multinotice: b"0/700", ..notice("message", "") };
        stage.send(program(number % 20_000), notice);
    }
    let octets = stage.machine.octets();
    assert!(octets > (MAX_QUEUED_PACKETS + 1024) * 700 && octets < (MAX_QUEUED_PACKETS + 1024) * 1024, "{octets}");
}

#[test]
fn a_server_that_dies_after_an_answer_is_given_up_like_any_other() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let first = stage.send(CLIENT, notice("message", "one"));
    stage.send(CLIENT, notice("message", "two"));
    stage.wait(1);
    stage.answer(&first[1], Kind::ServAck, b"SENT\0");
    let sent = stage.wait(19);
    assert_eq!(
        sent.last().map(|(second, packet)| (*second, packet.told())),
        Some((19, "10.77.0.2:2103 ATTACH".into()))
    );
}

#[test]
fn a_server_is_given_up_for_a_packet_that_another_was_given_up_for() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.send(CLIENT, notice("message", "x"));
    let attach = stage.wait(20).pop().unwrap().1;
    assert_eq!(attach.told(), "10.77.0.2:2103 ATTACH");
    stage.answer(&attach, Kind::ServAck, b"SENT\0");
    assert_eq!(stage.told(20).pop().unwrap(), "20 10.77.0.1:2103 ATTACH");
}

/// Many packets at once ask once whether the server is there, and none gives it up before it had time to answer.
#[test]
fn a_server_has_time_to_say_that_it_is_there() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let mut unanswered = Vec::new();
    for _ in 0..30 {
        for opcode in ["one", "two", "three"] {
            stage.send(CLIENT, notice("ignored", opcode));
        }
        let asked: Vec<Sent> =
            stage.wait(2).into_iter().map(|(_, packet)| packet).filter(|p| p.notice().opcode == b"ATTACH").collect();
        assert!(asked.len() <= 1);
        for greeting in std::mem::replace(&mut unanswered, asked) {
            stage.answer(&greeting, Kind::ServAck, b"SENT\0");
        }
    }
    assert_eq!(stage.statistics()[4], "0");
}

/// Each change of server keeps the host's notices back for a moment, each flush ends its subscriptions.
#[test]
fn programs_may_not_order_changes_of_server_all_the_time() {
    let mut stage = Stage::settled();
    let mut answered = 0;
    for round in 0..100_u32 {
        let order = if round % 3 == 0 { "FLUSH" } else { "NEWSERV" };
        let sent = stage.send(OTHER, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", order) });
        for greeting in sent.iter().filter(|packet| matches!(packet.notice().opcode, b"ATTACH" | b"BOOT")) {
            stage.answer(greeting, Kind::ServAck, b"SENT\0");
        }
        let sent = stage.send(CLIENT, notice("message", ""));
        answered += usize::from(
            sent.last().is_some_and(|packet| packet.notice().class == b"message" && packet.to == server(1)),
        );
        for packet in sent.iter().filter(|packet| packet.to == server(1)) {
            for sent in stage.answer(packet, Kind::ServAck, b"SENT\0").iter().filter(|sent| sent.to == server(1)) {
                stage.answer(sent, Kind::ServAck, b"SENT\0");
            }
        }
        stage.now.monotonic += Duration::from_millis(100);
    }
    assert!(answered >= 98, "{answered}");
    assert!(stage.events.contains(&Event::Log(LogEvent::TooManyRequests { opcode: b"NEWSERV"[..].into() })));
    let changes: usize = stage.statistics()[4].parse().unwrap();
    assert!(changes <= 2, "{changes}");
}

#[test]
fn a_server_that_answers_others_is_not_given_up() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.send(CLIENT, notice("zephyr_admin", "STATUS"));
    for _ in 0..80 {
        stage.wait(5);
        let sent = stage.send(CLIENT, notice("message", "x"));
        assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0").len(), 1);
    }
    assert_eq!((stage.statistics()[4].as_str(), stage.machine.queued()), ("0", 0));
}

#[test]
fn a_users_notice_with_a_greetings_opcode_is_answered() {
    let mut stage = Stage::settled();
    for (class, opcode) in [("message", "BOOT"), ("ZEPHYR_CTL", "ATTACH")] {
        let sent = stage.send(CLIENT, Notice { instance: b"HM", ..notice(class, opcode) });
        let answer = stage.answer(&sent[1], Kind::ServNak, b"LOST\0");
        assert_eq!((answer.len(), answer[0].to), (1, CLIENT));
    }
}

#[test]
fn the_same_packet_again_is_forwarded_and_kept_once() {
    let mut stage = Stage::settled();
    let octets = stage.packet(notice("message", ""));
    stage.give(CLIENT, &octets);
    assert_eq!(stage.give(CLIENT, &octets).len(), 2);
    assert_eq!(stage.machine.queued(), 1);
}

/// Nobody has more than the newcomer, so nobody gives anything up for it.
#[test]
fn a_full_queue_is_said_so_by_silence() {
    let (mut stage, _) = Stage::with(1, |_| ());
    for number in (0..4).cycle().take(MAX_QUEUED_PACKETS) {
        assert_eq!(stage.send(program(number), notice("message", "")).len(), 1);
    }
    assert_eq!(stage.send(program(2), notice("message", "")), []);
    assert_eq!(stage.events.last(), Some(&Event::Log(LogEvent::QueueFull { from: program(2) })));
    stage.wait(301);
    assert_eq!(stage.machine.queued(), 0, "what waits too long is dropped");
    assert_eq!(stage.send(program(0), notice("message", "")).len(), 1);
}

#[test]
fn one_program_does_not_fill_the_queue() {
    let (mut stage, greeting) = Stage::with(1, |_| ());
    let sent = MAX_QUEUED_PACKETS + 1000;
    let taken = (0..sent).filter(|_| !stage.send(CLIENT, notice("message", "")).is_empty()).count();
    assert_eq!(taken, MAX_QUEUED_PACKETS);
    assert_eq!(stage.events.last(), Some(&Event::Log(LogEvent::QueueFull { from: CLIENT })));
    assert_eq!(stage.send(OTHER, notice("message", "")).len(), 1, "another, even of the same user, has room");
    assert_eq!(stage.send(CLIENT, notice("message", "")), [], "and does not lose it again");
    for packet in stage.answer(&greeting[0], Kind::ServAck, b"SENT\0") {
        stage.answer(&packet, Kind::ServAck, b"SENT\0");
    }
    assert_eq!(stage.send(CLIENT, notice("message", "")).len(), 2, "what is answered makes room");
}

/// Packets that a server does not answer, of which anybody can make any number, must not keep others' out.
#[test]
fn what_a_server_leaves_unanswered_makes_room() {
    let mut stage = Stage::settled();
    let mut answered = None;
    for number in (0..4).cycle().take(MAX_QUEUED_PACKETS) {
        let sent = stage.send(program(number), notice("message", "ignored"));
        assert_eq!(sent.len(), 2);
        answered = sent.into_iter().next_back();
    }
    assert_eq!(stage.send(CLIENT, notice("message", "")), [], "the server may still answer all of them");
    stage.wait(1);
    stage.answer(&answered.unwrap(), Kind::ServAck, b"SENT\0");
    assert_eq!(stage.send(program(0), notice("message", "")).len(), 2, "in its place");
    let sent = stage.send(CLIENT, notice("message", "wanted"));
    assert_eq!((sent.len(), stage.machine.queued()), (2, MAX_QUEUED_PACKETS));
    assert!(
        matches!(stage.events.last(), Some(Event::Log(LogEvent::Expired { opcode, .. })) if **opcode == *b"ignored")
    );
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0").len(), 1);
}

#[test]
fn a_server_on_this_host_is_told_from_programs_by_its_port() {
    let local = SocketAddr::from(([127, 0, 0, 1], 2203));
    let (mut stage, greeting) = Stage::with(1, |config| {
        config.servers = Servers::new(vec![Server::at("localhost", local)], 0).unwrap();
    });
    assert_eq!(greeting[0].to, local);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    let sent = stage.send(CLIENT, notice("message", ""));
    assert_eq!((sent[0].to, sent[1].to), (CLIENT, local));
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0")[0].to, CLIENT);
}
