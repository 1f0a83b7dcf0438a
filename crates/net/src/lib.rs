//! The system's network and clock: UDP sockets, port numbers, addresses and host names; and the drivers that run a
//! state machine on them.
//!
//! Nothing here knows what a notice is; everything here is what the machines of `zephyr-engine` must not touch.

#![forbid(unsafe_code)]

pub mod address;
pub mod batch;
pub mod blocking;
pub mod clock;
pub mod datagram;
pub mod driver;
pub mod host;
pub mod lookup;
pub mod network_watch;
pub mod services;
pub mod socket;
pub mod socket_owner;
