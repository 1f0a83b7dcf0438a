//! zwrite and the other Zephyr commands.
//!
//! Each command is a module; the programs in `bin/` only call it.

#![forbid(unsafe_code)]

pub mod zwrite;

use std::env;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The program's name as typed, with which its messages begin.
pub fn program_name() -> String {
    env::args_os().next().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Sends log lines to standard error: those that `RUST_LOG` selects, by default warnings and errors.
pub fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(zephyr_output::log).with_ansi(false).init();
}
