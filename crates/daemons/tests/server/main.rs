//! The server with a scripted clock: the rows of the semantics table, each test named after its row, attacks, bounds, fairness
//! and policies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

/// Proofs are verified on the spot.
const VERIFY_THREADS: usize = 0;

#[path = "memory.rs"]
mod transport;

mod acl;
mod attacks;
mod bounds;
mod closed_ports;
mod control;
mod delivery;
mod encryption;
mod fairness;
mod flood;
mod forged_addresses;
mod held_answers;
mod hosts;
mod local_addresses;
mod locations;
mod messages;
mod mirror;
mod peers_c;
mod policy;
mod realms;
mod replay;
#[path = "../running/mod.rs"]
mod running;
mod snapshot;
mod stage;
mod turns;
mod verification;
