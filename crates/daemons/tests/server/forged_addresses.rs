//! Attacks with addresses that are not the sender's, proven or not: room, other people's ports, and floods of somebody who
//! never asked. Each with what becomes of honest programs meanwhile.

use crate::stage::*;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{
    auth::{Direction, Session as _},
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice},
    policy::{ClassPolicy, Demand, NamePattern, Policy},
    uid::Uid,
};
use zephyr_engine::server::{Change, Config};

const MALLORY: &str = "mallory@ATHENA.TEST";
const SENT: &str = "SERVACK SENT";
const DENIED: &str = "SERVNAK LOST";

/// A host that somebody forges, and at which nobody answers.
fn victim() -> SocketAddr {
    SocketAddr::from(([10, 99, 0, 1], 2104))
}

/// One more such host.
fn another_victim(number: usize) -> SocketAddr {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    SocketAddr::from(([10, 98, high, low], 2104))
}

/// A realm with Kerberos, one class of which may be received without proof.
fn with_an_open_class(config: &mut Config) {
    let classes = NamePattern::new(b"public");
    let public = ClassPolicy { classes, send: None, receive: Some(Demand::Optional), failed_proof: None };
    config.policy = Policy { classes: vec![public], login: Demand::Optional, ..Policy::KERBEROS };
}

/// Somebody subscribes; everything that is sent then.
fn subscribe(stage: &mut Stage, to: SocketAddr, person: &str, class: &str, proof: Proof) -> Vec<Received> {
    let body = format!("{class}\0*\0\0");
    stage.send(
        to_manager(to),
        Notice { port: to.port(), ..control("SUBSCRIBE_NODEFS", person, body.as_bytes()) },
        proof,
    )
}

fn to_manager(program: SocketAddr) -> SocketAddr {
    at(program, 2104)
}

fn answer(received: &[Received]) -> String {
    received[0].answer()
}

/// Whom a notice of a class reaches, who acknowledge it if they are there.
fn reached(stage: &mut Stage, class: &str) -> Vec<SocketAddr> {
    let received = stage.send(there(), notice(class, "x", "", BOB), Yes);
    let delivered = received.iter().filter(|packet| !packet.notice().kind.is_acknowledgement() && !packet.is_probe());
    let delivered: Vec<Received> = delivered.cloned().collect();
    for packet in &delivered {
        if !stage.absent.contains(&packet.to.ip()) {
            stage.acknowledge(packet);
        }
    }
    delivered.iter().map(|packet| packet.to).collect()
}

#[test]
fn unproven_subscriptions_lock_no_proven_newcomer_of_their_host_out() {
    let mut stage = Stage::with(|config| {
        with_an_open_class(config);
        config.bounds.clients_per_host = 16;
    });
    stage.absent.push(here().ip());
    for port in 1000..1100 {
        subscribe(&mut stage, at(here(), port), "nobody@ATHENA.TEST", "public", No);
    }
    assert_eq!(stage.engine.gauges().clients, 4, "a quarter, of which the newest stay");
    for port in 1..=16 {
        assert_eq!(answer(&subscribe(&mut stage, at(here(), port), ALICE, "foo", Yes)), SENT, "{port}");
    }
    assert_eq!(stage.engine.gauges().clients, 20);
    stage.wait(61);
    assert_eq!(stage.engine.gauges().clients, 16, "what is neither proven nor there goes after a minute");

    // Whoever is there stays, and is not pushed out by those who are not.
    stage.absent.clear();
    assert_eq!(answer(&subscribe(&mut stage, at(here(), 7000), "guest@ATHENA.TEST", "public", No)), SENT);
    stage.absent.push(here().ip());
    for port in 2000..2100 {
        subscribe(&mut stage, at(here(), port), "nobody@ATHENA.TEST", "public", No);
    }
    stage.wait(61);
    assert_eq!(reached(&mut stage, "public"), [at(here(), 7000)]);
}

