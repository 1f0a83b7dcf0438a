//! Tests of a client without a host manager: a scripted clock, and servers that answer when a test lets them.

mod servers;
mod strangers;
mod ways;

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
    /// Whether a message is sent while that is being found out.
    sends_meanwhile: bool,
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
            sends_meanwhile: false,
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
            Job::HostManagerOwner => {
                if std::mem::take(&mut self.sends_meanwhile) {
                    self.send();
                }
                Done::HostManagerOwner(self.host_manager_owner)
            }
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
