//! Servers, host managers and clients on a network that loses, doubles, delays and forges packets: what must hold holds, for
//! every seed.
//!
//! * `ZEPHYR_SEEDS=100000`: so many seeds instead of the usual number, of which a thousand take about 90 s of a processor
//! * `ZEPHYR_SEED=17`: that one alone, with all that happens (`-- replay --nocapture`)

use zephyr_testkit::simulation::{Invariant, Mutant, Numbers, Options, run};

/// Seeds that are run where nobody says otherwise.
const SEEDS: u64 = 300;
/// Seeds among which each fault must be found.
const SEEDS_FOR_MUTANTS: u64 = 120;

fn number(name: &str) -> Option<u64> {
    let number = std::env::var(name).ok()?.parse();
    assert!(number.is_ok(), "{name} must be a number");
    number.ok()
}

/// Runs every second seed, beginning with the first or the second.
fn holds_for_every_second(first: usize) {
    let mut all = Numbers::default();
    for seed in (0..number("ZEPHYR_SEEDS").unwrap_or(SEEDS)).skip(first).step_by(2) {
        let report = run(seed, Options::default());
        assert!(report.violation.is_none(), "\n{}", run(seed, Options { traces: true, ..Options::default() }));
        all = all.and(report.numbers);
    }
    println!("{all:?}");
}

#[test]
fn what_must_hold_holds_for_even_seeds() {
    holds_for_every_second(0);
}

#[test]
fn what_must_hold_holds_for_odd_seeds() {
    holds_for_every_second(1);
}

/// For people: prints all that happens with one seed.
#[test]
fn replay() {
    let Some(seed) = number("ZEPHYR_SEED") else { return };
    let report = run(seed, Options { traces: true, ..Options::default() });
    report.trace.iter().for_each(|line| println!("{line}"));
    println!("{:?}", report.numbers);
    assert!(report.violation.is_none(), "\n{report}");
}

#[test]
fn one_seed_is_always_the_same_story() {
    for seed in 0..10 {
        let [first, second] = [(); 2].map(|()| run(seed, Options { traces: true, ..Options::default() }));
        let difference = first.trace.iter().zip(&second.trace).find(|(first, second)| first != second);
        assert_eq!(difference, None, "seed {seed}");
        assert_eq!(first.numbers, second.numbers);
    }
}

/// The first seed with which a fault is found must find it by this invariant.
fn is_found(mutant: Mutant, invariant: Invariant) {
    let options = Options { mutant: Some(mutant), ..Options::default() };
    let found = (0..SEEDS_FOR_MUTANTS).find_map(|seed| run(seed, options).violation.map(|found| (seed, found)));
    if let Some((seed, found)) = &found {
        println!("{mutant:?}: seed {seed}: {found}");
    }
    assert_eq!(found.as_ref().map(|(_, found)| found.invariant), Some(invariant), "{mutant:?}: {found:?}");
}

#[test]
fn clients_and_servers_that_believe_everything_are_found() {
    is_found(Mutant::OpensEverything, Invariant::Authenticity);
    is_found(Mutant::AcceptsEverything, Invariant::Authenticity);
}

#[test]
fn notices_that_are_shown_twice_are_found() {
    is_found(Mutant::ShowsTwice, Invariant::NoRepeats);
}

#[test]
fn outcomes_that_are_lost_or_come_twice_are_found() {
    is_found(Mutant::LosesOutcomes, Invariant::OneOutcome);
    is_found(Mutant::RepeatsOutcomes, Invariant::OneOutcome);
}

#[test]
fn bounds_that_are_ignored_are_found() {
    is_found(Mutant::IgnoresBounds, Invariant::Bounded);
}

#[test]
fn notices_that_never_reach_their_readers_are_found() {
    is_found(Mutant::SwallowsNotices, Invariant::NoLostNotice);
}

#[test]
fn disks_that_keep_what_has_ended_or_lie_are_found() {
    is_found(Mutant::DiskKeepsWhatEnded, Invariant::NoReturn);
    is_found(Mutant::DiskLies, Invariant::NoLoss);
}

#[test]
fn servers_that_miss_something_of_each_other_are_found() {
    is_found(Mutant::LosesRecords, Invariant::NoLoss);
    is_found(Mutant::DiskForgetsVersions, Invariant::NoLoss);
    is_found(Mutant::KeepsIdentity, Invariant::NoLoss);
}

#[test]
fn timers_that_are_lost_or_never_rest_are_found() {
    is_found(Mutant::LosesTimers, Invariant::Timers);
    is_found(Mutant::NeverRests, Invariant::Timers);
}

#[test]
fn host_managers_that_keep_dead_servers_leave_healthy_ones_or_never_return_are_found() {
    is_found(Mutant::DeadAnswer, Invariant::Failover);
    is_found(Mutant::Wanders, Invariant::Steadiness);
    is_found(Mutant::HidesStatus, Invariant::BestServer);
}
