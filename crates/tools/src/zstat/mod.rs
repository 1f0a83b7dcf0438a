//! zstat: tells how host managers and servers are (clients, section 7).
//!
//! [`options`] parses the command line, [`run`] asks, [`report`] words the answers.

pub mod options;
pub mod report;
pub mod run;

use crate::messages::Messages;
use options::{Parsed, UsageError};
use std::{
    ffi::OsString,
    io::{Write, stderr},
    os::unix::ffi::OsStringExt as _,
    process::ExitCode,
};
use zephyr_client::terminal;

/// Runs zstat. The exit status is success when all have answered, 1 after a wrong command line, and 255 else.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages { program, err, screen: terminal::screen(&stderr()) };
    // Errors of both outputs are theirs to remember.
    match options::parse(arguments.into_iter().map(OsString::into_vec).collect()) {
        Ok(Parsed::Help) => {
            let _ = write!(out, "{}", options::help());
            ExitCode::SUCCESS
        }
        Ok(Parsed::Version) => {
            let _ = writeln!(out, "zstat (zephyr-rs) {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Parsed::Ask(options)) => run::run(&options, out, &mut messages),
        Err(error @ UsageError::Both) => {
            messages.line(&error.to_string());
            ExitCode::FAILURE
        }
        Err(error) => {
            messages.say(&error.to_string());
            let _ = write!(messages.err, "{}", options::usage());
            ExitCode::FAILURE
        }
    }
}
