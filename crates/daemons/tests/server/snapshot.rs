//! All of a server's state as changes: another server that makes them is the same.

use crate::stage::*;
use std::time::Duration;
use zephyr_core::{notice::Notice, time::Now};
use zephyr_engine::server::{Change, ChangeSource, Changed, Gone, ServerId, Stamp, peers::stream::StreamId};

const PLACE: &[u8] = b"machine\0Tue Nov 24 22:08:04 2026\0pts/1\0";

/// A server with clients, subscriptions, locations and a host.
fn busy() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(there(), ALICE, 5000, b"foo\0*\0\0bar\0x\0\0");
    stage.subscribe(there(), ALICE, 5000, b"later\0*\0\0");
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0message\0personal\0bob@ATHENA.TEST\0");
    for user in [ALICE, BOB] {
        stage.ask(Notice { body: PLACE, ..notice("LOGIN", user, "NET-VISIBLE", user) }, Yes);
    }
    stage
}

fn state_of(stage: &Stage) -> Vec<String> {
    stage.engine.snapshot().map(|Changed { stamp, change }| format!("{stamp:?} {change:?}")).collect()
}

#[test]
fn a_server_made_of_anothers_state_is_the_same() {
    let first = busy();
    let mut second = Stage::new();
    let now = second.now;
    for changed in first.engine.snapshot() {
        second.engine.apply(now, changed, ChangeSource::Kept);
    }
    assert_eq!(second.engine.dump(), first.engine.dump());
    assert_eq!(state_of(&second), state_of(&first));
    let (one, other) = (first.engine.gauges(), second.engine.gauges());
    assert_eq!((one.clients, one.unconfirmed, one.hosts), (other.clients, other.unconfirmed, other.hosts));
    assert_eq!((one.subscription_octets, one.locations), (other.subscription_octets, other.locations));
}

#[test]
fn a_packet_that_waits_is_sent_again_in_time_whatever_the_clock_said_before_the_restart() {
    let mut first = busy();
    assert_eq!(first.send(there(), notice("foo", "bar", "", BOB), Yes).len(), 3, "an answer, and one for each of them");
    assert_eq!(first.wait(5).len(), 4, "sent again after 2 s and 4 s");
    let kept = first.engine.deliveries(first.now);
    assert_eq!(kept.iter().map(|it| it.transmissions).collect::<Vec<usize>>(), [3, 3]);
    let hour = Duration::from_secs(3600);
    // What is sent the third time is sent again 4 s later.
    for (wall, expected) in [(first.now.wall, 3), (first.now.wall - hour, 4), (first.now.wall + hour, 0)] {
        let mut second = Stage::starting(Now { wall, ..Stage::new().now }, |_| ());
        second.take_kept(&first);
        let now = second.now;
        for delivery in kept.clone() {
            assert!(second.engine.restore_delivery(now, delivery));
        }
        let resent: Vec<u64> = second.wait(6).into_iter().map(|(second, _)| second).collect();
        assert_eq!(resent.get(..2), Some(&[expected; 2][..]), "{resent:?}");
    }
}

#[test]
fn a_peer_removes_only_what_it_knew() {
    let mut stage = busy();
    let now = stage.now;
    let stamps: Vec<Stamp> = stage.engine.snapshot().map(|changed| changed.stamp).collect();
    let gone = |time, stamps| Changed {
        stamp: Stamp { time: u64::MAX / 2 + time, server: ServerId(9) },
        change: Change::ClientGone { client: at(there(), 5000), stamps, why: Gone::Ended },
    };
    let peer = ChangeSource::Peer(StreamId(2));
    let others = vec![Stamp { time: 1, server: ServerId(9) }];
    stage.engine.apply(now, gone(0, others), peer);
    assert_eq!(stage.engine.gauges().clients, 2, "it has never known that client");
    assert!(stage.engine.apply(now, gone(1, stamps), peer));
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().subscriptions), (1, 2));
}
