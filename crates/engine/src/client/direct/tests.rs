//! Tests of a client without a host manager: a scripted clock, and servers that answer when a test lets them.

use super::*;
use crate::{
    client::{
        DirectServer, Message, Operation, OperationId, Outcome, Receipt, Setup, Subscription, SubscriptionRequest,
        Trust,
        doubles::{Credentials, acknowledging, at},
    },
    host_manager::{Candidate, Discovered, Located, Lookup, NotFound},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};
use zephyr_core::{
    auth::Initiator as _,
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};

const HM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2104);
const PORT: u16 = 4321;
const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, number], 2103))
}

/// What is at the host manager's port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Closed,
    Silent,
    /// A host manager with server 1, which takes everything and gets no answers.
    Open,
}

/// A connection on a network with servers of which some answer.
struct Stage {
    connection: Connection,
    credentials: Credentials,
    now: Now,
    port: Port,
    /// The servers that are named, or why there are none.
    named: Result<Vec<u8>, NotFound>,
    /// The servers that answer.
    alive: BTreeSet<u8>,
    /// What came to each server, and to the host manager.
    received: BTreeMap<SocketAddr, Vec<Bytes>>,
    events: Vec<Event>,
    discoveries: usize,
    last_id: u64,
    /// Whether names have no addresses.
    is_nameless: bool,
    /// Whose socket answers as the host manager.
    host_manager_owner: Trust,
}

impl Stage {
    fn new(direct: Direct, port: Port) -> Self {
        let settings = Settings { direct, ..Settings::default() };
        let config = Config { host_manager: HM, port: PORT, address: HERE, settings };
        Self {
            connection: Connection::new(config, at(0)),
            credentials: Credentials::with(7),
            now: at(0),
            port,
            named: Ok(vec![1]),
            alive: BTreeSet::from([1]),
            received: BTreeMap::new(),
            events: Vec::new(),
            discoveries: 0,
            last_id: 0,
            is_nameless: false,
            host_manager_owner: Trust::Trusted,
        }
    }

    /// A stage on which a client speaks to server 1 directly.
    fn direct() -> Self {
        let mut stage = Self::new(Direct::Fallback, Port::Closed);
        stage.run(1);
        assert!(stage.connection.is_ready());
        stage
    }

    /// A stage on which a client uses a host manager.
    fn with_host_manager() -> Self {
        let mut stage = Self::new(Direct::Fallback, Port::Open);
        stage.run(1);
        assert!(stage.connection.is_ready() && stage.connection.endpoint().server.is_none());
        stage
    }

    /// Lets this many seconds pass.
    fn run(&mut self, seconds: u64) {
        let end = self.now.monotonic + Duration::from_secs(seconds);
        loop {
            let until = self.drive();
            let Some(next) = until.filter(|next| *next <= end) else { break };
            self.pass_to(next.max(self.now.monotonic));
            self.connection.handle(self.now, Input::Timeout);
        }
        self.pass_to(end);
    }

    fn pass_to(&mut self, monotonic: Duration) {
        let passed = monotonic - self.now.monotonic;
        self.now = Now { monotonic, wall: self.now.wall + passed };
    }

