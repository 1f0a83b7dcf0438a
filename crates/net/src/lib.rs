//! What Zephyr programs need of the machine they run on: the clock, UDP sockets, port numbers, addresses and host names; and
//! drivers, which do what a state machine of `zephyr-engine` wants done.
//!
//! Nothing here knows what a notice is; everything here is what the state machines must not touch.

#![forbid(unsafe_code)]

pub mod address;
pub mod blocking;
pub mod clock;
pub mod host;
pub mod services;
pub mod socket;
