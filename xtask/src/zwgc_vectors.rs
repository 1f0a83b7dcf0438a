//! What a windowgram client writes, compared with what the released one does.

use crate::{
    cargo::{cargo, step},
    interrupt, setup,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{path::PathBuf, process::Command};
use zephyr_testkit::{bins, packages};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// A folder with cases; the project's own by default.
    dir: Option<PathBuf>,
    /// Another program than our zwgc.
    #[arg(long, value_name = "PROGRAM")]
    zwgc: Option<PathBuf>,
    /// Only cases with these names or numbers.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
}

/// Builds all that takes part, and runs the cases.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(&[packages::BUILD, packages::KERBEROS_CLIENT, packages::KDC, packages::REFERENCE])?;
    step("building what runs", cargo(["build", "--quiet", "--workspace", "--bins", "--locked"]))?;
    let mut command = Command::new(bins::path("zwgc-vectors")?);
    command.args(&options.dir);
    if let Some(program) = &options.zwgc {
        command.arg("--zwgc").arg(program);
    }
    for name in &options.only {
        command.arg("--only").arg(name);
    }
    // Its own last line is the result.
    let status = command.status().context("cannot start zwgc-vectors")?;
    if interrupt::came() {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("zwgc vectors: {status}");
    }
    Ok(())
}
