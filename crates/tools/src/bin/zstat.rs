//! Tells how host managers and servers are (clients, section 7).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zstat", zephyr_tools::zstat::main)
}
