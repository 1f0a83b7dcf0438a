//! znol: lists where interesting people are, and has the user's windowgram client told when they log in or out (clients, section 4).
//!
//! [`options`] parses the command line, [`names`] reads who is interesting, [`run`] subscribes and asks.

pub mod names;
pub mod options;
pub mod run;

use crate::{messages::Messages, octets, write_help, write_version};
use options::Parsed;
use std::{ffi::OsString, io::Write, process::ExitCode};

/// Runs znol. The exit status is success when all was done.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    // Errors of both outputs are theirs to remember.
    match options::parse(octets(arguments)) {
        Ok(Parsed::Help) => write_help(out, &options::help(program)),
        Ok(Parsed::Version) => write_version(out, "znol"),
        Ok(Parsed::Run(options)) => run::run(&options, out, &mut messages),
        Err(error) => {
            if error.is_of_c() {
                messages.line(&error.to_string());
            }
            let _ = write!(messages.err, "{}", options::usage(program));
            if !error.is_of_c() {
                messages.say(&error.to_string());
            }
            ExitCode::FAILURE
        }
    }
}
