//! The server's program: its I/O around [`zephyr_engine::server`], its files and its log.
//!
//! * `shell`: the loop with the socket, the clock and the signals
//! * `start`, [`options`], [`configuration`], [`rule_files`]: what it needs before it can begin
//! * [`verifier`]: doing the server's verification jobs; [`subscriber`]: who listens to its events
//! * `log_lines`, `metrics`, `inspect`, `listeners`: what it tells about itself, and to whom

pub mod configuration;
mod connections;
mod dump_signal;
pub mod inspect;
pub mod io_counters;
mod listeners;
mod log_lines;
mod metrics;
pub mod options;
mod own_host;
pub mod published_counters;
pub mod rule_files;
pub mod shell;
pub mod start;
pub mod subscriber;
pub mod verifier;
