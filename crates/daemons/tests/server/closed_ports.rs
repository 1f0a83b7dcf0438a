//! Readers at whose ports nobody listens any more, and those of whom somebody only says so.

use crate::stage::*;
use std::net::SocketAddr;
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
    let sent: usize = (0..200).map(|port| probes(&stage.is_closed(at(there(), 10_000 + port), b""))).sum();
    assert_eq!(sent, 64);
    assert_eq!(probes(&stage.is_closed(at(here(), 6000), b"")), 1, "another host is not concerned");
}
