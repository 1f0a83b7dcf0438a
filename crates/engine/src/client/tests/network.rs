//! Changes of the network: when the server is asked whether it knows the client, and what follows.

use super::*;
use crate::client::{
    SubscriptionEvent, SubscriptionRequest,
    doubles::{acknowledging, at},
};
use std::time::Duration;
use zephyr_core::{
    kind::Kind,
    notice::{OwnedPacket, Packet},
    uid::Uid,
};

const KNOWN: &[u8] = b"SENT\0";
const UNKNOWN: &[u8] = b"LOST\0";
/// Where the machine is after a move.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

/// A client that has subscribed, and that is asked nothing at regular times.
fn subscribed() -> Harness {
    let settings = Settings { renews_tickets: false, ..Settings::default() };
    let client = Client::ready(endpoint(), Policy::KERBEROS, settings);
    let mut harness = Harness::with_client(client, Credentials::with(7));
    subscribe(&mut harness, at(0));
    answer(&mut harness, at(0), KNOWN);
    harness.events.clear();
    harness
}

fn subscribe(harness: &mut Harness, now: Now) {
    let request = SubscriptionRequest::SubscribeWithoutDefaults;
    harness.begin(now, Operation::Subscribe { request, list: vec![("a", "*").into()], port: None });
}

fn change(harness: &mut Harness, now: Now) {
    harness.input(now, Input::Command(Command::NetworkChanged));
}

/// The opcode and the uid of the next request, if one was sent.
fn request(harness: &mut Harness) -> Option<(String, Uid)> {
    let sent = OwnedPacket::parse(harness.sent.pop_front()?.payload).unwrap();
    let notice = sent.notice();
    Some((String::from_utf8_lossy(notice.opcode).into_owned(), notice.uid))
}

/// Answers the next request; gives its opcode.
fn answer(harness: &mut Harness, now: Now, body: &[u8]) -> Option<String> {
    let (opcode, uid) = request(harness)?;
    harness.datagram(now, HM, &acknowledging(Kind::ServAck, uid, body));
    Some(opcode)
}

fn told(harness: &mut Harness) -> Vec<SubscriptionEvent> {
    let events = std::mem::take(&mut harness.events);
    let of_subscriptions = events.into_iter().filter_map(|event| match event {
        Event::Subscriptions(event) => Some(event),
        _ => None,
    });
    of_subscriptions.collect()
}

/// Lets time pass until the client sends something, but not longer than an hour; gives the second in which it did.
fn pass(harness: &mut Harness, from: u64) -> Option<u64> {
    let mut time = from;
    while harness.sent.is_empty() {
        time = harness.drive(at(time))?.as_secs_f64().ceil() as u64;
        if time > from + 3600 {
            return None;
        }
        harness.input(at(time), Input::Timeout);
    }
    Some(time)
}

#[test]
fn who_has_moved_is_subscribed_again_at_once() {
    let mut harness = subscribed();
    assert_eq!(pass(&mut harness, 0), None, "nothing is asked by itself");
    harness.address = ELSEWHERE;
    change(&mut harness, at(100));
    assert_eq!(answer(&mut harness, at(100), UNKNOWN).as_deref(), Some("UNSUBSCRIBE"));
    let (opcode, uid) = request(&mut harness).unwrap();
    assert_eq!((opcode.as_str(), uid.address), ("SUBSCRIBE_NODEFS", ELSEWHERE), "with the address that it has now");
    harness.datagram(at(101), HM, &acknowledging(Kind::ServAck, uid, KNOWN));
    let unknown_for = Duration::from_secs(101);
    assert_eq!(told(&mut harness), [SubscriptionEvent::Moved { unknown_for }]);
    assert_eq!(harness.client.endpoint().address, ELSEWHERE);
    assert_eq!(pass(&mut harness, 101), None);
}

#[test]
fn who_is_known_where_he_is_stays_as_he_is() {
    let mut harness = subscribed();
    change(&mut harness, at(100));
    assert_eq!(answer(&mut harness, at(100), KNOWN).as_deref(), Some("UNSUBSCRIBE"));
    assert_eq!((told(&mut harness), pass(&mut harness, 100)), (vec![], None));
}

/// The clocks of a machine that slept: one of them stood still.
#[test]
fn who_slept_and_was_given_up_hears_for_how_long() {
    let mut harness = subscribed();
    let hours = Duration::from_secs(9 * 3600);
    let awake = Now { wall: at(5).wall + hours, ..at(5) };
    change(&mut harness, awake);
    answer(&mut harness, awake, UNKNOWN).unwrap();
    answer(&mut harness, awake, KNOWN).unwrap();
    let events = told(&mut harness);
    assert!(
        matches!(events[..], [SubscriptionEvent::Moved { unknown_for }] if unknown_for > hours - Duration::from_secs(60)),
        "{events:?}"
    );
}

