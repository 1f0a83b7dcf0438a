//! Nothing that a stranger sends changes what those who prove who they are see and achieve.

#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

use zephyr_testkit::simulation::{Deed, Experience, Options, experience};

/// Worlds that each deed is tried in.
const SEEDS: u64 = 5;

fn differences(alone: &Experience, beside: &Experience) -> Vec<String> {
    let mut found = Vec::new();
    for (program, expected) in alone {
        let seen = beside.get(program).map(Vec::as_slice).unwrap_or_default();
        let place = expected.iter().zip(seen).position(|(expected, seen)| expected != seen);
        let place = place.or_else(|| (expected.len() != seen.len()).then(|| expected.len().min(seen.len())));
        if let Some(place) = place {
            let around =
                |lines: &[String]| lines.iter().skip(place.saturating_sub(2)).take(5).cloned().collect::<Vec<_>>();
            found.push(format!("{program}, {place}: expected {:#?}, seen {:#?}", around(expected), around(seen)));
        }
    }
    found
}

fn holds(seed: u64, deeds: &[Deed]) {
    let run = |deeds: &[Deed], traces| {
        experience(seed, deeds, Options { traces, ..Options::default() })
            .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"))
    };
    let (alone, _) = run(&[], false);
    let (beside, _) = run(deeds, false);
    let found = differences(&alone, &beside);
    if !found.is_empty() {
        if std::env::var_os("ZEPHYR_SEED").is_some() {
            run(deeds, true).1.iter().for_each(|line| println!("{line}"));
        }
        panic!("seed {seed}: {deeds:?} made a difference:\n{}", found.join("\n"));
    }
    assert!(alone.values().map(Vec::len).sum::<usize>() > 15, "seed {seed}: little is seen");
}

fn holds_beside(deeds: &[Deed]) {
    match std::env::var("ZEPHYR_SEED") {
        Ok(seed) => holds(seed.parse().expect("a number"), deeds),
        Err(_) => (0..SEEDS).for_each(|seed| holds(seed, deeds)),
    }
}

#[test]
fn who_overtakes_changes_nothing() {
    holds_beside(&[Deed::Overtake]);
}

#[test]
fn who_replays_changes_nothing() {
    holds_beside(&[Deed::Replay]);
}

#[test]
fn who_claims_names_changes_nothing() {
    holds_beside(&[Deed::ClaimNames]);
}

#[test]
fn who_floods_readers_changes_nothing() {
    holds_beside(&[Deed::FloodReader]);
}

#[test]
fn who_floods_the_server_changes_nothing() {
    holds_beside(&[Deed::FloodServer]);
}

#[test]
fn who_has_tickets_of_his_own_changes_nothing() {
    holds_beside(&[Deed::OwnTickets]);
}

#[test]
fn who_promises_much_changes_nothing() {
    holds_beside(&[Deed::Promises]);
}

#[test]
fn who_floods_a_host_manager_changes_nothing() {
    holds_beside(&[Deed::FloodHostManager]);
}

#[test]
fn all_together_change_nothing() {
    holds_beside(&Deed::ALL);
}

#[test]
fn the_same_world_is_the_same_twice() {
    for seed in 0..5 {
        let run = || experience(seed, &[], Options::default()).expect("nothing goes wrong").0;
        assert_eq!(differences(&run(), &run()), [""; 0]);
    }
}
