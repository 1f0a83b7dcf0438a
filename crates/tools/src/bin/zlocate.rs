//! Tells where users are logged in (clients, section 3).

use std::{env, process::ExitCode};
use zephyr_output::Output;

fn main() -> ExitCode {
    zephyr_tools::log_to_stderr("zlocate");
    let (program, arguments) = (zephyr_tools::program_name(), env::args_os().skip(1).collect());
    let (mut out, mut err) = (Output::stdout(), Output::stderr());
    let status = zephyr_tools::zlocate::main(&program, arguments, &mut out, &mut err);
    let status = zephyr_output::exit_status(&program, out.finish(), status);
    zephyr_output::exit_status(&program, err.finish(), status)
}
