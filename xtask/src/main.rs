//! The project's own commands: `cargo xtask demo | test | vectors | zwgc-vectors | completions | costs | fuzz`.
//!
//! This program must build on a machine that has nothing but cargo and a C linker: it installs, or asks for, what the
//! rest of the project needs, and only then builds that.

mod cargo;
mod completions;
mod demo;
mod fuzz;
mod interrupt;
mod setup;
mod test;
mod zwgc_vectors;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// The project's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the stack at work in a throw-away realm, and take it down again.
    Demo(demo::Options),
    /// Install what is needed, build, and run every check and test.
    Test(test::Options),
    /// Run golden vectors: the project's own, or those of a folder.
    Vectors {
        /// A folder with vector files.
        dir: Option<PathBuf>,
    },
    /// Compare what a windowgram client writes with what the released one does.
    ZwgcVectors(zwgc_vectors::Options),
    /// Write the completions of the commands anew, of what their help says.
    Completions,
    /// Count the instructions that each kind of packet costs, and fail when one costs over ten times a plain one.
    Costs {
        /// Only packets with this in their names.
        word: Option<String>,
    },
    /// Feed made-up data to every decoder.
    Fuzz {
        /// How long, for each decoder.
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let outcome = interrupt::watch().and_then(|()| run(Arguments::parse().command));
    match outcome {
        _ if interrupt::came() => {
            eprintln!("Interrupted; everything that was started is stopped.");
            ExitCode::from(130)
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Vectors { dir } => test::vectors(dir),
        Command::ZwgcVectors(options) => zwgc_vectors::run(&options),
        Command::Completions => completions::write().and_then(|()| completions::check()),
        Command::Costs { word } => test::costs(word.as_deref()),
        Command::Fuzz { seconds } => fuzz::run(seconds),
    }
}
