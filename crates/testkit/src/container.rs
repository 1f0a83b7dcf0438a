//! The KDC as a container.

use crate::{process, recipe::Recipe};
use anyhow::{Context, Result};
use nix::unistd::{getgid, getuid};
use std::{
    env,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const ANSWER: Duration = Duration::from_secs(10);

/// Making the base image downloads some 100 MB of packages.
const BUILD: Duration = Duration::from_secs(900);

static STARTED: AtomicU32 = AtomicU32::new(0);

/// Whether a Docker engine of this machine answers (another machine's has another loopback address).
pub fn engine_answers() -> bool {
    let remote = env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty() && !host.starts_with("unix:"));
    let mut command = Command::new("docker");
    command.args(["version", "--format", "{{.Server.Version}}"]);
    !remote && process::run(command, ANSWER).is_ok_and(|output| output.status.success())
}

/// The name of the image, which is built if it is not there yet; that may take some minutes.
///
/// # Errors
/// When it can neither be built on Debian's image nor on a base made here.
pub fn image() -> Result<String> {
    let mut command = Command::new("sh");
    command.arg(Recipe::folder().join("build.sh"));
    let output = process::run(command, BUILD)?.success().context("the KDC's image cannot be built")?;
    Ok(output.stdout.trim().to_owned())
}

/// A name for one container, removed by force when dropped.
///
/// The KDC ends when its lifeline does, and `--rm` removes the container then; this is for the case
/// that it did not.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
}

impl Container {
    /// A name nobody else on this machine uses: process number and a count.
    pub(crate) fn reserve() -> Self {
        let count = STARTED.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("zephyr-kdc-{}-{count}", std::process::id()) }
    }

    /// The command that makes the realm in `folder` and becomes its KDC. `folder` has the same path
    /// inside and outside, and its files belong to us.
    pub(crate) fn launch(&self, image: &str, recipe: &Recipe, folder: &Path) -> Command {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--interactive", "--network=host", "--name", &self.name]);
        command.arg(format!("--user={}:{}", getuid(), getgid()));
        command.arg(format!("--volume={0}:{0}", folder.display()));
        for (name, value) in recipe.environment() {
            command.arg(format!("--env={name}={value}"));
        }
        command.arg(image);
        command
    }

    /// A command to be run inside, with `environment`.
    pub(crate) fn command(&self, program: &str, environment: &[(&'static str, String)]) -> Command {
        let mut command = Command::new("docker");
        command.arg("exec");
        for (name, value) in environment {
            command.arg(format!("--env={name}={value}"));
        }
        command.args([&self.name, program]);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut command = Command::new("docker");
        command.args(["rm", "--force", &self.name]);
        // Most often it is gone already.
        let _ = process::run(command, ANSWER);
    }
}
