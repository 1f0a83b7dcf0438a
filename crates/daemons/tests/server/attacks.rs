//! Attacks on C servers, and their outcome here. Each test bears the name of its line in `docs/development/attacks.md`.

use crate::{running, stage::*};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, Packet},
    policy::{ClassPolicy, Demand, FailedProof, NamePattern, Policy},
    uid::Uid,
};

/// A host that belongs to nobody here.
const THIEF: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 66, 6, 6)), 2104);

fn login<'a>(person: &'a str, opcode: &'a str, sender: &'a str) -> Notice<'a> {
    Notice { body: b"machine\0now\0tty\0", ..notice("LOGIN", person, opcode, sender) }
}

/// Clients, subscriptions and locations.
fn state(stage: &Stage) -> (usize, usize, usize) {
    let gauges = stage.engine.gauges();
    (gauges.clients, gauges.subscriptions, gauges.locations)
}

/// Alice reads class `foo` and is logged in; bob watches who comes and goes.
fn scene() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    stage.subscribe(there(), BOB, 6000, b"login\0*\0\0");
    stage.send(here(), login(ALICE, "NET-ANNOUNCED", ALICE), Yes);
    stage
}

/// The packets that subscribers get.
fn deliveries(received: &[Received]) -> Vec<&Received> {
    received.iter().filter(|packet| !packet.notice().kind.is_acknowledgement()).collect()
}

#[test]
fn s1_forged_authentication_through_packet_kind() {
    let mut stage = scene();
    let before = state(&stage);
    for kind in [Kind::ServAck, Kind::ServNak, Kind::HmAck, Kind::ClientAck] {
        for forged in [
            control("SUBSCRIBE", ALICE, b"foo\0*\0\0"),
            control("CLEARSUB", ALICE, b""),
            login(ALICE, "USER_FLUSH", ALICE),
            notice("foo", "bar", "", ALICE),
        ] {
            for proof in [No, Yes, Failed] {
                assert_eq!(stage.send(THIEF, Notice { kind, port: 6666, ..forged }, proof), [], "{kind}");
            }
        }
    }
    assert_eq!(state(&stage), before);
    assert_eq!(stage.judged, 3, "only what set the scene was looked at");
}

#[test]
fn s2_brain_dump_open_to_any_ticket_holder() {
    let server = running::server(&[]);
    assert!(TcpStream::connect(server.address).is_err(), "nothing listens there");
}

#[test]
fn s3_hello_protocol_unauthenticated() {
    let mut stage = scene();
    let before = state(&stage);
    for opcode in ["HELLO", "GOODBYE", "I_HEAR_YOU", "DUMP_AVAIL", "KILL_CLIENT", "REALM", "LOST_CLIENT"] {
        // The address of the client that would be killed, as C servers write it.
        let body = b"127.77.0.1\x005000\x00";
        for proof in [No, Yes] {
            let received = stage.send(THIEF, Notice { body, ..notice("ZEPHYR_ADMIN", "", opcode, ALICE) }, proof);
            assert!(received.iter().all(|packet| packet.to == THIEF), "nobody else is sent anything: {received:?}");
        }
    }
    assert_eq!(state(&stage), before);
    assert_eq!(deliveries(&stage.send(there(), notice("foo", "x", "", BOB), Yes)).len(), 1, "alice is still there");
}

#[test]
fn s4_host_control_unauthenticated() {
    let mut stage = scene();
    let before = state(&stage);
    let claimed =
        Notice { address: here().ip(), port: 2104, kind: Kind::HmCtl, ..notice("HM_CTL", "x", "FLUSH", "HM") };
    for opcode in ["FLUSH", "BOOT", "DETACH", "ATTACH"] {
        stage.send(THIEF, Notice { opcode: opcode.as_bytes(), ..claimed }, No);
    }
    assert_eq!(state(&stage), before, "a host is where its packets come from, whatever they say");
}

