//! A look at a description without starting anything.

use std::{
    io::{stderr, stdin, stdout},
    path::Path,
    process::ExitCode,
};
use zephyr_client::terminal;
use zephyr_config::file::{self, FileError};
use zephyr_core::sanitize;
use zephyr_output::complain;
use zephyr_windowgram::language;

/// Says on standard error what is wrong in a description, or on standard output that nothing is; `-` is standard input.
pub fn run(path: &Path) -> ExitCode {
    let name = sanitize::name(path.as_os_str().as_encoded_bytes());
    let text = match read(path) {
        Ok(text) => text,
        Err(reason) => {
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

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = if path == Path::new("-") { file::octets_of(stdin()).map(Some) } else { file::octets(path) };
    let text = read.map_err(|error: FileError| error.to_string())?;
    text.ok_or_else(|| "No such file or directory".to_owned())
}
