//! zstat: tells how host managers and servers are (clients, section 7).
//!
//! [`options`] parses the command line, [`run`] asks, [`report`] words the answers.

pub mod options;
pub mod report;
pub mod run;

use crate::{messages::Messages, octets, write_help, write_version};
use options::{Parsed, UsageError};
use std::{ffi::OsString, io::Write, process::ExitCode};

/// Runs zstat. The exit status is success when all have answered, 1 after a wrong command line, and 255 else.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    // Errors of both outputs are theirs to remember.
    match options::parse(octets(arguments)) {
        Ok(Parsed::Help) => write_help(out, &options::help()),
        Ok(Parsed::Version) => write_version(out, "zstat"),
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
