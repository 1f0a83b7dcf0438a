//! zwrite and the other Zephyr commands.
//!
//! Each command is a module; the programs in `bin/` only call it.

#![forbid(unsafe_code)]

pub mod connection;
pub mod locating;
pub mod messages;
pub mod sending;
pub mod zaway;
pub mod zleave;
pub mod zlocate;
pub mod znol;
pub mod zshutdown_notify;
pub mod zstat;
pub mod zwrite;

use std::env;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zephyr_client::terminal::Messages;

/// The program's name as typed, with which its messages begin.
pub fn program_name() -> String {
    env::args_os().next().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Says on standard error what is worth a warning: as messages of the program, or, when `RUST_LOG` selects what is wanted, as the
/// lines of a log.
pub fn log_to_stderr(program: &'static str) {
    let log = tracing_subscriber::fmt().with_ansi(false);
    match EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).try_from_env() {
        Ok(filter) => log.with_env_filter(filter).with_writer(zephyr_output::log).init(),
        Err(_) => {
            let log = log.with_max_level(LevelFilter::WARN).without_time().with_level(false).with_target(false);
            log.with_writer(move || Messages { program }).init();
        }
    }
}