#[test]
fn forged_sources_lock_the_realm_out_neither_proven_nor_unproven() {
    for proof in [No, Yes] {
        let mut stage = Stage::with(|config| {
            with_an_open_class(config);
            (config.bounds.clients, config.bounds.subscription_octets) = (64, 64 * 200);
        });
        for number in 0..300 {
            let forged = at(another_victim(number), 5000);
            stage.absent.push(forged.ip());
            subscribe(&mut stage, forged, MALLORY, "public", proof);
        }
        for port in 1..=5 {
            assert_eq!(answer(&subscribe(&mut stage, at(here(), port), ALICE, "public", Yes)), SENT);
        }
        assert_eq!(answer(&subscribe(&mut stage, at(there(), 7000), "guest@ATHENA.TEST", "public", No)), SENT);
        assert!(stage.engine.gauges().clients <= 64 + 16, "{:?}", stage.engine.gauges());
        assert_eq!(reached(&mut stage, "public").len(), 6, "{proof:?}");
        stage.wait(61);
        assert_eq!(reached(&mut stage, "public").len(), 6, "{proof:?}");
    }
}

#[test]
fn a_forged_registration_keeps_no_proven_owner_from_his_port() {
    let mut stage = Stage::with(with_an_open_class);
    let port = at(here(), 5000);
    for (thief, proof) in [("nobody@ATHENA.TEST", No), (ALICE, No), (MALLORY, Yes)] {
        stage.absent = vec![here().ip()];
        assert_eq!(answer(&subscribe(&mut stage, port, thief, "public", proof)), SENT);
        stage.absent.clear();
        stage.changes.clear();
        assert_eq!(answer(&subscribe(&mut stage, port, ALICE, "foo", Yes)), SENT, "{thief}");
        assert!(matches!(stage.changes[0], Change::ClientGone { client, .. } if client == port), "{:?}", stage.changes);
        assert_eq!(stage.list(here(), ALICE, 5000), "foo|*||", "and nothing of what somebody else wanted");
        assert_eq!(reached(&mut stage, "foo"), [port]);
        assert_eq!(stage.ask(Notice { port: 5000, ..control("CLEARSUB", ALICE, b"") }, Yes), SENT);
    }
    assert_eq!(stage.engine.counters().taken_over, 3);

    // Who is proven and there keeps it.
    subscribe(&mut stage, port, ALICE, "foo", Yes);
    assert_eq!(answer(&subscribe(&mut stage, port, MALLORY, "foo", Yes)), DENIED);
    assert_eq!(answer(&subscribe(&mut stage, port, ALICE, "foo", No)), DENIED);
    assert_eq!(reached(&mut stage, "foo"), [port]);
}

#[test]
fn what_was_subscribed_before_the_tickets_came_stays_when_it_was_ones_own() {
    let mut stage = Stage::with(with_an_open_class);
    let port = at(here(), 5000);
    subscribe(&mut stage, port, ALICE, "public", No);
    assert_eq!(answer(&subscribe(&mut stage, port, ALICE, "foo", Yes)), SENT);
    assert_eq!(stage.list(here(), ALICE, 5000), "foo|*||public|*||");
}

