//! What it costs a server's thread that its state is kept, as ratios taken in one run, and how long a start with a large state
//! takes. `cargo bench -p zephyr-daemons --bench state`.
//!
//! Prints, and judges nothing: figures of a machine are no test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark"
)]

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use zephyr_auth_krb::KeySession;
use zephyr_core::{
    auth::{
        AuthError, Channel, Ends, Identity, Judgement, Lifetime, PendingChannel, Service, Session, SessionKey,
        StorageKey,
    },
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
        Bounds, Change, ChangeSource, Changed, ClientOwner, Command, Config, Destination, Done, Event, Job, KeeperId,
        Neighbours, ProbeSecret, Server, ServerId, Stamp, Verified, acl::Rules,
    },
};
use zephyr_state::{Keeper, Opening, Owner, Pace, Report, Store};

/// Best of so many: whatever else the machine does only adds.
const ROUNDS: usize = 5;
/// Datagrams of a turn, after which what was told is handed over.
const PER_TURN: u32 = 32;
const CLIENTS: u32 = 50_000;
const SUBSCRIPTIONS: u32 = 10;

/// A service with one key.
struct OneKey;

impl Service for OneKey {
    fn session(&self, _: &str) -> Result<Arc<dyn Session>, AuthError> {
        Err(AuthError::NoCredentials)
    }

    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        let session =
            KeySession::from_raw(key.kind, &key.octets).map_err(|error| AuthError::Backend(error.to_string()))?;
        Ok(Arc::new(session).at_rest())
    }

    fn storage_keys(&self, _: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
        Ok(vec![StorageKey { label: "1".to_owned(), octets: [1; 32].into() }])
    }

    fn connect(&self, _: Ends, _: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
        Err(AuthError::NoCredentials)
    }

    fn accept(&self, _: Ends, _: &[u8], _: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
        Err(AuthError::NoCredentials)
    }
}

/// The CPU time that this thread has had: other threads and programs do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn session(client: u32) -> Arc<dyn Session> {
    let mut key = [7; 32];
    key[..4].copy_from_slice(&client.to_be_bytes());
    Arc::new(KeySession::from_raw(18, &key).unwrap()).at_rest()
}

fn place(client: u32) -> (SocketAddr, u16) {
    let host = Ipv4Addr::from(0x0A00_0001 + client / 1000);
    (SocketAddr::from((host, 2104)), u16::try_from(5000 + client % 1000).unwrap())
}

fn user(client: u32) -> String {
    format!("user{client:06}@ATHENA.TEST")
}

fn config() -> Config {
    let bounds = Bounds {
        pending_per_destination: usize::MAX,
        pending_octets_per_host: usize::MAX,
        pending_octets_per_principal: usize::MAX,
        delivery_octets: usize::MAX,
        proofs_per_second: 1_000_000_000,
        proof_burst: 1_000_000_000,
        delivery_burst: 1_000_000_000,
        ..Bounds::default()
    };
    Config {
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
    }
}

/// A server, and who keeps what it tells.
struct Kept {
    server: Server,
    now: Now,
    packets: u32,
    keeper: Option<(Keeper, Receiver<u64>)>,
    told: Vec<Changed>,
}

impl Kept {
    fn new(file: Option<&Path>) -> Self {
        let started = Now { monotonic: Duration::from_secs(1000), wall: SystemTime::now() };
        let mut server = Server::new(config(), started);
        // What was made before the start would prove nothing.
        let now = Now { monotonic: Duration::from_secs(1001), wall: started.wall + Duration::from_secs(1) };
        let keeper = file.map(|path| {
            let (sender, stored) = channel();
            let report = move |report| {
                if let Report::Stored(up_to) = report {
                    let _ = sender.send(up_to);
                }
            };
            server.keep_with(KeeperId::Disk);
            (Keeper::start(Ok(open(path)), opening(path), Pace::default(), report).unwrap(), stored)
        });
        Self { server, now, packets: 0, keeper, told: Vec::new() }
    }

