//! znol: lists where interesting people are, and has the user's windowgram client told when they log in or out (clients, section 4).
//!
//! [`options`] parses the command line, [`names`] reads who is interesting, [`run`] subscribes and asks.

pub mod names;
pub mod options;
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

/// Runs znol. The exit status is success when all was done.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages { program, err, screen: terminal::screen(&stderr()) };
    // Errors of both outputs are theirs to remember.
    match options::parse(arguments.into_iter().map(OsString::into_vec).collect()) {
        Ok(Parsed::Help) => {
            let _ = write!(out, "{}", options::help(program));
            ExitCode::SUCCESS
        }
        Ok(Parsed::Version) => {
            let _ = writeln!(out, "znol (zephyr-rs) {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
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
