//! Cost of server operations by the size of its state, as ratios taken in one run. `cargo bench -p zephyr-daemons
//! --bench scale`.
//!
//! Prints, and judges nothing: figures of a machine are no test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]
#![allow(clippy::cast_precision_loss, reason = "ratios")]

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use zephyr_auth_krb::KeySession;
use zephyr_core::{
    auth::{Direction, Identity, Judgement, Session, Verdict},
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::Policy,
    realm::Realms,
    time::Now,
    uid::Uid,
};
use zephyr_engine::{
    machine::{Input, Machine, Output, Transmit},
    server::{self, Bounds, Config, Done, Job, Neighbours, ProbeSecret, ServerId, Verified, acl::Rules},
};

/// Clients of one host.
const PER_HOST: u32 = 1000;
/// Best of so many: whatever else the machine does only adds.
const ROUNDS: usize = 7;

/// A server without limits, and a clock that stands still.
struct Server {
    engine: server::Server,
    now: Now,
    packets: u32,
}

/// The CPU time that this thread has had: other programs do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// The host manager and the port of a client.
fn place(client: u32) -> (SocketAddr, u16) {
    let host = Ipv4Addr::from(0x0A00_0001 + client / PER_HOST);
    (SocketAddr::from((host, 2104)), u16::try_from(5000 + client % PER_HOST).unwrap())
}

fn user(client: u32) -> String {
    format!("user{client:06}@ATHENA.TEST")
}