    fn packet(&mut self, notice: Notice<'_>) -> Bytes {
        self.packets += 1;
        // Later than what its sender has pushed out of the server's memory.
        self.now.wall += Duration::from_micros(1);
        let uid = Uid { address: Ipv4Addr::new(10, 0, 0, 1), seconds: self.packets, micros: 0 };
        let authenticator = format!("Z{:08}", self.packets);
        let claim = Claim { auth: 1, authent_len: 3, authenticator: authenticator.as_bytes(), checksum: b"Zsum" };
        Notice { uid, multiuid: uid, ..notice }.write(&claim, Limits::WHOLE_PACKET).unwrap()
    }

    fn give(&mut self, from: SocketAddr, octets: &[u8], session: Option<&Arc<dyn Session>>) {
        self.server.handle(self.now, Input::Datagram { from, local: None, octets });
        let mut answers = Vec::new();
        loop {
            match self.server.poll(self.now) {
                Output::Transmit(transmit) => {
                    let notice = Packet::parse(&transmit.payload).unwrap().notice;
                    if notice.kind == Kind::Acked {
                        let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
                        answers.push((transmit.to, ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()));
                    }
                }
                Output::Job(Job::Verify(job)) => {
                    let lifetime = Lifetime { made: self.now.wall, ends: self.now.wall + Duration::from_secs(300) };
                    let identity = Identity::new(job.packet.notice().sender);
                    let session = session.cloned().expect("what is proven has a session");
                    let result = Ok(Judgement::authentic(identity, session).within(lifetime));
                    self.server.handle(self.now, Input::Done(Done::Verified(Verified { id: job.id, result })));
                }
                Output::Event(Event::Changed(changed)) if self.keeper.is_some() => self.told.push(changed.clone()),
                Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => match answers.pop() {
                    Some((from, octets)) => {
                        self.server.handle(self.now, Input::Datagram { from, local: None, octets: &octets });
                    }
                    None => break,
                },
            }
        }
        if self.packets.is_multiple_of(PER_TURN) {
            self.turn();
        }
    }

    /// What the shell does after a turn.
    fn turn(&mut self) {
        let Some((keeper, stored)) = &self.keeper else { return };
        assert!(keeper.hand_over(&mut self.told), "the disk keeps up");
        let reports: Vec<u64> = stored.try_iter().collect();
        for up_to in reports {
            let command = Command::Stored { keeper: KeeperId::Disk, up_to };
            self.server.handle(self.now, Input::Command(command));
        }
        while !matches!(self.server.poll(self.now), Output::Wait(_)) {}
    }

    fn subscribe(&mut self, client: u32, session: &Arc<dyn Session>) {
        let (from, port) = place(client);
        let sender = user(client);
        let body: String = (0..SUBSCRIPTIONS).map(|number| format!("class-{number}\0*\0\0")).collect();
        let octets = self.packet(Notice {
            kind: Kind::Acked,
            port,
            class: b"ZEPHYR_CTL",
            instance: b"CLIENT",
            opcode: b"SUBSCRIBE_NODEFS",
            sender: sender.as_bytes(),
            body: body.as_bytes(),
            ..Notice::EMPTY
        });
        self.give(from, &octets, Some(session));
    }

    fn notice(&mut self, class: &[u8], session: &Arc<dyn Session>) {
        let octets = self.packet(Notice {
            kind: Kind::Acked,
            class,
            instance: b"x",
            sender: b"sender@ATHENA.TEST",
            body: b"signature\0message\0",
            ..Notice::EMPTY
        });
        self.give(place(0).0, &octets, Some(session));
    }
}

fn owner() -> Owner {
    Owner { realm: "ATHENA.TEST".to_owned(), new_id: ServerId(1) }
}

fn open(path: &Path) -> Store {
    Store::open(path, &owner(), &OneKey.storage_keys(b"").unwrap()).unwrap()
}

fn opening(path: &Path) -> Opening {
    Opening { path: path.to_owned(), owner: owner(), keys: OneKey.storage_keys(b"").unwrap(), prepare: |_| Ok(()) }
}

