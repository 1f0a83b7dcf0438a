//! Tests of questions where a user is.

use super::*;
use crate::client::{
    UserLocation,
    doubles::{acknowledging, at},
};
use zephyr_core::{
    kind::Kind,
    notice::{Claim, Notice, OwnedPacket},
    uid::Uid,
};

fn locate(user: &str, authenticated: bool) -> Operation {
    Operation::Locate { user: user.into(), authenticated }
}

/// The question that was sent to the host manager.
fn asked(harness: &mut Harness) -> OwnedPacket {
    let sent = harness.sent.pop_front().unwrap();
    assert_eq!(sent.to, HM);
    OwnedPacket::parse(sent.payload).unwrap()
}

/// The server's acknowledgement of a question.
fn acknowledge(harness: &mut Harness, uid: Uid, kind: Kind, body: &[u8]) {
    harness.datagram(at(0), HM, &acknowledging(Kind::HmAck, uid, b""));
    harness.datagram(at(0), HM, &acknowledging(kind, uid, body));
}

/// The answer to a question.
fn answer(question: &OwnedPacket, body: &[u8]) -> Vec<u8> {
    let asked = question.notice();
    let uid = Uid { micros: asked.uid.micros + 500, ..asked.uid };
    let notice = Notice { kind: Kind::Acked, uid, multiuid: asked.uid, multinotice: b"", body, ..asked };
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap().to_vec()
}

#[test]
fn a_user_has_the_realm_of_the_server_and_who_asks_proves_it_unless_told_otherwise() {
    let mut harness = Harness::new(Credentials::with(7));
    for (user, authenticated, instance) in
        [("bob", true, "bob@TEST"), ("bob", false, "bob@TEST"), ("bob@ELSEWHERE", true, "bob@ELSEWHERE")]
    {
        harness.begin(at(0), locate(user, authenticated));
        let question = asked(&mut harness);
        let packet = question.packet();
        let Notice { kind, class, instance: asked_for, opcode, port, recipient, body, .. } = packet.notice;
        assert_eq!((kind, class, opcode, port), (Kind::Acked, &b"USER_LOCATE"[..], &b"LOCATE"[..], 4321));
        assert_eq!((asked_for, recipient, body), (instance.as_bytes(), &b""[..], &b""[..]));
        assert_eq!(packet.claim.auth != 0, authenticated, "{user}");
    }
}

#[test]
fn several_questions_at_a_time_have_their_own_answers() {
    let mut harness = Harness::new(Credentials::with(7));
    let ids = ["bob", "carol", "bob"].map(|user| harness.begin(at(0), locate(user, true)));
    let questions = [asked(&mut harness), asked(&mut harness), asked(&mut harness)];
    let place = |host: &str| UserLocation { host: host.into(), time: b"now".to_vec(), tty: b"pts/1".to_vec() };
    // The first answer comes before the acknowledgement.
    harness.datagram(at(0), SERVER, &answer(&questions[2], b"three\0now\0pts/1\0"));
    assert!(harness.outcome(ids[2]).is_none());
    for question in &questions {
        acknowledge(&mut harness, question.notice().uid, Kind::ServAck, b"SENT\0");
    }
    harness.datagram(at(0), SERVER, &answer(&questions[1], b""));
    harness.datagram(at(0), SERVER, &answer(&questions[0], b"one\0now\0pts/1\0two\0now\0pts/1\0"));
    let found = [vec![place("one"), place("two")], vec![], vec![place("three")]];
    for (id, found) in ids.into_iter().zip(found) {
        assert_eq!(harness.outcome(id), Some(Ok(Outcome::Locations(found))));
    }
    assert!(harness.received.is_empty());
}

#[test]
fn who_cannot_prove_himself_gets_no_other_answer_instead() {
    let mut harness = Harness::new(Credentials::none());
    let id = harness.begin(at(0), locate("bob", true));
    assert_eq!(harness.error(id).to_string(), "No credentials cache found");
    assert!(harness.sent.is_empty());
    harness.begin(at(0), locate("bob", false));
    asked(&mut harness);
}

#[test]
fn refusals_say_why() {
    let mut harness = Harness::new(Credentials::with(7));
    for (kind, body, error) in [
        (Kind::ServNak, &b"LOST\0"[..], "SERVNAK received"),
        (Kind::ServNak, b"LOST\0you must prove who you are\0", "refused: you must prove who you are"),
        (Kind::ServAck, b"LOST\0that realm cannot be asked now\0", "refused: that realm cannot be asked now"),
        (Kind::ServAck, b"LOST\0", "Internal error"),
    ] {
        let id = harness.begin(at(0), locate("bob", true));
        let question = asked(&mut harness);
        acknowledge(&mut harness, question.notice().uid, kind, body);
        assert_eq!(harness.error(id).to_string(), error);
    }
}

#[test]
fn an_answer_that_does_not_come_is_a_time_out() {
    let mut harness = Harness::new(Credentials::with(7));
    let id = harness.begin(at(0), locate("bob", true));
    let question = asked(&mut harness);
    acknowledge(&mut harness, question.notice().uid, Kind::ServAck, b"SENT\0");
    harness.input(at(29), Input::Timeout);
    assert!(harness.outcome(id).is_none());
    harness.input(at(30), Input::Timeout);
    assert_eq!(harness.error(id), OperationError::TimedOut);
}
