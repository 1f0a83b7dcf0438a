//! Command lines, and what `--help`, `--version` and errors in them print.

use clap::Parser;
use std::{
    io::{self, Write},
    process::ExitCode,
};

/// Parses the command line of a program.
///
/// # Errors
///
/// The exit status with which it ends at once: when the line is invalid, and when the help or the version was asked for, which
/// are printed.
pub fn parse<Options: Parser>(program: &str) -> Result<Options, ExitCode> {
    Options::try_parse().map_err(|error| {
        let status = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        let written = error.print();
        if error.use_stderr() {
            // What was wrong cannot be said anywhere then, and the status is that of a failure anyway.
            return status;
        }
        let printed = zephyr_output::judged(written.and_then(|()| io::stdout().flush()));
        zephyr_output::exit_status(program, printed, status)
    })
}