    fn drive(&mut self) -> Option<Duration> {
        loop {
            match self.connection.poll(self.now) {
                Output::Transmit(transmit) => self.deliver(transmit),
                Output::Job(job) => {
                    let done = self.work(job);
                    self.connection.handle(self.now, Input::Done(done));
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(until) => return until,
            }
        }
    }

    fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Setup { server } => {
                assert!(server.starts_with("zsrv"), "{server}");
                let (realm, sender) = ("TEST".to_owned(), b"alice@TEST".to_vec());
                Done::Setup(Ok(Setup { realm, sender, address: HERE, policy: Policy::KERBEROS }))
            }
            Job::Session { realm } => Done::Session(self.credentials.session(&realm)),
            Job::Principal => Done::Principal(self.credentials.principal()),
            Job::Address => Done::Address(HERE),
            Job::Discover => {
                self.discoveries += 1;
                let candidate = |&number: &u8| Candidate {
                    host: format!("zsrv{number}").into(),
                    port: 2103,
                    priority: u16::from(number),
                    weight: 1,
                };
                let candidates = self.named.clone().map(|named| named.iter().map(candidate).collect());
                Done::Discovered(candidates.map(|candidates| Discovered {
                    candidates,
                    source: "a test".into(),
                    valid_for: None,
                }))
            }
            Job::HostManagerOwner => Done::HostManagerOwner(self.host_manager_owner),
            Job::Lookup(lookup) if self.is_nameless => Done::Lookup(lookup.answer(Err("no such host".into()))),
            Job::Lookup(lookup) => {
                let number = lookup.host.trim_start_matches("zsrv").parse().unwrap();
                Done::Lookup(located(lookup, number))
            }
        }
    }

    /// Hands a packet to whom it goes to, and his answer back.
    fn deliver(&mut self, transmit: Transmit) {
        let Transmit { to, payload, .. } = transmit;
        self.received.entry(to).or_default().push(payload.clone());
        if to == HM {
            return match self.port {
                Port::Closed => self.connection.handle(self.now, Input::Unreachable { to, quoted: &payload }),
                Port::Silent => {}
                Port::Open => self.answer_as_host_manager(&payload),
            };
        }
        // What was acknowledged to strangers goes nowhere.
        let Some(number) = (1..=9).find(|&number| server(number) == to) else { return };
        if self.alive.contains(&number) {
            let packet = Packet::parse(&payload).unwrap();
            if packet.notice.kind == Kind::ClientAck || packet.notice.opcode == names::DETACH {
                return;
            }
            self.answer(to, &payload, Kind::ServAck, b"SENT\0");
        }
    }

    fn answer(&mut self, from: SocketAddr, asked: &[u8], kind: Kind, body: &[u8]) {
        let asked = Packet::parse(asked).unwrap().notice;
        let answer = Notice { kind, body, multinotice: b"", ..asked };
        let answer = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        self.datagram(from, &answer);
    }

    fn answer_as_host_manager(&mut self, asked: &[u8]) {
        let body: &[u8] = match Packet::parse(asked).unwrap().notice.kind {
            Kind::Stat => b"zsrv1\x000\x000\x000\x000\x003.1.2\0no\x00",
            _ => b"",
        };
        self.answer(HM, asked, Kind::HmAck, body);
    }

    fn datagram(&mut self, from: SocketAddr, octets: &[u8]) {
        self.connection.handle(self.now, Input::Datagram { from, local: None, octets });
    }

    fn begin(&mut self, operation: Operation) -> OperationId {
        self.last_id += 1;
        let id = OperationId(self.last_id);
        self.connection.handle(self.now, Input::Command(Command::Begin { id, operation }));
        self.drive();
        id
    }

    fn send(&mut self) -> OperationId {
        self.begin(Operation::Send(Message::to_user("bob").text("hi")))
    }

    fn outcome(&self, wanted: OperationId) -> Option<Result<Outcome, OperationError>> {
        self.events.iter().find_map(|event| match event {
            Event::Finished { id, outcome } if *id == wanted => Some(outcome.clone()),
            _ => None,
        })
    }

    fn is_sent(&self, id: OperationId) -> bool {
        matches!(self.outcome(id), Some(Ok(Outcome::Sent(Receipt { status, .. })))
            if status == crate::client::DeliveryStatus::Sent)
    }

    /// Kind and opcode of what came to an address since this was last asked.
    fn came(&mut self, to: SocketAddr) -> Vec<(Kind, String)> {
        let packets = self.received.remove(&to).unwrap_or_default();
        let shown = |packet: &Bytes| {
            let notice = Packet::parse(packet).unwrap().notice;
            (notice.kind, String::from_utf8_lossy(notice.opcode).into_owned())
        };
        packets.iter().map(shown).collect()
    }

    fn server(&self) -> Option<DirectServer> {
        self.connection.endpoint().server.clone()
    }

    fn failure(&self) -> Option<OperationError> {
        self.events.iter().find_map(|event| match event {
            Event::StartFailed(error) => Some(error.clone()),
            _ => None,
        })
    }
}

fn located(lookup: Lookup, number: u8) -> crate::host_manager::LookupAnswer {
    let name = lookup.host.clone();
    lookup.answer(Ok(Located { name, address: server(number), others: Vec::new(), local: Some(HERE) }))
}

