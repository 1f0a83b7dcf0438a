//! zlocate: tells where users are logged in (clients, section 3).
//!
//! [`options`] parses the command line, [`report`] writes what was found, [`run`] asks.

pub mod options;
pub mod report;
pub mod run;

use crate::messages::Messages;
use options::Parsed;
use std::{
    ffi::OsString,
    io::{Write, stderr},
    os::unix::ffi::OsStringExt as _,
    process::ExitCode,
};
use zephyr_client::terminal;

/// Runs zlocate. The exit status is success when a user was found and nothing has failed.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages { program, err, screen: terminal::screen(&stderr()) };
    // Errors of both outputs are theirs to remember.
    match options::parse(arguments.into_iter().map(OsString::into_vec).collect()) {
        Ok(Parsed::Help) => {
            let _ = write!(out, "{}", options::help(program));
            ExitCode::SUCCESS
        }
        Ok(Parsed::Version) => {
            let _ = writeln!(out, "zlocate (zephyr-rs) {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
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
