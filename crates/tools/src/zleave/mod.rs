//! zleave: reminds its user to leave (clients, section 6).
//!
//! [`options`] parses the command line, [`schedule`] says when there is something to be said; [`run`] prepares it and starts, by
//! [`background`], the process that is told its [`state`] and does the [`reminding`]. [`pid_file`] is how the next one finds it.

pub mod background;
pub mod options;
pub mod pid_file;
pub mod reminding;
pub mod run;
pub mod schedule;
pub mod state;

use crate::{messages::Messages, octets, write_help, write_version};
use options::{Parsed, USAGE, UsageError};
use std::{ffi::OsString, io::Write, process::ExitCode};

/// Runs zleave. Success is that there will be reminders, that the running ones are cancelled, or that nothing was typed.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    let arguments = octets(arguments);
    // Errors of both outputs are theirs to remember.
    match options::parse(&arguments) {
        Ok(Parsed::Help) => write_help(out, &options::help()),
        Ok(Parsed::Version) => write_version(out, "zleave"),
        Ok(Parsed::Cancel) => run::cancel(out, &mut messages),
        Ok(Parsed::InBackground) => reminding::run(&mut messages),
        Ok(Parsed::Remind(options)) => run::remind(&options, out, &mut messages),
        Err(error) => usage_error(&error, &mut messages),
    }
}

/// Writes the usage as C does, and then what is wrong.
fn usage_error(error: &UsageError, messages: &mut Messages<'_>) -> ExitCode {
    let _ = write!(messages.err, "{USAGE}");
    messages.say(&error.to_string());
    ExitCode::FAILURE
}