#[test]
fn octets_of_subscriptions_are_bounded_by_principal_host_and_proof() {
    let long = "x".repeat(400);
    let fill = |stage: &mut Stage, host: SocketAddr, person: &str, proof| {
        for number in 0..100 {
            let class = format!("public{number}{long}");
            subscribe(stage, at(host, 5000 + number % 10), person, &class, proof);
        }
        stage.engine.gauges().subscription_octets
    };
    let stage = |per_principal, per_host| {
        Stage::with(|config| {
            config.policy = Policy { receive: Demand::Optional, ..Policy::KERBEROS };
            config.bounds.subscription_octets_per_principal = per_principal;
            config.bounds.subscription_octets_per_host = per_host;
        })
    };
    let mut by_principal = stage(10_000, 1 << 20);
    let octets = fill(&mut by_principal, here(), MALLORY, Yes);
    assert!((9_000..=10_000).contains(&octets), "{octets}");
    assert_eq!(answer(&subscribe(&mut by_principal, at(here(), 6000), ALICE, "foo", Yes)), SENT);

    let mut by_host = stage(1 << 20, 10_000);
    let octets = fill(&mut by_host, here(), MALLORY, Yes);
    assert!((9_000..=10_000).contains(&octets), "{octets}");
    assert_eq!(answer(&subscribe(&mut by_host, at(there(), 6000), ALICE, "foo", Yes)), SENT);

    let mut by_proof = stage(1 << 20, 10_000);
    let octets = fill(&mut by_proof, here(), MALLORY, No);
    assert!((2_000..=2_500).contains(&octets), "{octets}");
    assert_eq!(answer(&subscribe(&mut by_proof, at(here(), 6000), ALICE, "foo", Yes)), SENT);
}

