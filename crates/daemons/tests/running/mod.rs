//! Running daemons, and programs that talk to them over sockets.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    cell::Cell,
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zephyr_testkit::{loopback::Network, ownership::sole_socket};

/// How long what must come may take on a machine that is busy with other things. Only tests that fail wait so long.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// A running daemon; it is stopped when the test ends, however that is.
pub struct Daemon {
    pub child: Child,
    pub address: SocketAddr,
    pub lines: mpsc::Receiver<String>,
    /// The addresses of the daemon and of whoever talks to it.
    pub network: Rc<Network>,
}

impl Daemon {
    /// Starts a daemon whose arguments, or whose files, name an address of this network to listen on.
    pub fn start(program: &str, arguments: &[&str], network: &Rc<Network>) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, lines) = mpsc::channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut daemon = Self { child, address: any_port(network), lines, network: Rc::clone(network) };
        let ready = daemon.line_with("Ready for action on ");
        daemon.address = ready.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(daemon.address.ip(), network.here());
        daemon
    }

    pub fn line_with(&self, text: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with {text:?} in {seen:?}");
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with a socket, at the address of the host manager through which it talks.
pub struct Program {
    pub socket: UdpSocket,
    pub hm: SocketAddr,
    pub sender: &'static str,
    pub sent: u32,
    /// Keeps others from having its port at another address.
    _port: Option<UdpSocket>,
    /// Whether it has acknowledged a probe.
    confirmed: Cell<bool>,
}

impl Program {
    /// One whose user a host manager knows for certain.
    pub fn sole(hm: SocketAddr, sender: &'static str) -> Self {
        let IpAddr::V4(address) = hm.ip() else { panic!("not an IPv4 address") };
        let (socket, port) = sole_socket(address).unwrap();
        Self { _port: Some(port), ..Self::with(socket, hm, sender) }
    }

    pub fn new(hm: SocketAddr, sender: &'static str) -> Self {
        Self::at(hm.ip(), hm, sender)
    }

    /// A program at another address of the machine.
    pub fn at(address: IpAddr, hm: SocketAddr, sender: &'static str) -> Self {
        Self::with(UdpSocket::bind((address, 0)).unwrap(), hm, sender)
    }

    fn with(socket: UdpSocket, hm: SocketAddr, sender: &'static str) -> Self {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self { socket, hm, sender, sent: 0, _port: None, confirmed: Cell::new(false) }
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    pub fn address(&self) -> Ipv4Addr {
        let IpAddr::V4(address) = self.socket.local_addr().unwrap().ip() else { panic!("not an IPv4 address") };
        address
    }

    pub fn send(&mut self, notice: Notice<'_>) -> Uid {
        self.sent += 1;
        let uid = Uid { address: self.address(), seconds: u32::from(self.port()), micros: self.sent };
        let notice = Notice { uid, multiuid: uid, port: self.port(), sender: self.sender.as_bytes(), ..notice };
        self.socket.send_to(&notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), self.hm).unwrap();
        uid
    }

    /// Sends until there is an answer: among too many packets a request can be lost.
    pub fn ask(&mut self, notice: Notice<'_>) {
        const PAUSE: Duration = Duration::from_secs(1);
        let deadline = Instant::now() + TIMEOUT;
        let mut asked = Vec::new();
        self.socket.set_read_timeout(Some(PAUSE)).unwrap();
        loop {
            asked.push(self.send(notice));
            while let Some((_, uid, _)) = self.try_receive() {
                if asked.contains(&uid) {
                    return self.socket.set_read_timeout(Some(TIMEOUT)).unwrap();
                }
            }
            assert!(Instant::now() < deadline, "{} answers no more", self.hm);
        }
    }

    /// The next packet but for probes: its kind, uid and body; deliveries and probes are acknowledged.
    pub fn receive(&self) -> (Kind, Uid, Vec<u8>) {
        self.try_receive().expect("something comes")
    }

    /// Acknowledges the server's probe, unless that came already: from now on the program is sent what it subscribed to.
    pub fn confirm(&self) {
        if self.confirmed.get() {
            return;
        }
        let mut buffer = [0; 1024];
        let (len, from) = self.socket.recv_from(&mut buffer).expect("a probe comes");
        let notice = Packet::parse(&buffer[..len]).unwrap().notice;
        assert_eq!(notice.opcode, b"PROBE");
        let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
        self.socket.send_to(&ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
    }

    fn try_receive(&self) -> Option<(Kind, Uid, Vec<u8>)> {
        loop {
            let mut buffer = [0; 1024];
            let (len, from) = self.socket.recv_from(&mut buffer).ok()?;
            let notice = Packet::parse(&buffer[..len]).unwrap().notice;
            if !notice.kind.is_acknowledgement() {
                let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
                self.socket.send_to(&ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
            }
            if notice.opcode == b"PROBE" {
                self.confirmed.set(true);
            } else {
                return Some((notice.kind, notice.uid, notice.body.to_vec()));
            }
        }
    }
}

pub fn acked<'a>(class: &'a [u8], instance: &'a [u8], opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
    Notice { kind: Kind::Acked, class, instance, opcode, body, ..Notice::EMPTY }
}

/// An address for a daemon to listen on, which picks the port.
pub fn any_port(network: &Network) -> SocketAddr {
    SocketAddr::from((network.here(), 0))
}

/// A server on a network of its own.
pub fn server(arguments: &[&str]) -> Daemon {
    server_on(&Rc::new(Network::claim().unwrap()), arguments)
}

pub fn server_on(network: &Rc<Network>, arguments: &[&str]) -> Daemon {
    let listen = any_port(network).to_string();
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-configuration");
    std::fs::create_dir_all(folder).unwrap();
    let usual =
        ["--listen", &listen, "--auth", "none", "-k", "OPEN.TEST", "--config-dir", folder, "--hostname", "here"];
    Daemon::start(env!("CARGO_BIN_EXE_zephyrd"), &[&usual, arguments].concat(), network)
}

/// A host manager of this server, on its network.
pub fn host_manager(server: &Daemon, arguments: &[&str]) -> Daemon {
    let (listen, name) = (any_port(&server.network).to_string(), server.address.to_string());
    Daemon::start(
        env!("CARGO_BIN_EXE_zhm"),
        &[&["-n", "--listen", &listen, &name], arguments].concat(),
        &server.network,
    )
}
