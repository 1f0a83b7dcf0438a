//! Fairness between sources: the load of one leaves the others alone.

use crate::stage::*;
use std::net::SocketAddr;
use zephyr_core::{
    kind::Kind,
    notice::Notice,
    policy::{Demand, Policy},
};
use zephyr_engine::server::{Bounds, Command, LogEvent};

/// Whoever floods.
const FLOODER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 99, 0, 1)), 2104);

fn bounded(change: impl FnOnce(&mut Bounds)) -> Stage {
    Stage::with(|config| change(&mut config.bounds))
}

/// The ports that a notice of class foo from this host reaches; nobody acknowledges.
fn reached(stage: &mut Stage, host: SocketAddr) -> Vec<u16> {
    let received = stage.send(host, notice("foo", "bar", "", BOB), No);
    received.iter().filter(|packet| packet.notice().kind == Kind::Acked).map(|packet| packet.to.port()).collect()
}

#[test]
fn a_flood_of_packets_does_not_make_a_host_that_begins_anew_wait_for_its_clients() {
    let mut stage = Stage::new();
    let subscription = stage.packet(Notice { port: 5000, ..control("SUBSCRIBE_NODEFS", ALICE, b"foo\0*\0\0") }, Yes);
    let message = stage.packet(notice("foo", "bar", "", BOB), Yes);
    stage.give(here(), &subscription, Yes);
    stage.give(here(), &message, Yes);
    let max = Bounds::default().response_cache_entries;
    for _ in 0..=max {
        stage.send(FLOODER, notice("nobody", "reads", "this", "mallory"), No);
    }
    assert_eq!(stage.engine.gauges().recent, max, "what came from others is forgotten");
    stage.send(here(), Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    assert_eq!(stage.engine.gauges().clients, 0);
    stage.give(FLOODER, &subscription, Yes);
    assert_eq!(stage.engine.gauges().clients, 0, "nobody else may do it again");
    stage.give(here(), &subscription, Yes);
    assert_eq!(stage.engine.gauges().clients, 1, "what is answered SENT is done");
    assert_eq!(stage.give(here(), &message, Yes).len(), 1, "delivered is delivered");
    stage.send(here(), Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "x", "BOOT", "HM") }, No);
    stage.give(here(), &subscription, Yes);
    assert_eq!(stage.engine.gauges().clients, 1, "also the second time");
}

#[test]
fn the_memory_of_packets_is_as_large_as_the_bounds_say() {
    let mut stage = bounded(|bounds| bounds.response_cache_entries = 3);
    for _ in 0..5 {
        stage.send(here(), notice("nobody", "reads", "this", BOB), No);
    }
    assert_eq!(stage.engine.gauges().recent, 3);
}

#[test]
fn one_host_causes_only_so_many_deliveries() {
    let mut stage = bounded(|bounds| (bounds.deliveries_per_second, bounds.delivery_burst) = (10, 20));
    (5000..5005).for_each(|port| stage.subscribe(here(), ALICE, port, b"foo\0*\0\0"));
    let all = [5000, 5001, 5002, 5003, 5004];
    for _ in 0..4 {
        assert_eq!(reached(&mut stage, FLOODER), all);
    }
    let refused = stage.send(FLOODER, notice("foo", "bar", "", BOB), No);
    assert_eq!((refused.len(), refused[0].answer().as_str()), (1, "SERVNAK LOST"));
    assert!(refused[0].reason().is_some_and(|reason| reason.starts_with("too many")), "{:?}", refused[0].reason());
    assert_eq!(stage.engine.counters().delivery_floods, 1);
    assert_eq!(stage.send(FLOODER, notice("nobody", "reads", "this", BOB), No)[0].answer(), "SERVACK LOST");
    assert_eq!(reached(&mut stage, there()), all, "another host notices nothing");
    stage.wait(1);
    assert_eq!([1, 2, 3].map(|_| reached(&mut stage, FLOODER).len()), [5, 5, 0], "ten a second");
}

#[test]
fn a_notice_to_more_than_a_burst_is_delivered_once_its_host_has_been_quiet() {
    let mut stage = bounded(|bounds| (bounds.deliveries_per_second, bounds.delivery_burst) = (1, 2));
    (5000..5005).for_each(|port| stage.subscribe(here(), ALICE, port, b"foo\0*\0\0"));
    assert_eq!([1, 2].map(|_| reached(&mut stage, there()).len()), [5, 0]);
    stage.wait(5);
    assert_eq!(reached(&mut stage, there()).len(), 5);
}

#[test]
fn clients_that_are_gone_do_not_silence_one_that_is_there() {
    let mut stage = bounded(|bounds| bounds.pending_octets_per_principal = 50_000);
    (5000..5006).for_each(|port| stage.subscribe(here(), ALICE, port, b"foo\0*\0\0"));
    while reached(&mut stage, there()).contains(&5005) {}
    assert!(stage.engine.counters().principal_pending_full > 0);
    stage.subscribe(there(), ALICE, 6000, b"foo\0*\0\0");
    for _ in 0..100 {
        let received = stage.send(there(), notice("foo", "bar", "", BOB), No);
        let live =
            received.iter().find(|packet| packet.to == at(there(), 6000)).expect("who is there receives everything");
        stage.acknowledge(live);
    }
    assert!(stage.engine.gauges().pending_octets < 60_000, "{:?}", stage.engine.gauges());
}

#[test]
fn new_rules_and_a_new_policy_are_looked_at_together() {
    let mut stage = Stage::with(|config| config.policy = Policy::OPEN);
    stage.subscribe(here(), ALICE, 5000, b"listed\0*\0\0free\0*\0\0");
    let subscribe = Notice { port: 5001, ..control("SUBSCRIBE_NODEFS", BOB, b"listed\0*\0\0free\0*\0\0") };
    stage.send(here(), subscribe, No);
    stage.events.clear();
    let policy = Policy { receive: Demand::Required, ..Policy::KERBEROS };
    stage.command(Command::Renew { rules: rules(&[("sub-listed", BOB)]), policy: Box::new(policy) });
    let ended = stage.events.iter().filter_map(|event| match event {
        LogEvent::SubscriptionsEnded { client, count, .. } => Some((client.port(), *count)),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [(5000, 1), (5001, 2)], "each client once");
}
