//! Whether a lab can be started on this machine.

use super::{Lab, LabOptions};
use crate::{packages, process};
use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use std::{env, process::Command, time::Duration};

const TRIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks whether a lab can be started on this machine.
///
/// # Errors
///
/// The reason, with the command that installs missing packages.
pub fn available() -> Result<()> {
    let wanted = [packages::REFERENCE, packages::KDC, packages::KERBEROS_CLIENT].concat();
    if let Some(line) = packages::install_line(&packages::missing(&wanted)) {
        bail!("the C programs need packages that are missing: {line}");
    }
    if !geteuid().is_root() {
        bail!("the C programs need a network of their own, which only root can make");
    }
    let mut trial = Command::new("unshare");
    trial.args(["--net", "--mount", "--uts", "--", "true"]);
    process::run(trial, TRIAL_TIMEOUT)?.success().context("this system makes no namespaces").map(drop)
}

/// Whether tests that need the C programs are skipped, because they cannot run here: prints why. In continuous integration
/// (`CI=true`) that is an error: nothing is skipped there.
///
/// # Errors
///
/// The reason why they cannot run, where they must.
pub fn is_skipped() -> Result<bool> {
    let Err(reason) = available() else { return Ok(false) };
    if env::var("CI").is_ok_and(|value| value == "true") {
        return Err(reason);
    }
    eprintln!("skipped: {reason:#}");
    Ok(true)
}

/// Starts a lab, unless that [is skipped](is_skipped).
///
/// # Errors
///
/// When a lab does not start, or is required and not possible.
pub fn or_skip(options: LabOptions) -> Result<Option<Lab>> {
    if is_skipped()? {
        return Ok(None);
    }
    Lab::start(options).map(Some)
}
