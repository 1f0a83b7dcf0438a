//! The driver with an echo machine, on loopback sockets.

use super::*;
use crate::socket::bind;
use bytes::Bytes;
use std::collections::VecDeque;
use zephyr_engine::machine::Transmit;
use zephyr_testkit::loopback::Network;

/// Sends every datagram back as often as its first octet says, once a job has said where to.
#[derive(Debug, Default)]
struct Echo {
    jobs: VecDeque<SocketAddr>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<String>,
    received: Vec<Bytes>,
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
            Input::Datagram { from, octets } => {
                self.received.push(Bytes::copy_from_slice(octets));
                self.jobs.push_back(from);
            }
            Input::Done(to) => {
                let payload = self.received.pop().unwrap_or_default();
                let times = usize::from(payload.first().copied().unwrap_or(0));
                self.transmits.extend((0..times).map(|_| Transmit { to, payload: payload.clone() }));
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
    loop {
        let turn = driver.turn(notes);
        if enough(driver.machine(), notes) {
            return;
        }
        driver.wait(&turn, None).await;
    }
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
        driver.handle(Input::Command(Transmit { to: peer.local_addr()?, payload: Bytes::from_static(payload) }));
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
    driver.handle(Input::Command(Transmit { to: nowhere, payload: Bytes::from_static(b"lost") }));
    driver.handle(Input::Command(Transmit { to: peer.local_addr()?, payload: Bytes::from_static(b"sent") }));
    driver.flush(&mut notes).await;
    assert_eq!(notes.failures.len(), 1);
    assert!(notes.failures[0].starts_with(&format!("cannot send to {nowhere}: ")), "{notes:?}");
    let mut buffer = [0; 16];
    let (len, _) = peer.recv_from(&mut buffer).await?;
    assert_eq!(&buffer[..len], b"sent");
    Ok(())
}

/// The error of what was sent before costs nothing of what has come after it.
#[tokio::test]
async fn a_closed_port_does_not_stop_the_driver() -> io::Result<()> {
    let scene = Scene::new()?;
    let peer = scene.peer()?;
    let Scene { mut driver, network: _network, .. } = scene;
    let address = peer.local_addr()?;
    driver.socket().connect(address).await?;
    drop(peer);
    driver.socket().send(b"into the void").await?;
    let peer = bind(address)?;
    peer.send_to(b"\x00", driver.socket().local_addr()?).await?;
    let mut notes = Notes::default();
    turns(&mut driver, &mut notes, |_, notes| !notes.events.is_empty()).await;
    assert_eq!(notes.failures.len(), 1);
    assert!(notes.failures[0].starts_with("cannot receive: "), "{notes:?}");
    Ok(())
}
