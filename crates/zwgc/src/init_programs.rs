//! The programs that the user wants to be run at the start: the Zephyr variable `initprogs` (zwgc, section 2).

use crate::report::report;
use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt as _, process::ExitStatusExt as _},
    process::{Command, ExitStatus},
};
use zephyr_client::system_text;
use zephyr_core::sanitize;

/// Has the shell run this command to its end. That it fails is reported.
pub(crate) async fn run(command: Vec<u8>) {
    let said = tokio::task::spawn_blocking(move || failure(&command, run_to_end(&command))).await;
    if let Ok(Some(line)) = said {
        report(&line);
    }
}

fn run_to_end(command: &[u8]) -> io::Result<ExitStatus> {
    Command::new("/bin/sh").arg("-c").arg(OsStr::from_bytes(command)).status()
}

/// The line about a command that has failed; as in C where it has an exit status.
fn failure(command: &[u8], result: io::Result<ExitStatus>) -> Option<String> {
    let command = sanitize::line(command);
    match result {
        Ok(status) if status.success() => None,
        Ok(status) => Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("zwgc initprog of <{command}> failed with status [{code}]."),
            (None, signal) => {
                format!("zwgc initprog of <{command}> was ended by signal {}.", signal.unwrap_or_default())
            }
        }),
        Err(error) => Some(format!("zwgc initprog of <{command}> failed: {}", system_text(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &str) -> Option<String> {
        failure(command.as_bytes(), run_to_end(command.as_bytes()))
    }

    #[test]
    fn failures_are_said_as_in_c() {
        assert_eq!(said("true; exit 0"), None);
        assert_eq!(said("exit 3").unwrap(), "zwgc initprog of <exit 3> failed with status [3].");
        assert_eq!(said("kill -9 $$").unwrap(), "zwgc initprog of <kill -9 $$> was ended by signal 9.");
    }
}
