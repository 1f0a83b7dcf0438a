//! Section 7: packets of a server.

use super::*;

/// Only the current server counts, by address and port.
#[test]
fn only_the_current_server_is_listened_to() {
    let mut stage = Stage::settled_with(3, b"SENT\0");
    let sent = stage.send(CLIENT, notice("message", "")).remove(1);
    let other_port = SocketAddr::new(server(1).ip(), 2105);
    for from in [server(2), server(3), other_port] {
        let elsewhere = Sent { to: from, ..sent.clone() };
        assert_eq!(stage.answer(&elsewhere, Kind::ServAck, b"SENT\0"), []);
        assert_eq!(stage.send(from, shutdown(b"")), []);
        assert_eq!(logged(&mut stage), [LogEvent::NotTheServer { from }, LogEvent::NotTheServer { from }]);
    }
    assert!(LogEvent::NotTheServer { from: other_port }.to_string().starts_with("Bad notice from port 2105"));
    assert_eq!((stage.machine.queued(), stage.statistics()[4].as_str()), (1, "0"));
    assert_eq!(stage.answer(&sent, Kind::ServAck, b"SENT\0").len(), 1);
}

/// Whatever the current server sends is counted.
#[test]
fn packets_of_the_server_are_counted() {
    let mut stage = Stage::settled();
    assert_eq!(stage.statistics()[3], "1");
    stage.send(server(1), order("PING"));
    stage.send(server(1), order("nonsense"));
    stage.send(server(1), Notice { kind: Kind::ServNak, ..notice("message", "") });
    stage.send(server(2), Notice { kind: Kind::ServNak, ..notice("message", "") });
    assert_eq!(stage.statistics()[3], "4");
}

