//! A server on a socket, and hosts that are loopback addresses of a network that no other test has at the same time.

use super::stage::{Double, Proof, Received, at};
use bytes::Bytes;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    ops::{Deref, DerefMut},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};
use tokio::{io::Interest, runtime::Runtime, time::timeout};
use zephyr_core::{notice::Packet, time::Now};
use zephyr_daemons::zephyrd::verifier::Verifier;
use zephyr_engine::{
    machine::{Input, Machine, Output, Transmit},
    server::{Command, Config, Done, Event, Job, Server},
};
use zephyr_net::{batch::BatchReceiver, datagram, socket};
use zephyr_testkit::loopback::Network;

/// Whether packets go over sockets.
pub(crate) const OVER_SOCKETS: bool = true;

/// How long what must come may take. Only tests that fail wait so long.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Low ports take privileges: what goes there, and comes from there, is made up.
fn is_nobodys(address: SocketAddr) -> bool {
    address.port() < 1024
}

/// The sockets of all hosts; their ports are those that the tests name.
#[derive(Default)]
struct Hosts {
    sockets: RefCell<HashMap<SocketAddr, UdpSocket>>,
}

thread_local! {
    /// The network of this test, and another one. Every test has a thread.
    static NETWORKS: [Network; 2] = [Network::claim().unwrap(), Network::claim().unwrap()];
    /// Several stages of one test share the hosts.
    static HOSTS: RefCell<Weak<Hosts>> = const { RefCell::new(Weak::new()) };
}

/// The address of a host of this test.
pub(crate) fn host(number: u8) -> Ipv4Addr {
    NETWORKS.with(|[network, _]| network.host(number))
}

/// The address of a host on another network.
pub(crate) fn outside() -> Ipv4Addr {
    NETWORKS.with(|[_, other]| other.here())
}

impl Hosts {
    fn of_this_thread() -> Rc<Self> {
        HOSTS.with_borrow_mut(|known| {
            known.upgrade().unwrap_or_else(|| {
                let hosts = Rc::new(Self::default());
                *known = Rc::downgrade(&hosts);
                hosts
            })
        })
    }

    /// Somebody is there from now on, unless the port is nobody's.
    fn appear(&self, address: SocketAddr) {
        if is_nobodys(address) {
            return;
        }
        self.sockets.borrow_mut().entry(address).or_insert_with(|| {
            let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
            socket.set_read_timeout(Some(TIMEOUT)).unwrap();
            socket
        });
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        assert_eq!(self.sockets.borrow()[&from].send_to(octets, to).unwrap(), octets.len());
    }

    /// The next packet that comes to an address, which must be from the server's port.
    fn receive(&self, to: SocketAddr, server: u16) -> Received {
        let sockets = self.sockets.borrow();
        let socket = sockets.get(&to).unwrap_or_else(|| panic!("a packet went to {to}, where nobody is"));
        let mut buffer = [0; 2048];
        let (len, from) = socket.recv_from(&mut buffer).unwrap_or_else(|error| panic!("nothing came to {to}: {error}"));
        assert_eq!(from.port(), server);
        Received { from: Some(from.ip()), to, octets: Bytes::copy_from_slice(&buffer[..len]) }
    }

    fn nothing_more_came(&self) {
        for (address, socket) in &*self.sockets.borrow() {
            socket.set_nonblocking(true).unwrap();
            let more = socket.recv_from(&mut [0; 2048]).unwrap_err();
            assert_eq!(more.kind(), io::ErrorKind::WouldBlock, "{address}");
            socket.set_nonblocking(false).unwrap();
        }
    }
}

/// The server, its socket, and who verifies for it.
pub(crate) struct Transport {
    server: Server,
    socket: tokio::net::UdpSocket,
    /// The server's address that packets are sent to.
    pub(crate) asked: IpAddr,
    port: u16,
    receiver: BatchReceiver,
    double: Arc<Double>,
    verifier: Verifier,
    runtime: Runtime,
    hosts: Rc<Hosts>,
    /// Datagrams that are on their way to the server.
    given: usize,
}

impl Transport {
    pub(crate) fn new(config: Config, now: Now) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let socket = socket::bind((config.address, 0).into()).unwrap();
        drop(entered);
        let double = Arc::new(Double::default());
        Self {
            asked: config.address.into(),
            port: socket.local_addr().unwrap().port(),
            server: Server::new(config, now),
            socket,
            receiver: BatchReceiver::new(),
            verifier: Verifier::new(double.clone(), crate::VERIFY_THREADS).unwrap(),
            double,
            runtime,
            hosts: Hosts::of_this_thread(),
            given: 0,
        }
    }

    /// How many packets were verified.
    pub(crate) fn judged(&self) -> usize {
        self.double.judged()
    }

    /// Sends octets to the server from an address, behind which there is also a program that receives at the notice's port.
    pub(crate) fn give(&mut self, now: Now, from: SocketAddr, octets: &[u8], proof: Proof) {
        self.double.set(proof);
        if is_nobodys(from) {
            return self.server.handle(now, Input::Datagram { from, local: Some(self.asked), octets });
        }
        self.hosts.appear(from);
        if let Ok(packet) = Packet::parse(octets) {
            self.hosts.appear(at(from, packet.notice.port));
        }
        self.hosts.send(from, (self.asked, self.port).into(), octets);
        self.given += 1;
    }

    pub(crate) fn command(&mut self, now: Now, command: Command) {
        self.server.handle(now, Input::Command(command));
    }

    pub(crate) fn timeout(&mut self, now: Now) {
        self.server.handle(now, Input::Timeout);
    }

    /// All that the server sends and tells until it has received everything and has nothing to do, in its order.
    pub(crate) fn drain(&mut self, now: Now) -> (Vec<Received>, Vec<Event>) {
        while self.given > 0 {
            self.receive(now);
        }
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        loop {
            match self.server.poll(now) {
                Output::Transmit(transmit) => match self.send(&transmit) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.server.put_back(transmit);
                        self.runtime.block_on(self.socket.writable()).unwrap();
                    }
                    result => {
                        result.unwrap();
                        sent.push(Received::from(transmit));
                    }
                },
                Output::Job(Job::Verify(job)) => {
                    let verified = self.verifier.verify(now, job).expect("proofs are verified on the spot");
                    self.server.handle(now, Input::Done(Done::Verified(verified)));
                }
                Output::Job(_) => {}
                Output::Event(event) => events.push(event),
                Output::Wait(_) => break,
            }
        }
        let arrived = |packet: Received| match packet.to {
            to if is_nobodys(to) => packet,
            to => self.hosts.receive(to, self.port),
        };
        let received = sent.into_iter().map(arrived).collect();
        self.hosts.nothing_more_came();
        (received, events)
    }

    fn send(&self, transmit: &Transmit) -> io::Result<()> {
        self.socket.try_io(Interest::WRITABLE, || datagram::send(&self.socket, transmit))
    }

    fn receive(&mut self, now: Now) {
        let Self { server, socket, receiver, runtime, given, .. } = self;
        runtime.block_on(async { timeout(TIMEOUT, socket.readable()).await }).expect("what is sent arrives").unwrap();
        let received = receiver.receive(socket, |from, local, octets| {
            server.handle(now, Input::Datagram { from, local, octets });
        });
        *given -= received.unwrap_or(0);
    }

    /// When the server wants to be woken.
    pub(crate) fn next_timeout(&mut self, now: Now) -> Option<Duration> {
        match self.server.poll(now) {
            Output::Wait(until) => until,
            other => panic!("there is something to do first: {other:?}"),
        }
    }
}

impl Deref for Transport {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Transport {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
