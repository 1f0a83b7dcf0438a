//! Readers at whose ports nobody listens any more, and those of whom somebody only says so.

use crate::stage::*;
use std::{collections::HashMap, net::SocketAddr, time::Duration};
use zephyr_core::notice::Notice;
use zephyr_engine::server::{Change, LogEvent};

fn reader() -> SocketAddr {
    at(there(), 6000)
}

fn foo<'a>() -> Notice<'a> {
    notice("foo", "bar", "x", ALICE)
}

/// A reader who has a location, was there, and may be there no longer.
fn with_bob() -> Stage {
    let mut stage = Stage::new();
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    let login = Notice { port: 6000, body: b"m\0t\0y\0", ..notice("LOGIN", BOB, "REALM-VISIBLE", BOB) };
    stage.send(there(), login, Yes);
    stage
}

/// What is sent to the reader.
fn delivered(stage: &mut Stage) -> Vec<Received> {
    let mut received = stage.send(here(), foo(), Yes);
    received.retain(|packet| packet.to == reader());
    received
}

fn answer(stage: &mut Stage) -> String {
    let received = stage.send(here(), foo(), Yes);
    received.iter().find(|packet| packet.to == here()).expect("an answer").answer()
}

fn probes(received: &[Received]) -> usize {
    received.iter().filter(|packet| packet.is_probe()).count()
}

#[test]
fn a_reader_who_was_killed_is_gone_with_the_first_notice() {
    let mut stage = with_bob();
    stage.absent.push(there().ip());
    let notice = delivered(&mut stage).remove(0);
    let probe = stage.is_closed(reader(), &notice.octets).remove(0);
    assert!(probe.is_probe() && probe.to == reader());
    assert_eq!(stage.engine.gauges().clients, 1, "anybody could have said so");
    assert_eq!(stage.is_closed(reader(), &probe.octets), []);
    let gauges = stage.engine.gauges();
    assert_eq!((gauges.clients, gauges.subscriptions, gauges.pending, gauges.locations), (0, 0, 0, 0));
    let gone = LogEvent::PortClosed { client: reader(), principal: BOB.as_bytes().into() };
    assert_eq!(stage.events.pop(), Some(gone));
    assert!(stage.changes.iter().any(|change| matches!(change, Change::LocationGone { .. })));
    assert_eq!(answer(&mut stage), "SERVACK LOST");
    assert_eq!(stage.engine.next_timeout(stage.now), None, "and nothing is sent to him any more");
    let counters = stage.engine.counters();
    assert_eq!((counters.ports_closed, counters.checks, counters.dead_clients), (2, 1, 1));
}

#[test]
fn part_of_the_probe_is_enough_if_it_has_the_uid() {
    for (octets, ends) in [(8, false), (20, false), (120, true)] {
        let mut stage = with_bob();
        stage.absent.push(there().ip());
        let notice = delivered(&mut stage).remove(0);
        let probe = stage.is_closed(reader(), &notice.octets).remove(0);
        stage.is_closed(reader(), &probe.octets[..octets]);
        assert_eq!(stage.engine.gauges().clients, usize::from(!ends), "{octets} octets");
    }
}

#[test]
fn a_forged_error_ends_nobody_and_makes_few_probes() {
    let mut stage = with_bob();
    let notice = delivered(&mut stage).remove(0);
    stage.acknowledge(&notice);
    stage.absent.push(there().ip());
    let probe = stage.is_closed(reader(), &notice.octets).remove(0);
    stage.acknowledge(&probe);
    // Whatever is quoted that who has not seen the probe can know, and the probe once it is answered.
    let mut guessed = probe.octets.to_vec();
    guessed[40] ^= 1;
    for quoted in [&b""[..], &notice.octets, &guessed, &probe.octets, &probe.octets[..30]] {
        assert_eq!(stage.is_closed(reader(), quoted), []);
    }
    let mut sent = 0;
    for _ in 0..100 {
        stage.wait(1);
        let received = stage.is_closed(reader(), &notice.octets);
        sent += probes(&received);
        for probe in received {
            stage.acknowledge(&probe);
        }
    }
    assert_eq!(sent, 20, "one in five seconds");
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().locations), (1, 1));
    assert_eq!(delivered(&mut stage).len(), 1);
}

/// Not even when the reader cannot be asked: then all is as it was without errors.
#[test]
fn a_forged_error_ends_nobody_who_does_not_answer_at_the_moment() {
    let mut stage = with_bob();
    stage.absent.push(there().ip());
    for second in 0..60 {
        stage.is_closed(reader(), &second.to_string().into_bytes());
        stage.wait(1);
    }
    assert_eq!((stage.engine.gauges().clients, stage.engine.gauges().locations), (1, 1));
}

