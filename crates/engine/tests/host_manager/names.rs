//! Servers' names: looked up at the start, and again for as long as a server does not answer. The name service may say
//! something else each time, or nothing.

use super::*;
use zephyr_engine::host_manager::event::Boot;

const NAME: &str = "zephyr.zlab.example";
const NO_ANSWER: &[Sent] = &[];

fn unknown(_: &str) -> Option<Result<Located, Box<str>>> {
    Some(Err("Temporary failure in name resolution".into()))
}

fn hung(_: &str) -> Option<Result<Located, Box<str>>> {
    None
}

fn at_one(_: &str) -> Option<Result<Located, Box<str>>> {
    located("zsrv.zlab.example", server(1))
}

fn at_two(_: &str) -> Option<Result<Located, Box<str>>> {
    located("zsrv.zlab.example", server(2))
}

/// Started with one server, of which only the name is known.
fn started(names: Names) -> (Stage, Vec<Sent>) {
    Stage::of(Servers::new(vec![Server::new(NAME, 2103)], 1).unwrap(), names, |_| ())
}

/// The same, at its first address, where it has answered the greeting.
fn settled() -> Stage {
    let (mut stage, greeting) = started(at_one);
    assert_eq!(greeting.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 BOOT"]);
    assert_eq!(stage.answer(&greeting[0], Kind::ServAck, b"SENT\0"), NO_ANSWER);
    assert_eq!(stage.machine.server_name(), "zsrv.zlab.example");
    stage.events.clear();
    stage
}

fn log(stage: &Stage) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Server(change) => change.to_string(),
        Event::Log(event) => event.to_string(),
        Event::Boot(boot) => format!("{boot:?}"),
        Event::NoServer { reason } => format!("no server: {reason}"),
    };
    stage.events.iter().map(text).collect()
}

#[test]
fn a_name_that_is_not_known_at_the_start_is_looked_up_until_it_is() {
    let (mut stage, greeting) = started(unknown);
    assert_eq!(greeting, NO_ANSWER, "nobody knows where to");
    assert_eq!(stage.wait(24 * 3600), []);
    assert!((1900..2400).contains(&stage.lookups), "about every forty seconds at last: {}", stage.lookups);
    let waits = "yes (looking up zephyr.zlab.example: Temporary failure in name resolution)";
    assert_eq!((stage.statistics()[0].as_str(), stage.statistics()[6].as_str()), (NAME, waits));
    let line = "Unknown server name: zephyr.zlab.example (Temporary failure in name resolution); it will be looked up \
                until it is known";
    assert_eq!(log(&stage), [line], "once in the whole day");

    stage.names = at_one;
    let (_, sent) = stage.next();
    assert_eq!(told(&sent), ["10.77.0.1:2103 BOOT"]);
    assert_eq!(
        stage.machine.waiting().unwrap().to_string(),
        "waiting for an answer of zsrv.zlab.example (10.77.0.1:2103)"
    );
    let (waits, again) = stage.rounds(1);
    assert_about(&waits, &[5]);
    assert_eq!(again[0], ["10.77.0.1:2103 DETACH", "10.77.0.1:2103 BOOT"], "it was never asked before");
    stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!((stage.statistics()[0].as_str(), stage.statistics()[6].as_str()), ("zsrv.zlab.example", "no"));
    assert_eq!(log(&stage).last().unwrap(), "Server zsrv.zlab.example answers");
}

#[test]
fn what_programs_send_before_the_name_is_known_is_kept_for_the_server() {
    let (mut stage, _) = started(unknown);
    let octets = stage.packet(notice("message", ""));
    assert_eq!(told(&stage.give(CLIENT, &octets)), ["127.0.0.1:40000 "], "acknowledged");
    stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "FLUSH") });
    assert_eq!(stage.wait(30), []);
    stage.names = at_one;
    let sent = stage.next().1.remove(0);
    assert_eq!(sent.told(), "10.77.0.1:2103 BOOT");
    assert_eq!(stage.answer(&sent, Kind::ServAck, b"SENT\0"), [Sent { to: server(1), octets }]);
}

