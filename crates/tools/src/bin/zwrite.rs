//! Sends a message to a person or to the subscribers of a class (clients, section 1).

use std::{
    env,
    io::{stderr, stdout},
    process::ExitCode,
};

fn main() -> ExitCode {
    zephyr_tools::log_to_stderr("zwrite");
    let arguments = env::args_os().skip(1).collect();
    zephyr_tools::zwrite::main(&zephyr_tools::program_name(), arguments, &mut stdout(), &mut stderr())
}