fn attach() -> (Kind, String) {
    (Kind::HmCtl, "ATTACH".to_owned())
}

#[test]
fn without_a_host_manager_a_server_is_spoken_to_within_a_second() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    let early = stage.send();
    stage.run(1);
    assert!(stage.connection.is_ready() && stage.is_sent(early), "{:?}", stage.events);
    let expected = DirectServer { name: "zsrv1".into(), address: Some(server(1)), source: "a test".into() };
    assert_eq!(stage.server(), Some(expected));
    assert_eq!(stage.came(server(1)), [attach(), (Kind::Acked, String::new())]);
    let asked = stage.came(HM);
    assert!(asked.len() == 2 && asked.iter().all(|(kind, _)| *kind == Kind::Stat), "{asked:?}");
    let lines: Vec<String> = stage
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Log(line) => Some(line.to_string()),
            _ => None,
        })
        .collect();
    let said = |text: &str| lines.iter().any(|line| line == text);
    assert!(said("no host manager at 127.0.0.1:2104: speaking to servers directly"), "{lines:?}");
    assert!(said("servers by a test: zsrv1") && said("Server zsrv1 answers"), "{lines:?}");
}

#[test]
fn a_host_manager_that_answers_is_used() {
    let mut stage = Stage::with_host_manager();
    stage.send();
    assert_eq!(stage.came(HM).len(), 2);
    assert_eq!((stage.discoveries, stage.came(server(1)).len()), (0, 0));
}

#[test]
fn a_silent_host_manager_is_waited_for() {
    let mut stage = Stage::new(Direct::Fallback, Port::Silent);
    stage.run(2);
    assert_eq!(stage.discoveries, 0);
    stage.run(2);
    assert!(stage.connection.is_ready() && stage.server().is_some());
}

#[test]
fn who_wants_no_server_directly_gets_none() {
    let mut stage = Stage::new(Direct::Never, Port::Closed);
    stage.run(3);
    assert_eq!((stage.failure(), stage.discoveries), (Some(OperationError::HostManagerSilent), 0));
}

#[test]
fn who_wants_no_host_manager_asks_none() {
    let mut stage = Stage::new(Direct::Always, Port::Open);
    stage.run(200);
    assert!(stage.connection.is_ready() && stage.server().is_some());
    assert!(stage.came(HM).is_empty());
}

#[test]
fn without_host_manager_and_servers_the_error_says_why() {
    for (port, after) in [(Port::Closed, 3), (Port::Silent, 11)] {
        let mut stage = Stage::new(Direct::Fallback, port);
        stage.named = Err(NotFound::NoServer("no source names one".into()));
        let early = stage.send();
        stage.run(after);
        let error = OperationError::NoServer("no source names one".into());
        assert_eq!((stage.failure(), stage.outcome(early)), (Some(error.clone()), Some(Err(error))));
        assert_eq!(stage.discoveries, 1);
    }
}

/// As at log-in, before the network is there.
#[test]
fn sources_that_do_not_answer_are_told_from_those_that_name_nobody() {
    for (port, after) in [(Port::Closed, 3), (Port::Silent, 11)] {
        let mut stage = Stage::new(Direct::Fallback, port);
        stage.named = Err(NotFound::NoAnswer("no answer of DNS".into()));
        stage.run(after);
        let error = OperationError::SourcesSilent("no answer of DNS".into());
        assert!(error.may_pass() && !OperationError::NoServer("none".into()).may_pass());
        assert_eq!(stage.failure(), Some(error));
    }
}

/// It may just be starting: it is asked for as long as one without servers.
#[test]
fn a_host_manager_that_comes_late_is_used_when_no_server_is_known() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.named = Err(NotFound::NoAnswer("no answer of DNS".into()));
    stage.run(1);
    assert_eq!((stage.discoveries, stage.failure()), (1, None));
    stage.port = Port::Open;
    stage.run(1);
    assert!(stage.connection.is_ready() && stage.server().is_none());
    assert_eq!(stage.failure(), None);
}

