//! The rows of the semantics table once more, over sockets: the whole server with its loop and its socket, and hosts that
//! are loopback addresses. Only who judges and the clock are doubles, so that nothing here waits for time to pass.
//!
//! Every row of sections A to H that was observed in a lab runs here as it does with an engine alone, but for these:
//!
//! | rows | why not |
//! |---|---|
//! | S117 | asks another realm |
//! | S122 to S126 | the source is another server of the realm |
//! | sections I and J | two servers or realms |
//! | section K | the host manager's; `smoke` and `zhm_engine` have them |
//!
//! Also not here: the tests of `zephyrd_bounds`, `zephyrd_fairness`, `zephyrd_policy` and `attacks`, which are no rows, and
//! of `zephyrd_delivery` those that fill the server with packets nobody acknowledges: how fast those leave is decided by
//! real time and the size of the socket's buffer.

#![allow(clippy::duplicate_mod, reason = "every file of rows brings a stage of its own, with what it adds to it")]

#[path = "zephyrd_acl.rs"]
mod acl;
#[path = "zephyrd_control.rs"]
mod control;
#[path = "zephyrd_delivery.rs"]
mod delivery;
#[path = "zephyrd_hosts.rs"]
mod hosts;
#[path = "zephyrd_locations.rs"]
mod locations;
#[path = "zephyrd_messages.rs"]
mod messages;
