//! The daemons of either make in a lab.

use crate::{
    person::{Make, TIMEOUT},
    stack::READY,
};
use anyhow::Result;
use zephyr_testkit::{
    bins,
    process::Daemon,
    reference::{HOST_MANAGER_PORT, Lab, SERVER_PORT},
};

/// Starts a server; returns when it serves.
///
/// # Errors
/// When it does not in time.
pub fn start_server(lab: &Lab, make: Make) -> Result<Daemon> {
    if make == Make::C {
        return lab.start_c_zephyrd();
    }
    let mut command = lab.command(bins::path("zephyrd")?);
    command.arg("-n");
    ready(lab.spawn_at_port("zephyrd", command, SERVER_PORT)?)
}

/// Starts a host manager of the lab's server; returns when it runs, ours when it has found its server.
///
/// # Errors
/// When it does not in time.
pub fn start_host_manager(lab: &Lab, make: Make) -> Result<Daemon> {
    if make == Make::C {
        return lab.start_c_zhm();
    }
    let mut command = lab.command(bins::path("zhm")?);
    command.args(["-n", lab.host_name()]);
    let zhm = ready(lab.spawn_at_port("zhm", command, HOST_MANAGER_PORT)?)?;
    zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
    Ok(zhm)
}

fn ready(daemon: Daemon) -> Result<Daemon> {
    daemon.wait_for(TIMEOUT, |line| line.contains(READY))?;
    Ok(daemon)
}
