//! Section 8: packets of programs.

use super::*;

/// All of them are counted, whatever becomes of them; requests for statistics are not (section 9).
#[test]
fn packets_of_programs_are_counted() {
    let mut stage = Stage::settled();
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        stage.send(CLIENT, Notice { kind, ..notice("message", "") });
    }
    stage.send(CLIENT, order("nonsense"));
    for _ in 0..3 {
        stage.statistics();
    }
    assert_eq!(stage.statistics()[2], "4");
}

/// The first packet after a flush, of whatever kind, begins the host anew.
#[test]
fn the_first_packet_after_a_flush_boots_the_host() {
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        let mut stage = Stage::settled();
        stage.send(CLIENT, order("FLUSH"));
        let sent = stage.send(CLIENT, Notice { kind, ..notice("message", "") });
        assert_eq!(sent[0].told(), "10.77.0.1:2103 BOOT", "{kind:?}");
        let forwarded = stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
        assert_eq!(told(&forwarded), ["10.77.0.1:2103 "], "{kind:?}");
        assert!(!told(&stage.send(CLIENT, notice("message", ""))).contains(&"10.77.0.1:2103 BOOT".to_owned()), "once");
    }
}

/// Nobody answers an order, and only its opcode is looked at.
#[test]
fn orders_are_told_by_their_opcodes_alone() {
    for (opcode, expected) in
        [("FLUSH", &["10.77.0.1:2103 FLUSH"][..]), ("NEWSERV", &["10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"][..])]
    {
        for (class, instance) in [("HM_CTL", "CLIENT"), ("", ""), ("message", "personal")] {
            let mut stage = Stage::settled_with(2, b"SENT\0");
            let sent =
                stage.send(CLIENT, Notice { class: class.as_bytes(), instance: instance.as_bytes(), ..order(opcode) });
            assert_eq!(told(&sent), expected);
            assert_eq!(stage.machine.queued(), 0);
        }
    }
    let mut stage = Stage::settled();
    for opcode in ["", "flush", "SHUTDOWN", "PING", "BOOT"] {
        assert_eq!(stage.send(CLIENT, order(opcode)), []);
        assert!(logged(&mut stage)[0].to_string().starts_with("Bad control notice from client"), "{opcode:?}");
    }
}

/// Section 1, `-f`: nothing happens, and it is told.
#[test]
fn a_flush_may_be_refused() {
    let (mut stage, greeting) = Stage::with(1, |config| config.refuse_flush = true);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.events.clear();
    assert_eq!(stage.send(CLIENT, order("FLUSH")), []);
    assert_eq!(logged(&mut stage), [LogEvent::FlushRefused]);
    assert_eq!(told(&stage.send(CLIENT, notice("message", "")))[1], "10.77.0.1:2103 ", "the host goes on");
}

/// The acknowledgement has the packet's own header, and says nothing of its body.
#[test]
fn an_acknowledgement_has_the_packets_header() {
    for (kind, acks) in [(Kind::Acked, 1), (Kind::Unacked, 1), (Kind::Unsafe, 0)] {
        let mut stage = Stage::settled();
        let octets = stage.packet(Notice {
            kind,
            instance: b"personal",
            recipient: b"bob@ATHENA.TEST",
            ..notice("message", "o")
        });
        let asked = Packet::parse(&octets).unwrap().notice;
        let sent = stage.give(CLIENT, &octets);
        let to_program: Vec<&Sent> = sent.iter().filter(|packet| packet.to == CLIENT).collect();
        assert_eq!(to_program.len(), acks, "{kind:?}");
        for ack in to_program {
            let ack = ack.notice();
            let expected = Notice { kind: Kind::HmAck, body: b"", multinotice: b"", ..asked };
            assert_eq!(ack, expected);
        }
    }
}

/// It says that the packet is kept here, and nothing of a server.
#[test]
fn packets_are_acknowledged_without_a_server() {
    let (mut stage, _) = Stage::with(1, |_| ());
    for (kind, acks) in [(Kind::Acked, 1), (Kind::Unacked, 1), (Kind::Unsafe, 0)] {
        let sent = stage.send(CLIENT, Notice { kind, ..notice("message", "") });
        assert_eq!(sent.len(), acks);
        assert!(sent.iter().all(|packet| packet.to == CLIENT && packet.notice().kind == Kind::HmAck));
    }
    assert_eq!(stage.machine.queued(), 3);
}

/// All three kinds are forwarded octet for octet, also what nobody but a server can read.
#[test]
fn packets_are_forwarded_octet_for_octet() {
    let mut stage = Stage::settled();
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        for body in [&b""[..], b"a\0b\0", &[0xff; 300]] {
            let octets = stage.packet(Notice { kind, body, multinotice: b"", ..notice("message", "o") });
            let sent = stage.give(CLIENT, &octets);
            assert_eq!(sent.last(), Some(&Sent { to: server(1), octets }));
        }
    }
}
