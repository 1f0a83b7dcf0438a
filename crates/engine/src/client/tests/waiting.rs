//! Tests with a KDC that does not answer: only what needs it waits.

use super::*;
use crate::client::{
    DeliveryStatus, LogEvent, SubscriptionRequest,
    doubles::{Key, acknowledging, at, notice, uid},
};
use zephyr_core::{
    auth::{Direction, Session as _, Verdict},
    kind::Kind,
    notice::{Claim, Notice, Packet},
};

/// A packet with this number: sealed with a key, or plain.
fn packet(number: u32, key: Option<u8>) -> bytes::Bytes {
    let body = number.to_be_bytes();
    let notice = Notice { uid: uid(number), multiuid: uid(number), ..notice(&body) };
    match key {
        Some(key) => Key(key).seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap(),
        None => notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap(),
    }
}

/// A client that has subscribed with key 7, and whose KDC does not answer from then on.
fn waiting() -> Harness {
    let mut harness = Harness::new(Credentials::with(7));
    let request = SubscriptionRequest::Subscribe;
    harness.begin(at(0), Operation::Subscribe { request, list: Vec::new(), port: None });
    let uid = Packet::parse(&harness.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    harness.datagram(at(0), HM, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
    harness.holds_jobs = true;
    harness.events.clear();
    harness
}

fn numbers(harness: &mut Harness) -> Vec<u32> {
    harness.received.drain(..).map(|came| u32::from_be_bytes(came.notice().body.try_into().unwrap())).collect()
}

#[test]
fn a_hundred_notices_come_while_the_kdc_is_silent_for_ten_seconds() {
    let mut harness = waiting();
    harness.credentials.set_key(8);
    let id = harness.send(at(30), Message::to_user("bob").text("hi"));
    assert_eq!(harness.jobs, [Job::Session { realm: "TEST".to_owned() }]);
    // One that needs the credentials of this moment, and one that is forged.
    harness.datagram(at(30), SERVER, &packet(1000, Some(8)));
    harness.datagram(at(30), SERVER, &packet(1001, Some(9)));
    for number in 0..100 {
        let (second, key) = (30 + u64::from(number) / 10, (number % 2 == 0).then_some(7));
        harness.datagram(at(second), SERVER, &packet(number, key));
        let came = harness.received.pop_front().unwrap();
        assert_eq!((came.notice().body, came.is_authentic()), (&number.to_be_bytes()[..], key.is_some()));
        let reply = harness.sent.drain(..).map(|sent| Packet::parse(&sent.payload).unwrap().notice.kind).next_back();
        assert_eq!(reply, Some(Kind::ClientAck));
    }
    assert!(harness.received.is_empty() && harness.outcome(id).is_none());
    assert_eq!(harness.jobs.len(), 1, "one lookup of the credentials, for all packets that need it");

    harness.run_held_jobs(at(40));
    let verdicts: Vec<_> = harness.received.iter().map(|came| came.verdict().is_authentic()).collect();
    assert_eq!(verdicts, [true, false]);
    assert_eq!(numbers(&mut harness), [1000, 1001]);
    let sent = harness.sent.pop_front().unwrap().payload;
    let sent = Packet::parse(&sent).unwrap();
    assert!(Key(8).check(&sent, Direction::ToServer));
    harness.datagram(at(40), HM, &acknowledging(Kind::ServAck, sent.notice.uid, b"SENT\0"));
    assert_eq!(harness.receipt(id).unwrap().status, DeliveryStatus::Sent);
}

#[test]
fn what_waits_for_credentials_is_bounded_and_the_rest_comes_again() {
    let mut harness = waiting();
    harness.credentials.set_key(8);
    for number in 0..2000 {
        harness.datagram(at(30), SERVER, &packet(number, Some(8)));
    }
    assert_eq!(harness.sent.drain(..).count(), 0, "nothing is acknowledged before it is known who sent it");
    let logged = harness.events.iter().filter(|event| matches!(event, Event::Log(LogEvent::TooManyUnverified { .. })));
    assert_eq!(logged.count(), 1);
    harness.datagram(at(30), SERVER, &packet(5000, Some(7)));
    assert_eq!(numbers(&mut harness), [5000], "what needs no credentials still comes");
    harness.sent.clear();
    harness.run_held_jobs(at(31));
    assert_eq!(numbers(&mut harness).len(), 1024);
    assert_eq!(harness.sent.drain(..).count(), 1024, "what there was no room for is not acknowledged");
    for number in 0..2000 {
        harness.datagram(at(32), SERVER, &packet(number, Some(8)));
    }
    assert_eq!(numbers(&mut harness), (1024..2000).collect::<Vec<_>>());
}

#[test]
fn fragments_that_wait_are_joined_with_those_that_did_not() {
    let mut harness = waiting();
    harness.credentials.set_key(8);
    let piece = |number: u32, multinotice: &str, body: &[u8], key: u8| {
        let notice = Notice { uid: uid(number), multiuid: uid(1), multinotice: multinotice.as_bytes(), ..notice(body) };
        Key(key).seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap()
    };
    harness.datagram(at(30), SERVER, &piece(1, "0/8", b"abcd", 8));
    harness.datagram(at(30), SERVER, &piece(2, "4/8", b"efgh", 7));
    assert!(harness.received.is_empty());
    harness.run_held_jobs(at(31));
    let came = harness.received.pop_front().unwrap();
    assert_eq!((came.notice().body, came.is_authentic()), (&b"abcdefgh"[..], true));
}

#[test]
fn no_credentials_are_no_proof_and_no_failure_for_who_has_no_key_at_all() {
    let mut harness = Harness::new(Credentials::none());
    harness.datagram(at(0), SERVER, &packet(1, Some(8)));
    assert_eq!(harness.received.pop_front().unwrap().verdict(), &Verdict::Unauthenticated);
    // The next lookup is not due yet, so this packet is decided at once.
    harness.holds_jobs = true;
    harness.datagram(at(29), SERVER, &packet(2, Some(8)));
    assert_eq!(numbers(&mut harness), [2]);
    harness.datagram(at(30), SERVER, &packet(3, Some(8)));
    assert!(harness.received.is_empty() && harness.jobs.len() == 1);
}