/// Everything that the server sends while somebody subscribes these addresses and then sends notices to them, and for
/// an hour after that.
fn flood(stage: &mut Stage, addresses: &[SocketAddr], proof: Proof) -> HashMap<SocketAddr, usize> {
    let mut received = Vec::new();
    stage.absent.extend(addresses.iter().map(SocketAddr::ip));
    for &address in addresses {
        received.extend(subscribe(stage, address, MALLORY, "public", proof));
    }
    for _ in 0..40 {
        let notice = Notice { body: &[b'x'; 400], ..notice("public", "x", "", MALLORY) };
        received.extend(stage.send(there(), notice, Yes));
    }
    received.extend(stage.wait(3600).into_iter().map(|(_, packet)| packet));
    let mut counts = HashMap::new();
    for packet in received.iter().filter(|packet| packet.notice().kind != Kind::ServAck) {
        *counts.entry(packet.to).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_proven_user_floods_nobody_with_what_he_subscribed_in_his_name() {
    let mut stage = Stage::with(with_an_open_class);
    subscribe(&mut stage, at(there(), 6000), BOB, "public", Yes);
    // A thousand ports of one host.
    let ports: Vec<SocketAddr> = (0..1000).map(|number| at(victim(), 5000 + number)).collect();
    let counts = flood(&mut stage, &ports, Yes);
    let to_victim: usize = counts.iter().filter(|(to, _)| to.ip() == victim().ip()).map(|(_, count)| count).sum();
    assert!(to_victim <= 300, "{to_victim}");
    // A thousand hosts.
    let hosts: Vec<SocketAddr> = (0..1000).map(|number| at(another_victim(number), 5000)).collect();
    let mut stage = Stage::with(with_an_open_class);
    subscribe(&mut stage, at(there(), 6000), BOB, "public", Yes);
    let counts = flood(&mut stage, &hosts, Yes);
    let most = hosts.iter().filter_map(|host| counts.get(host)).max();
    assert!(most.is_some_and(|&most| most <= 7), "{most:?}");
    assert!(counts[&at(there(), 6000)] >= 40, "bob is there and gets everything");
    assert_eq!(stage.engine.gauges().pending, 0, "nothing is left of it");
}

#[test]
fn an_unproven_user_floods_nobody_either() {
    let mut stage = Stage::with(with_an_open_class);
    let ports: Vec<SocketAddr> = (0..1000).map(|number| at(victim(), 5000 + number)).collect();
    let counts = flood(&mut stage, &ports, No);
    assert!(counts.values().all(|&count| count <= 4), "{:?}", counts.values().max());
    assert_eq!(stage.engine.gauges().unconfirmed, 0);
}

#[test]
fn what_is_held_for_nobody_takes_no_room_of_those_who_are_there() {
    let mut stage = Stage::with(|config| {
        with_an_open_class(config);
        config.bounds.pending_octets_per_host = 64 << 10;
        config.bounds.delivery_octets = 128 << 10;
    });
    subscribe(&mut stage, at(here(), 5000), ALICE, "foo", Yes);
    stage.absent.push(here().ip());
    for number in 0..40 {
        let mallory = format!("mallory{number}@ATHENA.TEST");
        for port in 0..8 {
            subscribe(&mut stage, at(here(), 6000 + number * 8 + port), &mallory, "fill", Yes);
        }
    }
    for _ in 0..20 {
        stage.send(there(), Notice { body: &[b'x'; 600], ..notice("fill", "x", "", MALLORY) }, Yes);
    }
    assert!(stage.engine.counters().host_pending_full > 0, "the room for what is held is full");
    stage.absent.clear();
    assert_eq!(reached(&mut stage, "foo"), [at(here(), 5000)]);
}

#[test]
fn what_comes_before_the_confirmation_is_held_and_arrives_in_order() {
    let mut stage = Stage::new();
    stage.absent.push(here().ip());
    let mut probes = subscribe(&mut stage, at(here(), 5000), ALICE, "foo", Yes);
    let probe = probes.pop().unwrap();
    assert!(probe.is_probe() && probe.to == at(here(), 5000));
    assert!(key_of(ALICE).check(&probe.packet(), Direction::ToClient), "sealed for whom it is for");
    for number in 0..50 {
        let body = format!("{number}");
        let received = stage.send(there(), Notice { body: body.as_bytes(), ..notice("foo", "x", "", BOB) }, Yes);
        assert_eq!((received.len(), received[0].answer().as_str()), (1, SENT), "held, not lost");
    }
    let again = stage.wait(30);
    assert!(again.iter().all(|(_, packet)| *packet == probe), "only the probe is repeated");
    let mut received = stage.give(probe.to, &probe.acknowledgement(), No);
    assert_eq!(received.len(), 16, "nobody waits because one client had many");
    let mut others = stage.wait(1);
    received.extend(others.drain(..).map(|(_, packet)| packet));
    let bodies: Vec<String> = received.iter().map(Received::body).collect();
    assert_eq!(bodies, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(received.iter().all(|packet| packet.packet().claim.auth == 1));
    received.iter().for_each(|packet| stage.acknowledge(packet));
    assert_eq!((stage.engine.gauges().pending, stage.engine.gauges().unconfirmed), (0, 0));
    assert_eq!(reached(&mut stage, "foo"), [at(here(), 5000)]);
}

#[test]
fn what_was_held_for_somebody_who_never_came_is_forgotten_with_him() {
    let mut stage = Stage::new();
    stage.absent.push(victim().ip());
    subscribe(&mut stage, at(victim(), 5000), MALLORY, "foo", Yes);
    for _ in 0..100 {
        stage.send(there(), notice("foo", "x", "", BOB), Yes);
    }
    assert_eq!(stage.engine.gauges().pending, 100);
    assert_eq!(stage.wait(1037).len(), 6, "only the probe is repeated");
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().pending), (0, 0));
    assert_eq!(stage.engine.next_timeout(stage.now), None);
}

#[test]
fn nobody_confirms_an_address_with_uids_that_he_knows() {
    let mut stage = Stage::new();
    stage.absent.push(victim().ip());
    let address = at(victim(), 5000);
    let received = subscribe(&mut stage, address, MALLORY, "foo", Yes);
    let probe = received.iter().find(|packet| packet.is_probe()).unwrap().clone();
    let mut known = vec![received[0].notice().uid];
    for _ in 0..3 {
        known.push(stage.send(there(), notice("foo", "x", "", MALLORY), Yes)[0].notice().uid);
    }
    let uid = probe.notice().uid;
    known.push(Uid { micros: uid.micros.wrapping_add(1), ..uid });
    known.push(Uid { seconds: 1_800_000_000, ..uid });
    for uid in known {
        let forged = Notice { kind: Kind::ClientAck, body: b"", uid, ..probe.notice() };
        stage.give(address, &forged.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap(), No);
    }
    // The right one from elsewhere.
    for from in [at(victim(), 5001), at(here(), 5000), victim()] {
        stage.give(from, &probe.acknowledgement(), No);
    }
    assert_eq!(stage.engine.gauges().unconfirmed, 1);
    let again = subscribe(&mut stage, address, MALLORY, "bar", Yes);
    assert!(again.iter().all(|packet| !packet.is_probe()), "asking again changes nothing");
    stage.give(address, &probe.acknowledgement(), No);
    assert_eq!(stage.engine.gauges().unconfirmed, 0, "and who receives it confirms it");
}

#[test]
fn who_starts_many_programs_is_not_taken_for_a_flood() {
    let mut stage = Stage::new();
    for port in 0..500 {
        assert_eq!(answer(&subscribe(&mut stage, at(here(), 5000 + port), ALICE, "foo", Yes)), SENT);
    }
    assert_eq!(stage.engine.gauges().unconfirmed, 0);
    assert_eq!(reached(&mut stage, "foo").len(), 500);
}

#[test]
fn claimed_names_take_none_of_the_room_for_what_waits() {
    let mut stage = Stage::with(|config| {
        with_an_open_class(config);
        config.bounds.pending_octets_per_principal = 40_000;
        config.bounds.pending_octets_per_host = 80_000;
        config.bounds.delivery_octets = 160_000;
    });
    // They confirm, and then acknowledge nothing.
    for port in 0..40 {
        subscribe(&mut stage, at(here(), 5000 + port), ALICE, "public", No);
    }
    for _ in 0..40 {
        stage.send(there(), Notice { body: &[b'x'; 400], ..notice("public", "x", "", BOB) }, Yes);
    }
    assert!(stage.engine.gauges().pending_octets <= 40_000, "{:?}", stage.engine.gauges());
    subscribe(&mut stage, at(here(), 6000), ALICE, "foo", Yes);
    for _ in 0..40 {
        let received = stage.send(there(), notice("foo", "x", "", BOB), Yes);
        assert_eq!(received.iter().filter(|packet| packet.to == at(here(), 6000)).count(), 1);
    }
}

#[test]
fn answers_that_others_ask_for_take_none_of_the_room_of_a_reader() {
    let mut stage = Stage::with(|config| config.bounds.pending_per_destination = 10);
    subscribe(&mut stage, at(here(), 5000), ALICE, "foo", Yes);
    for _ in 0..20 {
        stage.send(here(), Notice { port: 5000, ..control("GIMMEDEFS", "nobody@ATHENA.TEST", b"") }, No);
    }
    assert_eq!(reached(&mut stage, "foo"), [at(here(), 5000)]);
}

/// Also what is asked with proof may be asked from somebody else's address.
#[test]
fn a_proven_user_floods_nobody_with_answers() {
    let many: String = (0..250).map(|number| format!("some-class-of-ours-{number},and-an-instance,*\n")).collect();
    let asked = |host: SocketAddr, with_client: bool| {
        let mut stage = Stage::with(|config| config.rules = with_defaults(many.as_bytes()));
        stage.absent.push(victim().ip());
        if with_client {
            subscribe(&mut stage, at(host, 6000), MALLORY, "foo", Yes);
        }
        let mut received = Vec::new();
        for _ in 0..100 {
            received.extend(stage.send(host, control("GIMMEDEFS", MALLORY, b""), Yes));
        }
        received.extend(stage.wait(3600).into_iter().map(|(_, packet)| packet));
        received.iter().filter(|packet| packet.to == at(host, 5000)).count()
    };
    let to_victim = asked(victim(), false);
    assert!(to_victim <= 64 + 2 * 100, "{to_victim}");
    assert!(asked(victim(), true) <= 64 + 2 * 100, "a client that nothing shows to be there changes nothing");
    assert!(asked(here(), true) > 5000, "who is there gets all, as often as it takes");
}

#[test]
fn nobody_spends_what_another_of_his_host_may_send_and_cause() {
    let mut stage = Stage::with(|config| {
        (config.policy.measure.notices_per_second, config.policy.measure.notice_burst) = (1, 5);
        (config.bounds.deliveries_per_second, config.bounds.delivery_burst) = (1, 5);
    });
    subscribe(&mut stage, at(there(), 6000), BOB, "foo", Yes);
    let mut send = |sender: &str, proof| {
        let received = stage.send(here(), notice("foo", "x", "", sender), proof);
        received.last().unwrap().answer()
    };
    for (sender, proof) in [(ALICE, No), (MALLORY, Yes)] {
        let answers: Vec<String> = (0..10).map(|_| send(sender, proof)).collect();
        assert_eq!((answers[0].as_str(), answers[9].as_str()), (SENT, DENIED), "{sender}");
    }
    assert_eq!(send(ALICE, Yes), SENT);
}

#[test]
fn locations_that_are_only_claimed_take_no_room_of_the_proven_ones() {
    let mut stage = Stage::with(|config| {
        with_an_open_class(config);
        (config.bounds.locations, config.bounds.locations_per_host) = (8, 4);
    });
    let mut told = |host: SocketAddr, port, person: &str, proof| {
        let place = Notice { port, body: b"m\0t\0y\0", ..notice("LOGIN", person, "REALM-VISIBLE", person) };
        stage.send(host, place, proof)[0].answer()
    };
    for number in 0..20 {
        told(at(another_victim(number), 2104), 7000, "nobody@ATHENA.TEST", No);
        told(here(), 7000, &format!("nobody{number}@ATHENA.TEST"), No);
    }
    assert_eq!([1, 2, 3, 4].map(|port| told(here(), port, ALICE, Yes)), [SENT; 4]);
    assert_eq!(told(here(), 5, ALICE, Yes), "SERVACK LOST");
    assert_eq!(stage.engine.gauges().locations, 4 + 2);
}

#[test]
fn unproven_packets_make_no_proven_answer_forgotten() {
    let mut stage = Stage::with(|config| config.bounds.response_cache_entries = 8);
    let packet = stage.packet(control("GIMMEDEFS", ALICE, b""), Yes);
    stage.give(here(), &packet, Yes);
    for _ in 0..100 {
        stage.send(there(), notice("nobody", "reads", "this", BOB), No);
    }
    let judged = stage.judged;
    assert_eq!(stage.give(here(), &packet, Yes).len(), 1, "answered as the first time, and only that");
    assert_eq!((stage.judged, stage.engine.counters().repeated), (judged, 1));
}

#[test]
fn a_client_that_never_was_there_takes_no_location_along() {
    let mut stage = Stage::with(with_an_open_class);
    let place = Notice { port: 5000, body: b"m\0t\0y\0", ..notice("LOGIN", ALICE, "REALM-VISIBLE", ALICE) };
    assert_eq!(stage.ask(place, Yes), SENT);
    stage.absent.push(here().ip());
    subscribe(&mut stage, at(here(), 5000), "nobody@ATHENA.TEST", "public", No);
    subscribe(&mut stage, at(here(), 5000), MALLORY, "public", Yes);
    stage.wait(3600);
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().locations), (0, 1));
}

