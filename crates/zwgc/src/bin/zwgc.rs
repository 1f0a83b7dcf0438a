//! Shows the notices that a user has subscribed to on the terminal.

use std::{
    env,
    io::{IsTerminal as _, stderr},
    process::ExitCode,
};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use zephyr_client::terminal::Messages;
use zephyr_output::complain;
use zephyr_zwgc::{
    background, check,
    options::{self, Parsed},
    run,
};

fn main() -> ExitCode {
    log_to_stderr();
    match options::parse(env::args_os().skip(1)) {
        Ok(Parsed::Run(options)) if background::is_wanted(&options) => ExitCode::from(background::start()),
        Ok(Parsed::Run(options)) => ExitCode::from(run::run(&options)),
        Ok(Parsed::Check(description)) => check::run(&description),
        Ok(Parsed::Help) => print(options::HELP),
        Ok(Parsed::Version) => print(concat!("zwgc (zephyr-rs) ", env!("CARGO_PKG_VERSION"))),
        Err(error) => {
            complain!("{}", options::USAGE);
            // Scripts know the usage; people want to know what is wrong.
            if stderr().is_terminal() {
                complain!("zwgc: {error} (zwgc --help tells more)");
            }
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    zephyr_output::exit_status("zwgc", zephyr_output::print(format!("{text}\n")), ExitCode::SUCCESS)
}

/// Says on standard error what is worth a warning: as messages of the program, or, when `RUST_LOG` selects what is wanted, as the
/// lines of a log.
fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_ansi(false);
    match EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).try_from_env() {
        Ok(filter) => log.with_env_filter(filter).with_writer(zephyr_output::log).init(),
        Err(_) => {
            let log = log.with_max_level(LevelFilter::WARN).without_time().with_level(false).with_target(false);
            log.with_writer(|| Messages { program: "zwgc" }).init();
        }
    }
}
