//! CPU time of a whole zephyrd process, system calls included, for packets that come over sockets.
//!
//! `cargo bench -p zephyr-daemons --bench daemon`, and with `-- --against FILE` beside another zephyrd: both serve in
//! turn in one run, so that whatever else the machine does befalls both. Every round starts a server of its own. A
//! round in which a packet is lost, or comes twice, does not count and is done again.
//!
//! Prints, and judges nothing: figures of a machine are no test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark"
)]

#[path = "../tests/running/mod.rs"]
mod running;

use bytes::Bytes;
use clap::Parser;
use nix::{
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        resource::{Resource, getrlimit, setrlimit},
    },
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use running::{Daemon, acked};
use std::{
    cell::RefCell,
    fmt::Write,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use zephyr_auth_krb::KerberosInitiator;
use zephyr_core::{
    auth::{Direction, Initiator, Session},
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::Uid,
};
use zephyr_testkit::{
    loopback::Network,
    realm::{Engine, Realm, RealmOptions},
};

/// This moment, for proofs.
fn now() -> Now {
    Now { monotonic: Duration::ZERO, wall: SystemTime::now() }
}

/// The usual number of rounds of each server.
const ROUNDS: usize = 11;
/// How often a round is tried until it counts.
const ATTEMPTS: usize = 4;
/// Requests that a sender leaves unanswered at a time: far fewer than any socket's buffer holds.
const WINDOW: usize = 32;
/// How long a process must have had no CPU time to be at rest.
const REST: Duration = Duration::from_millis(4);
/// What is asked of a server is done, and nothing has come for this long: something is lost.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Proofs are good for five minutes; before that others are made.
const FRESH: Duration = Duration::from_secs(60);

/// As many readers as a department has.
const READERS: usize = 1000;
/// Subscriptions in one request.
const TRIPLES: u32 = 10;
/// Clients that subscribe from one host.
const PER_HOST: u32 = 1000;

/// What a notice says.
const TEXT: &[u8] = b"signature\0Does anybody know who has the key to the machine room?\0";

/// No limits on how much one source may ask for in a second; and a receive buffer as a system gives when nobody raised
/// its limit, because that decides how fast a fan-out goes.
const SETTINGS: &str = "
[zephyrd]
receive-buffer = 212992
[bounds]
proofs-per-second = 1000000000
proof-burst = 1000000000
deliveries-per-second = 1000000000
delivery-burst = 1000000000
";

/// The CPU time that zephyrd takes for what comes to it, from outside.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Another zephyrd, to serve in turn with this tree's; its whole path
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Rounds of each server [default: 11; 2 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// Little of everything, to see whether it works
    #[arg(long)]
    quick: bool,
    /// Only the rows whose names contain this
    #[arg(value_name = "TEXT")]
    only: Option<String>,
    /// The service's keys: given when it starts itself again as somebody who has tickets
    #[arg(long, hide = true)]
    keytab: Option<PathBuf>,
    /// What cargo bench says
    #[arg(long, hide = true)]
    bench: bool,
}

/// Why a round does not count.
type Lost = String;

/// One line of what is printed.
struct Row {
    name: &'static str,
    with_proof: bool,
    /// Microseconds of a server's CPU time for one of what the row is about.
    measure: fn(&Stage, &Path) -> Result<f64, Lost>,
}

const ROWS: [Row; 5] = [
    Row { name: "authenticated notice, to nobody", with_proof: true, measure: |s, p| authenticated(s, p, false) },
    Row { name: "authenticated notice, to one reader", with_proof: true, measure: |s, p| authenticated(s, p, true) },
    Row { name: "delivery, of notices to 1,000 readers", with_proof: false, measure: deliveries },
    Row { name: "subscription, ten in a request", with_proof: false, measure: subscriptions },
    Row { name: "plain notice, to one reader", with_proof: false, measure: plain },
];

/// What all rounds have in common.
struct Stage {
    quick: bool,
    settings: tempfile::TempDir,
    keytab: Option<PathBuf>,
    sealed: RefCell<Option<(Instant, Vec<Bytes>)>>,
}

impl Stage {
    fn new(options: &Options) -> Self {
        let settings = tempfile::tempdir().unwrap();
        std::fs::write(settings.path().join("zephyr.toml"), SETTINGS).unwrap();
        Self { quick: options.quick, settings, keytab: options.keytab.clone(), sealed: RefCell::new(None) }
    }

    /// So many, or a few.
    fn size(&self, usual: u32) -> u32 {
        if self.quick { usual / 20 } else { usual }
    }

    /// Proven notices that no server has seen yet when it is started: each has an authenticator of its own.
    fn sealed(&self, session: &dyn Session, count: u32) -> Vec<Bytes> {
        let mut sealed = self.sealed.borrow_mut();
        if let Some((made, packets)) = sealed.as_ref()
            && made.elapsed() < FRESH
        {
            return packets.clone();
        }
        let seal = |number| {
            let notice = Notice { sender: b"alice@ZEPHYR.TEST", ..acked(b"bench", b"x", b"", TEXT) };
            session.seal(&numbered(notice, number), Direction::ToServer, Limits::WHOLE_PACKET, now()).unwrap()
        };
        let packets: Vec<Bytes> = (0..count).map(seal).collect();
        *sealed = Some((Instant::now(), packets.clone()));
        packets
    }
}

/// The notice with a uid by which its answers and copies are known again.
fn numbered(notice: Notice<'_>, number: u32) -> Notice<'_> {
    let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: number };
    Notice { uid, multiuid: uid, ..notice }
}

fn written(notice: Notice<'_>, number: u32) -> Bytes {
    numbered(notice, number).write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

/// The next packet that has come. The server's question whether somebody is there is answered.
fn receive<'a>(socket: &UdpSocket, buffer: &'a mut [u8; MAX_PACKET]) -> Option<Packet<'a>> {
    loop {
        let len = match socket.recv(buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        };
        let notice = Packet::parse(&buffer[..len]).unwrap().notice;
        if notice.opcode != b"PROBE" {
            return Some(Packet::parse(&buffer[..len]).unwrap());
        }
        let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
        socket.send(&ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()).unwrap();
    }
}

