//! Running daemons, and programs that talk to them over sockets.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running daemon; it is stopped when the test ends, however that is.
pub struct Daemon {
    pub child: Child,
    pub address: SocketAddr,
    pub lines: mpsc::Receiver<String>,
}

impl Daemon {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
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
        let mut daemon = Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), lines };
        let ready = daemon.line_with("Ready for action on ");
        daemon.address = ready.rsplit(' ').next().unwrap().parse().unwrap();
        daemon
    }

    pub fn line_with(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
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
        let deadline = Instant::now() + PATIENCE;
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

/// A program with a socket that talks through a host manager.
pub struct Program {
    pub socket: UdpSocket,
    pub hm: SocketAddr,
    pub sender: &'static str,
    pub sent: u32,
}

impl Program {
    pub fn new(hm: SocketAddr, sender: &'static str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, hm, sender, sent: 0 }
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    pub fn send(&mut self, notice: Notice<'_>) -> Uid {
        self.sent += 1;
        let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: u32::from(self.port()), micros: self.sent };
        let notice = Notice { uid, multiuid: uid, port: self.port(), sender: self.sender.as_bytes(), ..notice };
        self.socket.send_to(&notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), self.hm).unwrap();
        uid
    }

    /// The next packet: its kind, uid and body; a delivery is acknowledged.
    pub fn hear(&self) -> (Kind, Uid, Vec<u8>) {
        let mut buffer = [0; 1024];
        let (len, from) = self.socket.recv_from(&mut buffer).expect("something comes");
        let notice = Packet::parse(&buffer[..len]).unwrap().notice;
        if !notice.kind.is_acknowledgement() {
            let ack = Notice { kind: Kind::ClientAck, body: b"", ..notice };
            self.socket.send_to(&ack.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
        }
        (notice.kind, notice.uid, notice.body.to_vec())
    }
}

pub fn acked<'a>(class: &'a [u8], instance: &'a [u8], opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
    Notice { kind: Kind::Acked, class, instance, opcode, body, ..Notice::EMPTY }
}

pub fn server(arguments: &[&str]) -> Daemon {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-configuration");
    let usual =
        ["--listen", "127.0.0.1:0", "--auth", "none", "-k", "OPEN.TEST", "--config-dir", folder, "--hostname", "here"];
    Daemon::start(env!("CARGO_BIN_EXE_zephyrd"), &[&usual, arguments].concat())
}

pub fn host_manager(server: &Daemon, arguments: &[&str]) -> Daemon {
    let name = server.address.to_string();
    Daemon::start(env!("CARGO_BIN_EXE_zhm"), &[&["--listen", "127.0.0.1:0", &name], arguments].concat())
}
