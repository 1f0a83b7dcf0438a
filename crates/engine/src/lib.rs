//! The Zephyr server, host manager and client as state machines.
//!
//! No machine does I/O, reads a clock, blocks or calls back. The program around it, its *driver*, owns the sockets, the clock,
//! the files and the threads; [`machine`] says how the two talk, and how a driver's loop looks.

#![forbid(unsafe_code)]

mod acknowledgement;
mod change_pacer;
pub mod client;
pub mod host_manager;
pub mod level;
pub mod machine;
pub mod plural;
pub mod server;
