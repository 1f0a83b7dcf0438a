//! Fan-out of one notice to thousands of readers over real sockets, with the default receive buffer.
//!
//! Whether all readers receive everything the first time, and the server their acknowledgements, depends on how fast
//! the machine is: who acknowledges too late is sent everything again. So here the server works in the test's own
//! thread, by a clock that stands still or that the test moves on, and then all readers do. Running servers are held to
//! what holds on slow machines, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use running::*;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};
use tokio::io::Interest;
use zephyr_core::{
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
    server::{Bounds, Config, Neighbours, ProbeSecret, Server, ServerId, acknowledgements_in_flight, acl::Rules},
};
use zephyr_net::{
    batch::{BatchReceiver, MAX_BATCH},
    datagram, socket,
};
use zephyr_testkit::loopback::Network;

/// What Linux gives every socket by default, 212,992 octets, counting its own bookkeeping: asked for, it doubles.
const DEFAULT_BUFFER: usize = 106_496;
/// Readers of one host; a server takes so many.
const PER_HOST: usize = 1000;
/// Notices that are sent one after the other.
const NOTICES: usize = 3;
/// Subscriptions that are sent at once: this is no flood of them.
const AT_ONCE: usize = 50;

fn written(notice: Notice<'_>, number: usize, socket: &UdpSocket) -> bytes::Bytes {
    let uid = uid(number);
    let port = socket.local_addr().unwrap().port();
    Notice { uid, multiuid: uid, port, ..notice }.write(&Claim::NONE, Limits::COMPATIBLE).unwrap()
}

fn uid(number: usize) -> Uid {
    Uid { address: [127, 0, 0, 1].into(), seconds: 1, micros: u32::try_from(number).unwrap() }
}

/// The uid of a notice to all readers.
fn uid_of_notice(number: usize) -> usize {
    1_000_000 + number
}

fn subscription(number: usize, reader: &UdpSocket) -> bytes::Bytes {
    let sender = format!("reader{number}@OPEN.TEST");
    let subscribe = acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"all\0*\0\0");
    written(Notice { sender: sender.as_bytes(), ..subscribe }, number, reader)
}

fn to_all(number: usize, sender: &UdpSocket) -> bytes::Bytes {
    let notice = Notice { sender: b"alice@OPEN.TEST", ..acked(b"all", b"x", b"", &[b'x'; 400]) };
    written(notice, uid_of_notice(number), sender)
}

/// Sockets for so many readers, on as many hosts as it takes.
fn readers(count: usize, network: &Network) -> Vec<UdpSocket> {
    let (_, max) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, max, max).unwrap();
    let host = |number| network.host(u8::try_from(10 + number / PER_HOST).unwrap());
    (0..count).map(|number| UdpSocket::bind((host(number), 0)).unwrap()).collect()
}

/// What somebody receives.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Answer,
    /// Only asks whether he is there.
    Probe,
    Notice(Uid),
}

/// What a reader receives. Probes are acknowledged, and notices if that is wanted.
fn read(reader: &UdpSocket, acknowledging: bool) -> io::Result<Heard> {
    let mut buffer = [0; 1024];
    let (len, from) = reader.recv_from(&mut buffer)?;
    let notice = Packet::parse(&buffer[..len]).unwrap().notice;
    if notice.kind.is_acknowledgement() {
        return Ok(Heard::Answer);
    }
    let is_probe = notice.opcode == b"PROBE";
    if acknowledging || is_probe {
        let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
        reader.send_to(&ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from)?;
    }
    Ok(if is_probe { Heard::Probe } else { Heard::Notice(notice.uid) })
}

