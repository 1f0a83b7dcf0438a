//! The stage over sockets: the server is the real one with its socket, and hosts are loopback addresses of a network that
//! no other test has at the same time.

use super::{Heard, Proof};
use bytes::Bytes;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::{Rc, Weak},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use zephyr_core::{
    auth::{Acceptor, AuthError, Judgement},
    notice::Packet,
    time::Now,
};
use zephyr_daemons::zephyrd::{engine::Config, event::Event, shell::Rehearsal};
use zephyr_testkit::loopback::Network;

/// How long what must come may take. Only tests that fail wait so long.
const PATIENCE: Duration = Duration::from_secs(120);

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
pub(super) fn host(number: u8) -> Ipv4Addr {
    NETWORKS.with(|[network, _]| network.host(number))
}

/// The address of a host that is not on its network.
pub(super) fn outside() -> Ipv4Addr {
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

    /// Somebody is there from now on. Low ports are nobody's: they take privileges, and no test expects to hear there.
    fn appear(&self, address: SocketAddr) {
        if address.port() < 1024 {
            return;
        }
        self.sockets.borrow_mut().entry(address).or_insert_with(|| {
            let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
    }

    fn send(&self, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        assert_eq!(self.sockets.borrow()[&from].send_to(octets, to).unwrap(), octets.len());
    }

    /// The next packet that comes to an address, which must be the server's.
    fn hear(&self, to: SocketAddr, server: SocketAddr) -> Heard {
        let sockets = self.sockets.borrow();
        let socket = sockets.get(&to).unwrap_or_else(|| panic!("a packet went to {to}, where nobody is"));
        let mut buffer = [0; 2048];
        let (len, from) = socket.recv_from(&mut buffer).unwrap_or_else(|error| panic!("nothing came to {to}: {error}"));
        assert_eq!(from, server);
        Heard { to, octets: Bytes::copy_from_slice(&buffer[..len]) }
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

/// Judges as the stage says.
struct Double {
    /// What the packets prove that are on their way, and how many were judged.
    proof: Mutex<(Proof, usize)>,
}

impl Acceptor for Double {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], _: Now) -> Result<Judgement, AuthError> {
        let mut proof = self.proof.lock().unwrap();
        proof.1 += 1;
        assert_eq!(packet.notice.sender, expected);
        Ok(super::judgement(packet, proof.0))
    }
}

/// A server with its socket.
pub struct Served {
    pub(super) server: Rehearsal,
    address: SocketAddr,
    double: Arc<Double>,
    hosts: Rc<Hosts>,
    given: u64,
}

impl Served {
    pub(super) fn new(config: Config, now: Now) -> Self {
        let hosts = Hosts::of_this_thread();
        let double = Arc::new(Double { proof: Mutex::new((Proof::No, 0)) });
        let server = Rehearsal::new(config, double.clone(), now).unwrap();
        let address = server.address().unwrap();
        Self { server, address, double, hosts, given: 0 }
    }

    pub(super) fn judged(&self) -> usize {
        self.double.proof.lock().unwrap().1
    }

    /// Sends octets to the server from an address, behind which there is also a program that hears at `port`.
    pub(super) fn give(&mut self, from: SocketAddr, port: Option<u16>, octets: &[u8], proof: Proof) {
        self.double.proof.lock().unwrap().0 = proof;
        self.hosts.appear(from);
        if let Some(port) = port {
            self.hosts.appear(super::at(from, port));
        }
        self.hosts.send(from, self.address, octets);
        self.given += 1;
    }

    /// All that the server sends and reports until it has heard everything and has nothing to do, in its order.
    pub(super) fn hear(&mut self) -> (Vec<Heard>, Vec<Event>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(self.server.turn(), "the server was stopped");
            if self.server.heard() == self.given && self.server.is_idle() {
                break;
            }
            assert!(Instant::now() < deadline, "{} of {} packets were heard", self.server.heard(), self.given);
        }
        let (sent, events) = self.server.take_news();
        let heard = sent.into_iter().map(|to| self.hosts.hear(to, self.address)).collect();
        self.hosts.nothing_more_came();
        (heard, events)
    }
}
