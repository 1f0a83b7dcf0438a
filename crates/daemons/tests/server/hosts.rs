//! Host managers and requests of operators, with a scripted clock.

use crate::stage::*;
use std::net::SocketAddr;
use zephyr_core::{kind::Kind, notice::Notice};
use zephyr_daemons::{
    admin_protocol::{Answer, ControlRequest},
    zephyrd::inspect::answer,
};
use zephyr_engine::server::{Bounds, Command, LogEvent};

fn hm(opcode: &str) -> Notice<'_> {
    Notice { kind: Kind::HmCtl, port: 2104, ..notice("ZEPHYR_CTL", "HM", opcode, "hm") }
}

#[test]
fn a_host_is_only_emptied_by_itself() {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, b"c\0*\0\0");
    stage.subscribe(there(), BOB, 5000, b"c\0*\0\0");
    // The address inside the notice names the first host; where the packet comes from is what counts.
    for opcode in ["FLUSH", "BOOT"] {
        stage.send(there(), hm(opcode), No);
    }
    assert_eq!(stage.list(here(), ALICE, 5000), "c|*||");
    assert_eq!(stage.engine.gauges().clients, 1);
    stage.send(here(), hm("FLUSH"), No);
    assert_eq!(stage.engine.gauges().clients, 0);
    assert_eq!(stage.engine.counters().host_flushes, 3);
}

#[test]
fn a_flood_of_boots_does_bounded_work_and_harms_no_other_host() {
    let mut stage = Stage::new();
    let answered = (0..500).filter(|_| !stage.send(here(), hm("BOOT"), No).is_empty()).count();
    assert_eq!(answered, 500, "a host without clients has nothing to lose, and waits for the answer");
    assert_eq!(stage.engine.counters().host_flushes, 50);

    stage.subscribe(here(), ALICE, 5000, b"c\0*\0\0");
    for opcode in ["FLUSH", "BOOT"] {
        assert_eq!(stage.send(here(), hm(opcode), No), []);
    }
    assert_eq!(stage.engine.gauges().clients, 1, "a flood may not flush");
    assert_eq!(stage.engine.counters().host_floods, 2);
    assert!(stage.events.iter().any(|event| matches!(event, LogEvent::Full { what: "host manager requests", .. })));
    assert!(stage.send(there(), hm("BOOT"), No)[0].answer().starts_with("SERVACK SENT"));
    stage.wait(10);
    assert!(!stage.send(here(), hm("BOOT"), No).is_empty(), "after a pause the host is handled again");
    assert_eq!(stage.engine.gauges().clients, 0);
}

/// A host manager without this answer keeps all of its host's notices back.
#[test]
fn a_flood_does_not_keep_a_host_manager_from_its_server() {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, b"c\0*\0\0");
    for _ in 0..500 {
        for opcode in ["DETACH", "ATTACH", "FLUSH", "nonsense"] {
            stage.send(at(here(), 7000), hm(opcode), No);
        }
        assert_eq!(stage.send(here(), hm("ATTACH"), No)[0].answer(), "SERVACK SENT");
    }
}

#[test]
fn the_host_silent_longest_makes_room() {
    let mut stage = Stage::with(|config| config.bounds = Bounds { hosts: 2, ..Bounds::default() });
    let third = SocketAddr::from((host(3), 2104));
    for manager in [here(), there(), here(), third] {
        assert!(!stage.send(manager, hm("ATTACH"), No).is_empty());
    }
    assert_eq!((stage.engine.gauges().hosts, stage.engine.counters().hosts_full), (2, 1));
    let told: Vec<SocketAddr> = stage.command(Command::Shutdown).iter().map(|farewell| farewell.to).collect();
    assert_eq!(told, [here(), third]);
}

#[test]
fn a_program_does_not_stand_in_for_its_hosts_manager() {
    let mut stage = Stage::new();
    stage.send(here(), hm("BOOT"), No);
    stage.send(at(here(), 7000), hm("DETACH"), No);
    stage.send(at(here(), 7000), hm("ATTACH"), No);
    let told = stage.command(Command::Shutdown);
    assert_eq!((told.len(), told[0].to, told[0].notice().opcode), (1, here(), &b"SHUTDOWN"[..]));

    let mut stage = Stage::new();
    for port in [2999, 3001] {
        stage.send(at(here(), port), hm("BOOT"), No);
    }
    let told = |stage: &mut Stage| stage.command(Command::Shutdown)[0].to;
    assert_eq!(told(&mut stage), at(here(), 3001), "a manager that starts elsewhere is the manager");
    for manager in [here(), at(here(), 2999)] {
        stage.send(manager, hm("BOOT"), No);
    }
    assert_eq!(told(&mut stage), here(), "but where there is one at the usual port");

    let mut stage = Stage::new();
    stage.send(at(here(), 7000), hm("ATTACH"), No);
    assert_eq!(told(&mut stage), at(here(), 7000), "a program without a host manager");
    stage.send(here(), hm("ATTACH"), No);
    assert_eq!(told(&mut stage), here(), "until there is one, which need not begin anew");
}