#[test]
fn a_new_program_at_the_port_is_not_ended_by_the_error_of_the_old_one() {
    let mut stage = with_bob();
    stage.absent.push(there().ip());
    let notice = delivered(&mut stage).remove(0);
    let probe = stage.is_closed(reader(), &notice.octets).remove(0);
    stage.subscribe(there(), BOB, 6000, b"foo\0*\0\0");
    stage.is_closed(reader(), &probe.octets);
    assert_eq!(stage.engine.gauges().clients, 1, "of the same person");

    // Of another one, once the first has left.
    stage.send(there(), Notice { port: 6000, ..control("CLEARSUB", BOB, b"") }, Yes);
    stage.absent.clear();
    stage.subscribe(there(), ALICE, 6000, b"foo\0*\0\0");
    stage.is_closed(reader(), &probe.octets);
    assert_eq!(stage.engine.gauges().clients, 1);
}

#[test]
fn hints_about_others_than_readers_do_nothing() {
    let mut stage = with_bob();
    stage.absent.push(here().ip());
    stage.send(here(), Notice { port: 7000, ..control("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0") }, Yes);
    // A port where nobody is, a host manager, and a client that is not confirmed: that one is being probed.
    for to in [at(there(), 1), there(), here(), at(here(), 7000)] {
        assert_eq!(stage.is_closed(to, b"ZEPH0.2"), []);
    }
    assert_eq!(stage.engine.gauges().clients, 2);
}

/// Whoever forges errors about all programs of a host makes no more probes than the host can take.
#[test]
fn a_host_with_many_readers_gets_few_probes() {
    let mut stage = Stage::new();
    for port in 0..200 {
        stage.subscribe(there(), BOB, 10_000 + port, b"foo\0*\0\0");
    }
    stage.subscribe(here(), ALICE, 6000, b"foo\0*\0\0");
    stage.absent.extend([here().ip(), there().ip()]);
    let forge = |stage: &mut Stage| -> usize {
        (0..200).map(|port| probes(&stage.is_closed(at(there(), 10_000 + port), b""))).sum()
    };
    assert_eq!(forge(&mut stage), 1, "nothing has come of the first yet");
    assert_eq!(probes(&stage.is_closed(at(here(), 6000), b"")), 1, "another host is not concerned");
    stage.wait(10);
    stage.absent.clear();
    // Those who answer wait for no pause, but there are bounds for them as well.
    let sent = stage.engine.counters().checks;
    stage.wait_for(Duration::from_millis(1100));
    let sent = stage.engine.counters().checks - sent;
    assert!((50..=64).contains(&sent), "{sent}");
}

/// What Linux allows itself: six errors at once, and one a second.
struct Errors {
    saved: Duration,
    last: Duration,
}

impl Errors {
    const EACH: Duration = Duration::from_secs(1);

    fn new(stage: &Stage) -> Self {
        Self { saved: Self::EACH * 6, last: stage.now.monotonic }
    }

    fn may_send(&mut self, stage: &Stage) -> bool {
        let now = stage.now.monotonic;
        self.saved = (self.saved + now.saturating_sub(self.last)).min(Self::EACH * 6);
        self.last = now;
        let may_send = self.saved >= Self::EACH;
        if may_send {
            self.saved -= Self::EACH;
        }
        may_send
    }

    /// The host says of as many of these packets as it may that nobody is there, also of those that come of that.
    fn tell(&mut self, stage: &mut Stage, mut packets: Vec<Received>, probes: &mut HashMap<SocketAddr, usize>) {
        packets.retain(|packet| packet.to.ip() == there().ip());
        packets.reverse();
        while let Some(packet) = packets.pop() {
            if packet.is_probe() {
                *probes.entry(packet.to).or_default() += 1;
            }
            if self.may_send(stage) {
                packets.splice(0..0, stage.is_closed(packet.to, &packet.octets));
            }
        }
    }
}