/// Whether a request was answered as it should be.
fn check_answer(packet: &Packet<'_>, expected: &str) -> Result<(), Lost> {
    let Notice { kind, body, .. } = packet.notice;
    if kind == Kind::ServAck && body.strip_prefix(expected.as_bytes()).is_some_and(|rest| rest.starts_with(b"\0")) {
        return Ok(());
    }
    Err(format!("a request is answered {kind} {:?}, not SERVACK {expected}", body.escape_ascii().to_string()))
}

/// A running server with hosts of its own.
struct Server {
    daemon: Daemon,
    clock: ClockId,
    network: Rc<Network>,
}

impl Server {
    fn start(stage: &Stage, program: &Path, with_proof: bool) -> Self {
        let network = Rc::new(Network::claim().unwrap());
        let listen = format!("{}:0", network.here());
        let folder = stage.settings.path().to_str().unwrap();
        let mut arguments = vec!["--listen", &listen, "--config-dir", folder, "--hostname", "here"];
        match &stage.keytab {
            Some(keytab) if with_proof => {
                arguments.extend(["--auth", "kerberos", "-k", "ZEPHYR.TEST", "--keytab", keytab.to_str().unwrap()]);
            }
            _ => arguments.extend(["--auth", "none", "-k", "OPEN.TEST"]),
        }
        let daemon = Daemon::start(program.to_str().unwrap(), &arguments, &network);
        let pid = Pid::from_raw(daemon.child.id().cast_signed());
        Self { daemon, clock: ClockId::pid_cpu_clock_id(pid).unwrap(), network }
    }

    fn address(&self) -> SocketAddr {
        self.daemon.address
    }

    /// A socket that never makes anybody wait, on a host that the servers before have not seen.
    fn socket(&self, number: u8) -> UdpSocket {
        let socket = UdpSocket::bind((self.network.host(2 + number), 0)).unwrap();
        socket.connect(self.address()).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    /// The CPU time that its process has had, once it has nothing left to do.
    fn cpu_at_rest(&self) -> Result<Duration, Lost> {
        let cpu = || Duration::from(clock_gettime(self.clock).unwrap());
        let deadline = Instant::now() + TIMEOUT;
        let mut last = cpu();
        while Instant::now() < deadline {
            std::thread::sleep(REST);
            let now = cpu();
            if now == last {
                return Ok(now);
            }
            last = now;
        }
        Err("the server is never at rest".to_owned())
    }

    /// Packets that came to its socket when there was no room for them.
    fn dropped(&self) -> u64 {
        let SocketAddr::V4(address) = self.address() else { unreachable!("listens on IPv4") };
        let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        let mut lines = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|fields| fields[1] == local).expect("its socket is there");
        line.last().unwrap().parse().unwrap()
    }

