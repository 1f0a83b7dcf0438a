//! When packets to clients are sent again, and when clients are given up (server behaviour, section 9).

use crate::stage::*;
use zephyr_core::notice::Notice;
use zephyr_engine::server::{Bounds, LogEvent};

const SCHEDULE: [u64; 11] = [2, 4, 8, 12, 20, 28, 44, 76, 140, 268, 524];

fn with_bob() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"foo\0bar\0\0");
    stage
}

fn foo<'a>() -> Notice<'a> {
    notice("foo", "bar", "x", ALICE)
}

#[test]
fn a_client_that_never_acknowledges_is_given_up() {
    let mut stage = with_bob();
    let login = Notice { port: 6000, body: b"m\0t\0y\0", ..notice("LOGIN", BOB, "REALM-VISIBLE", BOB) };
    stage.send(there(), login, Yes);
    let first = stage.send(here(), foo(), Yes);
    let resent = stage.wait(1035);
    assert_eq!(resent.iter().map(|&(second, _)| second).collect::<Vec<_>>(), SCHEDULE);
    assert!(resent.iter().all(|(_, packet)| *packet == first[0]), "the same octets each time");
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().locations), (1, 1));

    assert_eq!(stage.wait(1), [], "after 1036 seconds");
    let gone = LogEvent::ClientDead { client: at(there(), 6000), principal: BOB.as_bytes().into() };
    assert_eq!(stage.events.pop(), Some(gone));
    let gauges = stage.engine.gauges();
    assert_eq!((gauges.clients, gauges.subscriptions, gauges.pending, gauges.locations), (0, 0, 0, 0));
    assert_eq!((gauges.pending_octets, gauges.subscription_octets), (0, 0));
    assert_eq!(stage.engine.next_timeout(stage.now), None);
}

#[test]
fn a_client_that_acknowledged_something_is_asked_on() {
    let mut stage = with_bob();
    let never = stage.send(here(), foo(), Yes);
    stage.wait(900);
    let other = stage.send(here(), foo(), Yes);
    stage.acknowledge(&other[0]);
    let later = stage.wait(512);
    assert_eq!(later.iter().map(|&(second, _)| second).collect::<Vec<_>>(), [136], "1036 s after the first");
    assert_eq!(later[0].1, never[0]);
    assert_eq!(stage.engine.gauges().clients, 1);
    stage.wait(200);
    assert_eq!(stage.engine.gauges().clients, 0, "silent for 512 s when asked again at 1548 s");
}

#[test]
fn a_client_that_has_just_subscribed_is_not_forgotten_for_what_it_missed_before() {
    let mut stage = with_bob();
    let missed = stage.send(here(), foo(), Yes);
    stage.wait(1030);
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    assert_eq!(stage.wait(10), [(6, missed[0].clone())], "it is asked once more");
    assert_eq!(stage.engine.gauges().clients, 1);
    stage.acknowledge(&missed[0]);
    assert_eq!(stage.wait(2000), []);
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().pending), (1, 0));
}

#[test]
fn one_dead_client_takes_all_its_packets_along_and_nobody_elses() {
    let mut stage = with_bob();
    stage.subscribe(there(), ALICE, 6001, b"foo\0bar\0\0");
    for _ in 0..3 {
        let heard = stage.send(here(), foo(), Yes);
        assert_eq!(heard.len(), 3);
        stage.acknowledge(heard.iter().find(|packet| packet.to.port() == 6001).unwrap());
        stage.wait(1);
    }
    stage.wait(1040);
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().pending), (1, 0));
    assert_eq!(stage.send(here(), foo(), Yes)[0].to, at(there(), 6001));
}

#[test]
fn a_subscription_renewed_brings_its_new_key() {
    let mut stage = with_bob();
    stage.subscribe(there(), BOB, 6000, b"");
    let heard = stage.send(here(), foo(), Yes);
    assert!(zephyr_core::auth::Session::check(
        &key_of(BOB),
        &heard[0].packet(),
        zephyr_core::auth::Direction::ToClient
    ));
    assert_eq!(stage.engine.gauges().clients, 1);
}

#[test]
fn a_client_that_does_not_read_costs_a_bounded_amount() {
    let bounds = Bounds { pending_per_destination: 5, ..Bounds::default() };
    let mut stage = Stage::with(|config| config.bounds = bounds);
    stage.subscribe(there(), BOB, 6000, b"foo\0bar\0\0");
    stage.subscribe(there(), ALICE, 6001, b"foo\0*\0\0");
    for number in 0..20 {
        let heard = stage.send(here(), foo(), Yes);
        let (ack, packets) = heard.split_last().unwrap();
        assert_eq!(ack.answer(), "SERVACK SENT");
        assert_eq!(packets.len(), if number < 5 { 2 } else { 1 });
        stage.acknowledge(packets.iter().find(|packet| packet.to.port() == 6001).unwrap());
    }
    assert_eq!((stage.engine.gauges().pending, stage.engine.counters().client_pending_full), (5, 15));
}

#[test]
fn octets_on_the_way_are_bounded_for_all() {
    // Over sockets, so many unacknowledged packets leave only as real time passes.
    if crate::transport::OVER_SOCKETS {
        return;
    }
    let bounds = Bounds { delivery_octets: 10_000, ..Bounds::default() };
    let mut stage = Stage::with(|config| config.bounds = bounds);
    for port in 1..=100 {
        stage.subscribe(there(), BOB, port, b"foo\0bar\0\0");
    }
    stage.send(here(), Notice { body: &[b'x'; 500], ..foo() }, Yes);
    let gauges = stage.engine.gauges();
    assert!(gauges.pending_octets <= 10_000 && gauges.pending > 5, "{gauges:?}");
}

#[test]
fn the_same_uid_from_a_stranger_cancels_nothing() {
    let mut stage = with_bob();
    let heard = stage.send(here(), foo(), Yes);
    let uid = heard[0].notice().uid;
    // A question whose answer would have the same uid and go to the same place.
    let question = Notice { uid, multiuid: uid, port: 6000, ..control("GIMMEDEFS", ALICE, b"") };
    let octets = question.write(&zephyr_core::notice::Claim::NONE, zephyr_core::limits::Limits::WHOLE_PACKET).unwrap();
    stage.give(there(), &octets, No);
    assert!(stage.wait(2).iter().any(|(_, packet)| *packet == heard[0]));
}

#[test]
fn many_waiting_packets_of_others_do_not_matter_to_one_who_leaves() {
    // Over sockets, so many unacknowledged packets leave only as real time passes.
    if crate::transport::OVER_SOCKETS {
        return;
    }
    let mut stage = Stage::new();
    for port in 1..=500 {
        stage.subscribe(there(), BOB, port, b"foo\0bar\0\0");
    }
    for _ in 0..20 {
        stage.send(here(), foo(), Yes);
    }
    assert_eq!(stage.engine.gauges().pending, 10_000);
    let heard = stage.send(there(), Notice { port: 7, ..control("CLEARSUB", BOB, b"") }, Yes);
    assert_eq!(heard[0].answer(), "SERVACK SENT");
    assert_eq!(stage.engine.gauges().pending, 9980);
}
