//! Tells where users are logged in (clients, section 3).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zlocate", zephyr_tools::zlocate::main)
}
