//! Shows the notices that a user has subscribed to on the terminal.

use std::{env, process::ExitCode};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zephyr_output::complain;
use zephyr_zwgc::{
    options::{self, Parsed},
    run,
};

fn main() -> ExitCode {
    // Warnings name requested options that have no effect.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    log.with_writer(zephyr_output::log).with_ansi(false).init();
    match options::parse(env::args_os().skip(1)) {
        Some(Parsed::Run(options)) => ExitCode::from(run::run(&options)),
        Some(Parsed::Help) => print(options::USAGE),
        Some(Parsed::Version) => print(concat!("zwgc (zephyr-rs) ", env!("CARGO_PKG_VERSION"))),
        None => {
            complain!("{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    zephyr_output::exit_status("zwgc", zephyr_output::print(format!("{text}\n")), ExitCode::SUCCESS)
}