/// Booting ends with the first answer of the server, unlike in C, where whatever comes from its address ends it.
#[test]
fn the_first_answer_of_a_server_ends_booting() {
    let (mut stage, greeting) = Stage::with(2, |_| ());
    stage.send(server(1), order("PING"));
    stage.send(server(1), Notice { kind: Kind::ServAck, instance: b"HM", ..order("BOOT") });
    assert_eq!(told(&stage.send(CLIENT, order("NEWSERV"))), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 BOOT"]);
    drop(greeting);

    let (mut stage, greeting) = Stage::with(2, |_| ());
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    let sent = stage.send(server(1), shutdown(b""));
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"]);
}

/// A positive and a negative answer do the same.
#[test]
fn an_answer_ends_what_it_answers_and_goes_to_who_wanted_one() {
    for answer in [Kind::ServAck, Kind::ServNak] {
        for (kind, answers) in [(Kind::Acked, 1), (Kind::Unacked, 0), (Kind::Unsafe, 0)] {
            let mut stage = Stage::settled();
            let sent = stage.send(OTHER, Notice { kind, ..notice("message", "") });
            let told = stage.answer(sent.last().unwrap(), answer, b"SENT\0");
            assert_eq!(told.len(), answers, "{answer:?} to {kind:?}");
            assert!(told.iter().all(|packet| packet.to == OTHER && packet.notice().kind == answer));
            assert_eq!((stage.machine.queued(), stage.wait(400)), (0, vec![]), "nothing is sent again");
        }
    }
}

/// The port within a notice is where its program receives; what answers the notice goes to where that came from.
#[test]
fn an_answer_goes_where_the_packet_came_from() {
    let mut stage = Stage::settled();
    let sent = stage.send(CLIENT, Notice { port: 45_678, ..notice("message", "") });
    assert_eq!((sent[0].to, sent[0].notice().port), (CLIENT, 45_678));
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0")[0].to, CLIENT);
}

/// A fault of C: it takes a user's notice with the opcode of a greeting for the greeting.
#[test]
fn answers_to_notices_with_a_greetings_opcode_reach_their_program() {
    for opcode in ["BOOT", "ATTACH"] {
        for instance in [&b"HM"[..], b"personal"] {
            let mut stage = Stage::settled();
            let sent = stage.send(CLIENT, Notice { instance, ..notice("message", opcode) }).remove(1);
            let answer = stage.answer(&sent, Kind::ServAck, b"SENT\0");
            assert_eq!((answer.len(), stage.machine.queued()), (1, 0));
        }
    }
}

/// The server's answer to a greeting is nobody else's business.
#[test]
fn the_answer_to_a_greeting_goes_to_nobody() {
    for attach in [false, true] {
        let (mut stage, greeting) = Stage::with(1, |config| config.attach = attach);
        assert_eq!(stage.answer(&greeting[0], Kind::ServAck, b"SENT\0"), []);
        assert_eq!(logged(&mut stage), []);
    }
}

#[test]
fn an_answer_to_nothing_is_told() {
    let mut stage = Stage::settled();
    assert_eq!(stage.send(server(1), Notice { kind: Kind::ServAck, ..notice("message", "") }), []);
    assert!(logged(&mut stage)[0].to_string().starts_with("Hey! This packet isn't in my queue!"));
}

/// The body of a farewell is a dotted address of a server in the list, or nothing that counts.
#[test]
fn a_farewell_may_name_a_server_of_the_list() {
    for (body, expected) in [
        (&b"10.77.0.3\0"[..], Some(server(3))),
        (b"10.77.0.3", Some(server(3))),
        (b"10.77.0.4\0and more", Some(server(4))),
        (b"10.77.0.99\0", None),
        (b"s3.zlab.example\0", None),
        (b"\0", None),
        (b"", None),
        (b"\xff\xfe\0", None),
    ] {
        let mut stage = Stage::settled_with(4, b"SENT\0");
        let sent = stage.send(server(1), shutdown(body));
        assert_eq!((sent.len(), sent[0].told()), (2, "10.77.0.1:2103 DETACH".to_owned()), "{body:?}");
        assert_ne!(sent[1].to, server(1));
        if let Some(expected) = expected {
            assert_eq!(sent[1].to, expected, "{body:?}");
        }
    }
}

/// Unlike in C, where a server that answers each greeting with a farewell is greeted as fast as it answers.
#[test]
fn a_server_that_does_nothing_but_go_is_greeted_seldom() {
    for servers in [1, 2] {
        let (mut stage, mut sent) = Stage::with(servers, |_| ());
        let (start, mut greeted) = (stage.now.monotonic, 0);
        while stage.now.monotonic < start + Duration::from_secs(60) {
            while let Some(greeting) = sent.iter().find(|packet| matches!(packet.notice().opcode, b"BOOT" | b"ATTACH"))
            {
                greeted += 1;
                assert!(greeted < 40, "{servers} servers: a storm");
                sent = stage.send(greeting.to, shutdown(b""));
            }
            sent = stage.next().1;
        }
        assert!(greeted > 3, "it is greeted again all the same: {greeted}");
    }
}

/// Made-up farewells, whose greetings the server answers, do not make the queue go out each time.
#[test]
fn farewells_in_a_row_are_not_believed() {
    let mut stage = Stage::settled_with(1, b"SENT\0");
    stage.send(CLIENT, notice("message", "kept"));
    let mut forwarded = 0;
    for _ in 0..1000 {
        let mut sent = stage.send(server(1), shutdown(b""));
        while let Some(greeting) = sent.iter().find(|packet| packet.notice().opcode == b"ATTACH") {
            sent = stage.answer(&greeting.clone(), Kind::ServAck, b"SENT\0");
            forwarded += sent.iter().filter(|packet| packet.notice().opcode == b"kept").count();
        }
    }
    assert_eq!(forwarded, 1);
    let log = logged(&mut stage);
    assert_eq!(log, [LogEvent::TooManyFarewells { from: server(1) }], "told once");
    assert!(log[0].to_string().contains("10.77.0.1:2103"));
}

/// Two servers of an operator go one right after the other: the second is asked whether it is there.
#[test]
fn a_farewell_that_is_not_believed_at_once_is_looked_into() {
    let mut stage = Stage::settled_with(3, b"SENT\0");
    let greeting = stage.send(server(1), shutdown(b"10.77.0.2\0")).remove(1);
    stage.answer(&greeting, Kind::ServAck, b"SENT\0");
    assert_eq!(told(&stage.send(server(2), shutdown(b""))), ["10.77.0.2:2103 ATTACH"]);
    stage.wait(8);
    assert_ne!(stage.machine.server_address(), Some(server(2)), "it has not answered");
}

/// A question of the server is answered with all that it says.
#[test]
fn a_question_is_answered_as_it_is() {
    let mut stage = Stage::settled();
    let octets = stage.packet(Notice { instance: b"any", body: b"12345\0", ..order("PING") });
    let sent = stage.give(server(1), &octets);
    let asked = Packet::parse(&octets).unwrap().notice;
    assert_eq!((sent.len(), sent[0].to), (1, server(1)));
    let answered = sent[0].notice();
    assert_eq!(answered, Notice { kind: Kind::HmAck, ..asked });
}

#[test]
fn an_order_of_the_server_that_is_none_is_told() {
    let mut stage = Stage::settled();
    for opcode in ["BOOT", "FLUSH", "NEWSERV", "", "\u{1b}[2J"] {
        assert_eq!(stage.send(server(1), order(opcode)), []);
        assert!(logged(&mut stage)[0].to_string().starts_with("Bad control message"));
    }
}

/// Not only an answer to the greeting: an answer to a packet shows as well that the server is there.
#[test]
fn what_is_kept_goes_out_after_any_answer() {
    for (kind, answers_greeting) in [(Kind::ServAck, true), (Kind::ServNak, true), (Kind::ServAck, false)] {
        let mut stage = Stage::settled();
        let known = stage.packet(notice("message", "known"));
        stage.give(CLIENT, &known);
        let sent = stage.send(server(1), shutdown(b""));
        let octets: Vec<Bytes> = ["one", "two", "three"].map(|opcode| stage.packet(notice("message", opcode))).into();
        octets.iter().for_each(|octets| drop(stage.give(CLIENT, octets)));
        let known = Sent { to: server(1), octets: known };
        let sent = stage.answer(if answers_greeting { &sent[1] } else { &known }, kind, b"SENT\0");
        let sent: Vec<&Sent> = sent.iter().filter(|packet| packet.to == server(1)).collect();
        let mut expected: Vec<Sent> = octets.into_iter().map(|octets| Sent { to: server(1), octets }).collect();
        if answers_greeting {
            expected.insert(0, known);
        }
        assert_eq!(sent, expected.iter().collect::<Vec<_>>(), "{kind:?}: the oldest first, not the newest");
        let again = stage.wait(12).into_iter().filter(|(_, packet)| packet.notice().opcode == b"one");
        assert_eq!(again.map(|(second, _)| second).collect::<Vec<_>>(), [2, 4, 8, 12], "their waits begin anew");
    }
}

/// Unlike in C: anybody can send from a server's address, but who has not seen what this host sends answers none of it.
#[test]
fn what_answers_nothing_shows_no_server() {
    let junk = [
        (Kind::ServAck, "BOOT"),
        (Kind::ServAck, "x"),
        (Kind::ServNak, "x"),
        (Kind::HmCtl, "PING"),
        (Kind::HmCtl, "x"),
    ];
    for (kind, opcode) in junk {
        let mut stage = Stage::settled();
        stage.send(CLIENT, notice("message", "kept"));
        stage.send(server(1), shutdown(b""));
        let sent = stage.send(server(1), Notice { kind, instance: b"HM", ..order(opcode) });
        assert!(sent.iter().all(|packet| packet.notice().class != b"message"), "{kind:?} {opcode}: {sent:?}");
        assert!(stage.machine.is_looking(), "{kind:?} {opcode}");
        assert_eq!(stage.statistics()[3], "3", "counted all the same");
    }
}

/// The same of a server that has died: it is given up, whatever is sent in its name.
#[test]
fn what_answers_nothing_keeps_no_dead_server() {
    for (kind, opcode) in [(Kind::ServAck, "x"), (Kind::HmCtl, "PING")] {
        let mut stage = Stage::settled_with(2, b"SENT\0");
        stage.send(CLIENT, notice("message", ""));
        for _ in 0..22 {
            stage.wait(1);
            stage.send(server(1), Notice { kind, ..order(opcode) });
        }
        assert_eq!(stage.machine.server_address(), Some(server(2)), "{kind:?} {opcode}");
    }
}

/// An answer counts once, and an answer to a greeting of another server not at all.
#[test]
fn an_answer_to_a_greeting_counts_once_and_from_whom_was_greeted() {
    let (mut stage, greeting) = Stage::with(2, |_| ());
    let next = stage.send(CLIENT, order("NEWSERV")).remove(1);
    assert_eq!(next.to, server(2));
    stage.answer(&Sent { to: server(2), ..greeting[0].clone() }, Kind::ServAck, b"SENT\0");
    assert!(stage.machine.is_looking());
    stage.answer(&next, Kind::ServAck, b"SENT\0");
    assert!(!stage.machine.is_looking());
    stage.wait(3);
    let sent = stage.send(server(2), shutdown(b"10.77.0.2\0"));
    assert_eq!(sent[1].to, server(2));
    stage.answer(&next, Kind::ServAck, b"SENT\0");
    assert!(stage.machine.is_looking(), "the same again");
}
