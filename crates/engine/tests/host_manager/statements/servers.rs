//! Sections 2 to 4 and 6: which server is greeted, with what, and when another one is.

use super::*;

const NO_SERVER_ANSWERS: &str = "yes";

/// Section 2: the first of the list is the primary.
#[test]
fn the_first_of_the_list_is_greeted_first() {
    for servers in 1..=4 {
        let (stage, greeting) = Stage::with(servers, |_| ());
        assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
        assert_eq!(stage.machine.server_name(), "s1.zlab.example");
    }
}

/// Section 3: there is no server until the first answer, and the host is booting.
#[test]
fn there_is_no_server_before_the_first_answer() {
    let (mut stage, greeting) = Stage::with(1, |_| ());
    assert!(stage.statistics()[6].starts_with(NO_SERVER_ANSWERS));
    assert_eq!(told(&stage.send(CLIENT, notice("message", ""))), ["127.0.0.1:40000 "], "taken, and not sent");
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.statistics()[6], "no");
}

/// Section 4: each message to a server, in all its fields.
#[test]
fn all_messages_to_servers_have_the_same_fields() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let mut sent = stage.send(CLIENT, order("FLUSH"));
    sent.extend(stage.send(CLIENT, notice("message", "")));
    let boot = sent.iter().find(|packet| packet.notice().opcode == b"BOOT").cloned().unwrap();
    stage.answer(&boot, Kind::ServAck, b"SENT\0");
    sent.extend(stage.send(server(1), shutdown(b"")));
    sent.extend(stage.wait(5).into_iter().map(|(_, packet)| packet));
    let mut seen = std::collections::BTreeSet::new();
    for packet in sent.iter().filter(|packet| packet.notice().kind == Kind::HmCtl) {
        let Packet { notice, claim, .. } = Packet::parse(&packet.octets).unwrap();
        assert_eq!((notice.class, notice.instance, notice.sender), (&b"ZEPHYR_CTL"[..], &b"HM"[..], &b"HM"[..]));
        assert_eq!((notice.port, notice.recipient, notice.body), (HOST_MANAGER_PORT, &b""[..], &b""[..]));
        assert_eq!((notice.multinotice, notice.multiuid), (&b"0/0"[..], notice.uid));
        assert_eq!((claim.auth, claim.authent_len, claim.authenticator), (0, 0, &b""[..]), "not authenticated");
        seen.insert(notice.opcode.to_vec());
    }
    assert_eq!(seen, ["ATTACH", "BOOT", "DETACH", "FLUSH"].map(|opcode| opcode.as_bytes().to_vec()).into());
}

/// Section 4: BOOT and ATTACH are repeated until they are answered, the others never.
#[test]
fn nobody_waits_for_an_answer_to_a_flush_or_a_farewell() {
    let mut stage = Stage::settled();
    assert_eq!(told(&stage.send(CLIENT, order("FLUSH"))), ["10.77.0.1:2103 FLUSH"]);
    assert_eq!(stage.told(600), Vec::<String>::new());
    assert_eq!(stage.statistics()[6], "no");
}

/// Section 4: a change of server while the host is booting, or was flushed, sends BOOT; any other ATTACH.
#[test]
fn a_change_of_server_boots_only_a_host_that_is_booting() {
    let (mut stage, greeting) = Stage::with(2, |_| ());
    assert_eq!(told(&stage.send(CLIENT, order("NEWSERV"))), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 BOOT"]);
    drop(greeting);

    let mut flushed = Stage::settled_with(2, b"SENT\0");
    flushed.send(CLIENT, order("FLUSH"));
    let sent = flushed.send(server(1), shutdown(b""));
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 BOOT"], "deactivated");
    assert_eq!(flushed.answer(&sent[1], Kind::ServAck, b"SENT\0"), []);
    let sent = flushed.send(CLIENT, notice("message", ""));
    assert_eq!(told(&sent), ["127.0.0.1:40000 ", "10.77.0.2:2103 "], "and no longer");

    let mut settled = Stage::settled_with(2, b"SENT\0");
    let sent = settled.send(server(1), shutdown(b""));
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"]);
}

/// Section 6, steps 1 to 5.
#[test]
fn a_change_of_server_stops_all_packets_and_keeps_them() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let first = stage.packet(notice("message", "first"));
    stage.give(CLIENT, &first);
    assert_eq!(stage.told(4), ["2 10.77.0.1:2103 first", "4 10.77.0.1:2103 first"]);
    let sent = stage.send(server(1), shutdown(b""));
    let lines: Vec<String> = stage
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Server(change) => Some(change.to_string()),
            _ => None,
        })
        .collect();
    assert!(lines[0].contains("went down, finding new server"), "{lines:?}");
    assert!(stage.statistics()[6].starts_with(NO_SERVER_ANSWERS));
    assert_eq!(stage.statistics()[4], "1", "counted");
    let second = stage.packet(notice("message", "second"));
    assert_eq!(told(&stage.give(CLIENT, &second)), ["127.0.0.1:40000 second"], "kept unsent");
    assert!(stage.wait(3).iter().all(|(_, packet)| packet.notice().class != b"message"), "no timer runs");
    assert_eq!(stage.machine.queued(), 2);
    let resumed = stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert_eq!(resumed, [first, second].map(|octets| Sent { to: server(2), octets }));
    assert_eq!(stage.told(3), ["2 10.77.0.2:2103 first", "2 10.77.0.2:2103 second"], "by new waits");
}

