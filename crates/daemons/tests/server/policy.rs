//! The server under policies other than that of C servers: what is refused, with which reasons, and what a new policy changes.

use crate::stage::{ALICE, BOB, Failed, No, Stage, Yes, at, control, here, notice, there};
use zephyr_core::{
    notice::Notice,
    policy::{ClassPolicy, Demand, FailedProof, ForeignRule, Measure, NamePattern, Policy},
};
use zephyr_engine::server::{Command, LogEvent};

const SEND_NEEDS_PROOF: &str = "you must prove who you are to send here: run kinit, and try again with proof";

fn stage(policy: Policy) -> Stage {
    Stage::with(|config| config.policy = policy)
}

fn message(body: &[u8]) -> Notice<'_> {
    Notice { body, ..notice("talk", "i", "", ALICE) }
}

fn class_rules(classes: &str) -> ClassPolicy {
    ClassPolicy { classes: NamePattern::new(classes.as_bytes()), send: None, receive: None, failed_proof: None }
}

#[test]
fn each_action_is_refused_with_a_reason_and_logged() {
    let mut stage =
        stage(Policy { send: Demand::Required, locate: Demand::Required, logout: Demand::Closed, ..Policy::KERBEROS });
    for (request, proof, reason) in [
        (message(b"hi"), No, Some(SEND_NEEDS_PROOF)),
        (
            message(b"hi"),
            Failed,
            Some("the proof of who you are does not hold (wrong checksum), so you cannot send here"),
        ),
        (message(b"hi"), Yes, None),
        (
            control("SUBSCRIBE", ALICE, b"a\0b\0\0"),
            No,
            Some("you must prove who you are to subscribe here: run kinit, and try again with proof"),
        ),
        (control("SUBSCRIBE", ALICE, b"a\0b\0\0"), Yes, None),
        (
            notice("USER_LOCATE", BOB, "LOCATE", ALICE),
            No,
            Some("you must prove who you are to locate people here: run kinit, and try again with proof"),
        ),
        (notice("USER_LOCATE", BOB, "LOCATE", ALICE), Yes, None),
        (
            notice("LOGIN", ALICE, "NET-VISIBLE", ALICE),
            No,
            Some("you must prove who you are to log in here: run kinit, and try again with proof"),
        ),
        (notice("LOGIN", ALICE, "USER_LOGOUT", ALICE), Yes, Some("nobody may log out here")),
    ] {
        let before = stage.events.len();
        let received = stage.send(here(), request, proof);
        let answer = &received[0];
        assert_eq!(answer.reason().as_deref(), reason, "{request:?}");
        assert_eq!(answer.answer() == "SERVNAK LOST", reason.is_some(), "{request:?}");
        let logged = stage.events[before..]
            .iter()
            .any(|event| matches!(event, LogEvent::Unauthenticated { .. } | LogEvent::PolicyRefused { .. }));
        assert_eq!(logged, reason.is_some(), "{request:?}");
    }
}

#[test]
fn a_failed_proof_is_shown_refused_or_dropped() {
    for (failed_proof, answer, reason, delivered) in [
        (FailedProof::Show, "SERVACK SENT", None, true),
        (
            FailedProof::Refuse,
            "SERVNAK LOST",
            Some("the proof of who you are does not hold (wrong checksum), so you cannot send here"),
            false,
        ),
        (FailedProof::Drop, "SERVACK LOST", None, false),
    ] {
        let mut stage = stage(Policy { failed_proof, ..Policy::KERBEROS });
        stage.subscribe(there(), BOB, 6000, b"talk\0*\0\0");
        let received = stage.send(here(), message(b"hi"), Failed);
        let told = received.iter().find(|packet| packet.to == here()).unwrap();
        assert_eq!((told.answer().as_str(), told.reason().as_deref()), (answer, reason));
        let got = received.iter().find(|packet| packet.to == at(there(), 6000));
        assert_eq!(got.is_some(), delivered);
        // For the protocol a failed proof is none.
        assert!(got.is_none_or(|packet| packet.packet().claim.auth == 0));
    }
}

#[test]
fn classes_may_be_open_in_a_strict_domain() {
    let open = ClassPolicy { send: Some(Demand::Optional), receive: Some(Demand::Optional), ..class_rules("talk") };
    let mut stage = stage(Policy { send: Demand::Required, classes: vec![open], ..Policy::KERBEROS });
    let request = Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", BOB, b"Talk\0*\0\0secret\0*\0\0") };
    let received = stage.send(there(), request, No);
    assert_eq!(received[0].answer(), "SERVACK SENT");
    let reason = received[0].reason().expect("not all of it was done");
    assert!(reason.starts_with("you must prove who you are to subscribe here"), "{reason}");
    let received = stage.send(here(), message(b"hi"), No);
    assert!(received.iter().any(|packet| packet.to == at(there(), 6000)));
    let secret = stage.send(here(), notice("secret", "i", "", ALICE), Yes);
    assert!(secret.iter().all(|packet| packet.to != at(there(), 6000)), "what was not allowed was not subscribed");
    // Only what is not allowed: refused as a whole.
    let request = Notice { port: 6001, ..control("SUBSCRIBE", BOB, b"secret\0*\0\0") };
    let received = stage.send(there(), request, No);
    assert_eq!(received[0].answer(), "SERVNAK LOST");
    assert!(received[0].reason().is_some());
}