    /// The CPU time that it takes for what `work` brings.
    fn takes(&self, work: impl FnOnce() -> Result<(), Lost>) -> Result<Duration, Lost> {
        let before = self.cpu_at_rest()?;
        work()?;
        let took = self.cpu_at_rest()? - before;
        match self.dropped() {
            0 => Ok(took),
            dropped => Err(format!("{dropped} packets did not fit into the server's socket")),
        }
    }
}

/// Programs that have subscribed to everything of class bench, and acknowledge it.
struct Readers {
    sockets: Vec<UdpSocket>,
    /// When there are many, it says who has something to read.
    epoll: Option<Epoll>,
}

impl Readers {
    const NOBODY: Self = Self { sockets: Vec::new(), epoll: None };

    /// So many of one host; `subscription` is the packet with which the one who has this number and port subscribes.
    fn subscribe(
        server: &Server,
        count: usize,
        subscription: impl Fn(usize, Notice<'_>) -> Bytes,
    ) -> Result<Self, Lost> {
        let sockets: Vec<UdpSocket> = (0..count).map(|_| server.socket(1)).collect();
        let mut buffer = [0; MAX_PACKET];
        for (number, socket) in sockets.iter().enumerate() {
            let notice = acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"bench\0*\0\0");
            let packet = subscription(number, Notice { port: port(socket), ..notice });
            socket.send(&packet).unwrap();
            let deadline = Instant::now() + TIMEOUT;
            loop {
                if let Some(answer) = receive(socket, &mut buffer) {
                    check_answer(&answer, "SENT")?;
                    break;
                }
                if Instant::now() > deadline {
                    return Err("a reader cannot subscribe".to_owned());
                }
                std::thread::yield_now();
            }
        }
        let epoll = (count > 1).then(|| {
            let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
            for (number, socket) in sockets.iter().enumerate() {
                epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64)).unwrap();
            }
            epoll
        });
        Ok(Self { sockets, epoll })
    }

    /// Acknowledges what has come; `on_notice` is told who has which notice. True when there was something.
    fn read(&self, mut on_notice: impl FnMut(usize, u32) -> Result<(), Lost>) -> Result<bool, Lost> {
        let mut events = [EpollEvent::empty(); 64];
        let ready = match &self.epoll {
            Some(epoll) => epoll.wait(&mut events, EpollTimeout::ZERO).unwrap(),
            None => self.sockets.len(),
        };
        let mut buffer = [0; MAX_PACKET];
        let mut some = false;
        for (at, event) in events[..ready].iter().enumerate() {
            let number = if self.epoll.is_some() { usize::try_from(event.data()).unwrap() } else { at };
            let socket = &self.sockets[number];
            let Some(packet) = receive(socket, &mut buffer) else { continue };
            let ack = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
            socket.send(&ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()).unwrap();
            on_notice(number, packet.notice.uid.micros)?;
            some = true;
        }
        Ok(some)
    }
}

