//! Several users of one host: what one of them does with the host manager, the others do not notice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::*;
use std::{net::UdpSocket, rc::Rc, thread, time::Duration};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
};
use zephyr_testkit::{
    loopback::Network,
    ownership::{ALICE, MALLORY, owned_by},
};

/// A program of this user; `None` when the tests do not run as root.
fn program_of(user: u32, manager: &Daemon, sender: &'static str) -> Option<Program> {
    let address = manager.address;
    owned_by(user, move || Program::sole(address, sender)).unwrap()
}

fn flush() -> Notice<'static> {
    Notice { kind: Kind::HmCtl, ..acked(b"HM_CTL", b"CLIENT", b"FLUSH", b"") }
}

fn statistics() -> Notice<'static> {
    Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") }
}

/// A host manager with a subscription of this program to class `foo`.
fn subscribed(program: &mut Program) {
    let subscribe = program.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"foo\0*\0\0"));
    assert_eq!(program.receive(), (Kind::HmAck, subscribe, vec![]));
    assert_eq!(program.receive(), (Kind::ServAck, subscribe, b"SENT\0".to_vec()));
    program.confirm();
}

/// The server's answer to a notice of class `foo`.
fn answer_to_foo(sender: &mut Program) -> Vec<u8> {
    let uid = sender.send(acked(b"foo", b"bar", b"", b"hello\0"));
    assert_eq!(sender.receive(), (Kind::HmAck, uid, vec![]));
    let (kind, answered, body) = sender.receive();
    assert_eq!((kind, answered), (Kind::ServAck, uid));
    body
}

/// Nobody flushes what is somebody else's but root.
#[test]
fn a_user_does_not_flush_others() {
    let server = server(&[]);
    let manager = host_manager(&server, &[]);
    manager.line_with("answers");
    let Some(mut alice) = program_of(ALICE, &manager, "alice@OPEN.TEST") else { return };
    let Some(mut mallory) = program_of(MALLORY, &manager, "mallory@OPEN.TEST") else { return };
    subscribed(&mut alice);
    mallory.send(flush());
    // Its answer shows that what came before was handled.
    mallory.ask(statistics());
    assert_eq!(answer_to_foo(&mut mallory), b"SENT\0", "alice is there");
    assert_eq!(alice.receive().2, b"hello\0");

    let mut root = Program::new(manager.address, "root@OPEN.TEST");
    root.send(flush());
    root.ask(statistics());
    assert_eq!(answer_to_foo(&mut mallory), b"LOST\0", "nobody is there: the control");
}

/// On a machine of his own, nobody needs root.
#[test]
fn a_user_flushes_his_own() {
    let server = server(&[]);
    let manager = host_manager(&server, &[]);
    manager.line_with("answers");
    let Some(mut alice) = program_of(ALICE, &manager, "alice@OPEN.TEST") else { return };
    let Some(mut other) = program_of(ALICE, &manager, "alice@OPEN.TEST") else { return };
    subscribed(&mut alice);
    assert_eq!(answer_to_foo(&mut other), b"SENT\0");
    assert_eq!(alice.receive().2, b"hello\0");
    other.send(flush());
    other.ask(statistics());
    assert_eq!(answer_to_foo(&mut other), b"LOST\0");
}

/// A server that answers everything but notices with opcode STATUS.
fn selective_server(socket: UdpSocket) {
    let mut buffer = [0; 1024];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        let notice = Packet::parse(&buffer[..len]).unwrap().notice;
        if notice.opcode != b"STATUS" {
            let answer = Notice { kind: Kind::ServAck, multinotice: b"", body: b"SENT\0", ..notice };
            socket.send_to(&answer.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
        }
    }
}

/// Five thousand notices that no server answers, from as many sockets as needed, and the next user sends.
#[test]
fn a_flood_of_what_is_never_answered_keeps_nobody_else_from_sending() {
    const SOCKETS: usize = 8;
    const NOTICES: usize = 5000;
    let network = Rc::new(Network::claim().unwrap());
    let socket = UdpSocket::bind(any_port(&network)).unwrap();
    let (name, listen) = (socket.local_addr().unwrap().to_string(), any_port(&network).to_string());
    thread::spawn(move || selective_server(socket));
    let manager = Daemon::start(env!("CARGO_BIN_EXE_zhm"), &["-n", "--listen", &listen, &name], &network);
    manager.line_with("answers");
    let Some(mut alice) = program_of(ALICE, &manager, "alice@OPEN.TEST") else { return };
    alice.socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(answer_to_foo(&mut alice), b"SENT\0", "the control");

    let flood = || program_of(MALLORY, &manager, "mallory@OPEN.TEST").unwrap();
    let mut flood: Vec<Program> = (0..SOCKETS).map(|_| flood()).collect();
    for round in 0..NOTICES / 50 {
        let program = &mut flood[round % SOCKETS];
        for _ in 0..50 {
            program.send(acked(b"zephyr_admin", b"", b"STATUS", b""));
        }
        program.ask(statistics());
    }
    for _ in 0..20 {
        assert_eq!(answer_to_foo(&mut alice), b"SENT\0");
    }
}