#[test]
fn without_proof_a_flush_counts_for_the_host_that_it_comes_from() {
    let mut stage = Stage::with(with_an_open_class);
    let thief: SocketAddr = SocketAddr::new(IpAddr::from([10, 66, 6, 6]), 2104);
    let guest = "guest@ATHENA.TEST";
    let place = Notice { port: 7000, body: b"m\0t\0y\0", ..notice("LOGIN", guest, "REALM-VISIBLE", guest) };
    subscribe(&mut stage, at(here(), 7000), guest, "public", No);
    stage.send(here(), place, No);
    let flushes = [control("FLUSHSUBS", guest, b""), notice("LOGIN", guest, "USER_FLUSH", guest)];
    for flush in flushes {
        for from in [thief, there()] {
            stage.send(from, flush, No);
        }
    }
    assert_eq!(reached(&mut stage, "public"), [at(here(), 7000)]);
    assert_eq!(stage.engine.gauges().locations, 1);
    for flush in flushes {
        assert_eq!(stage.ask(flush, No), SENT);
    }
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().locations), (0, 0), "for himself he may");
    subscribe(&mut stage, at(here(), 7000), guest, "public", Yes);
    assert_eq!(stage.send(there(), flushes[0], Yes)[0].answer(), SENT);
    assert_eq!(stage.engine.gauges().clients, 0, "and with proof from anywhere");
}