/// It is down, and comes back under the same name somewhere else.
#[test]
fn a_server_is_found_again_where_its_name_is_by_then() {
    let mut stage = settled();
    stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
    assert_eq!(told(&stage.next().1), ["10.77.0.1:2103 DETACH", "10.77.0.1:2103 ATTACH"]);
    let octets = stage.packet(notice("message", ""));
    stage.give(CLIENT, &octets);
    stage.names = at_two;
    let sent = stage.next().1;
    let expected = ["10.77.0.1:2103 DETACH", "10.77.0.1:2103 ATTACH", "10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"];
    assert_eq!(told(&sent), expected, "the greeting waits for no look-up");
    assert_eq!(log(&stage).last().unwrap(), "Server zsrv.zlab.example has another address: 10.77.0.2:2103");
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0"), NO_ANSWER);
    let from = server(1);
    assert_eq!(stage.events.pop(), Some(Event::Log(LogEvent::NotTheServer { from })), "it is no server any more");
    assert_eq!(stage.answer(&sent[3], Kind::ServAck, b"SENT\0"), [Sent { to: server(2), octets }]);
}

/// It has gone without a word: that shows when it does not answer a notice.
#[test]
fn a_server_that_is_silent_is_looked_up_before_it_is_given_up() {
    let mut stage = settled();
    stage.names = at_two;
    let octets = stage.packet(notice("message", "x"));
    stage.give(CLIENT, &octets);
    let sent = stage.wait(20);
    let told: Vec<String> = sent[8..].iter().map(|(second, packet)| format!("{second} {}", packet.told())).collect();
    assert_eq!(told, ["20 10.77.0.1:2103 DETACH", "20 10.77.0.2:2103 ATTACH"]);
    assert_eq!(stage.answer(&sent[9].1, Kind::ServAck, b"SENT\0"), [Sent { to: server(2), octets }]);
}

/// With others in the list: it is the same server, and most likely to be the one that answers.
#[test]
fn a_server_that_has_moved_comes_before_another_one() {
    let list = vec![Server::new(NAME, 2103), Server::at("other.zlab.example", server(3))];
    let names: Names = |name| if name == NAME { at_one(name) } else { located(name, server(3)) };
    let (mut stage, greeting) = Stage::of(Servers::new(list, 1).unwrap(), names, |_| ());
    // The name service answered before anything was sent to the other one.
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.names = |name| if name == NAME { at_two(name) } else { located(name, server(3)) };
    stage.send(CLIENT, notice("message", ""));
    assert_eq!(stage.wait(20).last().unwrap().1.told(), "10.77.0.2:2103 ATTACH");
}

/// Names with several addresses are answered with another one each time.
#[test]
fn a_server_that_answers_is_not_left_for_another_address_of_its_name() {
    let mut stage = settled();
    stage.names = at_two;
    for _ in 0..20 {
        let sent = stage.send(CLIENT, notice("message", ""));
        assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0").len(), 1);
        stage.wait(60);
    }
    assert_eq!(stage.lookups, 1, "who answers is not looked up");
    stage.send(CLIENT, notice("zephyr_admin", "STATUS"));
    for _ in 0..100 {
        for (_, packet) in stage.wait(1) {
            assert_eq!(packet.to, server(1));
            if packet.notice().opcode == b"ATTACH" {
                stage.answer(&packet, Kind::ServAck, b"SENT\0");
            }
        }
    }
    assert!(stage.lookups > 1, "it was in doubt");
    assert_eq!((stage.statistics()[4].as_str(), stage.statistics()[6].as_str()), ("0", "no"));
}

/// One that answers sometimes must not be asked without a pause.
#[test]
fn a_name_with_many_addresses_of_which_none_answers_is_asked_ever_slower() {
    let mut stage = settled();
    stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
    let mut sent = 0;
    for round in 0..1000 {
        stage.names = if round % 2 == 0 { at_one } else { at_two };
        sent += stage.wait(10).len();
    }
    assert!(stage.lookups < 300 && sent < 1200, "{} look-ups, {sent} packets", stage.lookups);
}