#[test]
fn s5_logout_unauthenticated_announced_as_authentic() {
    let mut stage = scene();
    let logout = login(ALICE, "USER_LOGOUT", ALICE);
    let elsewhere = stage.send(THIEF, logout, No);
    assert_eq!((elsewhere.len(), elsewhere[0].answer().as_str()), (1, "SERVNAK FAIL"));
    assert_eq!(state(&stage).2, 1);
    for proof in [No, Failed] {
        stage.send(here(), login(ALICE, "NET-ANNOUNCED", ALICE), Yes);
        let received = stage.send(here(), logout, proof);
        let announced = deliveries(&received);
        assert_eq!(announced.len(), 1);
        assert_eq!(announced[0].packet().claim, Claim::NONE, "it proves nothing");
    }
}

#[test]
fn s7_local_users_can_speak_as_a_realm() {
    let mut stage = scene();
    let before = state(&stage);
    for opcode in ["REQ_SUBSCRIBE", "ADD_SUBSCRIBE", "RLM_SUBSCRIBE", "RLM_UNSUBSCRIBE", "SHUTDOWN", "SENDSUBS"] {
        for proof in [No, Yes] {
            let body = b"foo\0*\0\0";
            let forged = Notice { port: 2103, body, ..notice("ZEPHYR_CTL", "REALM", opcode, "zephyr/zephyr@FOREIGN") };
            let received = stage.send(THIEF, forged, proof);
            assert!(
                received.len() <= 1 && received.iter().all(|answer| answer.answer() != "SERVACK SENT"),
                "{received:?}"
            );
        }
    }
    assert_eq!(state(&stage), before);
}

#[test]
fn s8_principal_check_order() {
    let mut stage = scene();
    stage.send(here(), control("UNSUBSCRIBE", ALICE, b"foo\0*\0\0"), Yes);
    let before = state(&stage);
    let received = stage.send(here(), control("SUBSCRIBE", BOB, b""), Yes);
    assert_eq!(received[0].answer(), "SERVNAK LOST");
    assert_eq!(state(&stage), before, "not even alice's own defaults are added in bob's request");
}

#[test]
fn s9_no_replay_protection() {
    let mut stage = scene();
    let message = stage.packet(notice("foo", "bar", "", BOB), Yes);
    let first = stage.give(there(), &message, Yes);
    assert_eq!(deliveries(&first).len(), 1);
    let judged = stage.judged;
    for from in [there(), THIEF, here(), at(there(), 9999)] {
        let again = stage.give(from, &message, Yes);
        assert_eq!(again.len(), 1, "acknowledged and nothing else");
        assert_eq!((again[0].to, again[0].answer().as_str()), (from, "SERVACK SENT"));
    }
    assert_eq!(stage.judged, judged, "no ticket is opened for a copy");
    // As long as Kerberos would take it.
    stage.wait(599);
    assert_eq!(stage.give(THIEF, &message, Yes).len(), 1);
}

