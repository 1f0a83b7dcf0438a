//! Answers messages while its user is away (clients, section 5).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zaway", zephyr_tools::zaway::main)
}
