//! What Zephyr programs need of the machine they run on: the clock, UDP sockets, port numbers, addresses and host names.
//!
//! Nothing here knows what a notice is; everything here is what the engines of `zephyr-core`'s users must not touch.

#![forbid(unsafe_code)]

pub mod address;
pub mod clock;
pub mod host;
pub mod services;
pub mod socket;
