//! Runs cargo and other programs, and says which.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// The project's top folder.
pub(crate) fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A cargo command in the project's top folder.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(top()).args(arguments);
    // Set by the cargo that runs us, and of no concern to the one that we run.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has(subcommand: &str) -> bool {
    let mut command = cargo([subcommand, "--version"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs one step to its end, its output going where ours goes.
pub(crate) fn step(title: &str, mut command: Command) -> Result<()> {
    println!("── {title}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{title}: cannot start {:?}", command.get_program()))?;
    if interrupt::came() {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("{title}: {status}");
    }
    println!("── {title}: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
