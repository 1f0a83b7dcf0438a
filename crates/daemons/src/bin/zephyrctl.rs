//! Administration of a running Zephyr server.

use clap::Parser;
use std::process::ExitCode;
use zephyr_daemons::zephyrctl::{self, options::Options};

fn main() -> ExitCode {
    zephyrctl::run(&Options::parse())
}
