//! Answers that wait until what their requests changed is kept.

use crate::stage::*;
use std::{net::SocketAddr, time::Duration};
use zephyr_core::notice::Notice;
use zephyr_engine::server::{Command, KeeperId, LogEvent, Presence};

const DISK: KeeperId = KeeperId::Disk;

/// Another server of the domain.
fn peer() -> KeeperId {
    KeeperId::Peer(SocketAddr::from(([10, 0, 0, 1], 2103)))
}

fn comes(stage: &mut Stage, keeper: KeeperId) -> Vec<Received> {
    stage.command(Command::Keeper { keeper, presence: Presence::Here })
}

fn goes(stage: &mut Stage, keeper: KeeperId) -> Vec<Received> {
    stage.command(Command::Keeper { keeper, presence: Presence::Away })
}

/// A keeper has all that was told until now.
fn stored(stage: &mut Stage, keeper: KeeperId) -> Vec<Received> {
    let up_to = stage.engine.told();
    stage.command(Command::Stored { keeper, up_to })
}

fn answers(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::answer).collect()
}

const SUBSCRIBE: &[u8] = b"foo\0*\0\0";
const SENT: [&str; 1] = ["SERVACK SENT"];

#[test]
fn an_answer_leaves_when_the_disk_has_the_change() {
    let mut stage = Stage::new();
    assert_eq!(answers(&comes(&mut stage, DISK)), [""; 0]);
    let subscribed = stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, SUBSCRIBE), Yes);
    assert_eq!(subscribed, [], "nobody relies on what a crash would undo");
    assert_eq!(stage.engine.gauges().held_answers, 1);
    // And somebody has acknowledged the probe of the client, which is one more.
    let kept = stage.engine.told() - 1;
    let early = stage.command(Command::Stored { keeper: DISK, up_to: kept - 1 });
    assert_eq!(early, [], "its last change is not kept yet");
    assert_eq!(answers(&stage.command(Command::Stored { keeper: DISK, up_to: kept })), SENT);
    assert_eq!(stage.engine.gauges().held_answers, 0);
    assert_eq!(stage.engine.counters().answers_held, 1);
}

#[test]
fn an_answer_without_a_change_does_not_wait() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    assert_eq!(stage.ask(notice("foo", "bar", "", ALICE), No), "SERVACK LOST");
    assert_eq!(stage.ask(control("NOTHING", ALICE, b""), No).split(' ').next(), Some("SERVNAK"));
}

#[test]
fn a_proof_is_used_when_that_is_kept() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    // Nobody reads it; but its authenticator must not prove anything else after a crash.
    assert_eq!(stage.send(here(), notice("foo", "bar", "", ALICE), Yes), []);
    assert_eq!(answers(&stored(&mut stage, DISK)), ["SERVACK LOST"]);
}

#[test]
fn readers_do_not_wait() {
    let mut stage = Stage::new();
    stage.subscribe(here(), ALICE, 5000, SUBSCRIBE);
    comes(&mut stage, DISK);
    let received = stage.send(there(), notice("foo", "bar", "", BOB), Yes);
    assert_eq!(received.iter().map(|packet| packet.to).collect::<Vec<_>>(), [at(here(), 5000)]);
    let answer = stored(&mut stage, DISK);
    assert_eq!((answers(&answer), answer[0].to), (SENT.map(str::to_owned).to_vec(), there()));
}

#[test]
fn a_copy_is_not_answered_before_what_it_repeats() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    let octets = stage.packet(control("SUBSCRIBE_NODEFS", ALICE, SUBSCRIBE), Yes);
    assert_eq!(stage.give(here(), &octets, Yes), []);
    assert_eq!(stage.give(here(), &octets, Yes), [], "the same host manager");
    assert_eq!(stage.give(there(), &octets, Yes), [], "another host");
    assert_eq!(answers(&stored(&mut stage, DISK)), SENT, "once");
    assert_eq!(answers(&stage.give(here(), &octets, Yes)), SENT);
    assert_eq!(answers(&stage.give(there(), &octets, Yes)), SENT);
}

#[test]
fn a_late_disk_costs_one_wait() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    assert_eq!(stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, SUBSCRIBE), Yes), []);
    assert_eq!(stage.wait_for(Duration::from_millis(999)), []);
    let late = stage.wait_for(Duration::from_millis(1));
    assert_eq!(late.iter().map(|(_, packet)| packet.answer()).collect::<Vec<_>>(), SENT);
    assert!(stage.events.contains(&LogEvent::KeeperLate { keeper: DISK }));
    // Others do not wait now.
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", BOB, b"x\0y\0\0"), Yes), "SERVNAK LOST", "alice's port");
    let before = stage.engine.told();
    assert_eq!(stage.ask(Notice { port: 6000, ..control("SUBSCRIBE_NODEFS", BOB, b"x\0y\0\0") }, Yes), SENT[0]);
    // Until it has what it was late with.
    stage.command(Command::Stored { keeper: DISK, up_to: before });
    assert_eq!(stage.send(here(), Notice { port: 6001, ..control("SUBSCRIBE_NODEFS", BOB, b"z\0y\0\0") }, Yes), []);
    assert_eq!(answers(&stored(&mut stage, DISK)), SENT);
    assert_eq!(stage.engine.counters().keepers_late, 1);
}

#[test]
fn all_keepers_must_have_it_each_in_its_time() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    comes(&mut stage, peer());
    assert_eq!(stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, SUBSCRIBE), Yes), []);
    assert_eq!(stored(&mut stage, DISK), []);
    assert_eq!(answers(&stored(&mut stage, peer())), SENT);

    // A silent peer has half of the time.
    assert_eq!(stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, b"x\0y\0\0"), Yes), []);
    assert_eq!(stage.wait_for(Duration::from_millis(500)), [], "the disk may still take its time");
    assert!(stage.events.contains(&LogEvent::KeeperLate { keeper: peer() }));
    assert_eq!(answers(&stored(&mut stage, DISK)), SENT);
}

#[test]
fn who_goes_is_no_longer_waited_for() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    assert_eq!(stage.send(here(), control("SUBSCRIBE_NODEFS", ALICE, SUBSCRIBE), Yes), []);
    assert_eq!(answers(&goes(&mut stage, DISK)), SENT);
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, b"x\0y\0\0"), Yes), SENT[0]);
    stored(&mut stage, DISK);
    assert_eq!(stage.ask(control("SUBSCRIBE_NODEFS", ALICE, b"z\0y\0\0"), Yes), SENT[0]);
}

#[test]
fn not_endlessly_many_wait() {
    let mut stage = Stage::new();
    comes(&mut stage, DISK);
    let mut early = 0;
    for _ in 0..17_000 {
        early += stage.send(here(), notice("foo", "bar", "", ALICE), Yes).len();
    }
    assert_eq!((stage.engine.gauges().held_answers, early), (16_384, 616));
}