/// Microseconds of one operation, on the server's thread.
fn measure(
    file: Option<&Path>,
    count: u32,
    mut before: impl FnMut(&mut Kept),
    mut one: impl FnMut(&mut Kept, u32),
) -> f64 {
    let mut kept = Kept::new(file);
    before(&mut kept);
    let authentic = kept.server.counters().authentic;
    let start = cpu();
    (0..count).for_each(|number| one(&mut kept, number));
    let took = cpu() - start;
    assert_eq!(kept.server.counters().authentic - authentic, u64::from(count), "each of them was done");
    took.as_secs_f64() * 1e6 / f64::from(count)
}

fn compare(name: &str, count: u32, before: fn(&mut Kept), one: fn(&mut Kept, u32)) {
    let best = |with_state: bool| {
        let rounds = (0..ROUNDS).map(|_| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state.db");
            measure(with_state.then_some(&*path), count, before, one)
        });
        rounds.fold(f64::INFINITY, f64::min)
    };
    let (without, with) = (best(false), best(true));
    println!("{name:<44} {without:8.2} µs {with:8.2} µs   x {:.3}", with / without);
}

/// How long it takes until a server with a large state can begin.
fn start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut store = open(&path);
    let mut time = 0;
    let mut changed = |change| {
        time += 1;
        Changed { stamp: Stamp { time, server: ServerId(1) }, change }
    };
    for first in (0..CLIENTS).step_by(1000) {
        let mut changes = Vec::new();
        for client in first..first + 1000 {
            let (host, port) = place(client);
            let address = SocketAddr::new(host.ip(), port);
            let principal: Arc<[u8]> = user(client).into_bytes().into();
            let (owner, through) = (ClientOwner { principal: principal.clone(), proven: true }, 2104);
            let known = Change::ClientKnown {
                client: address,
                principal,
                session: Some(session(client)),
                through,
                local: None,
            };
            changes.push(changed(known));
            changes.push(changed(Change::ClientConfirmed { client: address, owner: owner.clone() }));
            let text =
                |number| Destination::from_text(format!("class-{number}\0personal\0{}", user(client)).as_bytes());
            let destinations = (0..SUBSCRIPTIONS).map(|number| text(number).unwrap()).collect();
            changes.push(changed(Change::Subscribed { client: address, owner, destinations }));
        }
        store.write(&changes).unwrap();
    }
    drop(store);
    let (begun, work) = (Instant::now(), cpu());
    let store = open(&path);
    let opened = cpu() - work;
    let kept = store.load(&OneKey).unwrap();
    let loaded = cpu() - work;
    let now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
    let mut server = Server::new(config(), now);
    kept.changes.into_iter().for_each(|changed| {
        server.apply(now, changed, ChangeSource::Kept);
    });
    let (restored, elapsed) = (cpu() - work, begun.elapsed());
    let gauges = server.gauges();
    println!(
        "start with {} clients, {} subscriptions: opened after {:.2} s of CPU time, read after {:.2} s, \
         known after {:.2} s, and after {:.2} s by the clock",
        gauges.clients,
        gauges.subscriptions,
        opened.as_secs_f64(),
        loaded.as_secs_f64(),
        restored.as_secs_f64(),
        elapsed.as_secs_f64()
    );
}

fn main() {
    println!("CPU time of the server's thread for one, without and with a state that is kept; best of {ROUNDS}");
    compare(
        "subscription to ten, by a new client",
        20_000,
        |_| (),
        |kept, number| kept.subscribe(number, &session(number)),
    );
    compare(
        "subscription to ten, again",
        20_000,
        |kept| (0..1000).for_each(|number| kept.subscribe(number, &session(number))),
        |kept, number| kept.subscribe(number % 1000, &session(number % 1000)),
    );
    compare(
        "notice to nobody, with proof",
        50_000,
        |_| (),
        |kept, _| {
            let session = session(0);
            kept.notice(b"nobody", &session);
        },
    );
    compare(
        "notice to 1,000 readers, with proof",
        200,
        |kept| (0..1000).for_each(|number| kept.subscribe(number, &session(number))),
        |kept, _| {
            let session = session(0);
            kept.notice(b"class-1", &session);
        },
    );
    start();
}
