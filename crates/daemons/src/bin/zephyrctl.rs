//! What operators ask a Zephyr server with.

use clap::Parser;
use std::process::ExitCode;
use zephyr_daemons::zephyrctl::{self, options::Options};

fn main() -> ExitCode {
    zephyrctl::run(&Options::parse())
}
