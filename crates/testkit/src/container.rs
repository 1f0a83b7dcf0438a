//! A KDC that runs in a container.

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

const ENGINE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for building the image: making the base image downloads some 100 MB of packages.
const BUILD_TIMEOUT: Duration = Duration::from_secs(900);

static RESERVED: AtomicU32 = AtomicU32::new(0);

/// Whether a Docker engine of this machine answers (another machine's has another loopback address).
pub fn engine_answers() -> bool {
    let remote = env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty() && !host.starts_with("unix:"));
    let mut command = Command::new("docker");
    command.args(["version", "--format", "{{.Server.Version}}"]);
    !remote && process::run(command, ENGINE_TIMEOUT).is_ok_and(|output| output.status.success())
}

/// The name of the image, which is built if it does not exist yet; that may take some minutes.
///
/// # Errors
///
/// When it can neither be built on Debian's image nor on a base made here.
pub fn image() -> Result<String> {
    let mut command = Command::new("sh");
    command.arg(Recipe::folder().join("build.sh"));
    let output = process::run(command, BUILD_TIMEOUT)?.success().context("the KDC's image cannot be built")?;
    Ok(output.stdout.trim().to_owned())
}

/// The name of a container, which is removed by force when dropped.
///
/// The KDC ends when its lifeline does, and `--rm` removes the container then; this is for the case
/// that it did not.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
}

impl Container {
    /// A unique name on this machine: process ID and a count.
    pub(crate) fn reserve() -> Self {
        let count = RESERVED.fetch_add(1, Ordering::Relaxed);
        Self { name: format!("zephyr-kdc-{}-{count}", std::process::id()) }
    }

    /// The command that creates the realm in `folder` and runs its KDC. `folder` has the same path
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

    /// A command that runs in the container, with `environment`.
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
        let _ = process::run(command, ENGINE_TIMEOUT);
    }
}
