//! The Zephyr server.

use clap::Parser;
use std::process::ExitCode;
use zephyr_daemons::zephyrd::{options::Options, shell};

fn main() -> ExitCode {
    shell::run(&Options::parse())
}
