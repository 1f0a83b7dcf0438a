//! Reminds its user to leave (clients, section 6).

use std::process::ExitCode;

fn main() -> ExitCode {
    zephyr_tools::run("zleave", zephyr_tools::zleave::main)
}