/// Section 6: all four triggers.
#[test]
fn what_makes_it_change_the_server() {
    let changes = |stage: &mut Stage| stage.statistics()[4].parse::<u32>().unwrap();
    let (mut unanswered_greeting, _) = Stage::with(2, |_| ());
    unanswered_greeting.wait(8);
    assert_eq!(changes(&mut unanswered_greeting), 1);

    let mut unanswered_packet = Stage::settled_with(2, b"SENT\0");
    unanswered_packet.send(CLIENT, notice("message", ""));
    unanswered_packet.wait(19);
    assert_eq!(changes(&mut unanswered_packet), 0);
    unanswered_packet.wait(1);
    assert_eq!(changes(&mut unanswered_packet), 1);

    let mut farewell = Stage::settled_with(2, b"SENT\0");
    farewell.send(server(1), shutdown(b""));
    assert_eq!(changes(&mut farewell), 1);

    let mut ordered = Stage::settled_with(2, b"SENT\0");
    ordered.send(CLIENT, order("NEWSERV"));
    assert_eq!(changes(&mut ordered), 1);

    let mut quiet = Stage::settled_with(2, b"SENT\0");
    quiet.wait(3600);
    assert_eq!(changes(&mut quiet), 0, "that nothing is heard is none");
}

/// Section 6: of several another one, by chance, and the primary at the latest after a few.
#[test]
fn another_server_is_never_the_one_that_is_left() {
    let (mut stage, _) = Stage::with(8, |_| ());
    let mut current = server(1);
    let mut seen = std::collections::BTreeSet::new();
    let mut away = 0;
    for (_, next) in greetings(&stage.wait(4000)) {
        assert_ne!(next, current);
        away = if next == server(1) { 0 } else { away + 1 };
        assert!(away <= 4, "back to the primary after so many");
        current = next;
        seen.insert(next);
    }
    assert_eq!(seen.len(), 8);
}

/// Section 6: a list of one is that one again.
#[test]
fn the_only_server_is_greeted_again() {
    let (mut stage, _) = Stage::with(1, |_| ());
    let greeted = greetings(&stage.wait(600));
    assert!(greeted.len() > 10 && greeted.iter().all(|(_, to)| *to == server(1)), "{greeted:?}");
}

/// Section 6, a fault of C: it looks for ever for another one when all entries are the same.
#[test]
fn entries_that_are_all_the_same_are_one_server() {
    let list = (0..5).map(|_| Server::at("s1.zlab.example", server(1))).collect();
    let (mut stage, greeting) = Stage::of(Servers::new(list, 1).unwrap(), lookup_finds_nothing_new, |_| ());
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    let greeted = greetings(&stage.wait(40));
    assert!((2..=4).contains(&greeted.len()), "as of one: {greeted:?}");
}

/// Section 6: a step for each round over all servers.
#[test]
fn greetings_become_rarer_with_each_round() {
    for servers in [1, 2, 3] {
        let (mut stage, _) = Stage::with(servers, |_| ());
        let greeted = greetings(&stage.wait(900));
        let seconds = std::iter::once(0).chain(greeted.iter().map(|(second, _)| *second)).collect::<Vec<_>>();
        for (number, pair) in seconds.windows(2).enumerate() {
            let expected = [5, 10, 20, 40][(number / usize::from(servers)).min(3)];
            assert!(is_about(pair[1] - pair[0], expected), "{servers} servers, greeting {number}: {seconds:?}");
        }
    }
}

/// Section 6: any answer of the current server; in C whatever comes from its address.
#[test]
fn any_answer_of_the_server_begins_the_waits_anew() {
    for kind in [Kind::ServAck, Kind::ServNak] {
        let (mut stage, _) = Stage::with(1, |_| ());
        let sent = stage.wait(200);
        stage.answer(&sent.last().unwrap().1, kind, b"SENT\0");
        assert_eq!(greetings(&stage.wait(300)), [], "{kind:?}: nothing is waited for");
        stage.send(server(1), shutdown(b""));
        let greeted = greetings(&stage.wait(8));
        assert!(is_about(greeted[0].0, 5), "{kind:?}: {greeted:?}");
    }
    let (mut stage, _) = Stage::with(1, |_| ());
    stage.wait(200);
    stage.send(server(1), order("PING"));
    assert!(!greetings(&stage.wait(60)).is_empty(), "a question is none");
}

/// Section 6, a fault of C: looking up names holds up everything.
#[test]
fn nothing_waits_for_the_name_service() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.names = |_| None;
    let sent = stage.send(server(1), shutdown(b""));
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"]);
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.send(CLIENT, notice("message", "")).len(), 2);
}
