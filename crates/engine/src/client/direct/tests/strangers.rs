//! What others can make of it, and what is said in the name of a host with others.

use super::*;

/// Anybody can open its port while there is none.
#[test]
fn a_strangers_host_manager_is_not_used() {
    let mut stage = Stage { host_manager_owner: Trust::Stranger, ..Stage::direct() };
    stage.port = Port::Open;
    stage.run(130);
    assert!(stage.server().is_some());
    let reports = |event: &&Event| matches!(event, Event::Log(LogEvent::StrangersHostManager { .. }));
    assert_eq!(stage.events.iter().filter(reports).count(), 2, "asked once a minute all the same");
    stage.host_manager_owner = Trust::Trusted;
    stage.run(60);
    assert_eq!(stage.server(), None, "the host manager has come");
}

/// Whatever happens: others of this host would lose their subscriptions, or their host manager its server.
#[test]
fn nothing_is_said_in_the_name_of_the_host() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    stage.run(8);
    for alive in [1, 2, 1] {
        stage.alive = BTreeSet::from([alive]);
        stage.send();
        stage.run(60);
        let flush = Notice { kind: Kind::HmCtl, class: names::HM_CTL, opcode: names::FLUSH, ..Notice::EMPTY };
        let flush = flush.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
        for from in [server(alive), HM, SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))] {
            stage.datagram(from, &flush);
        }
    }
    let said: BTreeSet<String> = [1, 2]
        .into_iter()
        .flat_map(|number| stage.came(server(number)))
        .filter(|(kind, _)| *kind == Kind::HmCtl)
        .map(|(_, opcode)| opcode)
        .collect();
    assert_eq!(said, BTreeSet::from(["ATTACH".to_owned()]));
}

/// The last message's uid as it was sent, and its packet.
fn last_sent(stage: &Stage) -> (Uid, Bytes) {
    let packet = stage.received[&server(1)].last().unwrap().clone();
    (Packet::parse(&packet).unwrap().notice.uid, packet)
}

#[test]
fn only_the_current_server_answers() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.named = Ok(vec![1, 2]);
    stage.run(1);
    stage.alive.clear();
    let sent = stage.send();
    let (uid, packet) = last_sent(&stage);
    let stranger = SocketAddr::from(([10, 0, 0, 66], 2103));
    let elsewhere = SocketAddr::new(server(1).ip(), 2104);
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    for from in [stranger, elsewhere, server(2), HM, own, SocketAddr::from(([127, 0, 0, 9], 2104))] {
        for kind in [Kind::ServAck, Kind::ServNak] {
            stage.answer(from, &packet, kind, b"SENT\0");
        }
        stage.datagram(from, &acknowledging(Kind::HmAck, uid, b""));
        stage.drive();
        assert_eq!(stage.outcome(sent), None, "{from}");
    }
    let stray = LogEvent::StrayAcknowledgement { from: HM, kind: Kind::HmAck };
    let is_stray = |event: &Event| matches!(event, Event::Log(line) if *line == stray);
    assert!(stage.events.iter().any(is_stray), "nothing of a host manager that is not used");
    stage.answer(server(1), &packet, Kind::ServAck, b"SENT\0");
    stage.drive();
    assert!(stage.is_sent(sent));
}

#[test]
fn only_the_current_server_orders() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([1, 2]));
    stage.run(1);
    let order = |opcode| {
        let notice =
            Notice { kind: Kind::HmCtl, class: names::HM_CTL, instance: names::SERVER, opcode, ..Notice::EMPTY };
        notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap()
    };
    let strangers = [server(2), HM, ([127, 0, 0, 1], 5000).into(), ([10, 0, 0, 66], 2103).into()];
    for from in strangers {
        for opcode in [names::SHUTDOWN, names::NEWSERV] {
            stage.datagram(from, &order(opcode));
            stage.run(1);
        }
    }
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
    stage.datagram(server(1), &order(names::SHUTDOWN));
    stage.run(1);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
}

/// Whoever sends in the server's name does not make the client greet as fast as he sends.
#[test]
fn farewells_make_no_storm() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1]), BTreeSet::from([1]));
    stage.run(1);
    let notice = Notice {
        kind: Kind::HmCtl,
        class: names::HM_CTL,
        instance: names::SERVER,
        opcode: names::SHUTDOWN,
        ..Notice::EMPTY
    };
    let farewell = notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
    let before = stage.received[&server(1)].len();
    for _ in 0..500 {
        stage.datagram(server(1), &farewell);
        stage.drive();
    }
    let greeted = stage.received[&server(1)].len() - before;
    assert!(greeted <= 4, "{greeted}");
}
