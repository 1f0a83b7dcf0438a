//! A KDC that takes its time: what needs it waits, all else goes on.

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

/// A client that has subscribed with key 7, and whose KDC does not answer any more.
fn waiting() -> Side {
    let mut side = Side::new(Credentials::with(7));
    let request = SubscriptionRequest::Subscribe;
    side.begin(at(0), Operation::Subscribe { request, list: Vec::new(), port: None });
    let uid = Packet::parse(&side.sent.pop_front().unwrap().payload).unwrap().notice.uid;
    side.datagram(at(0), HM, &acknowledging(Kind::ServAck, uid, b"SENT\0"));
    side.holds_jobs = true;
    side.events.clear();
    side
}

fn numbers(side: &mut Side) -> Vec<u32> {
    side.received.drain(..).map(|came| u32::from_be_bytes(came.notice().body.try_into().unwrap())).collect()
}

#[test]
fn a_hundred_notices_come_while_the_kdc_is_silent_for_ten_seconds() {
    let mut side = waiting();
    side.credentials.become_key(8);
    let id = side.send(at(30), Message::to_user("bob").text("hi"));
    assert_eq!(side.jobs, [Job::Session { realm: "TEST".to_owned() }]);
    // One that needs the credentials of this moment, and one that is forged.
    side.datagram(at(30), SERVER, &packet(1000, Some(8)));
    side.datagram(at(30), SERVER, &packet(1001, Some(9)));
    for number in 0..100 {
        let (second, key) = (30 + u64::from(number) / 10, (number % 2 == 0).then_some(7));
        side.datagram(at(second), SERVER, &packet(number, key));
        let came = side.received.pop_front().unwrap();
        assert_eq!((came.notice().body, came.is_authentic()), (&number.to_be_bytes()[..], key.is_some()));
        let reply = side.sent.drain(..).map(|sent| Packet::parse(&sent.payload).unwrap().notice.kind).next_back();
        assert_eq!(reply, Some(Kind::ClientAck));
    }
    assert!(side.received.is_empty() && side.outcome(id).is_none());
    assert_eq!(side.jobs.len(), 1, "one look at the credentials, for all that need it");

    side.release(at(40));
    let verdicts: Vec<_> = side.received.iter().map(|came| came.verdict().is_authentic()).collect();
    assert_eq!(verdicts, [true, false]);
    assert_eq!(numbers(&mut side), [1000, 1001]);
    let sent = side.sent.pop_front().unwrap().payload;
    let sent = Packet::parse(&sent).unwrap();
    assert!(Key(8).check(&sent, Direction::ToServer));
    side.datagram(at(40), HM, &acknowledging(Kind::ServAck, sent.notice.uid, b"SENT\0"));
    assert_eq!(side.receipt(id).unwrap().status, DeliveryStatus::Sent);
}

#[test]
fn what_waits_for_credentials_is_bounded_and_the_rest_comes_again() {
    let mut side = waiting();
    side.credentials.become_key(8);
    for number in 0..2000 {
        side.datagram(at(30), SERVER, &packet(number, Some(8)));
    }
    assert_eq!(side.sent.drain(..).count(), 1024, "what there is no room for is not acknowledged");
    let told = side.events.iter().filter(|event| matches!(event, Event::Log(LogEvent::TooManyUnverified { .. })));
    assert_eq!(told.count(), 1);
    side.datagram(at(30), SERVER, &packet(5000, Some(7)));
    assert_eq!(numbers(&mut side), [5000], "what needs no credentials still comes");
    side.release(at(31));
    assert_eq!(numbers(&mut side).len(), 1024);
    for number in 0..2000 {
        side.datagram(at(32), SERVER, &packet(number, Some(8)));
    }
    assert_eq!(numbers(&mut side), (1024..2000).collect::<Vec<_>>());
}

#[test]
fn fragments_that_wait_are_joined_with_those_that_did_not() {
    let mut side = waiting();
    side.credentials.become_key(8);
    let piece = |number: u32, multinotice: &str, body: &[u8], key: u8| {
        let notice = Notice { uid: uid(number), multiuid: uid(1), multinotice: multinotice.as_bytes(), ..notice(body) };
        Key(key).seal(&notice, Direction::ToClient, Limits::WHOLE_PACKET, at(0)).unwrap()
    };
    side.datagram(at(30), SERVER, &piece(1, "0/8", b"abcd", 8));
    side.datagram(at(30), SERVER, &piece(2, "4/8", b"efgh", 7));
    assert!(side.received.is_empty());
    side.release(at(31));
    let came = side.received.pop_front().unwrap();
    assert_eq!((came.notice().body, came.is_authentic()), (&b"abcdefgh"[..], true));
}

#[test]
fn no_credentials_are_no_proof_and_no_failure_for_who_has_no_key_at_all() {
    let mut side = Side::new(Credentials::none());
    side.datagram(at(0), SERVER, &packet(1, Some(8)));
    assert_eq!(side.received.pop_front().unwrap().verdict(), &Verdict::Unauthenticated);
    // The next look waits, so this one is decided at once.
    side.holds_jobs = true;
    side.datagram(at(29), SERVER, &packet(2, Some(8)));
    assert_eq!(numbers(&mut side), [2]);
    side.datagram(at(30), SERVER, &packet(3, Some(8)));
    assert!(side.received.is_empty() && side.jobs.len() == 1);
}
