//! The rows of the semantics table with verification on worker threads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

/// Threads that verify proofs.
const VERIFY_THREADS: usize = 3;

#[path = "memory.rs"]
mod transport;

mod acl;
mod bounds;
mod closed_ports;
mod control;
mod delivery;
mod fairness;
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
mod stage;