/// Sends packets that are numbered from `first`, no more than `window` at a time, until every one is answered, and with
/// every reader: once, and no more than once.
///
/// It looks for what has come without ever sleeping, so that nobody's waking it is counted as the server's work.
fn exchange(
    sender: &UdpSocket,
    packets: &[Bytes],
    first: u32,
    window: usize,
    answer: &str,
    readers: &Readers,
) -> Result<(), Lost> {
    let copies = readers.sockets.len() + 1;
    let mut seen = vec![false; packets.len() * copies];
    let mut missing = vec![copies; packets.len()];
    let (mut sent, mut done) = (0, 0);
    let mut buffer = [0; MAX_PACKET];
    let mut silent_since = Instant::now();
    while done < packets.len() {
        while sent < packets.len() && sent - done < window {
            sender.send(&packets[sent]).unwrap();
            sent += 1;
        }
        let mut arrived = |copy: usize, number: u32| {
            let at = number.checked_sub(first).map_or(usize::MAX, |at| at as usize);
            if at >= sent || std::mem::replace(&mut seen[at * copies + copy], true) {
                return Err(format!("packet {number} comes twice"));
            }
            missing[at] -= 1;
            done += usize::from(missing[at] == 0);
            Ok(())
        };
        let mut some = readers.read(|reader, number| arrived(reader + 1, number))?;
        while let Some(packet) = receive(sender, &mut buffer) {
            check_answer(&packet, answer)?;
            arrived(0, packet.notice.uid.micros)?;
            some = true;
        }
        if some {
            silent_since = Instant::now();
        } else if silent_since.elapsed() > TIMEOUT {
            return Err(format!("{} of {sent} packets are lost", sent - done));
        } else {
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// The CPU time for what follows the first few packets, for each of so many.
fn per_packet(server: &Server, packets: &[Bytes], answer: &str, readers: &Readers) -> Result<f64, Lost> {
    let sender = server.socket(0);
    let (warm_up, rest) = packets.split_at(packets.len() / 3);
    exchange(&sender, warm_up, 0, WINDOW, answer, readers)?;
    let first = u32::try_from(warm_up.len()).unwrap();
    let took = server.takes(|| exchange(&sender, rest, first, WINDOW, answer, readers))?;
    nothing_more(&sender, readers)?;
    Ok(micros(took, rest.len()))
}

/// Nobody receives anything again.
fn nothing_more(sender: &UdpSocket, readers: &Readers) -> Result<(), Lost> {
    let twice = readers.read(|_, _| Ok(()))? || receive(sender, &mut [0; MAX_PACKET]).is_some();
    if twice { Err("a packet comes twice".to_owned()) } else { Ok(()) }
}

fn micros(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap())
}

/// Notices with proof, to nobody or to one reader who has subscribed with proof.
fn authenticated(stage: &Stage, program: &Path, reader: bool) -> Result<f64, Lost> {
    let session: Arc<dyn Session> = KerberosInitiator::new().session("ZEPHYR.TEST").unwrap();
    let packets = stage.sealed(session.as_ref(), stage.size(30_000));
    let server = Server::start(stage, program, true);
    if !reader {
        return per_packet(&server, &packets, "LOST", &Readers::NOBODY);
    }
    let readers = Readers::subscribe(&server, 1, |_, notice| {
        let notice = Notice { sender: b"alice@ZEPHYR.TEST", ..numbered(notice, u32::MAX) };
        session.seal(&notice, Direction::ToServer, Limits::WHOLE_PACKET, now()).unwrap()
    })?;
    per_packet(&server, &packets, "SENT", &readers)
}

fn to_readers(count: u32) -> Vec<Bytes> {
    let notice = Notice { sender: b"alice@OPEN.TEST", ..acked(b"bench", b"x", b"", TEXT) };
    (0..count).map(|number| written(notice, number)).collect()
}

fn plain(stage: &Stage, program: &Path) -> Result<f64, Lost> {
    let server = Server::start(stage, program, false);
    let readers = subscribed(&server, 1)?;
    per_packet(&server, &to_readers(stage.size(60_000)), "SENT", &readers)
}

fn subscribed(server: &Server, count: usize) -> Result<Readers, Lost> {
    Readers::subscribe(server, count, |number, notice| {
        let sender = format!("reader{number}@OPEN.TEST");
        written(Notice { sender: sender.as_bytes(), ..notice }, u32::MAX)
    })
}

/// Notices to very many, one after the other.
fn deliveries(stage: &Stage, program: &Path) -> Result<f64, Lost> {
    let server = Server::start(stage, program, false);
    let readers = subscribed(&server, READERS)?;
    let sender = server.socket(0);
    let packets = to_readers(stage.size(100));
    let (warm_up, rest) = packets.split_at(2);
    exchange(&sender, warm_up, 0, 1, "SENT", &readers)?;
    let took = server.takes(|| exchange(&sender, rest, 2, 1, "SENT", &readers))?;
    nothing_more(&sender, &readers)?;
    Ok(micros(took, rest.len() * READERS))
}

/// Requests of many clients for what nobody has asked for yet.
fn subscriptions(stage: &Stage, program: &Path) -> Result<f64, Lost> {
    const HOSTS: u8 = 6;
    let requests = stage.size(4000);
    let server = Server::start(stage, program, false);
    let of_host = |host: u8| -> Vec<Bytes> {
        let request = |number: u32| {
            let client = number % PER_HOST;
            let sender = format!("user{client:03}-{host}@OPEN.TEST");
            let mut body = String::new();
            for triple in 0..TRIPLES {
                let class = u32::from(host) + 10 * (number / PER_HOST * TRIPLES + triple);
                let _ = write!(body, "class-{class:03}\0personal\0{sender}\0");
            }
            let notice = acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", body.as_bytes());
            let port = u16::try_from(5000 + client).unwrap();
            written(Notice { port, sender: sender.as_bytes(), ..notice }, number)
        };
        (0..requests).map(request).collect()
    };
    let hosts: Vec<_> = (0..HOSTS).map(|host| (server.socket(host), of_host(host))).collect();
    let ask =
        |(sender, packets): &(UdpSocket, Vec<Bytes>)| exchange(sender, packets, 0, WINDOW, "SENT", &Readers::NOBODY);
    ask(&hosts[0])?;
    let took = server.takes(|| hosts[1..].iter().try_for_each(ask))?;
    Ok(micros(took, hosts[1..].len() * (requests * TRIPLES) as usize))
}

/// One measurement, repeated when packets are lost.
fn measured(row: &Row, stage: &Stage, program: &Path) -> Result<f64, Lost> {
    for _ in 1..ATTEMPTS {
        match (row.measure)(stage, program) {
            Ok(micros) => return Ok(micros),
            Err(reason) => eprintln!("{}: once more, because {reason}", row.name),
        }
    }
    (row.measure)(stage, program)
}

/// The median, and the quartiles beside it.
fn quartiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let last = figures.len() - 1;
    let middle = f64::midpoint(figures[last / 2], figures[last.div_ceil(2)]);
    [figures[last / 4], middle, figures[last - last / 4]]
}

fn median(figures: Vec<f64>) -> f64 {
    quartiles(figures)[1]
}

fn report(row: &Row, stage: &Stage, programs: &[&Path], rounds: usize) -> Result<(), Lost> {
    let round = |_| programs.iter().map(|program| measured(row, stage, program)).collect();
    let figures: Vec<Vec<f64>> = (0..rounds).map(round).collect::<Result<_, Lost>>()?;
    let column = |which: usize| figures.iter().map(|round| round[which]).collect::<Vec<f64>>();
    print!("{:<40} {:>8.2}", row.name, median(column(0)));
    if programs.len() > 1 {
        let [low, ratio, high] = quartiles(figures.iter().map(|round| round[0] / round[1]).collect());
        print!(" {:>8.2} {ratio:>8.3}  {low:.3}–{high:.3}", median(column(1)));
    }
    println!();
    Ok(())
}

/// Runs itself as somebody who has tickets for the service of a realm.
fn run_in_realm() -> ExitCode {
    let realm = Realm::start_on(Engine::Native, RealmOptions::default()).unwrap();
    let alice = realm.login("alice").unwrap();
    realm.fetch_service_ticket(&alice).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(std::env::args_os().skip(1)).arg("--keytab").arg(realm.service_keytab()).envs(alice.env());
    if command.status().unwrap().success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let wanted = |row: &&Row| options.only.as_ref().is_none_or(|text| row.name.contains(text.as_str()));
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    if rows.is_empty() {
        eprintln!("no row has such a name; there are: {}", ROWS.map(|row| row.name).join("; "));
        return ExitCode::FAILURE;
    }
    if options.keytab.is_none() && rows.iter().any(|row| row.with_proof) {
        return run_in_realm();
    }
    let (_, max) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, max, max).unwrap();
    let mut programs = vec![Path::new(env!("CARGO_BIN_EXE_zephyrd"))];
    programs.extend(options.against.as_deref());
    let rounds = options.rounds.unwrap_or(if options.quick { 2 } else { ROUNDS }).max(1);
    println!("CPU time of zephyrd for one of each, user and system, in µs; medians of {rounds} rounds");
    if let Some(other) = &options.against {
        println!("A is this tree's, B is {}; beside the ratio its quartiles", other.display());
        println!("{:<40} {:>8} {:>8} {:>8}", "", "A", "B", "A/B");
    }
    let stage = Stage::new(&options);
    for row in rows {
        if let Err(reason) = report(row, &stage, &programs, rounds) {
            eprintln!("{}: no round counts, because {reason}", row.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
