//! The server's program: its I/O around [`zephyr_engine::server`], its files and its log.
//!
//! * `shell`: the loop with the socket, the clock and the signals
//! * `start`, [`options`], [`configuration`], [`rule_files`], `server_list`, `peer_names`, `stray_files`, `host_name`, `dump_file`:
//!   what it needs before it can begin
//! * [`realms`]: the other realms that it talks with
//! * [`verifier`]: doing the server's verification jobs; [`subscriber`]: who listens to its events
//! * `kept_state`: what it knows, in a file
//! * [`streams`]: connections with the realm's other servers
//! * `log_lines`, `metrics`, `inspect`, `listeners`: what it tells about itself, and to whom

pub mod configuration;
mod connections;
mod dump_file;
mod dump_signal;
mod host_name;
pub mod inspect;
pub mod io_counters;
mod kept_state;
mod listeners;
mod log_lines;
mod metrics;
pub mod options;
mod peer_jobs;
mod peer_names;
pub mod published_counters;
pub mod realms;
pub mod rule_files;
mod server_list;
pub mod shell;
pub(crate) mod start;
mod stray_files;
pub mod streams;
pub mod subscriber;
pub mod verifier;