#[test]
fn a_look_up_that_never_ends_keeps_nothing_back() {
    let mut stage = settled();
    stage.names = hung;
    let sent = stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.1:2103 ATTACH"]);
    assert_about(&stage.rounds(5).0, &[5, 10, 20, 40, 40]);
    assert_eq!(stage.lookups, 2, "no second one beside the one that hangs");
    let (_, sent) = stage.next();
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.send(CLIENT, notice("message", "")).len(), 2);
    // It ends after all.
    let late = stage.hung.take().unwrap().answer(at_two(NAME).unwrap());
    stage.machine.handle(stage.now, Input::Done(Done::Lookup(late)));
    assert_eq!(stage.drain(), NO_ANSWER, "the server answers where it is");

    let (mut stage, greeting) = started(hung);
    assert_eq!((greeting.len(), stage.wait(3600).len(), stage.lookups), (0, 0, 1));
    assert_eq!(stage.statistics()[6], "yes (looking up zephyr.zlab.example)");
    assert_eq!(log(&stage), ["No server answers yet: looking up zephyr.zlab.example"]);
    let late = stage.hung.take().unwrap().answer(at_two(NAME).unwrap());
    stage.machine.handle(stage.now, Input::Done(Done::Lookup(late)));
    assert_eq!(told(&stage.drain()), ["10.77.0.2:2103 BOOT"]);
}

#[test]
fn while_one_name_is_unknown_the_other_server_is_greeted_at_once() {
    let list = || vec![Server::new("no-such.zlab.example", 2103), Server::new(NAME, 2103)];
    let names: Names = |name| if name == NAME { at_one(name) } else { unknown(name) };
    let (mut stage, greeting) = Stage::of(Servers::new(list(), 1).unwrap(), names, |_| ());
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.statistics()[0], "zsrv.zlab.example");
    // The one that is preferred is there again some day.
    stage.names = |name| located(name, if name == NAME { server(1) } else { server(2) });
    for _ in 0..4 {
        stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
        stage.wait(1);
    }
    assert!(stage.machine.waiting().is_some());
    assert_eq!(stage.machine.server_address(), Some(server(2)));
}

#[test]
fn two_names_of_one_server_are_one() {
    let list = vec![Server::new("one.zlab.example", 2103), Server::new("two.zlab.example", 2103)];
    let (mut stage, greeting) = Stage::of(Servers::new(list, 1).unwrap(), at_one, |_| ());
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
    assert_about(&stage.rounds(3).0, &[5, 10, 20]);
}

#[test]
fn an_address_needs_no_look_up() {
    let list = vec![Server::new("10.77.0.1", 2103)];
    let (stage, greeting) = Stage::of(Servers::new(list, 1).unwrap(), hung, |_| ());
    assert_eq!((told(&greeting), stage.lookups), (vec!["10.77.0.1:2103 BOOT".to_owned()], 0));
}

