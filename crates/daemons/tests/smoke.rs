//! Both programs over real sockets on loopback, without Kerberos.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::*;
use std::process::Command;
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
        (kind, uid, lines.len(), lines[0], lines[6]),
        (Kind::HmAck, request, 11, server.address.ip().to_string().as_bytes(), &b"no"[..])
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
    assert_eq!(run(zhm, &[]), (Some(16), "No valid primary server found, exiting.\n".to_owned()));
    let (status, stderr) = run(zhm, &["no-such-host.invalid"]);
    assert_eq!(status, Some(16));
    assert_eq!(stderr, "Unknown server name: no-such-host.invalid\nNo valid primary server found, exiting.\n");
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
    server.line_with("default.subscriptions:1:1:");
    server.line_with("nothing changed");
    std::fs::write(&file, "a,b,*\n").unwrap();
    server.signal("HUP");
    server.line_with("reloaded: 1 default subscription,");
}
