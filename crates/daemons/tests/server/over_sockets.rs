//! The rows of the semantics table over sockets. Hosts are loopback addresses; only the acceptor and the clock are
//! doubles, so that nothing here waits for time to pass.
//!
//! Every row of sections A to H that was observed in a lab runs here as it does in memory, but for these:
//!
//! | rows | why not |
//! |---|---|
//! | S117 | asks another realm |
//! | S122 to S126 | the source is another server of the realm |
//! | sections I and J | two servers or realms |
//! | section K | the host manager's; `smoke` and the host manager's own tests have them |
//!
//! Also not here: the tests of bounds, fairness, policies and attacks, which are no rows, and of deliveries those that
//! fill the server with packets nobody acknowledges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

/// Proofs are verified on the spot.
const VERIFY_THREADS: usize = 0;

#[path = "sockets.rs"]
mod transport;

mod acl;
mod closed_ports;
mod control;
mod delivery;
mod hosts;
mod locations;
mod messages;
mod mirror;
mod stage;
