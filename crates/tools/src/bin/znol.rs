//! Tells of people who log in and out (clients, section 4).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("znol", zephyr_tools::znol::main)
}
