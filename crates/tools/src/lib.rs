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

use std::{env, ffi::OsString, io::Write, os::unix::ffi::OsStringExt as _, process::ExitCode};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zephyr_client::terminal;
use zephyr_output::Output;

/// Runs a command with the arguments and the outputs of this process. An output that cannot be written makes its exit status that of a
/// failure.
pub fn run(
    name: &'static str,
    main: impl FnOnce(&str, Vec<OsString>, &mut dyn Write, &mut dyn Write) -> ExitCode,
) -> ExitCode {
    log_to_stderr(name);
    let mut arguments = env::args_os();
    // As typed: messages begin with it.
    let program = arguments.next().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let (mut out, mut err) = (Output::stdout(), Output::stderr());
    let status = main(&program, arguments.collect(), &mut out, &mut err);
    let status = zephyr_output::exit_status(&program, out.finish(), status);
    zephyr_output::exit_status(&program, err.finish(), status)
}

/// Arguments as octets.
fn octets(arguments: Vec<OsString>) -> Vec<Vec<u8>> {
    arguments.into_iter().map(OsString::into_vec).collect()
}

// Errors of the output are its own to remember.

/// Writes the help of a command, which is success.
fn write_help(out: &mut dyn Write, help: &str) -> ExitCode {
    let _ = out.write_all(help.as_bytes());
    ExitCode::SUCCESS
}

/// Writes the version of a command, which is success.
fn write_version(out: &mut dyn Write, command: &str) -> ExitCode {
    let _ = writeln!(out, "{command} (zephyr-rs) {}", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

/// Says on standard error what is worth a warning: as messages of the program, or, when `RUST_LOG` selects what is wanted, as the
/// lines of a log.
fn log_to_stderr(program: &'static str) {
    let log = tracing_subscriber::fmt().with_ansi(false);
    match EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).try_from_env() {
        Ok(filter) => log.with_env_filter(filter).with_writer(zephyr_output::log).init(),
        Err(_) => {
            let log = log.with_max_level(LevelFilter::WARN).without_time().with_level(false).with_target(false);
            log.with_writer(move || terminal::Messages { program }).init();
        }
    }
}