#[test]
fn a_system_that_sends_nothing_to_the_host_manager_is_as_one_without() {
    let mut stage = Stage::new(Direct::Fallback, Port::Silent);
    stage.drive();
    stage.connection.handle(at(0), Input::Command(Command::CannotSend("Network is unreachable".to_owned())));
    stage.drive();
    assert_eq!(stage.discoveries, 1);

    let mut stage = Stage::with_host_manager();
    stage.port = Port::Silent;
    stage.send();
    for _ in 0..2 {
        let error = Command::CannotSend("Network is unreachable".to_owned());
        stage.connection.handle(stage.now, Input::Command(error));
    }
    stage.drive();
    assert_eq!(stage.discoveries, 1, "nothing is waited for");
}

#[test]
fn what_a_lost_host_manager_has_not_taken_goes_directly() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Closed;
    stage.came(HM);
    let sent = stage.send();
    assert_eq!(stage.outcome(sent), None, "it may be back in a moment");
    stage.run(3);
    assert!(stage.is_sent(sent) && stage.server().is_some());
    assert_eq!(stage.came(server(1)), [attach(), (Kind::Acked, String::new())]);
}

#[test]
fn a_host_manager_that_is_started_again_stays_the_way() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Closed;
    let sent = stage.send();
    stage.run(1);
    stage.port = Port::Open;
    stage.came(HM);
    stage.run(1);
    assert!(stage.came(HM).contains(&(Kind::Acked, String::new())), "what it has refused is sent again");
    assert_eq!((stage.outcome(sent), stage.discoveries), (None, 0));
}

#[test]
fn a_running_client_without_any_way_fails_its_operations() {
    let mut stage = Stage::with_host_manager();
    (stage.port, stage.named) = (Port::Closed, Err(NotFound::NoServer("none".into())));
    let error = Some(Err(OperationError::NoServer("none".into())));
    for _ in 0..2 {
        let sent = stage.send();
        stage.run(3);
        assert_eq!(stage.outcome(sent), error);
    }
    stage.named = Ok(vec![1]);
    let sent = stage.send();
    stage.run(3);
    assert!(stage.is_sent(sent), "each time anew");
}

#[test]
fn a_silent_host_manager_is_left_after_ten_seconds() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Silent;
    let sent = stage.send();
    stage.run(9);
    assert_eq!(stage.discoveries, 0);
    stage.run(2);
    assert!(stage.is_sent(sent) && stage.server().is_some());
}

#[test]
fn a_host_manager_that_is_back_is_used_again() {
    let mut stage = Stage::direct();
    stage.came(HM);
    stage.run(200);
    assert_eq!(stage.came(HM).len(), 3, "asked once a minute");
    stage.port = Port::Open;
    stage.run(60);
    assert_eq!(stage.server(), None);
    let back = |event: &Event| matches!(event, Event::Log(LogEvent::WithHostManager { .. }));
    assert!(stage.events.iter().any(back));
    assert!(matches!(stage.events.iter().rfind(|event| matches!(event, Event::Endpoint(_))),
        Some(Event::Endpoint(endpoint)) if endpoint.server.is_none()));
    stage.came(server(1));
    stage.came(HM);
    stage.send();
    assert_eq!((stage.came(HM).len(), stage.came(server(1)).len()), (1, 0));
    stage.port = Port::Closed;
    let sent = stage.send();
    stage.run(3);
    assert!(stage.is_sent(sent), "and left again");
}

/// Anybody can open its port while there is none.
#[test]
fn a_strangers_host_manager_is_not_used() {
    let mut stage = Stage { host_manager_owner: Trust::Stranger, ..Stage::direct() };
    stage.port = Port::Open;
    stage.run(130);
    assert!(stage.server().is_some());
    let reports = |event: &&Event| matches!(event, Event::Log(LogEvent::StrangersHostManager { .. }));
    assert_eq!(stage.events.iter().filter(reports).count(), 2, "asked once a minute all the same");
    stage.host_manager_owner = Trust::Trusted;
    stage.run(60);
    assert_eq!(stage.server(), None, "the host manager has come");
}

