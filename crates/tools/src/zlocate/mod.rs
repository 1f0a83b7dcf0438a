//! zlocate: tells where users are logged in (clients, section 3).
//!
//! [`options`] parses the command line, [`report`] writes what was found, [`run`] asks.

pub mod options;
pub mod report;
pub mod run;

use crate::{messages::Messages, octets, write_help, write_version};
use options::Parsed;
use std::{ffi::OsString, io::Write, process::ExitCode};

/// Runs zlocate. The exit status is success when a user was found and nothing has failed.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    // Errors of both outputs are theirs to remember.
    match options::parse(octets(arguments)) {
        Ok(Parsed::Help) => write_help(out, &options::help(program)),
        Ok(Parsed::Version) => write_version(out, "zlocate"),
        Ok(Parsed::Locate(options)) => run::run(&options, out, &mut messages),
        Err(error) => {
            // Where C prints it.
            let _ = write!(out, "{}", options::usage(program));
            let _ = out.flush();
            messages.say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
