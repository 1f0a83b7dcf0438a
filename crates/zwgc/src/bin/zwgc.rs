//! Shows the notices that a user has subscribed to on the terminal.

use std::{env, io::stderr, process::ExitCode};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zephyr_zwgc::{
    options::{self, Parsed},
    run,
};

fn main() -> ExitCode {
    // Warnings name requested options that have no effect.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(stderr).with_ansi(false).init();
    match options::parse(env::args_os().skip(1)) {
        Some(Parsed::Run(options)) => ExitCode::from(run::run(&options)),
        Some(Parsed::Help) => {
            println!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Some(Parsed::Version) => {
            println!("zwgc (zephyr-rs) {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}
