//! Somebody in the middle, between a host manager and its clients on one side and a server on the other.
//!
//! Clients are told to the server as if they lived at a loopback address of the relay's own, so that what the server
//! sends them passes here, too. They must therefore bind 127.0.0.1 alone (`ZEPHYR_ADDRESS=127.0.0.1`).

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use zephyr_core::{limits::MAX_PACKET, notice::Packet};

/// The port at which a relay pretends to be the host manager: none that the system gives to a client, whose ports the
/// relay needs for itself.
const HOST_MANAGER_PORT: u16 = 2104;
const ATTEMPTS: usize = 100;

/// How often a thread looks whether it should end.
const TIMEOUT: Duration = Duration::from_millis(50);

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the host manager to the server.
    ToServer,
    /// From the server to the host manager.
    ToHost,
    /// From the server to a client.
    ToClient,
    /// From a client to the server.
    FromClient,
}

/// What is done to a datagram on its way: it may be changed; `false` loses it.
type Tamper = Box<dyn FnMut(Way, &mut Vec<u8>) -> bool + Send>;

/// A running relay. Ends when dropped.
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    /// Towards the host manager, which takes it for the server.
    down: UdpSocket,
    /// Towards the server, which takes it for the host manager.
    up: UdpSocket,
    /// Where the server sees everything come from. Each relay has its own, so that none takes another's ports.
    apparent: Ipv4Addr,
    host: Mutex<Option<SocketAddr>>,
    clients: Mutex<HashMap<u16, JoinHandle<()>>>,
    tamper: Mutex<Tamper>,
    stop: AtomicBool,
}

impl Relay {
    /// Starts a relay to `server`.
    ///
    /// # Errors
    /// When a socket cannot be opened.
    pub fn start(
        server: SocketAddr,
        tamper: impl FnMut(Way, &mut Vec<u8>) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let down = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (up, apparent) = apparent_host()?;
        for socket in [&down, &up] {
            socket.set_read_timeout(Some(TIMEOUT))?;
        }
        let address = down.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            down,
            up,
            apparent,
            host: Mutex::new(None),
            clients: Mutex::new(HashMap::new()),
            tamper: Mutex::new(Box::new(tamper)),
            stop: AtomicBool::new(false),
        });
        let threads = [Shared::run_down, Shared::run_up].map(|run| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || run(&shared))
        });
        Ok(Self { shared, address, threads: threads.into() })
    }

    /// Where the host manager must believe the server to be.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut *lock(&self.shared.clients));
        for thread in self.threads.drain(..).chain(clients.into_values()) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run_down(self: &Arc<Self>) {
        self.pump(&self.down, |from, datagram| {
            *lock(&self.host) = Some(from);
            if let Ok(packet) = Packet::parse(datagram) {
                self.watch(packet.notice.port);
            }
            Some((&self.up, Way::ToServer, self.server))
        });
    }

    fn run_up(self: &Arc<Self>) {
        self.pump(&self.up, |_, _| Some((&self.down, Way::ToHost, (*lock(&self.host))?)));
    }

    /// Stands between the server and the client that wants its notices at `port`.
    fn watch(self: &Arc<Self>, port: u16) {
        let mut clients = lock(&self.clients);
        if port == 0 || clients.contains_key(&port) {
            return;
        }
        let Ok(socket) = UdpSocket::bind((self.apparent, port)) else { return };
        if socket.set_read_timeout(Some(TIMEOUT)).is_err() {
            return;
        }
        let shared = Arc::clone(self);
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let run = move || {
            shared.pump(&socket, |from, _| {
                let from_server = from == shared.server;
                let (way, to) = if from_server { (Way::ToClient, client) } else { (Way::FromClient, shared.server) };
                Some((&socket, way, to))
            });
        };
        clients.insert(port, thread::spawn(run));
    }

    fn pump<'a>(
        &self,
        socket: &UdpSocket,
        mut route: impl FnMut(SocketAddr, &[u8]) -> Option<(&'a UdpSocket, Way, SocketAddr)>,
    ) {
        let mut buffer = [0; MAX_PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let mut datagram = buffer.get(..length).unwrap_or_default().to_vec();
            let Some((out, way, to)) = route(from, &datagram) else { continue };
            if lock(&self.tamper)(way, &mut datagram) {
                // A datagram that cannot be sent is lost, as datagrams are.
                let _ = out.send_to(&datagram, to);
            }
        }
    }
}

/// A socket at the host manager's port of a loopback address that no other relay has.
fn apparent_host() -> io::Result<(UdpSocket, Ipv4Addr)> {
    for _ in 0..ATTEMPTS {
        let [_, _, _, _, _, high, middle, low] = RandomState::new().hash_one(ATTEMPTS).to_be_bytes();
        // Neither 127.0.x.y, where everybody else is, nor the network's last address.
        let address = Ipv4Addr::new(127, high.clamp(1, 254), middle, low);
        if let Ok(socket) = UdpSocket::bind((address, HOST_MANAGER_PORT)) {
            return Ok((socket, address));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
