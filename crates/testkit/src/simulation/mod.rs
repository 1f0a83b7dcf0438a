//! Servers, host managers and clients on a simulated network, with scripted clocks, in memory and on one thread.
//!
//! All that happens follows from one number, the seed: who is there, which packets are lost, doubled, delayed, overtaken, damaged
//! or forged, who crashes when, whose clock jumps, which job takes how long. While it happens, invariants are checked
//! ([`Invariant`]); when one does not hold, the same seed shows it again, with a trace:
//!
//! ```text
//! ZEPHYR_SEED=17 cargo test -p zephyr-testkit --test simulation -- replay --nocapture
//! ```
//!
//! * [`Scenario`]: what a seed means; `disturbance`: what goes wrong beside the network; `stranger`: who means no good
//! * `world`: the loop; `driving`: the driver of each machine; `inspection`: what is checked of each; `network`: what becomes of a datagram
//! * `program`: what the programs order; `telling`: what they are told; `jobs`: what is done for them; [`auth`]: a backend with real keys
//! * `streams`: those between servers; `disk`: what a server has of its state after a crash; `keeping`: what of a server goes to both
//! * `directory`: which servers name services tell of; `host_managers`: that these leave the dead, keep the healthy, and return to the best
//! * `history`: what servers have changed, which they must know and agree on in the end; `promises`: notices that must reach their readers
//! * `interference`: what strangers change of what others see: nothing
//! * `truth`, `invariants`: what was really said, and what must hold; `recovery`: that all is well again in the end
//! * [`Mutant`]: faults on purpose, to see that they are found

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hosts and domains are made once and never removed; a simulation that is wrong about them must stop"
)]

pub mod auth;
mod building;
mod clock;
mod directory;
mod disk;
mod disturbance;
mod driving;
mod history;
mod host_managers;
mod inspection;
mod interference;
mod invariants;
mod jobs;
mod keeping;
mod mutant;
mod network;
mod node;
mod process;
mod program;
mod promises;
mod random;
mod recovery;
mod scenario;
mod stranger;
mod streams;
mod telling;
mod trace;
mod truth;
mod world;

pub use interference::{Deed, Experience, experience};
pub use invariants::{Invariant, Numbers, Violation};
pub use mutant::Mutant;
pub use network::Conditions;
pub use random::Random;
pub use scenario::{DomainPlan, DriverPlan, Scenario};

use std::fmt;
use world::World;

/// How a simulation is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether a line is kept of everything that happens.
    pub traces: bool,
    /// A fault to be put in.
    pub mutant: Option<Mutant>,
}

/// What a simulation has brought.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// What was counted.
    pub numbers: Numbers,
    /// What happened, a line each, if that was wanted.
    pub trace: Vec<String>,
}

/// Runs the simulation of a seed.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = World::new(seed, options);
    let violation = world.run().err();
    Report { seed, violation, numbers: world.checker.numbers, trace: world.trace.into_lines() }
}

impl fmt::Display for Report {
    /// What did not hold, the end of the trace, and how to see all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: usize = 40;
        for line in self.trace.iter().skip(self.trace.len().saturating_sub(LAST)) {
            writeln!(f, "{line}")?;
        }
        match &self.violation {
            Some(violation) => writeln!(f, "seed {}: {violation}", self.seed)?,
            None => writeln!(f, "seed {}: all holds", self.seed)?,
        }
        write!(f, "ZEPHYR_SEED={} cargo test -p zephyr-testkit --test simulation -- replay --nocapture", self.seed)
    }
}
