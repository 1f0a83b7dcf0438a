//! A relay (man in the middle) between a host manager with its clients and a server.
//!
//! The server sees clients at another address of the same network, so that what it sends them passes the relay, too. They must therefore bind [`Network::here`] alone (`ZEPHYR_ADDRESS`).

use crate::loopback::Network;
use std::{
    collections::HashMap,
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

/// The port at which a relay stands for the host manager: outside the ephemeral ports of clients, which the relay binds
/// itself.
const HOST_MANAGER_PORT: u16 = 2104;
/// The last octet of the address at which the server sees clients.
const APPARENT_HOST: u8 = 2;

/// The interval at which a thread checks whether it should end: long, as there is a thread for every client.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The direction of a datagram.
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

/// A function applied to each datagram: it may change the datagram; `false` drops it.
type Tamper = Box<dyn FnMut(Way, &mut Vec<u8>) -> bool + Send>;

/// A running relay. Ends when dropped.
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    /// Towards the host manager: to it, this is the server.
    down: UdpSocket,
    /// Towards the server: to it, this is the host manager.
    up: UdpSocket,
    /// The address of the clients.
    clients_at: Ipv4Addr,
    /// The address at which the server sees the clients and the host manager.
    apparent: Ipv4Addr,
    host: Mutex<Option<SocketAddr>>,
    clients: Mutex<HashMap<u16, JoinHandle<()>>>,
    tamper: Mutex<Tamper>,
    stop: AtomicBool,
}

impl Relay {
    /// Starts a relay to `server` on a network without another relay, whose clients are at [`Network::here`].
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened.
    pub fn start(
        network: &Network,
        server: SocketAddr,
        tamper: impl FnMut(Way, &mut Vec<u8>) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let (clients_at, apparent) = (network.here(), network.host(APPARENT_HOST));
        let down = UdpSocket::bind((clients_at, 0))?;
        let up = UdpSocket::bind((apparent, HOST_MANAGER_PORT))?;
        for socket in [&down, &up] {
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
        }
        let address = down.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            down,
            up,
            clients_at,
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

    /// The address of the server to configure in the host manager.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut *lock(&self.shared.clients));
        // Wakes each thread with a packet; where that fails, its read times out.
        let ports = clients.keys().copied().chain([HOST_MANAGER_PORT]);
        for place in ports.map(|port| SocketAddr::from((self.shared.apparent, port))).chain([self.address]) {
            let _ = self.shared.up.send_to(b"", place);
        }
        for thread in self.threads.drain(..).chain(clients.into_values()) {
            // A thread that panicked has printed that.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run_down(self: &Arc<Self>) {
        self.pump(&self.down, |from, datagram| {
            *lock(&self.host) = Some(from);
            if let Ok(packet) = Packet::parse(datagram) {
                self.relay_client(packet.notice.port);
            }
            Some((&self.up, Way::ToServer, self.server))
        });
    }

    fn run_up(self: &Arc<Self>) {
        self.pump(&self.up, |_, _| Some((&self.down, Way::ToHost, (*lock(&self.host))?)));
    }

    /// Relays between the server and the client that receives its notices at `port`.
    fn relay_client(self: &Arc<Self>, port: u16) {
        let mut clients = lock(&self.clients);
        if port == 0 || clients.contains_key(&port) {
            return;
        }
        let Ok(socket) = UdpSocket::bind((self.apparent, port)) else { return };
        if socket.set_read_timeout(Some(READ_TIMEOUT)).is_err() {
            return;
        }
        let shared = Arc::clone(self);
        let client = SocketAddr::from((self.clients_at, port));
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
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let mut datagram = buffer.get(..length).unwrap_or_default().to_vec();
            let Some((out, way, to)) = route(from, &datagram) else { continue };
            if lock(&self.tamper)(way, &mut datagram) {
                // A datagram that cannot be sent is lost, as datagrams are.
                let _ = out.send_to(&datagram, to);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