/// A server on a socket with the default receive buffer, which works when it is told to.
struct Served {
    machine: Server,
    socket: tokio::net::UdpSocket,
    receiver: BatchReceiver,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new(config: Config, now: Now) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let socket = socket::bind_with((config.address, 0).into(), DEFAULT_BUFFER).unwrap();
        drop(entered);
        let in_flight = acknowledgements_in_flight(socket::receive_buffer(&socket).unwrap());
        let machine = Server::new(Config { in_flight, ..config }, now);
        Self { machine, socket, receiver: BatchReceiver::new(), runtime }
    }

    /// Packets that it is done with since the start.
    fn handled(&self) -> u64 {
        let counters = self.machine.counters();
        counters.received + counters.malformed + counters.overload
    }

    /// Receives what has come, and sends what it will send now: to whom.
    fn turn(&mut self, now: Now) -> Vec<SocketAddr> {
        let Self { machine, socket, receiver, runtime } = self;
        // The system is asked what has come.
        runtime.block_on(tokio::task::yield_now());
        let mut handle = |from: SocketAddr, local: Option<IpAddr>, octets: &[u8]| {
            machine.handle(now, Input::Datagram { from, local, octets });
        };
        while receiver.receive(socket, &mut handle).is_ok_and(|received| received == MAX_BATCH) {}
        machine.handle(now, Input::Timeout);
        let mut sent = Vec::new();
        loop {
            match machine.poll(now) {
                Output::Transmit(transmit) => {
                    match socket.try_io(Interest::WRITABLE, || datagram::send(socket, &transmit)) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            machine.put_back(transmit);
                            runtime.block_on(socket.writable()).unwrap();
                        }
                        result => {
                            result.unwrap();
                            sent.push(transmit.to);
                        }
                    }
                }
                Output::Job(job) => panic!("nobody claims to be proven: {job:?}"),
                Output::Event(_) => {}
                Output::Wait(Some(until)) if until <= now.monotonic => machine.handle(now, Input::Timeout),
                Output::Wait(_) => return sent,
            }
        }
    }
}

/// A server and its readers in one thread.
struct Scene {
    server: Served,
    address: SocketAddr,
    now: Now,
    readers: Vec<UdpSocket>,
    numbers: HashMap<SocketAddr, usize>,
    acknowledging: fn(usize) -> bool,
    sender: UdpSocket,
    /// Packets that were sent to the server.
    given: u64,
    _network: Network,
}