/// A machine may get its own address, or another one, while it runs.
#[test]
fn greetings_carry_the_address_that_the_host_has_by_now() {
    let here = Ipv4Addr::new(10, 77, 0, 99);
    let (_, greeting) = Stage::of(
        Servers::new(vec![Server::new(NAME, 2103)], 1).unwrap(),
        |name| {
            let local = Some(Ipv4Addr::new(10, 77, 0, 99));
            Some(Ok(Located { name: name.into(), address: server(1), others: Vec::new(), local }))
        },
        |config| config.address = Ipv4Addr::UNSPECIFIED,
    );
    assert_eq!(greeting[0].notice().uid.address, here);
    let mut stage = settled();
    stage.names = |name| {
        Some(Ok(Located {
            name: name.into(),
            address: server(1),
            others: Vec::new(),
            local: Some(Ipv4Addr::new(10, 77, 0, 99)),
        }))
    };
    stage.send(server(1), Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") });
    let (_, sent) = stage.next();
    assert_eq!(sent.last().unwrap().notice().uid.address, here);
}

#[test]
fn what_is_waited_for_is_told_once_and_again_after_an_answer() {
    let mut stage = settled();
    let shutdown = Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") };
    let (name, address) = ("zsrv.zlab.example".into(), server(1));
    let waiting = Event::Server(ServerChange::Waiting(Waiting::Answer { name, address }));
    for _ in 0..2 {
        stage.events.clear();
        stage.send(server(1), shutdown);
        assert_eq!(stage.events.len(), 1, "that it went");
        stage.wait(500);
        let greeting = stage.next().1.pop().unwrap();
        assert_eq!(stage.events[1..], *std::slice::from_ref(&waiting));
        stage.answer(&greeting, Kind::ServAck, b"SENT\0");
    }
}

/// The next host manager on this host must know whether it is to begin anew.
#[test]
fn that_the_host_has_begun_is_told_once_the_server_knows() {
    let boots = |stage: &mut Stage| -> Vec<Boot> {
        let boot = |event| if let Event::Boot(boot) = event { Some(boot) } else { None };
        std::mem::take(&mut stage.events).into_iter().filter_map(boot).collect()
    };
    let (mut stage, greeting) = started(at_one);
    assert_eq!(boots(&mut stage), [], "it may never have come");
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!(boots(&mut stage), [Boot::Acknowledged]);
    stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "FLUSH") });
    assert_eq!(boots(&mut stage), [Boot::Due]);
    let sent = stage.send(CLIENT, notice("message", ""));
    assert_eq!(boots(&mut stage), []);
    stage.answer(&sent[0], Kind::ServAck, b"SENT\0");
    assert_eq!(boots(&mut stage), [Boot::Acknowledged]);

    let (mut stage, greeting) = Stage::with(1, |config| config.attach = true);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    let sent = stage.send(CLIENT, Notice { instance: b"HM", ..notice("ZEPHYR_CTL", "BOOT") });
    stage.answer(&sent[1], Kind::ServAck, b"SENT\0");
    assert_eq!(boots(&mut stage), [], "a program's notice is none");
}

/// The first of which may be a machine that is gone.
fn at_one_and_two(_: &str) -> Option<Result<Located, Box<str>>> {
    let located = located("zsrv.zlab.example", server(1));
    located.map(|found| found.map(|found| Located { others: vec![server(2), server(1)], ..found }))
}

#[test]
fn each_address_of_a_name_is_asked_in_turn() {
    let (mut stage, greeting) = started(at_one_and_two);
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    let (waits, sent) = stage.rounds(1);
    assert_about(&waits, &[5]);
    assert_eq!(sent[0], ["10.77.0.1:2103 DETACH", "10.77.0.2:2103 BOOT"]);
    // Name services turn the order round with each answer.
    stage.names = |name| {
        at_one_and_two(name)
            .map(|found| found.map(|found| Located { address: server(2), others: vec![server(1)], ..found }))
    };
    let (waits, sent) = stage.rounds(5);
    assert_about(&waits, &[5, 10, 10, 20, 20]);
    let greeted: Vec<&str> = sent.iter().map(|packets| packets[1].as_str()).collect();
    let rounds = [1, 2, 1, 2, 1].map(|number| format!("10.77.0.{number}:2103 BOOT"));
    assert_eq!(greeted, rounds, "a step per round over all addresses");
    let lines = [1, 2].map(|number| {
        format!("No server answers yet: waiting for an answer of zsrv.zlab.example (10.77.0.{number}:2103)")
    });
    assert_eq!(log(&stage), lines, "each address once");
    let again = stage.next().1.pop().unwrap();
    assert_eq!(again.to, server(2));
    stage.answer(&again, Kind::ServAck, b"SENT\0");
    assert_eq!(stage.machine.server_address(), Some(server(2)));
    // It is not left while it answers, whatever comes first by then.
    stage.names = at_one_and_two;
    let sent = stage.send(CLIENT, notice("message", ""));
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0").len(), 1);
    // It goes without a word: the other address is next.
    stage.send(CLIENT, notice("message", "x"));
    assert_eq!(stage.wait(20).last().unwrap().1.told(), "10.77.0.1:2103 ATTACH");
}