/// Any program of a host can go round its host manager.
#[test]
fn a_program_ends_nothing_that_came_through_its_hosts_manager() {
    let mut stage = Stage::new();
    stage.send(here(), hm("BOOT"), No);
    stage.subscribe(here(), ALICE, 5000, b"c\0*\0\0");
    stage.subscribe(at(here(), 2999), BOB, 5001, b"c\0*\0\0");
    let location =
        Notice { body: b"host\0Tue Nov 24 2026\0tty\0", port: 5000, ..notice("LOGIN", ALICE, "OPSTAFF", ALICE) };
    stage.send(here(), location, Yes);
    for _ in 0..100 {
        for opcode in ["FLUSH", "BOOT"] {
            stage.send(at(here(), 7000), hm(opcode), No);
        }
    }
    let left = |stage: &Stage| (stage.engine.gauges().clients, stage.engine.gauges().locations);
    assert_eq!(left(&stage), (2, 1), "a program has flushed others");
    stage.send(at(here(), 2999), hm("FLUSH"), No);
    assert_eq!(left(&stage), (1, 1), "a manager elsewhere flushes those that it speaks for");
    assert!(!stage.send(here(), hm("BOOT"), No).is_empty(), "the manager is answered, whatever programs did");
    assert_eq!(left(&stage), (0, 0));
}

/// Where no host manager runs, anybody on the host opens its port.
#[test]
fn who_opens_a_free_port_of_host_managers_ends_nobody_who_came_another_way() {
    let mut stage = Stage::new();
    let direct = at(here(), 5000);
    stage.subscribe(direct, ALICE, 5000, b"c\0*\0\0");
    let location =
        Notice { body: b"host\0Tue Nov 24 2026\0tty\0", port: 5000, ..notice("LOGIN", ALICE, "OPSTAFF", ALICE) };
    stage.send(direct, location, Yes);
    let left = |stage: &Stage| (stage.engine.gauges().clients, stage.engine.gauges().locations);
    for opcode in ["BOOT", "FLUSH"] {
        stage.send(here(), hm(opcode), No);
        assert_eq!(left(&stage), (1, 1), "{opcode}");
    }
    // He has subscribed by that port himself: it speaks for what came through it.
    stage.subscribe(here(), BOB, 5001, b"c\0*\0\0");
    stage.send(here(), hm("BOOT"), No);
    assert_eq!(left(&stage), (1, 1), "of the other nothing");
    assert_eq!(stage.list(direct, ALICE, 5000), "c|*||");
}

/// So a host that has really begun anew loses those clients, too.
#[test]
fn clients_that_came_another_way_are_asked_when_their_host_boots() {
    let mut stage = Stage::new();
    let direct = at(here(), 5000);
    stage.subscribe(direct, ALICE, 5000, b"c\0*\0\0");
    stage.absent.push(here().ip());
    let asked = stage.send(here(), hm("BOOT"), No);
    let probe = asked.iter().find(|packet| packet.is_probe()).expect("it is asked");
    assert_eq!((probe.to, stage.engine.gauges().clients), (direct, 1));
    stage.is_closed(probe.to, &probe.octets);
    assert_eq!(stage.engine.gauges().clients, 0);
}

