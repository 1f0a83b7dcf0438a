//! zwrite and the other Zephyr commands.
//!
//! Each command is a room of its own; the programs in `bin/` only call it.

#![forbid(unsafe_code)]

pub mod zwrite;

use std::{env, io::stderr};

/// The program's name as it was typed, which its messages begin with.
pub fn program_name() -> String {
    env::args_os().next().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Sends log lines to standard error; `RUST_LOG` says which.
pub fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
    log.with_writer(stderr).with_ansi(false).init();
}