/// Their host says of few of them that they are gone, and so it must be asked in time.
#[test]
fn many_readers_who_were_killed_at_once_are_gone_within_a_minute() {
    for (readers, every, seconds) in [(3, 1000, 1), (8, 1000, 20), (25, 1000, 60), (25, 100, 60), (25, 30_000, 60)] {
        let mut stage = Stage::new();
        (0..readers).for_each(|reader| stage.subscribe(there(), BOB, 6000 + reader, b"foo\0*\0\0"));
        stage.absent.push(there().ip());
        let (mut errors, mut probes) = (Errors::new(&stage), HashMap::new());
        let start = stage.now.monotonic;
        while stage.engine.gauges().clients > 0 {
            let since = stage.now.monotonic - start;
            assert!(since < Duration::from_secs(seconds), "{} of {readers} are left", stage.engine.gauges().clients);
            let is_time = since.as_millis().is_multiple_of(every);
            let mut packets = if is_time { stage.send(here(), foo(), Yes) } else { Vec::new() };
            packets.extend(stage.wait_for(Duration::from_millis(10)).into_iter().map(|(_, packet)| packet));
            errors.tell(&mut stage, packets, &mut probes);
        }
        assert!(probes.values().all(|&probes| probes <= 5), "{probes:?}");
        // What waited for them is forgotten bit by bit.
        assert_eq!((stage.wait(1), stage.engine.gauges().pending), (vec![], 0));
    }
}

/// Not even when one of them is not there at the moment, for whose answer the probes of the others wait.
#[test]
fn forged_errors_hold_up_nobody_who_acknowledges() {
    let mut stage = Stage::new();
    let readers: Vec<SocketAddr> = (0..20).map(|reader| at(there(), 6000 + reader)).collect();
    for reader in &readers {
        stage.subscribe(there(), BOB, reader.port(), b"foo\0*\0\0");
    }
    stage.absent.push(there().ip());
    let (stopped, living) = readers.split_first().unwrap();
    // Gives whom notices were sent.
    let acknowledge = |stage: &mut Stage, mut packets: Vec<Received>| {
        let mut reached = Vec::new();
        while let Some(packet) = packets.pop() {
            if packet.to.ip() == there().ip() && packet.to != *stopped {
                packets.extend(stage.give(packet.to, &packet.acknowledgement(), No));
                reached.extend((!packet.is_probe()).then_some(packet.to));
            }
        }
        reached.sort_unstable();
        reached
    };
    for _ in 0..60 {
        let packets = readers.iter().flat_map(|&reader| stage.is_closed(reader, b"")).collect();
        assert_eq!(acknowledge(&mut stage, packets), []);
        let packets = stage.send(here(), foo(), Yes);
        assert_eq!(acknowledge(&mut stage, packets), living, "at once");
        let packets = stage.wait(1).into_iter().map(|(_, packet)| packet).collect();
        assert_eq!(acknowledge(&mut stage, packets), []);
    }
    assert_eq!(stage.engine.gauges().clients, 20);
}

/// A reader of whom nothing is heard for a moment misses nothing.
#[test]
fn what_was_held_comes_in_order_when_the_probe_is_acknowledged() {
    let mut stage = with_bob();
    stage.absent.push(there().ip());
    let first = delivered(&mut stage).remove(0);
    assert_eq!(probes(&stage.is_closed(reader(), b"")), 1);
    let second = stage.wait_for(Duration::from_millis(1500));
    let [(_, probe)] = &second[..] else { panic!("{second:?}") };
    assert!(probe.is_probe());
    for text in ["1", "2", "3"] {
        let received = stage.send(here(), Notice { body: text.as_bytes(), ..foo() }, Yes);
        assert_eq!(received.iter().map(Received::answer).collect::<Vec<_>>(), ["SERVACK SENT"]);
    }
    let sent = stage.give(reader(), &probe.acknowledgement(), No);
    assert_eq!(sent.iter().map(Received::body).collect::<Vec<_>>(), ["1", "2", "3"]);
    let again: Vec<Received> = stage.wait(4).into_iter().map(|(_, packet)| packet).collect();
    assert!(again.iter().any(|packet| packet.octets == first.octets), "{again:?}");
}

/// Where a firewall keeps back the errors that quote probes, all goes on as without.
#[test]
fn what_was_held_is_sent_when_nothing_comes_of_the_check() {
    let mut stage = with_bob();
    stage.absent.push(there().ip());
    stage.is_closed(reader(), b"");
    stage.wait(2);
    let uid = stage.send(here(), foo(), Yes)[0].notice().uid;
    let received = stage.wait(30);
    let (all, notices): (Vec<_>, Vec<_>) = received.iter().partition(|(_, packet)| packet.is_probe());
    assert_eq!(all.len(), 3, "five with the first two");
    assert!(notices.len() >= 3 && notices.iter().all(|(_, packet)| packet.notice().uid == uid), "{notices:?}");
    assert!(notices[0].0 <= 5, "{notices:?}");
}
