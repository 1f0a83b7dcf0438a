//! Shows the notices that somebody has subscribed to, on the terminal.

use std::{env, io::stderr, process::ExitCode};
use tracing_subscriber::EnvFilter;
use zephyr_zwgc::{
    options::{self, Parsed},
    run,
};

fn main() -> ExitCode {
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
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
