//! zephyrd, the Zephyr server, and zhm, the host manager.
//!
//! Each is an engine and a shell. The engine is a state machine without I/O: packets, time and commands go in, packets
//! and reportable events come out ([`outbox::Outbox`]). The shell owns the socket, the clock, the files, the signals and
//! the log, and only asks the engine when it wants to be woken.

#![forbid(unsafe_code)]

mod acknowledgement;
pub mod logging;
pub mod outbox;
pub mod problem;
mod sending;
pub mod settings;
mod signals;
pub mod zephyrd;
pub mod zhm;