impl Scene {
    /// So many readers, who have subscribed.
    fn set(count: usize, acknowledging: fn(usize) -> bool) -> Self {
        let network = Network::claim().unwrap();
        let config = Config {
            host: "here".to_owned(),
            address: network.here(),
            port: 2103,
            version: "test".to_owned(),
            realms: Realms::local_only(b"OPEN.TEST"),
            policy: Policy::OPEN,
            rules: Arc::new(Rules::default()),
            host_manager_port: 2104,
            probe_secret: ProbeSecret::new(&[7; 32]),
            bounds: Bounds::default(),
            neighbours: Neighbours::default(),
            id: ServerId(1),
            in_flight: 0,
        };
        let now = Now { monotonic: Duration::from_secs(1000), wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000) };
        let server = Served::new(config, now);
        let (address, readers) = (server.socket.local_addr().unwrap(), readers(count, &network));
        let sender = UdpSocket::bind((network.here(), 0)).unwrap();
        for socket in readers.iter().chain([&sender]) {
            // What the server has sent is there.
            socket.set_nonblocking(true).unwrap();
        }
        let by_address = readers.iter().enumerate().map(|(number, reader)| (reader.local_addr().unwrap(), number));
        let numbers = by_address.collect();
        let mut scene =
            Self { server, address, now, readers, numbers, acknowledging, sender, given: 0, _network: network };
        for first in (0..count).step_by(AT_ONCE) {
            for number in first..(first + AT_ONCE).min(count) {
                let reader = &scene.readers[number];
                reader.send_to(&subscription(number, reader), scene.address).unwrap();
                scene.given += 1;
            }
            assert_eq!(scene.turn(), [], "acknowledgements are no notices");
        }
        assert_eq!((scene.server.machine.gauges().clients, scene.server.machine.gauges().unconfirmed), (count, 0));
        scene
    }

    /// The server sends all that it will send without being acknowledged, and only then everybody reads it: who
    /// received what. Nothing is received only when the server has handled all that it was sent.
    fn turn(&mut self) -> Vec<(usize, Uid)> {
        /// Turns without a packet after which the server has no more to send.
        const QUIET: usize = 3;
        let deadline = Instant::now() + TIMEOUT;
        let (mut sent, mut quiet) = (Vec::new(), 0);
        while quiet < QUIET || (sent.is_empty() && self.server.handled() < self.given) {
            assert!(Instant::now() < deadline, "{} of {} packets were handled", self.server.handled(), self.given);
            let news = self.server.turn(self.now);
            quiet = if news.is_empty() { quiet + 1 } else { 0 };
            sent.extend(news);
        }
        let received = self.read_all(sent);
        // Where only answers have come, there is more to do.
        if received.is_empty() && self.server.handled() < self.given { self.turn() } else { received }
    }

    fn read_all(&mut self, sent: Vec<SocketAddr>) -> Vec<(usize, Uid)> {
        let mut received = Vec::new();
        for to in sent {
            let Some(&number) = self.numbers.get(&to) else {
                assert_eq!(read(&self.sender, false).unwrap(), Heard::Answer, "senders are only answered");
                continue;
            };
            let acknowledging = (self.acknowledging)(number);
            match read(&self.readers[number], acknowledging).unwrap() {
                Heard::Answer => {}
                Heard::Probe => self.given += 1,
                Heard::Notice(uid) => {
                    received.push((number, uid));
                    self.given += u64::from(acknowledging);
                }
            }
        }
        received
    }

    fn send(&mut self, number: usize) {
        self.sender.send_to(&to_all(number, &self.sender), self.address).unwrap();
        self.given += 1;
    }

    /// Lets time pass.
    fn wait(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.now.wall += time;
    }

    /// Sends a notice; how long it takes until all who acknowledge have it.
    fn reach_all(&mut self, number: usize) -> Duration {
        let start = self.now.monotonic;
        let mut counts = vec![0; self.readers.len()];
        let mut missing = (0..counts.len()).filter(|&reader| (self.acknowledging)(reader)).count();
        self.send(number);
        while missing > 0 {
            let received = self.turn();
            for &(reader, uid) in received.iter().filter(|&&(_, uid)| uid == self::uid(uid_of_notice(number))) {
                counts[reader] += 1;
                assert_eq!(counts[reader], 1, "nobody receives {uid:?} twice");
                missing -= usize::from((self.acknowledging)(reader));
            }
            if received.is_empty() {
                self.wait(Duration::from_millis(1));
                assert!(self.now.monotonic - start < TIMEOUT, "{missing} receive nothing");
            }
        }
        self.now.monotonic - start
    }

    fn resent(&self) -> u64 {
        self.server.machine.counters().resent
    }

    fn acknowledged(&self) -> u64 {
        self.server.machine.counters().acknowledged
    }
}

fn reaches_all(readers: usize) {
    let mut scene = Scene::set(readers, |_| true);
    for number in 0..NOTICES {
        assert_eq!(scene.reach_all(number), Duration::ZERO, "acknowledgements alone drive it");
    }
    assert_eq!(scene.turn(), [], "everything was said");
    assert_eq!(scene.server.machine.gauges().pending, 0, "every acknowledgement is handled");
    assert_eq!(scene.resent(), 0);
    assert_eq!(scene.acknowledged(), u64::try_from(NOTICES * readers).unwrap());
}

#[test]
fn a_thousand_readers_receive_everything_the_first_time() {
    reaches_all(1000);
}

#[test]
fn five_thousand_readers_receive_everything_the_first_time() {
    reaches_all(5000);
}

