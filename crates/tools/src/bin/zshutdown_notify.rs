//! Tells who uses this machine that it will be shut down (clients, section 8).

use std::{env, process::ExitCode};
use zephyr_output::Output;

fn main() -> ExitCode {
    zephyr_tools::log_to_stderr("zshutdown_notify");
    let (program, arguments) = (zephyr_tools::program_name(), env::args_os().skip(1).collect());
    let (mut out, mut err) = (Output::stdout(), Output::stderr());
    let status = zephyr_tools::zshutdown_notify::main(&program, arguments, &mut out, &mut err);
    let status = zephyr_output::exit_status(&program, out.finish(), status);
    zephyr_output::exit_status(&program, err.finish(), status)
}
