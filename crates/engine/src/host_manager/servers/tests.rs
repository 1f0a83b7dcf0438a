//! Tests of the choice of servers, and of lists that replace others.

use super::*;
use std::{collections::BTreeMap, net::IpAddr};

fn servers(count: u16) -> Servers {
    let server = |port| Server::at(&format!("s{port}"), SocketAddr::from(([10, 0, 0, 1], port)));
    Servers::new((1..=count).chain([1]).map(server).collect(), 7).expect("some")
}

fn port(servers: &Servers) -> u16 {
    servers.current().expect("some").port
}

#[test]
fn one_server_follows_itself() {
    let mut one = servers(1);
    assert_eq!(one.len(), 1, "the same twice is one");
    for _ in 0..9 {
        one.blame_current();
        one.choose(None);
        assert_eq!(port(&one), 1);
    }
    assert!(Servers::new(Vec::new(), 0).is_none());
}

#[test]
fn another_is_chosen_and_the_primary_returned_to() {
    for are_blamed in [true, false] {
        let mut three = servers(3);
        let mut away = 0;
        let mut seen = [false; 4];
        for _ in 0..50 {
            let before = port(&three);
            if are_blamed {
                three.blame_current();
            }
            three.choose(None);
            let now = port(&three);
            assert_ne!(now, before);
            seen[usize::from(now)] = true;
            away = if now == 1 { 0 } else { away + 1 };
            assert!(away <= 4, "never long without the primary");
        }
        assert_eq!(seen[1..], [true; 3]);
    }
}

/// However many there are: the primary is tried now and then, and each other one some day.
#[test]
fn of_many_that_are_silent_each_is_tried() {
    let mut many = servers(20);
    let (mut away, mut seen) = (0, [false; 21]);
    for _ in 0..60 {
        many.blame_current();
        many.choose(None);
        seen[usize::from(port(&many))] = true;
        away = if port(&many) == 1 { 0 } else { away + 1 };
        assert!(away <= 4);
    }
    assert_eq!(seen[1..], [true; 20]);
}

#[test]
fn a_suggestion_counts_only_when_it_is_in_the_list() {
    let at = |host: u8| Server::at(&format!("s{host}"), SocketAddr::from(([10, 0, 0, host], 2103)));
    let mut two = Servers::new(vec![at(1), at(2)], 0).expect("some");
    two.choose(Some(IpAddr::from([10, 0, 0, 1])));
    assert_eq!(two.current().map(Server::name), Some("s1"), "even the current one");
    two.choose(Some(IpAddr::from([10, 0, 0, 9])));
    assert_eq!(two.current().map(Server::name), Some("s2"), "unknown: any other");
}

fn discovered(candidates: &[(u8, u16, u16)]) -> Discovered {
    let candidate = |&(host, priority, weight): &(u8, u16, u16)| Candidate {
        host: format!("10.0.0.{host}").into(),
        port: 2103,
        priority,
        weight,
    };
    Discovered { candidates: candidates.iter().map(candidate).collect(), source: "DNS".into(), valid_for: None }
}

/// How often each is the first one, of a thousand hosts.
fn first_ones(candidates: &[(u8, u16, u16)]) -> BTreeMap<Box<str>, usize> {
    let mut counts = BTreeMap::new();
    for seed in 0..1000 {
        let mut servers = Servers::to_discover(seed);
        servers.replace(discovered(candidates));
        *counts.entry(servers.current().expect("some").host.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn equals_share_by_weight() {
    let counts = first_ones(&[(9, 20, 100), (1, 10, 60), (2, 10, 20), (3, 10, 20), (4, 10, 0)]);
    assert!(!counts.contains_key("10.0.0.9"), "of a worse priority");
    for (host, about) in [("10.0.0.1", 600), ("10.0.0.2", 200), ("10.0.0.3", 200)] {
        assert!(counts[host].abs_diff(about) < 50, "{counts:?}");
    }
    assert!(counts.get("10.0.0.4").is_none_or(|&count| count < 5), "hardly ever: {counts:?}");
    let counts = first_ones(&[(1, 0, 0), (2, 0, 0), (3, 0, 0)]);
    assert!(counts.len() == 3 && counts.values().all(|&count| count.abs_diff(333) < 60), "{counts:?}");
    assert_eq!(first_ones(&[(1, 0, u16::MAX), (2, 0, u16::MAX)]).len(), 2);
}

#[test]
fn the_better_ones_are_those_of_a_lower_priority_and_those_that_are_not_drained() {
    let mut servers = Servers::to_discover(1);
    servers.replace(discovered(&[(1, 10, 0), (2, 10, 5), (3, 20, 0), (4, 20, 0)]));
    let better = |servers: &mut Servers, place| {
        servers.choose_place(place);
        servers.better()
    };
    assert_eq!([0, 1, 2, 3].map(|place| better(&mut servers, place)), [vec![1], vec![], vec![1, 0], vec![1, 0]]);
}

#[test]
fn what_is_known_of_a_server_that_stays_is_kept() {
    let mut servers = Servers::to_discover(1);
    assert!(servers.replace(discovered(&[(1, 0, 1), (2, 1, 1)])).is_news);
    assert_eq!(servers.current().map(Server::name), Some("10.0.0.1"));
    let lookup = servers.lookup().expect("none is under way");
    let address = SocketAddr::from(([10, 0, 0, 1], 2103));
    let found = Located { name: "one.example".into(), address, others: Vec::new(), local: None };
    servers.looked_up(lookup.answer(Ok(found)), false);
    let replaced = servers.replace(discovered(&[(2, 1, 1), (1, 0, 1)]));
    assert!(!replaced.is_news && replaced.left.is_none(), "in another order");
    assert_eq!(servers.current().map(Server::name), Some("one.example"));
    let replaced = servers.replace(discovered(&[(3, 5, 1), (1, 9, 1)]));
    assert!(replaced.is_news && replaced.left.is_none(), "it stays, though it is not the best one any more");
    assert_eq!((servers.current().map(Server::name), servers.better()), (Some("one.example"), vec![0]));
    let left = servers.replace(discovered(&[(3, 5, 1)])).left.expect("it is gone");
    assert_eq!((left.name(), servers.current().map(Server::name)), ("one.example", Some("10.0.0.3")));
}

/// A name service may say anything.
#[test]
fn many_servers_and_look_ups_that_hang_are_bounded() {
    let mut servers = Servers::to_discover(1);
    let mut asked = 0;
    for round in 0..10 {
        let candidate = |number| Candidate::listed(number, &format!("s{number}.r{round}.example"), 2103);
        let candidates = (0..10_000).map(candidate).collect();
        servers.replace(Discovered { candidates, source: "DNS".into(), valid_for: None });
        assert_eq!(servers.len(), MAX_SERVERS);
        asked += servers.lookups().len();
    }
    assert_eq!(asked, MAX_LOOKUPS);
}
