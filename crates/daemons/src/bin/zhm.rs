//! The Zephyr host manager.

use std::process::ExitCode;
use zephyr_daemons::{
    command_line,
    zhm::{options::Options, shell},
};

fn main() -> ExitCode {
    match command_line::parse::<Options>("zhm") {
        Ok(options) => shell::run(&options),
        Err(status) => status,
    }
}
