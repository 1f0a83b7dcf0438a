//! Administration of a running Zephyr server.

use std::process::ExitCode;
use zephyr_daemons::{
    command_line,
    zephyrctl::{self, options::Options},
};

fn main() -> ExitCode {
    match command_line::parse::<Options>("zephyrctl") {
        Ok(options) => zephyrctl::run(&options),
        Err(status) => status,
    }
}
