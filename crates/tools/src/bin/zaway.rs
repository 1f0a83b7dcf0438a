//! Answers messages while its user is away (clients, section 5).

use std::{env, process::ExitCode};
use zephyr_output::Output;

fn main() -> ExitCode {
    zephyr_tools::log_to_stderr("zaway");
    let (program, arguments) = (zephyr_tools::program_name(), env::args_os().skip(1).collect());
    let (mut out, mut err) = (Output::stdout(), Output::stderr());
    let status = zephyr_tools::zaway::main(&program, arguments, &mut out, &mut err);
    let status = zephyr_output::exit_status(&program, out.finish(), status);
    zephyr_output::exit_status(&program, err.finish(), status)
}