#[test]
fn another_policy_holds_from_the_next_notice_on() {
    let mut stage = stage(Policy::OPEN);
    let subscribe = |stage: &mut Stage, person, port, proof| {
        let request = Notice { port, ..control("SUBSCRIBE_NODEFS", person, b"talk\0*\0\0") };
        stage.send(there(), request, proof)[0].answer()
    };
    assert_eq!(subscribe(&mut stage, BOB, 6000, No), "SERVACK SENT");
    assert_eq!(subscribe(&mut stage, ALICE, 6001, Yes), "SERVACK SENT");
    let reached = |stage: &mut Stage, proof| -> Vec<u16> {
        let received = stage.send(here(), message(b"hi"), proof);
        let mut ports: Vec<u16> =
            received.iter().map(|packet| packet.to.port()).filter(|port| *port != here().port()).collect();
        ports.sort_unstable();
        ports
    };
    assert_eq!(reached(&mut stage, No), [6000, 6001]);
    let strict = Policy { send: Demand::Required, ..Policy::KERBEROS };
    stage.command(Command::Enforce(Box::new(strict)));
    assert!(stage.events.iter().any(|event| matches!(event, LogEvent::SubscriptionsEnded { count: 1, .. })));
    assert!(reached(&mut stage, No).is_empty());
    assert_eq!(reached(&mut stage, Yes), [6001], "who subscribed without proof receives no more");
    assert_eq!(subscribe(&mut stage, BOB, 6000, No), "SERVNAK LOST");
    stage.command(Command::Enforce(Box::new(Policy::OPEN)));
    assert_eq!(subscribe(&mut stage, BOB, 6000, No), "SERVACK SENT");
    assert_eq!(reached(&mut stage, No), [6000, 6001]);
}

#[test]
fn foreign_people_are_believed_as_the_policy_says() {
    const STRANGER: &str = "bob@ELSEWHERE";
    let nobody = ForeignRule { realms: NamePattern::new(b"*"), speaks_for: Vec::new() };
    for (foreign, believed) in [(Vec::new(), true), (vec![nobody], false)] {
        let mut stage = stage(Policy { foreign, ..Policy::KERBEROS });
        stage.subscribe(there(), ALICE, 6000, b"talk\0*\0\0");
        let received = stage.send(here(), Notice { sender: STRANGER.as_bytes(), ..message(b"hi") }, Yes);
        let got = received.iter().find(|packet| packet.to == at(there(), 6000)).unwrap();
        assert_eq!(got.packet().claim.auth, u32::from(believed));
        let received = stage.send(here(), control("SUBSCRIBE", STRANGER, b"a\0b\0\0"), Yes);
        assert_eq!(received[0].answer() == "SERVACK SENT", believed);
        assert_eq!(
            received[0].reason().is_some_and(|reason| reason.contains("realm ELSEWHERE may not speak")),
            !believed
        );
    }
}

#[test]
fn one_host_sends_no_more_than_the_policy_says() {
    let measure = Measure { notice_octets: 5, notices_per_second: 2, notice_burst: 4 };
    let mut stage = stage(Policy { measure, ..Policy::KERBEROS });
    let received = stage.send(here(), message(b"too long"), No);
    assert_eq!(received[0].reason().as_deref(), Some("this is too long to send here: at most 5 octets are taken"));
    let taken = |stage: &mut Stage, host| {
        (0..10).filter(|_| stage.send(host, message(b"hi"), No)[0].answer() == "SERVACK LOST").count()
    };
    assert_eq!(taken(&mut stage, here()), 4);
    assert_eq!(taken(&mut stage, there()), 4, "another host notices nothing");
    stage.wait(1);
    assert_eq!(taken(&mut stage, here()), 2);
    let received = stage.send(here(), message(b"hi"), No);
    let reason = "too many notices come from your machine: wait, and send less";
    assert_eq!((received[0].answer().as_str(), received[0].reason().as_deref()), ("SERVNAK LOST", Some(reason)));
    // What is no notice to a class is not counted.
    assert_eq!(stage.send(here(), control("SUBSCRIBE", ALICE, b"a\0b\0\0"), Yes)[0].answer(), "SERVACK SENT");
}

#[test]
fn who_comes_and_goes_is_measured_too() {
    let measure = Measure { notices_per_second: 2, notice_burst: 4, ..Measure::USUAL };
    let mut stage = stage(Policy { measure, ..Policy::KERBEROS });
    stage.subscribe(there(), BOB, 6000, b"login\0*\0\0");
    let told = Notice { body: b"m\0t\0y\0", ..notice("LOGIN", ALICE, "NET-ANNOUNCED", ALICE) };
    let announced =
        |stage: &mut Stage| stage.send(here(), told, Yes).iter().any(|packet| packet.to == at(there(), 6000));
    assert_eq!((0..10).filter(|_| announced(&mut stage)).count(), 4);
    let received = stage.send(here(), told, Yes);
    assert_eq!((received.len(), received[0].answer().as_str()), (1, "SERVNAK LOST"));
    assert!(received[0].reason().unwrap().starts_with("too many notices"));
    assert_eq!(
        stage.send(here(), Notice { opcode: b"NONE", ..told }, Yes)[0].answer(),
        "SERVACK SENT",
        "nobody is told"
    );
}

#[test]
fn the_reason_gives_way_where_there_is_no_room() {
    let mut stage = stage(Policy { send: Demand::Required, ..Policy::KERBEROS });
    let sender = "x".repeat(830);
    let received = stage.send(here(), Notice { sender: sender.as_bytes(), ..notice("c", "i", "", "") }, No);
    assert_eq!((received[0].answer().as_str(), received[0].reason()), ("SERVNAK LOST", None));
}
