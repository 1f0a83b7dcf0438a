//! The driver with an echo machine, on loopback sockets.

use super::*;
use crate::socket::bind;
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr, UdpSocket as StdSocket},
    os::fd::AsFd,
};
use zephyr_engine::machine::Transmit;
use zephyr_testkit::{loopback::Network, ports::free_udp};

/// Only tests that fail wait so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Sends every datagram back as often as its first octet says, once a job has said where to.
#[derive(Debug, Default)]
struct Echo {
    jobs: VecDeque<SocketAddr>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<String>,
    received: Vec<Bytes>,
    /// The local address that each peer used last.
    locals: HashMap<SocketAddr, Option<IpAddr>>,
    unreachable: Vec<(SocketAddr, Bytes)>,
    put_back: usize,
    timeouts: usize,
    due: Option<Duration>,
}

impl Machine for Echo {
    type Command = Transmit;
    type Job = SocketAddr;
    type Done = SocketAddr;
    type Event = String;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        match input {
            Input::Datagram { from, local, octets } => {
                self.locals.insert(from, local);
                self.received.push(Bytes::copy_from_slice(octets));
                self.jobs.push_back(from);
            }
            Input::Unreachable { to, quoted } => self.unreachable.push((to, Bytes::copy_from_slice(quoted))),
            Input::Done(to) => {
                let payload = self.received.pop().unwrap_or_default();
                let local = self.locals.get(&to).copied().flatten();
                let times = usize::from(payload.first().copied().unwrap_or(0));
                self.transmits.extend((0..times).map(|_| Transmit { to, local, payload: payload.clone() }));
                self.events.push_back(format!("{times} times"));
            }
            Input::Timeout => {
                self.timeouts += 1;
                self.due = self.due.filter(|due| *due > now.monotonic);
            }
            Input::Command(transmit) => self.transmits.push_back(transmit),
        }
    }

    fn poll(&mut self, _: Now) -> Output<Self> {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(job) = self.jobs.pop_front() {
            return Output::Job(job);
        }
        self.transmits.pop_front().map_or(Output::Wait(self.due), Output::Transmit)
    }

    fn put_back(&mut self, transmit: Transmit) {
        self.put_back += 1;
        self.transmits.push_front(transmit);
    }
}

/// Does jobs at once, or keeps them.
#[derive(Debug, Default)]
struct Notes {
    elsewhere: bool,
    jobs: Vec<SocketAddr>,
    events: Vec<String>,
    failures: Vec<String>,
}

impl Environment<Echo> for Notes {
    fn job(&mut self, _: Now, job: SocketAddr) -> Option<SocketAddr> {
        self.jobs.push(job);
        (!self.elsewhere).then_some(job)
    }

    fn event(&mut self, event: String) {
        self.events.push(event);
    }

    fn failed(&mut self, failure: Failure) {
        self.failures.push(failure.to_string());
    }
}

/// A network that only this test is on, and a driver on it.
struct Scene {
    network: Network,
    driver: Driver<Echo>,
    address: SocketAddr,
}

impl Scene {
    fn new() -> io::Result<Self> {
        let network = Network::claim()?;
        let socket = bind(SocketAddr::from((network.here(), 0)))?;
        let address = socket.local_addr()?;
        Ok(Self { network, driver: Driver::new(Echo::default(), socket, Clock::new()), address })
    }

    /// Somebody else on the network.
    fn peer(&self) -> io::Result<UdpSocket> {
        bind(SocketAddr::from((self.network.here(), 0)))
    }
}

/// Takes turns until this is so.
async fn turns(driver: &mut Driver<Echo>, notes: &mut Notes, enough: impl Fn(&Echo, &Notes) -> bool) {
    let turns = async {
        loop {
            let turn = driver.turn(notes);
            if enough(driver.machine(), notes) {
                return;
            }
            driver.wait(&turn, None).await;
        }
    };
    tokio::time::timeout(DEADLINE, turns).await.expect("what was awaited happens");
}

