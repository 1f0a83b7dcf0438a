//! zephyrd, the Zephyr server, zhm, the host manager, and zephyrctl, with which operators ask the server.
//!
//! Each daemon is an engine and a shell. The engine is a state machine without I/O: packets, time and commands go in, packets
//! and reportable events come out ([`zephyr_engine::outbox::Outbox`]). The shell owns the socket, the clock, the files, the
//! signals and the log, and only asks the engine when it wants to be woken.

#![forbid(unsafe_code)]

pub mod admin_protocol;
pub mod logging;
mod notify;
mod plural;
mod private_file;
mod sending;
pub mod settings;
mod signals;
pub mod zephyrctl;
pub mod zephyrd;
pub mod zhm;

pub use zephyr_config::problem;