#[test]
fn made_up_hosts_push_out_none_that_is_there() {
    let mut stage = Stage::with(|config| config.bounds.hosts = 10);
    let boot = Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") };
    stage.send(here(), boot, No);
    subscribe(&mut stage, at(here(), 5000), ALICE, "foo", Yes);
    for number in 0..100 {
        stage.send(another_victim(number), boot, No);
    }
    assert_eq!(stage.engine.gauges().hosts, 10);
    let told = stage.command(zephyr_engine::server::Command::Shutdown);
    assert!(told.iter().any(|packet| packet.to == here()), "its manager is told when the server ends");
}

#[test]
fn what_is_for_bob_is_not_read_by_another_who_is_called_bob() {
    let big = "Bob@ATHENA.TEST";
    let mut stage = Stage::new();
    let personal = |stage: &mut Stage, person: &str, port| {
        let body = format!("message\0personal\0{person}\0");
        stage.subscribe(here(), person, port, body.as_bytes());
    };
    let reads = |stage: &mut Stage, recipient: &str| {
        let notice = Notice { recipient: recipient.as_bytes(), ..notice("message", "personal", "", ALICE) };
        let received = stage.send(there(), notice, Yes);
        received
            .iter()
            .filter(|packet| packet.to.ip() == here().ip())
            .map(|packet| packet.to.port())
            .collect::<Vec<_>>()
    };
    personal(&mut stage, big, 1001);
    for recipient in ["bob@ATHENA.TEST", "bob@athena", "BOB@ATHENA.TEST"] {
        assert_eq!(reads(&mut stage, recipient), [0; 0], "bob is not there: {recipient}");
    }
    personal(&mut stage, BOB, 1002);
    for (recipient, reader) in [
        ("bob@ATHENA.TEST", 1002),
        ("Bob@ATHENA.TEST", 1001),
        ("BOB@ATHENA.TEST", 1002),
        ("bob@athena", 1002),
        ("Bob@athena.test", 1001),
        ("bOB@", 1002),
    ] {
        assert_eq!(reads(&mut stage, recipient), [reader], "{recipient}");
    }
    assert_eq!(stage.list(here(), big, 1001), format!("message|personal|{big}|"));
    assert_eq!(stage.list(here(), BOB, 1002), format!("message|personal|{BOB}|"));
    let unsubscribe = Notice { port: 1001, ..control("UNSUBSCRIBE", big, b"message\0personal\0BOB@athena.test\0") };
    assert_eq!(stage.ask(unsubscribe, Yes), SENT);
    assert_eq!(reads(&mut stage, big), [1002], "as C has it, when nobody else is called so");

    // Where nobody can prove anything, names are as good as each other.
    let mut open = Stage::with(|config| config.policy = Policy::OPEN);
    let body = format!("message\0personal\0{big}\0");
    open.send(here(), Notice { port: 1001, ..control("SUBSCRIBE_NODEFS", big, body.as_bytes()) }, No);
    assert_eq!(reads(&mut open, BOB), [1001]);
}