#[tokio::test]
async fn what_comes_is_answered() -> io::Result<()> {
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, address, network: _network } = scene;
    let mut notes = Notes::default();
    peer.send_to(b"\x03abc", address).await?;
    turns(&mut driver, &mut notes, |machine, notes| !notes.events.is_empty() && machine.transmits.is_empty()).await;
    let mut buffer = [0; 16];
    for _ in 0..3 {
        let received = peer.recv_from(&mut buffer).await?;
        assert_eq!((received, &buffer[..4]), ((4, address), &b"\x03abc"[..]));
    }
    assert_eq!((notes.jobs, notes.events, notes.failures), (vec![peer.local_addr()?], vec!["3 times".into()], vec![]));
    Ok(())
}

#[tokio::test]
async fn a_job_may_be_done_later() -> io::Result<()> {
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, address, network: _network } = scene;
    let mut notes = Notes { elsewhere: true, ..Notes::default() };
    peer.send_to(b"\x01later", address).await?;
    turns(&mut driver, &mut notes, |_, notes| !notes.jobs.is_empty()).await;
    assert_eq!(notes.events, Vec::<String>::new());
    driver.handle(Input::Done(notes.jobs[0]));
    assert!(!driver.turn(&mut notes).busy);
    assert_eq!(notes.events, ["1 times"]);
    Ok(())
}

/// A flood of what comes and of what goes out is worked off in several turns, between which a program is served.
#[tokio::test]
async fn a_turn_ends() -> io::Result<()> {
    const MAX_PER_TURN: usize = MAX_BATCH * MAX_BATCHES;
    const FLOOD: usize = MAX_PER_TURN + 10;
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, address, network: _network } = scene;
    for _ in 0..FLOOD {
        peer.send_to(b"\x04", address).await?;
    }
    driver.socket().readable().await?;
    let mut notes = Notes::default();
    let turn = driver.turn(&mut notes);
    assert!(turn.busy && !turn.blocked);
    let sent = MAX_OUTPUTS + OUTPUTS_PER_DATAGRAM * MAX_PER_TURN - notes.jobs.len();
    assert_eq!((notes.jobs.len(), driver.machine().transmits.len()), (MAX_PER_TURN, 4 * MAX_PER_TURN - sent));
    turns(&mut driver, &mut notes, |machine, notes| notes.jobs.len() == FLOOD && machine.transmits.is_empty()).await;
    assert!(!driver.turn(&mut notes).busy);
    Ok(())
}

/// A socket that has not yet said that it takes packets takes none.
#[tokio::test]
async fn a_packet_that_cannot_be_sent_yet_is_sent_later() -> io::Result<()> {
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, network: _network, .. } = scene;
    let mut notes = Notes::default();
    for payload in [&b"first"[..], b"second"] {
        driver.handle(Input::Command(Transmit {
            to: peer.local_addr()?,
            local: None,
            payload: Bytes::from_static(payload),
        }));
    }
    let turn = driver.turn(&mut notes);
    assert_eq!((turn.busy, turn.blocked, driver.machine().put_back), (false, true, 1));
    driver.wait(&turn, None).await;
    assert_eq!(driver.turn(&mut notes), Turn { busy: false, blocked: false, until: None });
    let mut buffer = [0; 16];
    for payload in [&b"first"[..], b"second"] {
        let (len, _) = peer.recv_from(&mut buffer).await?;
        assert_eq!(&buffer[..len], payload);
    }
    Ok(())
}

#[tokio::test]
async fn the_time_is_told() -> io::Result<()> {
    let Scene { mut driver, network: _network, .. } = Scene::new()?;
    let mut notes = Notes::default();
    let due = driver.clock().now().monotonic + Duration::from_millis(30);
    driver.machine_mut().due = Some(due);
    let turn = driver.turn(&mut notes);
    assert_eq!((turn.busy, turn.blocked, turn.until), (false, false, Some(driver.clock().instant(due))));
    let before = driver.machine().timeouts;
    driver.wait(&turn, None).await;
    assert!(driver.clock().now().monotonic >= due);
    assert_eq!(driver.turn(&mut notes), Turn { busy: false, blocked: false, until: None });
    assert_eq!(driver.machine().timeouts, before + 1);
    driver.turn(&mut notes);
    assert_eq!(driver.machine().timeouts, before + 1, "once");
    Ok(())
}

