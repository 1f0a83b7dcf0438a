//! zephyrd, the Zephyr server, zhm, the host manager, and zephyrctl, with which operators ask the server.
//!
//! Each daemon is a state machine without I/O ([`zephyr_engine`]) and a shell around it, which owns the socket, the clock, the
//! files, the signals and the log.

#![forbid(unsafe_code)]

pub mod admin_protocol;
pub mod logging;
mod notify;
mod plural;
mod private_file;
pub mod settings;
mod signals;
pub mod zephyrctl;
pub mod zephyrd;
pub mod zhm;

pub use zephyr_config::problem;
