//! Tells who uses this machine that it will be shut down (clients, section 8).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zshutdown_notify", zephyr_tools::zshutdown_notify::main)
}
