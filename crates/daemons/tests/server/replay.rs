//! Replay protection that fails closed: what is no longer remembered proves nothing.

use crate::stage::*;
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_core::{
    auth::{Identity, Judgement, Lifetime},
    kind::Kind,
    notice::{Notice, Packet},
};
use zephyr_engine::{
    machine::{Input, Machine, Output},
    server::{Bounds, ChangeSource, Changed, Done, Job, Verified},
};

const THIEF: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 66, 0, 6)), 2104);
const MALLORY: &str = "mallory@ATHENA.TEST";
const SECOND: Duration = Duration::from_secs(1);

/// A server whose acceptor knows when authenticators were made.
struct Timed {
    stage: Stage,
    skew: Duration,
}

/// A packet of somebody, and when its authenticator was made.
struct Made {
    octets: Bytes,
    at: SystemTime,
}

impl Timed {
    /// Alice reads class foo.
    fn new(skew: u64, change: impl FnOnce(&mut Bounds)) -> Self {
        let stage = Stage::with(|config| change(&mut config.bounds));
        let mut timed = Self { stage, skew: Duration::from_secs(skew) };
        timed.pass(SECOND);
        timed.subscribe();
        timed
    }

    fn subscribe(&mut self) {
        let made = self.make(control("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0"), Duration::ZERO);
        assert_eq!(self.give(here(), &made), ["SERVACK SENT"]);
    }

    fn pass(&mut self, time: Duration) {
        self.stage.now.monotonic += time;
        self.stage.now.wall += time;
    }

    /// A proven packet that is made now, by a clock that is so much behind.
    fn make(&mut self, notice: Notice<'_>, behind: Duration) -> Made {
        Made { octets: self.stage.packet(notice, Yes), at: self.stage.now.wall - behind }
    }

    /// A notice of class foo.
    fn notice(&mut self, sender: &str) -> Made {
        self.make(notice("foo", "bar", "", sender), Duration::ZERO)
    }

    /// What comes of a packet, which the acceptor takes as long as it is fresh: `authentic`, `unproven` for what alice
    /// receives, and the answer.
    fn give(&mut self, from: SocketAddr, made: &Made) -> Vec<String> {
        let now = self.stage.now;
        let packet = Packet::parse(&made.octets).unwrap();
        let sender = packet.notice.sender;
        let lifetime = Lifetime { made: made.at, ends: made.at + self.skew + SECOND };
        assert!(now.wall < lifetime.ends, "the acceptor would refuse it anyway");
        self.stage.engine.handle(now, Input::Datagram { from, local: None, octets: &made.octets });
        let mut came = Vec::new();
        loop {
            match self.stage.engine.poll(now) {
                Output::Transmit(transmit) => {
                    let packet = Packet::parse(&transmit.payload).unwrap();
                    let received = Received::from(transmit.clone());
                    match (packet.notice.kind, packet.claim.auth) {
                        _ if received.is_probe() => {}
                        (Kind::ServAck | Kind::ServNak, _) => came.push(received.answer()),
                        (_, 0) => came.push("unproven".to_owned()),
                        (_, _) => came.push("authentic".to_owned()),
                    }
                    if packet.notice.kind == Kind::Acked {
                        let ack = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
                        let ack =
                            ack.write(&zephyr_core::notice::Claim::NONE, zephyr_core::limits::Limits::WHOLE_PACKET);
                        self.stage
                            .engine
                            .handle(now, Input::Datagram { from: transmit.to, local: None, octets: &ack.unwrap() });
                    }
                }
                Output::Job(Job::Verify(job)) => {
                    let key = key_of(std::str::from_utf8(sender).unwrap());
                    let judgement = Judgement::authentic(Identity::new(sender), Arc::new(key)).within(lifetime);
                    self.stage
                        .engine
                        .handle(now, Input::Done(Done::Verified(Verified { id: job.id, result: Ok(judgement) })));
                }
                Output::Event(_) | Output::Job(_) => {}
                Output::Wait(_) => return came,
            }
        }
    }

    /// Sends so many notices of a sender that nobody reads.
    fn flood(&mut self, sender: &str, count: usize) {
        for _ in 0..count {
            self.pass(Duration::from_micros(40));
            let made = self.make(notice("nobody", "reads", "", sender), Duration::ZERO);
            assert_eq!(self.give(there(), &made), ["SERVACK LOST"]);
        }
    }