#[test]
fn the_dump_is_as_c_servers_write_it() {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, b"Message\0PERSONAL\0alice@ATHENA.TEST\0it's\0new\nline\0\0");
    stage.subscribe(there(), BOB, 6000, b"message\0*\0@ELSEWHERE\0it's\0new\nline\0\0");
    for (host, user, opcode) in
        [(here(), ALICE, "NET-ANNOUNCED"), (there(), BOB, "OPSTAFF"), (there(), ALICE, "REALM-VISIBLE")]
    {
        let body = b"host\0Tue Nov 24 2026\0tty'1\0";
        stage.send(host, Notice { body, ..notice("LOGIN", user, opcode, user) }, Yes);
    }
    let expected = as_here(
        "\
0:0.0.0.0/SERV_DEAD
1:127.77.0.100/SERV_UP
'alice@ATHENA.TEST' 'host' 'Tue Nov 24 2026' 'tty\\q1' RLM_VIS 127.77.0.2/5000
'alice@ATHENA.TEST' 'host' 'Tue Nov 24 2026' 'tty\\q1' NET_ANN 127.77.0.1/5000
'bob@ATHENA.TEST' 'host' 'Tue Nov 24 2026' 'tty\\q1' OPSTAFF 127.77.0.2/5000
127.77.0.1/5000 (alice@ATHENA.TEST):
\t'message' 'personal' 'alice@ATHENA.TEST'
\t'it\\qs' 'new\\nline' ''
127.77.0.2/6000 (bob@ATHENA.TEST):
\t'message' '*' '@ELSEWHERE'
\t'it\\qs' 'new\\nline' ''
Triplet 'it\\qs' 'new\\nline' '':
\t127.77.0.1 5000 (alice@ATHENA.TEST)
\t127.77.0.2 6000 (bob@ATHENA.TEST)
Triplet 'message' '*' '@ELSEWHERE':
\t127.77.0.2 6000 (bob@ATHENA.TEST)
Triplet 'message' 'personal' 'alice@ATHENA.TEST':
\t127.77.0.1 5000 (alice@ATHENA.TEST)
",
    );
    assert_eq!(stage.engine.dump(), expected);
    let answer = answer(&stage.engine, stage.now, &ControlRequest::Dump { here: true });
    assert_eq!(answer, Some(Answer::Dump(expected)));
}

#[test]
fn clients_and_subscribers_are_listed() {
    let mut stage = Stage::new();
    for port in 5000..5010 {
        stage.subscribe(here(), ALICE, port, b"Big\0*\0\0other\0x\0\0");
    }
    stage.wait(30);
    let Some(Answer::Clients(clients)) = answer(&stage.engine, stage.now, &ControlRequest::Clients { limit: 3 }) else {
        panic!("no clients");
    };
    assert_eq!((clients.total, clients.entries.len()), (10, 3));
    let first = &clients.entries[0];
    assert_eq!((first.address, &*first.principal, first.subscriptions), (at(here(), 5000), ALICE, 2));
    assert_eq!((first.proven, first.seconds_silent), (true, 30));

    let request = ControlRequest::Subscriptions { class: "bIG".to_owned(), limit: 4 };
    let Some(Answer::Subscriptions(found)) = answer(&stage.engine, stage.now, &request) else { panic!("none") };
    assert_eq!((found.total, found.entries.len()), (10, 4), "in any spelling");
    assert_eq!((&*found.entries[3].instance, found.entries[3].client), ("*", at(here(), 5003)));
}

#[test]
fn access_is_explained() {
    let lists = [("xmt-secret", "*@ATHENA.TEST\n!bob@ATHENA.TEST\n"), ("sub-secret", "@127.77.0.0/24\n")];
    let stage = Stage::with(|config| config.rules = rules(&lists));
    let check = |principal: &str, class: &str, address: Option<&str>| {
        let request = ControlRequest::AclCheck {
            principal: principal.to_owned(),
            class: class.to_owned(),
            address: address.map(|address| address.parse().unwrap()),
        };
        let Some(Answer::AclCheck(check)) = answer(&stage.engine, stage.now, &request) else { panic!("no answer") };
        let rulings: Vec<_> =
            check.rulings.iter().map(|ruling| format!("{} {} {}", ruling.list, ruling.allowed, ruling.why)).collect();
        (check.restricted, rulings)
    };
    let (restricted, rulings) = check(ALICE, "SECRET", None);
    assert!(restricted);
    assert_eq!(rulings[0], "xmt true line 1 of its xmt list");
    assert_eq!(rulings[1], "sub false nothing in its sub list admits");
    assert_eq!(rulings[2], "iws false the sub list refuses already");
    assert_eq!(rulings[3], "iui true the class has no iui list");
    assert_eq!(
        check(BOB, "secret", Some(&as_here("127.77.0.9"))).1[..2],
        ["xmt false line 2 of its xmt list".to_owned(), "sub true line 1 of its sub list".to_owned()]
    );
    assert!(check("", "secret", None).1[0].starts_with("xmt false"));
    let (restricted, rulings) = check(ALICE, "free", None);
    assert!(!restricted && rulings.iter().all(|ruling| ruling.contains("true the class is not in the registry")));
}
