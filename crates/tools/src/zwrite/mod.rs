//! zwrite: sends a message (clients, section 1).
//!
//! [`options`] parses the command line, [`message`] makes the body, [`report`] writes the output for
//! people, [`outcome`] for programs, [`run`] sends.

pub mod message;
pub mod options;
pub mod outcome;
pub mod report;
pub mod run;

use crate::{octets, write_help, write_version};
use options::{Defaults, Parsed, UsageError};
use std::{ffi::OsString, io::Write, process::ExitCode};
use zephyr_client::variables::Variables;
use zephyr_core::sanitize;

/// Runs zwrite. The exit status is success when the message was delivered to at least one recipient.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let variables = Variables::read();
    for problem in variables.problems() {
        let _ = writeln!(err, "{program}: {}", sanitize::line(problem.to_string().as_bytes()));
    }
    let arguments = octets(arguments);
    // Errors of both outputs are theirs to remember.
    match options::parse(arguments, &Defaults::from_variables(&variables)) {
        Ok(Parsed::Help) => write_help(out, &options::help(program)),
        Ok(Parsed::Version) => write_version(out, "zwrite"),
        Ok(Parsed::Write(options)) => run::run(program, &options, &variables, out, err),
        Err(error) => {
            if error == UsageError::NoRecipients {
                let _ = writeln!(err, "{error}");
            }
            let _ = write!(err, "{}", options::usage(program));
            // After what C programs print, which does not say it.
            if error != UsageError::NoRecipients {
                let _ = writeln!(err, "{program}: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
