//! Both programs over real sockets on loopback, without Kerberos.

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

const PATIENCE: Duration = Duration::from_secs(20);

/// A running daemon; it is stopped when the test ends, however that is.
struct Daemon {
    child: Child,
    address: SocketAddr,
    lines: mpsc::Receiver<String>,
}

impl Daemon {
    fn start(program: &str, arguments: &[&str]) -> Self {
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

    fn line_with(&self, text: &str) -> String {
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

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> Option<i32> {
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
struct Program {
    socket: UdpSocket,
    hm: SocketAddr,
    sender: &'static str,
    sent: u32,
}

impl Program {
    fn new(hm: SocketAddr, sender: &'static str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, hm, sender, sent: 0 }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn send(&mut self, notice: Notice<'_>) -> Uid {
        self.sent += 1;
        let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: u32::from(self.port()), micros: self.sent };
        let notice = Notice { uid, multiuid: uid, port: self.port(), sender: self.sender.as_bytes(), ..notice };
        self.socket.send_to(&notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), self.hm).unwrap();
        uid
    }

    /// The next packet: its kind, uid and body; a delivery is acknowledged.
    fn hear(&self) -> (Kind, Uid, Vec<u8>) {
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

fn acked<'a>(class: &'a [u8], instance: &'a [u8], opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
    Notice { kind: Kind::Acked, class, instance, opcode, body, ..Notice::EMPTY }
}

fn server(arguments: &[&str]) -> Daemon {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/no-configuration");
    let usual =
        ["--listen", "127.0.0.1:0", "--auth", "none", "-k", "OPEN.TEST", "--config-dir", folder, "--hostname", "here"];
    Daemon::start(env!("CARGO_BIN_EXE_zephyrd"), &[&usual, arguments].concat())
}

fn host_manager(server: &Daemon, arguments: &[&str]) -> Daemon {
    let name = server.address.to_string();
    Daemon::start(env!("CARGO_BIN_EXE_zhm"), &[&["--listen", "127.0.0.1:0", &name], arguments].concat())
}

#[test]
fn a_notice_goes_all_the_way() {
    let mut server = server(&["-n"]);
    let mut manager = host_manager(&server, &["-n"]);
    manager.line_with("answers");

    let mut bob = Program::new(manager.address, "bob@OPEN.TEST");
    let subscribe = bob.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE", b"foo\0*\0\0"));
    assert_eq!(bob.hear(), (Kind::HmAck, subscribe, b"".to_vec()));
    assert_eq!(bob.hear(), (Kind::ServAck, subscribe, b"SENT\0".to_vec()));

    let mut alice = Program::new(manager.address, "alice@OPEN.TEST");
    let hello = alice.send(acked(b"foo", b"bar", b"", b"hello\0"));
    assert_eq!(alice.hear(), (Kind::HmAck, hello, b"".to_vec()));
    assert_eq!(bob.hear(), (Kind::Acked, hello, b"hello\0".to_vec()));
    assert_eq!(alice.hear(), (Kind::ServAck, hello, b"SENT\0".to_vec()));

    let lost = alice.send(acked(b"nobody", b"there", b"", b""));
    assert_eq!(alice.hear(), (Kind::HmAck, lost, b"".to_vec()));
    assert_eq!(alice.hear(), (Kind::ServAck, lost, b"LOST\0".to_vec()));

    let question = alice.send(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
    let (kind, uid, body) = alice.hear();
    let lines: Vec<&[u8]> = body.split(|&octet| octet == 0).collect();
    assert_eq!(
        (kind, uid, lines.len(), lines[0], lines[6]),
        (Kind::HmAck, question, 11, &b"127.0.0.1"[..], &b"no"[..])
    );
    assert!(lines[5].ends_with(b"long-headers"));

    server.signal("TERM");
    server.line_with("goodbye (sig 15)");
    assert_eq!(server.wait(), Some(0));
    manager.line_with("went down, finding new server");
    manager.signal("TERM");
    assert_eq!(manager.wait(), Some(0));
}

#[test]
fn a_fan_out_reaches_everybody_the_first_time() {
    const READERS: usize = 400;
    let server = server(&[]);
    let mut readers: Vec<Program> = (0..READERS).map(|_| Program::new(server.address, "reader@OPEN.TEST")).collect();
    for reader in &mut readers {
        let uid = reader.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"all\0*\0\0"));
        assert_eq!(reader.hear(), (Kind::ServAck, uid, b"SENT\0".to_vec()));
    }
    let mut sender = Program::new(server.address, "alice@OPEN.TEST");
    let uids: Vec<Uid> = (0..5).map(|_| sender.send(acked(b"all", b"x", b"", &[b'x'; 500]))).collect();
    for uid in &uids {
        for reader in &readers {
            assert_eq!(reader.hear().1, *uid, "in order");
        }
    }
    server.signal("USR1");
    let line = server.line_with("debugging on");
    assert!(line.contains(&format!("delivered: {}", READERS * 5)) && line.contains("resent: 0"), "{line}");
}

#[test]
fn a_flood_on_the_socket_is_survived() {
    let server = server(&[]);
    let manager = host_manager(&server, &[]);
    let flood = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut number = 1_u64;
    for round in 0..20_000_usize {
        let mut octets: Vec<u8> = b"ZEPH0.2\x000x00000013\x000x00000002\x000x0A4D0001 0x6B02C9AA 0x00091668\x000x978B\x000x00000000\x000x00000000\0\0c\0i\0\0s@R\0\0\x000x00000000\0\x000x0A4D0001 0x6B02C9AA 0x00091668\0Z\x7f\xff\xf0\xff\xf0\x01\x000x0000\0body".to_vec();
        for _ in 0..round % 4 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(number >> 40).unwrap() % octets.len();
            octets[at] = number.to_be_bytes()[2];
        }
        let to = if round % 2 == 0 { server.address } else { manager.address };
        let _ = flood.send_to(&octets, to);
    }
    let mut alice = Program::new(manager.address, "alice@OPEN.TEST");
    let uid = alice.send(acked(b"nobody", b"there", b"", b""));
    assert_eq!(alice.hear(), (Kind::HmAck, uid, b"".to_vec()));
    assert_eq!(alice.hear(), (Kind::ServAck, uid, b"LOST\0".to_vec()));
}

#[test]
fn what_is_missing_is_said() {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).env_remove("RUST_LOG").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let zephyrd = env!("CARGO_BIN_EXE_zephyrd");
    let (status, words) = run(zephyrd, &["--listen", "127.0.0.1:0", "-k", "R", "--keytab", "/no/such/keytab"]);
    assert_eq!(status, Some(1));
    assert!(words.contains("/no/such/keytab") && words.contains("must exist and be readable"), "{words}");
    assert_eq!(run(zephyrd, &["-x"]).0, Some(2));

    let zhm = env!("CARGO_BIN_EXE_zhm");
    assert_eq!(run(zhm, &[]), (Some(16), "No valid primary server found, exiting.\n".to_owned()));
    let (status, words) = run(zhm, &["no-such-host.invalid"]);
    assert_eq!(status, Some(16));
    assert_eq!(words, "Unknown server name: no-such-host.invalid\nNo valid primary server found, exiting.\n");
    assert_eq!(run(zhm, &["-x"]).0, Some(2));
}

#[test]
fn a_host_manager_that_only_boots_ends() {
    let server = server(&[]);
    let mut manager = host_manager(&server, &["-r"]);
    assert_eq!(manager.wait(), Some(0));
}

#[test]
fn configuration_is_read_again_on_hangup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("default.subscriptions");
    std::fs::write(&file, "# nothing\n").unwrap();
    let server = server(&["--config-dir", folder.path().to_str().unwrap()]);
    std::fs::write(&file, "broken\n").unwrap();
    server.signal("HUP");
    assert!(server.line_with("nothing changed").contains("line 1"));
    std::fs::write(&file, "a,b,*\n").unwrap();
    server.signal("HUP");
    server.line_with("restart completed, 1 default subscriptions");
}
