//! The Zephyr server.

use std::process::ExitCode;
use zephyr_daemons::{
    command_line,
    zephyrd::{options::Options, shell},
};

fn main() -> ExitCode {
    match command_line::parse::<Options>("zephyrd") {
        Ok(options) => shell::run(&options),
        Err(status) => status,
    }
}
