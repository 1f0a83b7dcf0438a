//! zaway: answers messages while its user is away (clients, section 5).
//!
//! [`options`] parses the command line, [`source`] and [`message_file`] find the text for a sender, [`answering`] decides who is
//! answered at all, [`run`] does it.

pub mod answering;
pub mod message_file;
pub mod options;
pub mod run;
pub mod source;

use crate::{messages::Messages, octets, write_help, write_version};
use options::{Parsed, UsageError};
use std::{ffi::OsString, io::Write, process::ExitCode};

/// Runs zaway until a signal ends it, which is success.
pub fn main(program: &str, arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let mut messages = Messages::new(program, err);
    // Errors of both outputs are theirs to remember.
    match options::parse(octets(arguments)) {
        Ok(Parsed::Help) => write_help(out, &options::help(program)),
        Ok(Parsed::Version) => write_version(out, "zaway"),
        Ok(Parsed::Answer(options)) => run::run(&options, &mut messages),
        Err(error) => {
            usage_error(&error, &mut messages);
            ExitCode::FAILURE
        }
    }
}

/// What C programs say of a wrong option: getopt's line, and two of their own.
fn usage_error(error: &UsageError, messages: &mut Messages<'_>) {
    messages.say(&error.to_string());
    if let Some(option) = error.option() {
        messages.line(&format!("Unrecognized option '-{option}'."));
    }
    messages.line(&format!("Try '{} -h' for more information.", messages.program));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &[&str]) -> (String, String, ExitCode) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = main("./zaway", line.iter().map(Into::into).collect(), &mut out, &mut err);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), status)
    }

    #[test]
    fn wrong_options_are_said_as_in_c() {
        let (out, err, status) = said(&["-wz"]);
        assert_eq!((out.as_str(), status), ("", ExitCode::FAILURE));
        assert_eq!(
            err,
            "./zaway: invalid option -- 'z'\nUnrecognized option '-z'.\nTry './zaway -h' for more information.\n"
        );
        let (_, err, _) = said(&["-m"]);
        assert!(err.starts_with("./zaway: option requires an argument -- 'm'\nUnrecognized option '-m'.\n"), "{err}");
        let (_, err, _) = said(&["one", "two"]);
        assert_eq!(err, "./zaway: one file is expected, not also two\nTry './zaway -h' for more information.\n");
    }

    #[test]
    fn help_goes_to_standard_output() {
        let (out, err, status) = said(&["-h"]);
        assert!(out.starts_with("Usage: ./zaway [OPTIONS] [FILE]\n\n  -m STRING "), "{out}");
        assert_eq!((err.as_str(), status), ("", ExitCode::SUCCESS));
        assert!(said(&["--version"]).0.starts_with("zaway (zephyr-rs) "));
    }
}