#[tokio::test]
async fn a_program_may_want_to_be_woken_earlier() -> io::Result<()> {
    let Scene { mut driver, network: _network, .. } = Scene::new()?;
    let turn = driver.turn(&mut Notes::default());
    assert_eq!(turn.until, None);
    driver.wait(&turn, Some(Instant::now() + Duration::from_millis(10))).await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_is_lost_and_said() -> io::Result<()> {
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, network: _network, .. } = scene;
    let mut notes = Notes::default();
    let nowhere = SocketAddr::from((driver.socket().local_addr()?.ip(), 0));
    driver.handle(Input::Command(Transmit { to: nowhere, local: None, payload: Bytes::from_static(b"lost") }));
    driver.handle(Input::Command(Transmit {
        to: peer.local_addr()?,
        local: None,
        payload: Bytes::from_static(b"sent"),
    }));
    driver.flush(&mut notes).await;
    assert_eq!(notes.failures.len(), 1);
    assert!(notes.failures[0].starts_with(&format!("cannot send to {nowhere}: ")), "{notes:?}");
    let mut buffer = [0; 16];
    let (len, _) = peer.recv_from(&mut buffer).await?;
    assert_eq!(&buffer[..len], b"sent");
    Ok(())
}

/// The error of what was sent before costs nothing of what has come after it, nor of what is sent after it.
#[tokio::test]
async fn a_closed_port_does_not_stop_the_driver() -> io::Result<()> {
    let scene = Scene::new()?;
    let (peer, gone) = (scene.peer()?, scene.peer()?);
    let Scene { mut driver, address, network: _network } = scene;
    let closed = gone.local_addr()?;
    drop(gone);
    let mut notes = Notes::default();
    peer.send_to(b"\x02", address).await?;
    for payload in [&b"into the void"[..], b"and again", b"and again"] {
        driver.handle(Input::Command(Transmit { to: closed, local: None, payload: Bytes::from_static(payload) }));
    }
    turns(&mut driver, &mut notes, |machine, notes| machine.unreachable.len() == 3 && !notes.events.is_empty()).await;
    driver.flush(&mut notes).await;
    assert_eq!(driver.machine().unreachable[0], (closed, Bytes::from_static(b"into the void")), "as it was sent");
    assert_eq!(notes.failures, Vec::<String>::new());
    let mut buffer = [0; 16];
    for _ in 0..2 {
        assert_eq!(peer.recv_from(&mut buffer).await?, (1, address));
    }
    Ok(())
}

/// It is woken by one as well, when nothing else comes.
#[tokio::test]
async fn errors_are_told_when_nothing_else_comes() -> io::Result<()> {
    let scene = Scene::new()?;
    let gone = scene.peer()?;
    let Scene { mut driver, network: _network, .. } = scene;
    let to = gone.local_addr()?;
    drop(gone);
    driver.handle(Input::Command(Transmit { to, local: None, payload: Bytes::from_static(b"into the void") }));
    turns(&mut driver, &mut Notes::default(), |machine, _| machine.unreachable.len() == 1).await;
    Ok(())
}

/// Nobody who has errors made keeps a driver from anything else.
#[tokio::test]
async fn a_flood_of_errors_is_worked_off_in_several_turns() -> io::Result<()> {
    const FLOOD: usize = 3 * MAX_ERRORS / 2;
    let scene = Scene::new()?;
    let (peer, gone) = (scene.peer()?, scene.peer()?);
    let Scene { mut driver, address, network: _network } = scene;
    let closed = gone.local_addr()?;
    drop(gone);
    driver.socket().writable().await?;
    let voice = StdSocket::from(driver.socket().as_fd().try_clone_to_owned()?);
    for _ in 0..FLOOD {
        // Each fails with the error of the one before.
        while voice.send_to(b"x", closed).is_err() {}
    }
    peer.send_to(b"\x01", address).await?;
    driver.wait(&Turn { busy: false, blocked: false, until: None }, None).await;
    let mut notes = Notes::default();
    driver.turn(&mut notes);
    assert_eq!((driver.machine().unreachable.len(), driver.machine().received.len()), (MAX_ERRORS, 0), "in one turn");
    assert_eq!(notes.events, ["1 times"], "and what has come is answered in the same");
    turns(&mut driver, &mut notes, |machine, _| machine.unreachable.len() == FLOOD).await;
    assert_eq!(peer.recv_from(&mut [0; 16]).await?, (1, address));
    assert_eq!(notes.failures, Vec::<String>::new());
    Ok(())
}

