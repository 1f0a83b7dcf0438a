//! The Zephyr host manager.

use clap::Parser;
use std::process::ExitCode;
use zephyr_daemons::zhm::{options::Options, shell};

fn main() -> ExitCode {
    shell::run(&Options::parse())
}
