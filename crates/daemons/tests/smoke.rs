//! Both programs over real sockets on loopback, without Kerberos.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::*;
use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    rc::Rc,
};
use zephyr_core::{kind::Kind, notice::Notice, uid::Uid};
use zephyr_testkit::loopback::Network;

#[test]
fn a_notice_goes_all_the_way() {
    let mut server = server(&["-n"]);
    let mut manager = host_manager(&server, &["-n"]);
    manager.line_with("answers");

    let mut bob = Program::new(manager.address, "bob@OPEN.TEST");
    let subscribe = bob.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE", b"foo\0*\0\0"));
    assert_eq!(bob.receive(), (Kind::HmAck, subscribe, b"".to_vec()));
    assert_eq!(bob.receive(), (Kind::ServAck, subscribe, b"SENT\0".to_vec()));

    let mut alice = Program::new(manager.address, "alice@OPEN.TEST");
    let hello = alice.send(acked(b"foo", b"bar", b"", b"hello\0"));
    assert_eq!(alice.receive(), (Kind::HmAck, hello, b"".to_vec()));
    assert_eq!(bob.receive(), (Kind::Acked, hello, b"hello\0".to_vec()));
    assert_eq!(alice.receive(), (Kind::ServAck, hello, b"SENT\0".to_vec()));

    let lost = alice.send(acked(b"nobody", b"there", b"", b""));
    assert_eq!(alice.receive(), (Kind::HmAck, lost, b"".to_vec()));
    assert_eq!(alice.receive(), (Kind::ServAck, lost, b"LOST\0".to_vec()));

    let request = alice.send(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
    let (kind, uid, body) = alice.receive();
    let lines: Vec<&[u8]> = body.split(|&octet| octet == 0).collect();
    assert_eq!(
        (kind, uid, lines.len(), lines[0], lines[6].split(|&octet| octet == b' ').next()),
        (Kind::HmAck, request, 11, server.address.ip().to_string().as_bytes(), Some(&b"no"[..]))
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
fn s3_s4_what_is_no_notice_of_this_version_is_logged() {
    let server = server(&[]);
    let mut alice = Program::new(server.address, "alice@OPEN.TEST");
    let from = alice.socket.local_addr().unwrap();
    for (octets, why) in [
        (&b"SMTP0.2\0"[..], "not a packet of protocol version ZEPH0"),
        (b"ZEPH1.2\0", "not a packet of protocol version ZEPH0"),
        (b"ZEPH\0", "no protocol version"),
    ] {
        alice.socket.send_to(octets, server.address).unwrap();
        server.line_with(&format!("bad notice parse ({from}): {why}"));
    }
    let hello = alice.send(acked(b"nobody", b"there", b"", b""));
    assert_eq!(alice.receive(), (Kind::ServAck, hello, b"LOST\0".to_vec()), "none of them was answered");
}

#[test]
fn a_fan_out_reaches_everybody() {
    const READERS: usize = 400;
    let server = server(&[]);
    let mut readers: Vec<Program> = (0..READERS).map(|_| Program::new(server.address, "reader@OPEN.TEST")).collect();
    for reader in &mut readers {
        let uid = reader.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"all\0*\0\0"));
        assert_eq!(reader.receive(), (Kind::ServAck, uid, b"SENT\0".to_vec()));
        reader.confirm();
    }
    let mut sender = Program::new(server.address, "alice@OPEN.TEST");
    let uids: Vec<Uid> = (0..5).map(|_| sender.send(acked(b"all", b"x", b"", &[b'x'; 500]))).collect();
    for (number, uid) in uids.iter().enumerate() {
        for reader in &readers {
            // What a slow machine does not acknowledge in time comes again; `fan_out` has that this is never necessary.
            while let received = reader.receive().1
                && received != *uid
            {
                assert!(uids[..number].contains(&received), "in order");
            }
        }
    }
    server.signal("USR1");
    let line = server.line_with("debugging on");
    assert!(line.contains(&format!("delivered: {}", READERS * 5)), "{line}");
}

#[test]
fn what_is_missing_is_said() {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).env_remove("RUST_LOG").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let zephyrd = env!("CARGO_BIN_EXE_zephyrd");
    let listen = any_port(&Network::claim().unwrap()).to_string();
    let (status, stderr) = run(zephyrd, &["--listen", &listen, "-k", "R", "--keytab", "/no/such/keytab"]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("/no/such/keytab") && stderr.contains("must exist and be readable"), "{stderr}");
    assert_eq!(run(zephyrd, &["-x"]).0, Some(2));

    let zhm = env!("CARGO_BIN_EXE_zhm");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zephyr.toml");
    // Sources of this machine may name some.
    fs::write(&file, "[zhm]\nsources = [\"settings\", \"server.list\"]\n").unwrap();
    let (status, stderr) = run(zhm, &["--config-dir", folder.path().to_str().unwrap()]);
    assert_eq!(status, Some(16));
    let expected = format!(
        "No valid primary server found, exiting.\n\
         zhm: zephyr.toml: it names no server in section zhm\n\
         zhm: Name the servers in {}, section zhm, or on the command line.\n",
        file.display()
    );
    assert_eq!(stderr, expected);
    let (status, stderr) = run(zhm, &["zephyr.example.edu:many"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("expected HOST or HOST:PORT"), "{stderr}");
    assert_eq!(run(zhm, &["-x"]).0, Some(2));
}

/// The name service may not be there yet.
#[test]
fn a_host_manager_whose_server_has_an_unknown_name_goes_on() {
    let network = Rc::new(Network::claim().unwrap());
    let listen = any_port(&network).to_string();
    let arguments = ["-n", "--listen", &listen, "no-such-host.invalid"];
    let mut manager = Daemon::start(env!("CARGO_BIN_EXE_zhm"), &arguments, &network);
    manager.line_with("Unknown server name: no-such-host.invalid (");
    let mut alice = Program::new(manager.address, "alice@OPEN.TEST");
    let request = alice.send(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
    let (kind, uid, body) = alice.receive();
    let lines: Vec<&[u8]> = body.split(|&octet| octet == 0).collect();
    assert_eq!((kind, uid, lines[0]), (Kind::HmAck, request, &b"no-such-host.invalid"[..]));
    assert!(lines[6].starts_with(b"yes (looking up no-such-host.invalid: "), "{:?}", lines[6].escape_ascii());
    manager.signal("TERM");
    assert_eq!(manager.wait(), Some(0));
}

#[test]
fn the_service_manager_is_told_what_a_host_manager_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let service_manager = UnixDatagram::bind(&path).unwrap();
    service_manager.set_read_timeout(Some(TIMEOUT)).unwrap();
    let network = Network::claim().unwrap();
    let mut manager = Command::new(env!("CARGO_BIN_EXE_zhm"))
        .args(["--listen", &any_port(&network).to_string(), "no-such-host.invalid"])
        .env("NOTIFY_SOCKET", &path)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let message = || {
        let mut buffer = [0; 4096];
        let len = service_manager.recv(&mut buffer).expect("something comes");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    assert!(message().starts_with("READY=1\nSTATUS=Listening on "), "ready before the name is known");
    let waits = |message: &str| {
        message.starts_with("STATUS=Listening on ") && message.contains(", looking up no-such-host.invalid: ")
    };
    while !waits(&message()) {}
    manager.kill().unwrap();
    manager.wait().unwrap();
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
    server.line_with("default.subscriptions:1:1:");
    server.line_with("nothing changed");
    std::fs::write(&file, "a,b,*\n").unwrap();
    server.signal("HUP");
    server.line_with("reloaded: 1 default subscription,");
}