/// The worst replay: a stolen subscription, sent from the thief's machine, would let him read.
#[test]
fn k_replay_to_the_server_within_the_clock_skew_window() {
    let mut stage = Stage::new();
    let subscription = stage.packet(Notice { port: 5000, ..control("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0") }, Yes);
    stage.give(here(), &subscription, Yes);
    let received = stage.give(THIEF, &subscription, Yes);
    assert_eq!(received[0].answer(), "SERVACK SENT", "he is told what alice was told");
    assert_eq!(stage.engine.gauges().clients, 1, "and has nothing");
    let received = stage.send(there(), notice("foo", "bar", "", BOB), Yes);
    assert_eq!(deliveries(&received).iter().map(|packet| packet.to).collect::<Vec<_>>(), [at(here(), 5000)]);

    // Even when the host has begun anew, and may tell of itself again.
    stage.send(here(), Notice { kind: Kind::HmCtl, port: 2104, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    assert_eq!(stage.engine.gauges().clients, 0);
    stage.give(THIEF, &subscription, Yes);
    assert_eq!(stage.engine.gauges().clients, 0);
    stage.give(here(), &subscription, Yes);
    assert_eq!(stage.engine.gauges().clients, 1, "its own host manager's queue is handled");
}

#[test]
fn k_the_same_authenticator_on_another_notice() {
    let mut stage = scene();
    let octets = stage.packet(notice("foo", "bar", "", BOB), Yes);
    stage.give(there(), &octets, Yes);
    let packet = Packet::parse(&octets).unwrap();
    let judged = stage.judged;
    let forge = |notice: Notice<'_>| notice.write(&packet.claim, Limits::WHOLE_PACKET).unwrap();
    let message = forge(Notice { body: b"something else", ..packet.notice });
    let received = stage.give(THIEF, &message, Yes);
    assert_eq!(deliveries(&received)[0].packet().claim, Claim::NONE, "shown, as by C servers, as not authentic");
    let subscription = forge(Notice { port: 6666, ..control("SUBSCRIBE", BOB, b"foo\0*\0\0") });
    assert_eq!(stage.give(THIEF, &subscription, Yes)[0].notice().kind, Kind::ServNak);
    assert_eq!(stage.judged, judged, "no ticket is opened for it");
    assert_eq!(stage.engine.counters().replayed, 2);
}

#[test]
fn k_nobody_uses_up_an_authenticator_that_is_not_his() {
    let mut stage = scene();
    let octets = stage.packet(notice("foo", "bar", "", BOB), Yes);
    let packet = Packet::parse(&octets).unwrap();
    // The thief is faster with another notice, whose checksum cannot hold.
    let forged = Notice { body: b"forged", ..packet.notice }.write(&packet.claim, Limits::WHOLE_PACKET).unwrap();
    stage.give(THIEF, &forged, Failed);
    let received = stage.give(there(), &octets, Yes);
    assert_eq!(deliveries(&received)[0].packet().claim.auth, 1, "bob's own is authentic all the same");
}

#[test]
fn s11_gimmedefs_leaks_memory_contents() {
    let mut stage = Stage::new();
    let received = stage.send(here(), control("GIMMEDEFS", ALICE, b""), No);
    let list = "message|urgent|alice@ATHENA.TEST|message|personal|alice@ATHENA.TEST|operations|message||";
    assert_eq!(received[1].body(), list);
}

#[test]
fn k_stripping() {
    for (choice, answer, reached) in [
        (FailedProof::Show, "SERVACK SENT", 1),
        (FailedProof::Refuse, "SERVNAK LOST", 0),
        (FailedProof::Drop, "SERVACK LOST", 0),
    ] {
        let mut stage = Stage::with(|config| config.policy.failed_proof = choice);
        stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
        let received = stage.send(there(), notice("foo", "bar", "", BOB), Failed);
        let ack = received.last().unwrap();
        assert!(ack.answer().starts_with(answer), "{choice:?}: {}", ack.answer());
        assert_eq!(received.len(), 1 + reached, "{choice:?}");
    }
    // Setting auth to 0 leaves no trace; who cares demands proof.
    let mut stage = Stage::with(|config| config.policy = Policy { send: Demand::Required, ..Policy::KERBEROS });
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    assert_eq!(stage.send(there(), notice("foo", "bar", "", BOB), No).len(), 1, "refused, and delivered to nobody");
}

#[test]
fn k_anyone_can_suppress_or_fake_delivery_reports() {
    let mut stage = scene();
    let received = stage.send(there(), notice("foo", "bar", "", BOB), Yes);
    let delivery = deliveries(&received)[0].clone();
    let ack = Notice { kind: Kind::ClientAck, body: b"", ..delivery.notice() };
    let octets = ack.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
    for from in [THIEF, here(), at(here(), 5001), at(THIEF, 5000)] {
        assert_eq!(stage.give(from, &octets, No), []);
    }
    let uid = Uid { micros: delivery.notice().uid.micros + 1, ..delivery.notice().uid };
    let other = Notice { uid, ..ack }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
    stage.give(delivery.to, &other, No);
    let resent = stage.wait(2);
    let to_alice = resent.iter().filter(|(_, packet)| packet.to == delivery.to).count();
    assert_eq!(to_alice, 1, "it is sent again: nobody else can say that alice has it");
}

#[test]
fn k_one_packet_triggers_kerberos_work() {
    let mut stage = Stage::with(|config| {
        (config.bounds.proofs_per_second, config.bounds.proof_burst) = (10, 50);
    });
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    let judged = stage.judged;
    for _ in 0..1000 {
        stage.send(THIEF, notice("foo", "bar", "", BOB), Failed);
    }
    let work = stage.judged - judged;
    assert!(work <= 5, "a proof that fails counts as ten: {work}");
    assert_eq!(stage.engine.counters().proof_floods, 1000 - work as u64);
    assert_eq!(deliveries(&stage.send(there(), notice("foo", "bar", "", BOB), Yes)).len(), 1, "bob notices nothing");
    assert_eq!(stage.send(THIEF, notice("foo", "bar", "", BOB), No).len(), 2, "what costs nothing is still taken");
    stage.wait(10);
    assert_eq!(stage.send(THIEF, notice("foo", "bar", "", BOB), Yes).len(), 2, "and the rest after a while");
}

/// A realm with Kerberos, one class of which may be received without proof.
fn with_an_open_class() -> Policy {
    let classes = NamePattern::new(b"public");
    let public = ClassPolicy { classes, send: None, receive: Some(Demand::Optional), failed_proof: None };
    Policy { classes: vec![public], ..Policy::KERBEROS }
}

#[test]
fn k_one_open_class_opens_nothing_else() {
    let many: String = (0..200).map(|number| format!("class-{number},instance,*\n")).collect();
    let mut stage = Stage::with(|config| {
        config.policy = with_an_open_class();
        config.rules = with_defaults(many.as_bytes());
    });
    stage.subscribe(here(), ALICE, 5000, b"foo\0*\0\0");
    stage.send(here(), login(ALICE, "REALM-VISIBLE", ALICE), Yes);
    for proof in [No, Failed] {
        let received = stage.send(here(), control("GIMME", ALICE, b"0x1388\0"), proof);
        assert_eq!(received[1].body(), "", "what was subscribed with proof is not listed without");
        let received = stage.send(THIEF, notice("USER_LOCATE", ALICE, "LOCATE", BOB), proof);
        assert_eq!(received[1].body(), "", "the realm sees her, and he may be anybody");
        assert_eq!(stage.send(at(there(), 9), control("GIMMEDEFS", ALICE, b""), proof).len(), 2, "cut to one packet");
    }
    let received = stage.send(THIEF, notice("USER_LOCATE", ALICE, "LOCATE", BOB), Yes);
    assert_eq!(received[1].body(), "machine|now|tty|");
    let open = Notice { port: 7, ..control("SUBSCRIBE_NODEFS", BOB, b"public\0*\0\0") };
    assert_eq!(stage.send(there(), open, No)[0].answer(), "SERVACK SENT");
    let received = stage.send(there(), Notice { port: 7, ..control("GIMME", BOB, b"0x0007\0") }, No);
    assert_eq!(received[1].body(), "public|*||", "what was subscribed without proof is");
}

/// Where nobody can prove anything, long lists of one's own are had all the same: who has them has sent as much.
#[test]
fn k_own_lists_without_proof() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    let mut expected = String::new();
    for request in 0..10 {
        let body: String = (0..20).map(|n| format!("class-{request}-{n}\0instance\0\0")).collect();
        stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, body.as_bytes()), No);
        expected.insert_str(0, &body.replace('\0', "|"));
    }
    let received = stage.send(here(), control("GIMME", ALICE, b"0x1388\0"), No);
    assert_eq!(received[1..].iter().map(Received::body).collect::<String>(), expected);
}