    /// The server ends, and begins anew without any memory.
    fn restart(&mut self) {
        let mut stage = Stage::starting(self.stage.now, |config| small(&mut config.bounds));
        // Its packets differ from those before.
        (0..1000).for_each(|_| drop(stage.packet(notice("x", "x", "", ALICE), No)));
        self.stage = stage;
    }
}

impl Timed {
    /// The server is killed and begins again with what it has told; it lived last at this moment.
    fn restart_with_state(&mut self, last: SystemTime) {
        let kept: Vec<Changed> = self.stage.engine.snapshot().collect();
        self.restart();
        self.stage.engine.remember_since(last);
        for changed in kept {
            self.stage.engine.apply(self.stage.now, changed, ChangeSource::Kept);
        }
    }
}

const AUTHENTIC: [&str; 2] = ["authentic", "SERVACK SENT"];
const UNPROVEN: [&str; 2] = ["unproven", "SERVACK SENT"];

fn small(bounds: &mut Bounds) {
    (bounds.replay_cache_entries, bounds.replay_cache_entries_per_principal) = (64, 16);
}

#[test]
fn nobody_pushes_out_what_others_have_used() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    timed.flood(MALLORY, 500);
    assert_eq!(timed.give(THIEF, &heard), ["SERVACK SENT"], "acknowledged, and nothing else");
    let next = timed.notice(BOB);
    assert_eq!(timed.give(there(), &next), AUTHENTIC, "and bob goes on");
}

#[test]
fn who_pushes_out_his_own_is_not_replayed_either() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    timed.flood(BOB, 100);
    assert_eq!(timed.give(THIEF, &heard), UNPROVEN, "shown as what it is");
    let counters = *timed.stage.engine.counters();
    assert_eq!((counters.failed_not_remembered, counters.replays_forgotten), (1, 85));
    let next = timed.notice(BOB);
    assert_eq!(timed.give(there(), &next), AUTHENTIC);
    // Somebody whose clock is behind notices nothing of that.
    let behind = timed.make(notice("foo", "bar", "", MALLORY), Duration::ZERO);
    assert_eq!(timed.give(there(), &behind), AUTHENTIC);
}

#[test]
fn many_together_push_out_none_of_who_uses_few() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    for number in 0..20 {
        timed.flood(&format!("mallory{number}@ATHENA.TEST"), 16);
    }
    assert_eq!(timed.stage.engine.gauges().replays, 64);
    assert_eq!(timed.give(THIEF, &heard), ["SERVACK SENT"]);
}

#[test]
fn the_memory_is_as_long_as_the_acceptor_takes_what_is_old() {
    let mut timed = Timed::new(1200, |_| ());
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    for _ in 0..20 {
        timed.pass(60 * SECOND);
        timed.flood(MALLORY, 1);
        assert_eq!(timed.give(THIEF, &heard), ["SERVACK SENT"], "{:?}", timed.stage.now);
    }
    // Made by a clock that is ahead, it is good for twice as long.
    let mut ahead = timed.notice(BOB);
    ahead.at += 1199 * SECOND;
    assert_eq!(timed.give(there(), &ahead), AUTHENTIC);
    for _ in 0..39 {
        timed.pass(60 * SECOND);
        timed.flood(MALLORY, 1);
        assert_eq!(timed.give(THIEF, &ahead), ["SERVACK SENT"], "{:?}", timed.stage.now);
    }
}

#[test]
fn what_was_heard_before_a_restart_proves_nothing_after_it() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    timed.pass(SECOND);
    timed.restart();
    timed.pass(SECOND);
    timed.subscribe();
    assert_eq!(timed.give(THIEF, &heard), UNPROVEN);
    assert_eq!(timed.stage.engine.counters().failed_not_remembered, 1);
    let next = timed.notice(BOB);
    assert_eq!(timed.give(there(), &next), AUTHENTIC);
}