#[test]
fn several_notices_at_once_are_received_in_order_and_the_first_time() {
    const READERS: usize = 400;
    const AT_ONCE: usize = 5;
    let mut scene = Scene::set(READERS, |_| true);
    (0..AT_ONCE).for_each(|number| scene.send(number));
    let mut received = vec![Vec::new(); READERS];
    loop {
        let now = scene.turn();
        if now.is_empty() {
            break;
        }
        now.into_iter().for_each(|(reader, uid)| received[reader].push(uid));
    }
    let all: Vec<Uid> = (0..AT_ONCE).map(|number| uid(uid_of_notice(number))).collect();
    assert!(received.iter().all(|received| *received == all), "in order");
    let counters = scene.server.machine.counters();
    assert_eq!((counters.delivered, counters.resent), (u64::try_from(READERS * AT_ONCE).unwrap(), 0));
}

#[test]
fn readers_who_never_acknowledge_do_not_hold_up_others() {
    let mut scene = Scene::set(1000, |number| number % 2 == 0);
    for number in 0..NOTICES {
        let took = scene.reach_all(number);
        println!("half of 1000 readers dead: {took:?} of the server's time until the others had a notice");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!(scene.turn(), [], "everything was said");
    assert_eq!(scene.acknowledged(), 1500);
}

/// What a running server has counted, as its debug line shows it.
fn counter(server: &Daemon, name: &str) -> usize {
    server.signal("USR1");
    let line = server.line_with("debugging on");
    let (_, rest) = line.split_once(&format!(" {name}: ")).unwrap();
    rest.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// A running server with the default receive buffer reaches a thousand readers, who read as the machine lets them. What
/// is lost among too many acknowledgements on a slow machine comes again.
fn running_server_reaches_all(acknowledging: fn(usize) -> bool) {
    const READERS: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("zephyr.toml"), format!("[zephyrd]\nreceive-buffer = {DEFAULT_BUFFER}\n"))
        .unwrap();
    let server = server(&["--config-dir", folder.path().to_str().unwrap()]);
    let readers = readers(READERS, &server.network);
    for (before, group) in readers.chunks(AT_ONCE).enumerate() {
        for (number, reader) in group.iter().enumerate() {
            reader.set_read_timeout(Some(TIMEOUT)).unwrap();
            reader.send_to(&subscription(before * AT_ONCE + number, reader), server.address).unwrap();
        }
        for reader in group {
            assert_eq!(read(reader, false).expect("a subscription is acknowledged"), Heard::Answer);
            assert_eq!(read(reader, false).expect("and probed"), Heard::Probe);
        }
    }
    let sender = UdpSocket::bind((server.address.ip(), 0)).unwrap();
    sender.set_read_timeout(Some(TIMEOUT)).unwrap();
    let others = readers.iter().enumerate().filter(|&(number, _)| acknowledging(number));
    let expected = NOTICES * others.clone().count();
    for number in 0..NOTICES {
        sender.send_to(&to_all(number, &sender), server.address).unwrap();
        for (_, reader) in others.clone() {
            while read(reader, true).expect("everybody receives it") != Heard::Notice(uid(uid_of_notice(number))) {}
        }
        assert_eq!(read(&sender, false).expect("an answer"), Heard::Answer);
    }
    // Acknowledgements that were lost are asked for again.
    for (_, reader) in others.clone() {
        reader.set_nonblocking(true).unwrap();
    }
    let deadline = Instant::now() + TIMEOUT;
    while counter(&server, "acknowledged") < expected {
        assert!(Instant::now() < deadline, "every acknowledgement is received");
        for (_, reader) in others.clone() {
            while read(reader, true).is_ok() {}
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(counter(&server, "acknowledged"), expected);
    assert_eq!(counter(&server, "delivered"), NOTICES * READERS);
    if expected == NOTICES * READERS {
        assert_eq!(counter(&server, "pending"), 0);
    }
}

#[test]
fn a_running_server_reaches_a_thousand_readers() {
    running_server_reaches_all(|_| true);
}

#[test]
fn a_running_server_reaches_those_among_the_dead() {
    running_server_reaches_all(|number| number % 2 == 0);
}
