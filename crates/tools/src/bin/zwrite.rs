//! Sends a message to a person or to the subscribers of a class (clients, section 1).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zwrite", zephyr_tools::zwrite::main)
}