#[test]
fn what_was_heard_before_a_restart_with_its_state_does_nothing_after_it() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    let used = Bytes::from(heard.octets.to_vec());
    timed.pass(2 * SECOND);
    let last = timed.stage.now.wall;
    // While it is away, bob's host manager keeps a notice for it; and somebody has one that nobody knows to be used.
    timed.pass(SECOND);
    let unknown = timed.make(notice("foo", "bar", "", BOB), 2 * SECOND);
    let meanwhile = timed.notice(BOB);
    timed.pass(SECOND);
    timed.restart_with_state(last);
    assert_eq!(timed.give(THIEF, &heard), ["SERVACK SENT"], "alice is still there, and gets nothing");
    let another = timed.make(notice("foo", "other", "", BOB), Duration::ZERO);
    assert_ne!(another.octets, used);
    assert_eq!(timed.give(there(), &meanwhile), AUTHENTIC, "what came while it was away is believed");
    assert_eq!(timed.give(THIEF, &unknown), UNPROVEN, "what may have been used is not");
    assert_eq!(timed.stage.engine.counters().failed_not_remembered, 1);
}

#[test]
fn what_each_has_forgotten_is_refused_after_an_end_in_order_too() {
    let mut timed = Timed::new(300, small);
    let heard = timed.notice(BOB);
    assert_eq!(timed.give(there(), &heard), AUTHENTIC);
    timed.flood(BOB, 100);
    let horizons = timed.stage.engine.horizons();
    assert_eq!(horizons.iter().filter(|horizon| *horizon.principal == *BOB.as_bytes()).count(), 1);
    timed.restart_with_state(std::time::UNIX_EPOCH);
    horizons.iter().for_each(|horizon| timed.stage.engine.restore_horizon(horizon));
    assert_eq!(timed.stage.engine.horizons(), horizons);
    assert_eq!(timed.give(THIEF, &heard), UNPROVEN);
    let behind = timed.make(notice("foo", "bar", "", MALLORY), Duration::from_millis(1));
    assert_eq!(timed.give(there(), &behind), AUTHENTIC, "nobody else pays for it");
}

#[test]
fn a_proof_that_was_undone_is_undone_after_a_restart() {
    let mut timed = Timed::new(300, small);
    let subscription =
        timed.make(Notice { port: 5001, ..control("SUBSCRIBE_NODEFS", BOB, b"x\0*\0\0") }, Duration::ZERO);
    assert_eq!(timed.give(here(), &subscription), ["SERVACK SENT"]);
    let boot = timed.stage.packet(Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    let now = timed.stage.now.wall;
    timed.give(here(), &Made { octets: boot, at: now });
    timed.restart_with_state(now);
    assert_eq!(timed.give(THIEF, &subscription), ["SERVACK SENT"]);
    assert_eq!(timed.stage.engine.gauges().clients, 0);
    assert_eq!(timed.give(here(), &subscription), ["SERVACK SENT"]);
    assert_eq!(timed.stage.engine.gauges().clients, 1);
}

#[test]
fn a_clock_that_is_behind_is_good_enough_except_just_after_a_start() {
    let behind = 200 * SECOND;
    let mut timed = Timed::new(300, small);
    let early = timed.make(notice("foo", "bar", "", BOB), behind);
    assert_eq!(timed.give(there(), &early), UNPROVEN, "it looks as if it was made before the start");
    timed.pass(behind);
    for _ in 0..50 {
        timed.pass(SECOND);
        let late = timed.make(notice("foo", "bar", "", BOB), behind);
        assert_eq!(timed.give(there(), &late), AUTHENTIC);
        let flood = timed.notice(MALLORY);
        assert_eq!(timed.give(there(), &flood), AUTHENTIC);
    }
}

#[test]
fn a_host_that_begins_anew_tells_of_itself_again_whatever_was_forgotten() {
    let mut timed = Timed::new(300, small);
    let subscription =
        timed.make(Notice { port: 5001, ..control("SUBSCRIBE_NODEFS", BOB, b"x\0*\0\0") }, Duration::ZERO);
    assert_eq!(timed.give(here(), &subscription), ["SERVACK SENT"]);
    timed.flood(BOB, 10);
    let boot = timed.stage.packet(Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    let now = timed.stage.now.wall;
    timed.give(here(), &Made { octets: boot, at: now });
    assert_eq!(timed.stage.engine.gauges().clients, 0);
    assert_eq!(timed.give(THIEF, &subscription), ["SERVACK SENT"]);
    assert_eq!(timed.stage.engine.gauges().clients, 0);
    assert_eq!(timed.give(here(), &subscription), ["SERVACK SENT"]);
    assert_eq!(timed.stage.engine.gauges().clients, 1);
}
