//! System packages: installed where we may, asked for where we may not.

use crate::cargo::step;
use anyhow::{Result, bail};
use nix::unistd::Uid;
use std::{path::Path, process::Command};
use zephyr_testkit::packages::{Package, install_line, missing};

/// Sees to it that all of `wanted` is installed.
pub(crate) fn ensure(wanted: &[&[Package]]) -> Result<()> {
    let lacking = missing(&wanted.concat());
    let Some(line) = install_line(&lacking) else { return Ok(()) };
    let may = Uid::effective().is_root() && Path::new("/usr/bin/apt-get").exists();
    if !may {
        bail!("system packages are missing. Install them, then try again:\n    sudo {line}");
    }
    let mut update = Command::new("apt-get");
    update.args(["update", "-qq"]);
    step("refreshing the list of system packages", update)?;
    let mut arguments = line.split(' ');
    let mut install = Command::new(arguments.next().unwrap_or("apt-get"));
    install.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    step("installing system packages", install)?;
    match install_line(&missing(&lacking)) {
        Some(line) => bail!("still missing after installation: {line}"),
        None => Ok(()),
    }
}