/// Every kind of request, from an address that may be forged, once and often: everything that comes of it in two
/// hours.
#[test]
fn k_no_amplifier() {
    let believing = Policy { believe_unproven: true, ..Policy::OPEN };
    for policy in [Policy::KERBEROS, with_an_open_class(), Policy::OPEN, believing] {
        for (subscribed, times) in [(0, 1), (30, 40)] {
            no_amplifier(&policy, subscribed, times);
        }
    }
}

fn no_amplifier(policy: &Policy, subscribed: usize, times: usize) {
    let many: String = (0..200).map(|number| format!("class-{number},instance,*\n")).collect();
    let mut worst = (0.0, String::new());
    let requests = [
        control("GIMMEDEFS", ALICE, b""),
        control("GIMME", ALICE, b"0x1388\0"),
        control("SUBSCRIBE", ALICE, b"foo\0*\0\0"),
        control("UNSUBSCRIBE", ALICE, b"foo\0*\0\0"),
        control("CLEARSUB", ALICE, b""),
        control("FLUSHSUBS", ALICE, b""),
        control("NONSENSE", ALICE, b""),
        notice("USER_LOCATE", ALICE, "LOCATE", ALICE),
        notice("USER_LOCATE", ALICE, "HIDE", ALICE),
        login(ALICE, "NET-ANNOUNCED", ALICE),
        login(ALICE, "USER_LOGOUT", ALICE),
        notice("ZEPHYR_ADMIN", "", "STATUS", ALICE),
        notice("ZEPHYR_ADMIN", "", "HELLO", ALICE),
        notice("nobody", "reads", "this", ALICE),
        Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") },
        Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "ATTACH", "HM") },
        Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "DETACH", "HM") },
        Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "FLUSH", "HM") },
        Notice { kind: Kind::Stat, ..notice("x", "y", "", ALICE) },
        Notice { kind: Kind::ServAck, ..notice("x", "y", "", ALICE) },
        Notice { kind: Kind::ClientAck, ..notice("x", "y", "", ALICE) },
    ];
    for request in requests {
        // Proof that is only believed is none.
        let claimed = if policy.believe_unproven { Yes } else { Failed };
        for (proof, sender) in [(No, ALICE), (claimed, ALICE), (No, "")] {
            let mut stage = Stage::with(|config| {
                config.policy = policy.clone();
                config.rules = with_defaults(many.as_bytes());
            });
            stage.absent.push(THIEF.ip());
            for port in 1..60 {
                let place = Notice { port, ..login(ALICE, "NET-ANNOUNCED", ALICE) };
                stage.send(there(), place, Yes);
            }
            let request = Notice { sender: sender.as_bytes(), ..request };
            // The fewest fields with which a packet is one.
            for field_count in [request.field_count, 8] {
                let mut asked = 0;
                let mut received: Vec<Received> = Vec::new();
                let mut ask = |stage: &mut Stage, notice: Notice<'_>| {
                    let octets = stage.packet(notice, proof);
                    asked += octets.len();
                    received.extend(stage.give(THIEF, &octets, proof));
                };
                for number in 0..subscribed {
                    let body = format!("some-class-{number}\0with-an-instance\0\0");
                    ask(&mut stage, control("SUBSCRIBE_NODEFS", ALICE, body.as_bytes()));
                }
                for _ in 0..times {
                    ask(&mut stage, Notice { field_count, ..request });
                }
                received.extend(stage.wait(7200).into_iter().map(|(_, packet)| packet));
                let to_thief = received.iter().filter(|packet| packet.to.ip() == THIEF.ip());
                let answered: usize = to_thief.map(|packet| packet.octets.len()).sum();
                let ratio = answered as f64 / asked as f64;
                let opcode = request.opcode.escape_ascii();
                println!("{opcode:>16} {proof:?} {field_count:>2} fields: {ratio:.2}");
                if ratio > worst.0 {
                    worst = (ratio, opcode.to_string());
                }
            }
        }
    }
    println!("worst: {worst:?}");
    assert!(worst.0 <= 4.0, "{worst:?}");
}
