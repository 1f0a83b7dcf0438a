//! A private machine: new network, mount and UTS namespaces.

use crate::{
    deadline::wait_until,
    place::Place,
    process::{self, Daemon},
};
use anyhow::{Context, Result};
use std::{ffi::OsStr, fs, path::Path, process::Command, time::Duration};

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Namespaces and the process that holds them. When dropped, every process in the network namespace
/// is killed; the same happens when we are killed ourselves.
#[derive(Debug)]
pub struct Namespace {
    holder: Daemon,
}

impl Namespace {
    /// Creates the namespaces. Needs root.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn new(folder: &Path) -> Result<Self> {
        let outside = fs::read_link("/proc/self/ns/net").context("no network namespaces here")?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--uts", "--propagation", "private", "--"]);
        command.args(["sh", "-c", include_str!("holder.sh"), "holder"]).arg(outside);
        let holder = Daemon::spawn_with_lifeline(command, folder.join("holder.log"))?;
        holder.wait_for(START_TIMEOUT, |line| line == "ready")?;
        Ok(Self { holder })
    }

    /// The ID of the process that holds the namespaces.
    pub fn holder(&self) -> u32 {
        self.holder.pid()
    }

    /// A command that runs `program` inside, as root, in the root directory.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.place().command(program)
    }

    pub(crate) fn place(&self) -> Place {
        Place::Namespace(self.holder())
    }

    /// Waits until the UDP port is open inside.
    ///
    /// # Errors
    ///
    /// When it is not open in time.
    pub fn wait_for_udp(&self, port: u16, within: Duration) -> Result<()> {
        let table = format!("/proc/{}/net/udp", self.holder());
        wait_until(&format!("UDP port {port} opened"), within, || {
            let sockets = fs::read_to_string(&table)?;
            Ok(sockets.lines().skip(1).any(|line| local_port(line) == Some(port)).then_some(()))
        })
    }

    /// The IDs of the processes inside, the holder among them.
    ///
    /// # Errors
    ///
    /// When the namespace is gone.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net"));
        let own = namespace(self.holder())?;
        let all = fs::read_dir("/proc")?.flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(numbers.filter(|pid| namespace(*pid).is_ok_and(|its| its == own)).collect())
    }

    /// Runs a shell script inside, stopping at its first failure.
    pub(crate) fn script(&self, script: &str, environment: &[(&str, &str)]) -> Result<()> {
        let mut command = self.command("sh");
        command.args(["-c", script]).envs(environment.iter().copied());
        process::run(command, START_TIMEOUT)?.success().map(drop)
    }
}

/// The local port in a line of /proc/net/udp: `  12: 0100007F:0837 00000000:0000 07 …`.
fn local_port(line: &str) -> Option<u16> {
    let local = line.split_whitespace().nth(1)?;
    u16::from_str_radix(local.split_once(':')?.1, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_the_kernels_table_of_sockets() {
        let line = "  1: 0100007F:0837 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0";
        assert_eq!(local_port(line), Some(2103));
        assert_eq!(local_port("nonsense"), None);
    }
}