#[test]
fn a_host_manager_of_other_servers_is_not_used() {
    let mut stage = Stage::direct();
    stage.named = Ok(vec![2]);
    let mut stage =
        Stage { named: Ok(vec![2]), alive: BTreeSet::from([2]), ..Stage::new(Direct::Fallback, Port::Closed) };
    stage.run(1);
    stage.port = Port::Open;
    stage.run(130);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
}

#[test]
fn a_host_manager_waits_until_the_server_has_answered() {
    let mut stage = Stage::direct();
    stage.port = Port::Open;
    stage.run(58);
    stage.alive.clear();
    let sent = stage.send();
    stage.run(3);
    assert!(stage.server().is_some(), "what is under way would be lost");
    stage.alive.insert(1);
    stage.run(10);
    assert!(stage.is_sent(sent) && stage.server().is_none());
}

#[test]
fn another_server_follows_a_dead_one() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    let early = stage.send();
    stage.run(8);
    assert!(stage.is_sent(early), "the first does not answer");
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
    stage.alive = BTreeSet::from([1]);
    let sent = stage.send();
    stage.run(25);
    assert!(stage.is_sent(sent), "{:?}", stage.events);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
}

/// It tells its status each time that it is asked.
#[test]
fn a_better_server_that_answers_again_is_returned_to() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    stage.run(8);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
    stage.alive.insert(1);
    stage.came(server(1));
    for second in 0..120 {
        stage.run(1);
        if stage.came(server(1)).contains(&(Kind::Unsafe, "STATUS".to_owned())) {
            let uid = Uid { address: HERE, seconds: 1, micros: second };
            let status = Notice {
                kind: Kind::Unsafe,
                uid,
                multiuid: uid,
                port: 2103,
                class: names::ZEPHYR_ADMIN,
                opcode: names::STATUS,
                ..Notice::EMPTY
            };
            let status = status.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
            stage.datagram(server(1), &status);
        }
    }
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
    assert!(!stage.events.iter().any(|event| matches!(event, Event::Received(_))), "nobody is shown that");
}

#[test]
fn a_client_starts_also_while_no_server_answers() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.alive.clear();
    stage.run(9);
    assert!(!stage.connection.is_ready());
    stage.run(2);
    assert!(stage.connection.is_ready());
    let message = Message::to_user("bob").answer_timeout(Duration::from_secs(30));
    let sent = stage.begin(Operation::Send(message));
    stage.run(31);
    let error = Err(OperationError::ServerSilent("zsrv1 (10.0.1.1:2103)".into()));
    assert_eq!(stage.outcome(sent), Some(error));
}

#[test]
fn a_server_whose_name_is_unknown_was_not_asked() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.is_nameless = true;
    let message = Message::to_user("bob").answer_timeout(Duration::from_secs(30));
    let sent = stage.begin(Operation::Send(message));
    stage.run(60);
    let error = OperationError::ServerUnknown { name: "zsrv1".into(), reason: "no such host".into() };
    assert_eq!(stage.outcome(sent), Some(Err(error)));
    assert!(stage.came(server(1)).is_empty());
}

/// Whatever happens: others of this host would lose their subscriptions, or their host manager its server.
#[test]
fn nothing_is_said_in_the_name_of_the_host() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    stage.run(8);
    for alive in [1, 2, 1] {
        stage.alive = BTreeSet::from([alive]);
        stage.send();
        stage.run(60);
        let flush = Notice { kind: Kind::HmCtl, class: names::HM_CTL, opcode: names::FLUSH, ..Notice::EMPTY };
        let flush = flush.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
        for from in [server(alive), HM, SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))] {
            stage.datagram(from, &flush);
        }
    }
    let said: BTreeSet<String> = [1, 2]
        .into_iter()
        .flat_map(|number| stage.came(server(number)))
        .filter(|(kind, _)| *kind == Kind::HmCtl)
        .map(|(_, opcode)| opcode)
        .collect();
    assert_eq!(said, BTreeSet::from(["ATTACH".to_owned()]));
}

/// The last message's uid as it was sent, and its packet.
fn last_sent(stage: &Stage) -> (Uid, Bytes) {
    let packet = stage.received[&server(1)].last().unwrap().clone();
    (Packet::parse(&packet).unwrap().notice.uid, packet)
}

