//! The return to a better server that answers again.

use super::*;

/// Away from the primary, which has said that it goes; its place among `servers` is the first.
fn away(servers: u8) -> (Stage, SocketAddr) {
    let mut stage = Stage::settled_with(servers, b"SENT\0");
    let shutdown = Notice { kind: Kind::HmCtl, body: b"", multinotice: b"", ..notice("HM_CTL", "SHUTDOWN") };
    let sent = stage.send(server(1), shutdown);
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    stage.events.clear();
    (stage, sent[1].to)
}

/// The status that a server tells; each has a uid of its own.
fn tell_status(stage: &mut Stage, from: SocketAddr) -> Vec<Sent> {
    let status =
        Notice { kind: Kind::Unsafe, port: 2103, instance: b"", sender: b"s1", ..notice("ZEPHYR_ADMIN", "STATUS") };
    stage.send(from, status)
}

/// Whether a packet is the acknowledgement of a status.
fn is_acknowledgement(sent: &[Sent], to: SocketAddr) -> bool {
    matches!(sent, [ack, ..] if ack.to == to && ack.notice().kind == Kind::ClientAck && ack.notice().body.is_empty())
}

/// The next probe: when, and of which servers.
fn next_probe(stage: &mut Stage) -> (Duration, Vec<SocketAddr>) {
    let (wait, sent) = stage.next();
    for packet in &sent {
        let probe = packet.notice();
        assert_eq!((probe.kind, probe.opcode, probe.body), (Kind::Unsafe, &b"STATUS"[..], &b""[..]));
        assert!(probe.class.eq_ignore_ascii_case(b"zephyr_admin") && probe.port == 2104);
    }
    (wait, sent.iter().map(|packet| packet.to).collect())
}

#[test]
fn the_primary_is_returned_to_after_two_answers() {
    let (mut stage, second) = away(2);
    assert_eq!(second, server(2));
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (wait, probed) = next_probe(&mut stage);
        waits.push(wait);
        assert_eq!(probed, [server(1)]);
    }
    assert_about(&waits, &[30; 10]);
    let sent = tell_status(&mut stage, server(1));
    assert!(sent.len() == 1 && is_acknowledgement(&sent, server(1)), "or the server sends it for long");
    assert_eq!(stage.machine.server_address(), Some(server(2)));
    next_probe(&mut stage);
    let octets = stage.packet(notice("message", ""));
    stage.give(CLIENT, &octets);
    let sent = tell_status(&mut stage, server(1));
    assert!(is_acknowledgement(&sent, server(1)));
    assert_eq!(told(&sent[1..]), ["10.77.0.2:2103 DETACH", "10.77.0.1:2103 ATTACH"]);
    let line = "Server s1.zlab.example answers again, returning to it from s2.zlab.example";
    assert!(matches!(&stage.events[..], [Event::Server(change)] if change.to_string() == line), "{:?}", stage.events);
    assert_eq!(stage.answer(&sent[2], Kind::ServAck, b"SENT\0"), [Sent { to: server(1), octets: octets.clone() }]);
    stage.answer(&Sent { to: server(1), octets }, Kind::ServAck, b"SENT\0");
    assert_eq!((stage.due, stage.statistics()[4].as_str()), (None, "2"), "and nobody is probed any more");
}

#[test]
fn answers_count_only_in_a_row() {
    let (mut stage, _) = away(2);
    for _ in 0..10 {
        next_probe(&mut stage);
        tell_status(&mut stage, server(1));
        next_probe(&mut stage);
    }
    assert_eq!(stage.machine.server_address(), Some(server(2)));
}

#[test]
fn an_answer_counts_once_and_only_of_who_was_asked() {
    let (mut stage, _) = away(3);
    let current = stage.machine.server_address();
    let other = [server(2), server(3)].into_iter().find(|other| Some(*other) != current).unwrap();
    tell_status(&mut stage, server(1));
    next_probe(&mut stage);
    for _ in 0..5 {
        let stranger = SocketAddr::from(([10, 77, 0, 66], 2103));
        assert_eq!(tell_status(&mut stage, stranger), []);
        assert_eq!(tell_status(&mut stage, SocketAddr::new(server(1).ip(), 2104)), []);
        tell_status(&mut stage, other);
    }
    let status = stage.packet(Notice { kind: Kind::Unsafe, ..notice("ZEPHYR_ADMIN", "STATUS") });
    for _ in 0..3 {
        assert!(
            is_acknowledgement(&stage.give(server(1), &status), server(1)),
            "repeated as its acknowledgement is lost"
        );
        next_probe(&mut stage);
    }
    assert_eq!(stage.machine.server_address(), current);
}