impl Server {
    fn new() -> Self {
        let bounds = Bounds {
            clients: usize::MAX,
            subscription_octets: usize::MAX,
            subscription_octets_per_host: usize::MAX,
            subscription_octets_per_principal: usize::MAX,
            pending_per_destination: usize::MAX,
            pending_octets_per_host: usize::MAX,
            pending_octets_per_principal: usize::MAX,
            subscriptions_per_host: usize::MAX,
            delivery_octets: usize::MAX,
            // Caches are as full everywhere.
            replay_cache_entries: 1000,
            proofs_per_second: 1_000_000_000,
            proof_burst: 1_000_000_000,
            ..Bounds::default()
        };
        let config = Config {
            host: "zsrv.test".to_owned(),
            address: Ipv4Addr::new(10, 255, 0, 1),
            port: 2103,
            version: "bench".to_owned(),
            realms: Realms::local_only(b"ATHENA.TEST"),
            policy: Policy::KERBEROS,
            rules: Arc::new(Rules::default()),
            host_manager_port: 2104,
            probe_secret: ProbeSecret::new(&[7; 32]),
            bounds,
            neighbours: Neighbours::default(),
            id: ServerId(1),
            in_flight: usize::MAX,
        };
        let now = Now { monotonic: Duration::from_secs(1000), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        Self { engine: server::Server::new(config, now), now, packets: 0 }
    }

    fn packet(&mut self, notice: Notice<'_>) -> Bytes {
        self.packets += 1;
        let uid = Uid { address: Ipv4Addr::new(10, 0, 0, 1), seconds: self.packets, micros: 0 };
        let authenticator = format!("Z{:08}", self.packets);
        let claim = Claim { auth: 1, authent_len: 3, authenticator: authenticator.as_bytes(), checksum: b"Zsum" };
        Notice { uid, multiuid: uid, ..notice }.write(&claim, Limits::WHOLE_PACKET).unwrap()
    }

    /// Gives a proven packet to the server.
    fn give(&mut self, from: SocketAddr, octets: &[u8], session: Option<Arc<dyn Session>>) -> Vec<Transmit> {
        self.engine.handle(self.now, Input::Datagram { from, local: None, octets });
        let mut sent = Vec::new();
        loop {
            match self.engine.poll(self.now) {
                Output::Transmit(transmit) => match probe_answer(&transmit) {
                    Some(octets) => self
                        .engine
                        .handle(self.now, Input::Datagram { from: transmit.to, local: None, octets: &octets }),
                    None => sent.push(transmit),
                },
                Output::Job(Job::Verify(job)) => {
                    let verdict = Verdict::Authentic(Identity::new(job.packet.notice().sender));
                    let result = Ok(Judgement { verdict, session: session.clone(), opened: None, lifetime: None });
                    self.engine.handle(self.now, Input::Done(Done::Verified(Verified { id: job.id, result })));
                }
                Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => return sent,
            }
        }
    }

    fn control(&mut self, client: u32, opcode: &str, body: &[u8], session: Option<Arc<dyn Session>>) {
        let (from, port) = place(client);
        let sender = user(client);
        let notice = Notice {
            kind: Kind::Acked,
            port,
            class: b"ZEPHYR_CTL",
            instance: b"CLIENT",
            opcode: opcode.as_bytes(),
            sender: sender.as_bytes(),
            body,
            ..Notice::EMPTY
        };
        let octets = self.packet(notice);
        let answer = self.give(from, &octets, session);
        assert!(Packet::parse(&answer[0].payload).unwrap().notice.body == b"SENT\0");
    }

    /// As many clients, each with so many subscriptions nobody else has.
    fn populate(&mut self, clients: std::ops::Range<u32>, subscriptions: u32) {
        for client in clients {
            let mut first = true;
            for chunk in (0..subscriptions).collect::<Vec<_>>().chunks(15) {
                let triples = chunk.iter().map(|number| format!("class-{number:03}\0personal\0{}\0", user(client)));
                self.control(client, "SUBSCRIBE_NODEFS", triples.collect::<String>().as_bytes(), None);
                first = false;
            }
            if first {
                self.control(client, "SUBSCRIBE_NODEFS", b"", Some(session(client)));
            }
        }
    }

    /// As many notices to nobody, so that whatever remembers the latest packets is full.
    fn warm_up(&mut self) {
        for _ in 0..10_000 {
            let octets = self.packet(Notice { kind: Kind::Acked, class: b"nobody", ..Notice::EMPTY });
            self.give(place(0).0, &octets, None);
        }
    }

    /// A notice to one client's user.
    fn personal(&mut self, client: u32, number: u32) -> Bytes {
        let (class, recipient) = (format!("CLASS-{number:03}"), user(client));
        self.packet(Notice {
            kind: Kind::Acked,
            class: class.as_bytes(),
            instance: b"personal",
            sender: b"sender@ATHENA.TEST",
            recipient: recipient.as_bytes(),
            body: b"signature\0message\0",
            ..Notice::EMPTY
        })
    }

    fn acknowledge(&mut self, delivery: &Transmit) {
        let octets = acknowledgement(&Packet::parse(&delivery.payload).unwrap().notice);
        self.give(delivery.to, &octets, None);
    }
}

fn acknowledgement(notice: &Notice<'_>) -> Bytes {
    let ack = Notice { kind: Kind::ClientAck, body: b"", ..*notice };
    ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

/// What a program says to the question whether it is there.
fn probe_answer(transmit: &Transmit) -> Option<Bytes> {
    let notice = Packet::parse(&transmit.payload).unwrap().notice;
    (notice.opcode == b"PROBE").then(|| acknowledgement(&notice))
}

/// What a server keeps of a client's ticket.
fn session(client: u32) -> Arc<dyn Session> {
    let mut key = [7; 32];
    key[..4].copy_from_slice(&client.to_be_bytes());
    Arc::new(KeySession::from_raw(18, &key).unwrap()).at_rest()
}

/// What proving a notice for a reader costs, with a key at rest and with one at work.
fn proofs() {
    let now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };
    let at_work: Arc<dyn Session> = Arc::new(KeySession::from_raw(18, &[7; 32]).unwrap());
    let notice = Notice { class: b"class", sender: b"sender@ATHENA.TEST", body: &[b'x'; 400], ..Notice::EMPTY };
    let measure = |sessions: &[Arc<dyn Session>]| {
        let start = cpu();
        for step in 0..200_000 {
            sessions[step % sessions.len()].seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, now).unwrap();
        }
        (cpu() - start).as_secs_f64() * 1e6 / 200_000.0
    };
    println!("proof for a reader, one key at work          {:8.2} µs", measure(&[at_work]));
    println!("proof for a reader, one key at rest          {:8.2} µs", measure(&[session(1)]));
    let many: Vec<Arc<dyn Session>> = (0..50_000).map(session).collect();
    println!("proof for a reader, 50,000 keys at rest      {:8.2} µs", measure(&many));
}