/// Whether the network is down, a filter is in the way or there is no route: nobody should look for it at the server.
#[test]
fn that_nothing_can_be_sent_is_told() {
    let (mut stage, _) = started(at_one);
    stage.machine.note_unsent(CLIENT, "Operation not permitted");
    stage.machine.note_unsent(server(2), "Operation not permitted");
    let unsent = |stage: &mut Stage| stage.machine.note_unsent(server(1), "Network is unreachable");
    unsent(&mut stage);
    for _ in 0..5 {
        stage.next();
        unsent(&mut stage);
    }
    let waits = "cannot send to zsrv.zlab.example (10.77.0.1:2103): Network is unreachable";
    assert_eq!(stage.statistics()[6], format!("yes ({waits})"));
    assert_eq!(log(&stage), [format!("No server answers yet: {waits}")], "once");
    // The network is there again, and the server is not.
    stage.next();
    let greeting = stage.next().1.pop().unwrap();
    let waits = "waiting for an answer of zsrv.zlab.example (10.77.0.1:2103)";
    assert_eq!(stage.statistics()[6], format!("yes ({waits})"));
    assert_eq!(log(&stage)[1..], [format!("No server answers yet: {waits}")]);
    stage.answer(&greeting, Kind::ServAck, b"SENT\0");
    assert_eq!(stage.statistics()[6], "no");
}

/// Where many are, or nobody is, no server is: a record of the name service may say so, or a typing error.
#[test]
fn groups_and_no_addresses_are_no_servers() {
    let names: Names = |name| {
        let found = if name.starts_with("all") { [224, 0, 0, 1] } else { [0, 0, 0, 0] };
        located(name, SocketAddr::from((found, 2103)))
    };
    let servers = ["all.zlab.example", "none.zlab.example", "224.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3"];
    let list = servers.map(|host| Server::new(host, 2103)).into();
    let (mut stage, greeting) = Stage::of(Servers::new(list, 1).unwrap(), names, |_| ());
    assert_eq!(greeting, []);
    assert_eq!(stage.told(600), Vec::<String>::new());
    assert_eq!(stage.machine.server_address(), None);
    let waiting = stage.machine.waiting().unwrap().to_string();
    assert!(waiting.contains("no address at which a server can be"), "{waiting}");
}

/// A record of the name service may name the host manager itself: its own messages come back.
#[test]
fn a_host_manager_is_no_server_of_its_own() {
    let own = SocketAddr::from(([127, 0, 0, 1], 2104));
    let names: Names = |name| {
        let own = SocketAddr::from(([127, 0, 0, 1], 2104));
        located(name, if name == "localhost" { own } else { server(2) })
    };
    let list = || vec![Server::at("localhost", own), Server::at("s2.zlab.example", server(2))];
    let (mut stage, mut sent) = Stage::of(Servers::new(list(), 1).unwrap(), names, |_| ());
    assert_eq!(sent[0].to, own);
    let mut answered = false;
    for _ in 0..60 {
        for packet in sent {
            if packet.to == own {
                assert!(
                    stage
                        .give(own, &packet.octets)
                        .iter()
                        .all(|sent| sent.to != own || sent.notice().kind == Kind::HmAck)
                );
            } else if !answered && matches!(packet.notice().opcode, b"BOOT" | b"ATTACH") {
                stage.answer(&packet, Kind::ServAck, b"SENT\0");
                answered = true;
            }
        }
        sent = stage.next().1;
    }
    assert_eq!((stage.machine.server_address(), stage.machine.is_looking()), (Some(server(2)), false));
    assert!(answered, "and its own status is none of a better server");
}