#[test]
fn only_the_current_server_answers() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.named = Ok(vec![1, 2]);
    stage.run(1);
    stage.alive.clear();
    let sent = stage.send();
    let (uid, packet) = last_sent(&stage);
    let stranger = SocketAddr::from(([10, 0, 0, 66], 2103));
    let elsewhere = SocketAddr::new(server(1).ip(), 2104);
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    for from in [stranger, elsewhere, server(2), HM, own, SocketAddr::from(([127, 0, 0, 9], 2104))] {
        for kind in [Kind::ServAck, Kind::ServNak] {
            stage.answer(from, &packet, kind, b"SENT\0");
        }
        stage.datagram(from, &acknowledging(Kind::HmAck, uid, b""));
        stage.drive();
        assert_eq!(stage.outcome(sent), None, "{from}");
    }
    let stray = LogEvent::StrayAcknowledgement { from: HM, kind: Kind::HmAck };
    let is_stray = |event: &Event| matches!(event, Event::Log(line) if *line == stray);
    assert!(stage.events.iter().any(is_stray), "nothing of a host manager that is not used");
    stage.answer(server(1), &packet, Kind::ServAck, b"SENT\0");
    stage.drive();
    assert!(stage.is_sent(sent));
}

#[test]
fn only_the_current_server_orders() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([1, 2]));
    stage.run(1);
    let order = |opcode| {
        let notice =
            Notice { kind: Kind::HmCtl, class: names::HM_CTL, instance: names::SERVER, opcode, ..Notice::EMPTY };
        notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap()
    };
    let strangers = [server(2), HM, ([127, 0, 0, 1], 5000).into(), ([10, 0, 0, 66], 2103).into()];
    for from in strangers {
        for opcode in [names::SHUTDOWN, names::NEWSERV] {
            stage.datagram(from, &order(opcode));
            stage.run(1);
        }
    }
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
    stage.datagram(server(1), &order(names::SHUTDOWN));
    stage.run(1);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
}

/// Whoever sends in the server's name does not make the client greet as fast as he sends.
#[test]
fn farewells_make_no_storm() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1]), BTreeSet::from([1]));
    stage.run(1);
    let notice = Notice {
        kind: Kind::HmCtl,
        class: names::HM_CTL,
        instance: names::SERVER,
        opcode: names::SHUTDOWN,
        ..Notice::EMPTY
    };
    let farewell = notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
    let before = stage.received[&server(1)].len();
    for _ in 0..500 {
        stage.datagram(server(1), &farewell);
        stage.drive();
    }
    let greeted = stage.received[&server(1)].len() - before;
    assert!(greeted <= 4, "{greeted}");
}

#[test]
fn subscriptions_are_made_by_the_clients_own_port() {
    let mut stage = Stage::direct();
    stage.came(server(1));
    let list = vec![Subscription::new("message", "*", "me")];
    let id =
        stage.begin(Operation::Subscribe { request: SubscriptionRequest::SubscribeWithoutDefaults, list, port: None });
    stage.drive();
    assert!(matches!(stage.outcome(id), Some(Ok(Outcome::Done { .. }))));
    let packet = stage.received[&server(1)].last().unwrap();
    let notice = Packet::parse(packet).unwrap().notice;
    assert_eq!((notice.port, notice.address), (PORT, HERE.into()));
}

#[test]
fn a_packet_that_is_given_back_is_the_next() {
    let mut stage = Stage::direct();
    stage.connection.handle(
        stage.now,
        Input::Command(Command::Begin { id: OperationId(9), operation: Operation::Send(Message::to_user("bob")) }),
    );
    let mut put_back = None;
    loop {
        match stage.connection.poll(stage.now) {
            Output::Transmit(transmit) if put_back.is_none() => {
                put_back = Some(transmit.clone());
                stage.connection.put_back(transmit);
            }
            Output::Transmit(transmit) => {
                assert_eq!(Some(transmit), put_back);
                break;
            }
            Output::Job(job) => {
                let done = stage.work(job);
                stage.connection.handle(stage.now, Input::Done(done));
            }
            Output::Event(_) => {}
            Output::Wait(_) => panic!("nothing was sent"),
        }
    }
}