/// Microseconds per notice and acknowledgement, to so many of the server's clients, spread evenly over them.
fn lookup(server: &mut Server, clients: u32, readers: u32) -> f64 {
    const NOTICES: u32 = 5000;
    server.warm_up();
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let packets: Vec<Bytes> =
            (0..NOTICES).map(|step| server.personal(step % readers * (clients / readers), step % 20)).collect();
        let start = cpu();
        for packet in &packets {
            let sent = server.give(place(0).0, packet, None);
            assert_eq!(sent.len(), 2, "a delivery and an answer");
            server.acknowledge(&sent[0]);
        }
        best = best.min(cpu() - start);
    }
    best.as_secs_f64() * 1e6 / f64::from(NOTICES)
}

fn lookups() {
    let mut small = Server::new();
    small.populate(0..50, 20);
    let mut large = Server::new();
    large.populate(0..50_000, 20);
    assert_eq!((small.engine.gauges().subscriptions, large.engine.gauges().subscriptions), (1000, 1_000_000));
    let few = lookup(&mut small, 50, 50);
    println!("1,000 subscriptions of 50 clients, notices to all of them           {few:6.2} µs");
    for (label, readers) in [("50", 50), ("5,000", 5000)] {
        let many = lookup(&mut large, 50_000, readers);
        println!(
            "1,000,000 subscriptions of 50,000 clients, notices to {label:<8} {many:6.2} µs, ratio {:.2}",
            many / few
        );
    }
}

/// Microseconds that a CLEARSUB takes: of a client for whom `own` packets wait, while `others` wait for others.
fn clearsub(own: u32, others: u32) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut server = Server::new();
        server.populate(0..2, 1);
        for (client, packets) in [(0, own), (1, others)] {
            for _ in 0..packets {
                let packet = server.personal(client, 0);
                server.give(place(0).0, &packet, None);
            }
        }
        assert_eq!(server.engine.gauges().pending, (own + others) as usize);
        server.warm_up();
        let (from, port) = place(0);
        let sender = user(0);
        let packet = server.packet(Notice {
            kind: Kind::Acked,
            port,
            class: b"ZEPHYR_CTL",
            instance: b"CLIENT",
            opcode: b"CLEARSUB",
            sender: sender.as_bytes(),
            ..Notice::EMPTY
        });
        let start = cpu();
        let answer = server.give(from, &packet, None);
        best = best.min(cpu() - start);
        assert_eq!(answer.len(), 1);
        assert_eq!(server.engine.gauges().clients, 1);
    }
    best.as_secs_f64() * 1e6
}

fn clearsubs() {
    let none = clearsub(0, 0);
    for (label, own, others) in [("", 0, 0), (", 40,000 for others", 0, 40_000), (", 40,000 for itself", 40_000, 0)] {
        let micros = clearsub(own, others);
        println!("CLEARSUB{label:<24} {micros:8.2} µs, ratio {:.2}", micros / none);
    }
}

/// A packet that came before costs no proof.
fn repetition() {
    let mut server = Server::new();
    server.populate(0..2, 1);
    let packet = server.personal(0, 0);
    server.give(place(0).0, &packet, None);
    let measure = |server: &mut Server, from: SocketAddr| {
        let start = cpu();
        for _ in 0..20_000 {
            assert_eq!(server.give(from, &packet, None).len(), 1);
        }
        (cpu() - start).as_secs_f64() * 1e6 / 20_000.0
    };
    println!("the same packet again, from the same source  {:8.2} µs", measure(&mut server, place(0).0));
    println!("a proven packet again, from another source   {:8.2} µs", measure(&mut server, place(5000).0));
}

/// Octets of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

/// Octets per client, or per subscription, of a server in a process of its own.
fn resident_per(what: &str) -> f64 {
    let mut server = Server::new();
    // Until everything that is bounded is full.
    server.populate(0..10_000, 0);
    let before = resident();
    match what {
        "client" => {
            server.populate(10_000..110_000, 0);
            (resident() - before) as f64 / 100_000.0
        }
        _ => {
            server.populate(0..10_000, 100);
            (resident() - before) as f64 / 1_000_000.0
        }
    }
}

fn residents() {
    for (what, c) in [("client", 313.0), ("subscription", 222.0)] {
        let output = Command::new(std::env::current_exe().unwrap()).args(["--resident", what]).output().unwrap();
        let octets: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        println!("resident per {what:<12} {octets:6.0} octets, {:.2} of what C takes ({c})", octets / c);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--resident") {
        println!("{}", resident_per(&arguments[at + 1]));
        return;
    }
    lookups();
    clearsubs();
    repetition();
    proofs();
    residents();
}