#[test]
fn a_burst_of_changes_is_one_question_and_the_last_of_them_is_asked_about() {
    let mut harness = subscribed();
    for _ in 0..50 {
        change(&mut harness, at(100));
    }
    assert_eq!(harness.sent.len(), 1);
    // The answer to it was about the time before the last change.
    answer(&mut harness, at(100), KNOWN).unwrap();
    assert_eq!(pass(&mut harness, 100), Some(102), "once in two seconds");
    answer(&mut harness, at(102), KNOWN).unwrap();
    assert_eq!(pass(&mut harness, 102), None);
}

#[test]
fn a_question_from_before_a_change_is_asked_again_after_it() {
    let mut harness = subscribed();
    change(&mut harness, at(100));
    let (_, before) = request(&mut harness).unwrap();
    harness.datagram(at(100), HM, &acknowledging(Kind::HmAck, before, b""));
    change(&mut harness, at(103));
    let (opcode, after) = request(&mut harness).unwrap();
    assert_eq!(opcode, "UNSUBSCRIBE");
    // The first one was answered while the machine was still where it was.
    harness.datagram(at(103), HM, &acknowledging(Kind::ServAck, before, KNOWN));
    harness.datagram(at(103), HM, &acknowledging(Kind::ServAck, after, UNKNOWN));
    assert_eq!(answer(&mut harness, at(103), KNOWN).as_deref(), Some("SUBSCRIBE_NODEFS"));
    assert!(matches!(told(&mut harness)[..], [SubscriptionEvent::Moved { .. }]));
}

#[test]
fn what_was_being_subscribed_meanwhile_is_looked_at_afterwards() {
    let mut harness = subscribed();
    subscribe(&mut harness, at(100));
    let (_, uid) = request(&mut harness).unwrap();
    change(&mut harness, at(100));
    assert_eq!(harness.sent.len(), 0);
    // From the old address, though the answer comes after the change.
    harness.datagram(at(100), HM, &acknowledging(Kind::ServAck, uid, KNOWN));
    assert_eq!(pass(&mut harness, 100), Some(101));
    assert_eq!(answer(&mut harness, at(101), UNKNOWN).as_deref(), Some("UNSUBSCRIBE"));
    assert_eq!(answer(&mut harness, at(101), KNOWN).as_deref(), Some("SUBSCRIBE_NODEFS"));
}

#[test]
fn a_network_that_is_not_there_yet_is_tried_again_less_and_less_often() {
    let mut harness = subscribed();
    change(&mut harness, at(100));
    let mut asked = Vec::new();
    let mut time = 100;
    for _ in 0..6 {
        // Nobody answers, not even the host manager.
        time = pass(&mut harness, time).unwrap();
        asked.push(time);
        harness.sent.clear();
    }
    let waits: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0] - 10).collect();
    assert_eq!(waits, [5, 10, 20, 40, 40], "after the ten seconds that each takes");
    assert_eq!(told(&mut harness).len(), 1, "that nobody answers is told as ever");
    change(&mut harness, at(time + 3));
    assert_eq!(answer(&mut harness, at(time + 3), KNOWN).as_deref(), Some("UNSUBSCRIBE"), "a new change, at once");
    assert_eq!(pass(&mut harness, time + 3), None);
}

#[test]
fn an_address_that_was_being_looked_for_is_looked_for_again() {
    let mut harness = subscribed();
    harness.holds_jobs = true;
    change(&mut harness, at(100));
    harness.holds_jobs = false;
    let found = Done::Address(endpoint().address);
    assert_eq!(harness.jobs.iter().filter(|job| **job == Job::Address).count(), 1);
    harness.address = ELSEWHERE;
    change(&mut harness, at(100));
    harness.input(at(100), Input::Done(found));
    assert_eq!(harness.client.endpoint().address, ELSEWHERE);
}

#[test]
fn who_has_not_subscribed_asks_nothing_but_where_he_is() {
    let mut harness = Harness::new(Credentials::with(7));
    harness.address = ELSEWHERE;
    change(&mut harness, at(100));
    assert_eq!((harness.sent.len(), pass(&mut harness, 100)), (0, None));
    assert_eq!(harness.client.endpoint().address, ELSEWHERE);
    harness.send(at(100), Message::to_user("bob").text("from here"));
    assert_eq!(Packet::parse(&harness.sent[0].payload).unwrap().notice.uid.address, ELSEWHERE);
}
