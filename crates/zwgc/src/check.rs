//! A look at a description without starting anything.

use crate::description_file;
use std::{
    io::{stderr, stdout},
    path::Path,
    process::ExitCode,
};
use zephyr_client::terminal;
use zephyr_core::sanitize;
use zephyr_output::complain;
use zephyr_windowgram::language;

/// Says on standard error what is wrong in a description, or on standard output that nothing is; `-` is standard input.
pub fn run(path: &Path) -> ExitCode {
    let name = sanitize::name(path.as_os_str().as_encoded_bytes());
    let text = match description_file::text(path) {
        Ok(Some(text)) => text,
        missing => {
            let reason = missing.map_or_else(|error| error.to_string(), |_| description_file::NOT_FOUND.to_owned());
            complain!("zwgc: error while opening {name} for reading: {reason}");
            return ExitCode::FAILURE;
        }
    };
    match language::parse(&text) {
        Ok(_) => {
            let said = terminal::screen(&stdout()).line(&format!("{name} is right."));
            zephyr_output::exit_status("zwgc", zephyr_output::print(format!("{said}\n")), ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in problems {
                terminal::write_lines(&mut stderr(), &problem.excerpt(&text, &path.to_string_lossy()));
            }
            ExitCode::FAILURE
        }
    }
}