/// It answers questions, but no greetings: what it costs the host must not be paid twice a minute.
#[test]
fn who_answers_only_probes_is_returned_to_ever_more_rarely() {
    let (mut stage, _) = away(2);
    let (mut start, mut returns) = (stage.now.monotonic, Vec::new());
    while returns.len() < 7 {
        let (_, sent) = stage.next();
        for packet in sent {
            let notice = packet.notice();
            if notice.opcode == b"STATUS" {
                let sent = tell_status(&mut stage, packet.to);
                if sent.len() > 1 {
                    returns.push(stage.now.monotonic - start);
                    start = stage.now.monotonic;
                }
            } else if packet.to == server(2) && notice.opcode == b"ATTACH" {
                stage.answer(&packet, Kind::ServAck, b"SENT\0");
            }
        }
    }
    assert_about(&returns, &[60, 125, 245, 485, 965, 1925, 1925]);
}

#[test]
fn the_best_of_those_that_answer_is_returned_to() {
    let candidate = |number: u8| Candidate {
        host: format!("10.77.0.{number}").into(),
        port: 2103,
        priority: u16::from(number),
        weight: 1,
    };
    let found =
        |first| Discovered { candidates: (first..=3).map(candidate).collect(), source: "x".into(), valid_for: None };
    let (mut stage, _) = Stage::of(Servers::to_discover(1), lookup_finds_nothing_new, |_| ());
    let greeting = stage.discovered(Ok(found(3)));
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    // Better ones are there by now.
    assert_eq!(stage.discovered(Ok(found(1))), []);
    for _ in 0..2 {
        assert_eq!(next_probe(&mut stage).1, [server(1), server(2)]);
        tell_status(&mut stage, server(2));
        tell_status(&mut stage, server(1));
    }
    assert_eq!(stage.machine.server_address(), Some(server(1)), "though the other one has answered first");
}

/// Its weight is 0, and others have more: who is there goes elsewhere.
#[test]
fn a_server_that_is_drained_is_left() {
    let found = |weights: [u16; 2]| Discovered {
        candidates: [1, 2]
            .map(|number| Candidate {
                host: format!("10.77.0.{number}").into(),
                port: 2103,
                priority: 0,
                weight: weights[number - 1],
            })
            .into(),
        source: "x".into(),
        valid_for: None,
    };
    let (mut stage, _) = Stage::of(Servers::to_discover(1), lookup_finds_nothing_new, |_| ());
    let greeting = stage.discovered(Ok(found([10, 0])));
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!((greeting[0].to, stage.due), (server(1), None), "nobody is better");
    stage.discovered(Ok(found([0, 10])));
    for _ in 0..2 {
        assert_eq!(next_probe(&mut stage).1, [server(2)]);
        tell_status(&mut stage, server(2));
    }
    assert_eq!(stage.machine.server_address(), Some(server(2)));
}

/// Its name may have another address when it is back.
#[test]
fn a_server_that_does_not_answer_probes_is_looked_up() {
    let (mut stage, _) = away(2);
    next_probe(&mut stage);
    stage.names = |name| located(name, if name.starts_with("s1") { server(7) } else { server(2) });
    next_probe(&mut stage);
    for _ in 0..2 {
        assert_eq!(next_probe(&mut stage).1, [server(7)]);
        tell_status(&mut stage, server(7));
    }
    assert_eq!(stage.machine.server_address(), Some(server(7)));
}

#[test]
fn while_no_server_answers_none_is_probed() {
    let (mut stage, _) = away(2);
    next_probe(&mut stage);
    stage.send(CLIENT, notice("message", "x"));
    let sent = stage.wait(600);
    assert!(sent.iter().filter(|(_, packet)| packet.notice().opcode == b"STATUS").count() <= 1);
}