/// A port that is free at all addresses, and that no other test is given.
fn everywhere() -> io::Result<u16> {
    free_udp(Ipv4Addr::UNSPECIFIED).map_err(io::Error::other)
}

/// A socket that has all addresses of the host.
struct Everywhere {
    network: Network,
    driver: Driver<Echo>,
    port: u16,
}

impl Everywhere {
    fn new() -> io::Result<Self> {
        let network = Network::claim()?;
        let port = everywhere()?;
        let socket = bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
        Ok(Self { network, driver: Driver::new(Echo::default(), socket, Clock::new()), port })
    }
}

/// Each peer asks at another address, and is answered from there: one by one and in batches.
#[tokio::test]
async fn answers_go_from_the_address_that_was_asked() -> io::Result<()> {
    const PEERS: u8 = 40;
    let Everywhere { network, mut driver, port } = Everywhere::new()?;
    let peers = (0..PEERS).map(|_| bind(SocketAddr::from((network.here(), 0)))).collect::<io::Result<Vec<_>>>()?;
    let asked = |number: u8| SocketAddr::from((network.host(10 + number), port));
    for (number, peer) in (0..PEERS).zip(&peers) {
        peer.send_to(b"\x01", asked(number)).await?;
    }
    let mut notes = Notes::default();
    turns(&mut driver, &mut notes, |_, notes| notes.events.len() == usize::from(PEERS)).await;
    driver.flush(&mut notes).await;
    for (number, peer) in (0..PEERS).zip(&peers) {
        assert_eq!(peer.recv_from(&mut [0; 16]).await?.1, asked(number));
    }
    Ok(())
}

/// An address that the host no longer has does not keep a packet from being sent.
#[tokio::test]
async fn an_address_that_is_gone_is_not_insisted_on() -> io::Result<()> {
    let Everywhere { network, mut driver, port } = Everywhere::new()?;
    let peer = bind(SocketAddr::from((network.here(), 0)))?;
    let mut notes = Notes::default();
    // Of a network that is only in documents.
    let gone = Some(IpAddr::from([192, 0, 2, 1]));
    let payload = Bytes::from_static(b"all the same");
    driver.handle(Input::Command(Transmit { to: peer.local_addr()?, local: gone, payload }));
    driver.flush(&mut notes).await;
    assert_eq!(notes.failures, Vec::<String>::new());
    let (len, from) = peer.recv_from(&mut [0; 16]).await?;
    assert_eq!((len, from.port()), (12, port));
    Ok(())
}

/// A socket that was handed over by another program says as much.
#[tokio::test]
async fn so_does_an_inherited_socket() -> io::Result<()> {
    let network = Network::claim()?;
    let port = everywhere()?;
    let handed = StdSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    let mut driver =
        Driver::new(Echo::default(), UdpSocket::from_std(crate::socket::inherited(handed.into())?)?, Clock::new());
    let peer = bind(SocketAddr::from((network.here(), 0)))?;
    let asked = SocketAddr::from((network.host(7), port));
    peer.send_to(b"\x01", asked).await?;
    let mut notes = Notes::default();
    turns(&mut driver, &mut notes, |_, notes| !notes.events.is_empty()).await;
    driver.flush(&mut notes).await;
    assert_eq!(peer.recv_from(&mut [0; 16]).await?.1, asked);
    Ok(())
}
