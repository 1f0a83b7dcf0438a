//! A machine of its own, whose names, addresses and boots the test decides.

use anyhow::{Context, Result};
use nix::unistd::geteuid;
use std::{env, ffi::OsStr, fs, path::Path, process::Command, time::Duration};
use tempfile::TempDir;
use zephyr_testkit::{
    bins,
    name_server::{NameServer, Zone},
    process::{self, Daemon, Output},
    reference::Namespace,
};

const SETUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Its addresses, beside those of loopback.
pub const ADDRESSES: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
/// Where servers listen there.
pub const SERVERS: [&str; 2] = ["10.77.0.1:2103", "10.77.0.2:2103"];

/// The machine's files stand for the system's in it; the network is its own.
const SETUP: &str = r#"
set -eu
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
for address in $ADDRESSES; do ip addr add "$address/32" dev lo; done
mount --bind "$FOLDER/hosts" /etc/hosts
mount --bind "$FOLDER/resolv.conf" /etc/resolv.conf
mount --bind "$FOLDER/boot_id" /proc/sys/kernel/random/boot_id
# What names servers to the machine that the test runs on.
if [ -e /etc/default/zephyr-clients ]; then mount --bind /dev/null /etc/default/zephyr-clients; fi
hostname host
"#;

/// The machine. All that runs in it ends when it is dropped.
#[derive(Debug)]
pub struct Machine {
    // Dropped in this order.
    namespace: Namespace,
    folder: TempDir,
}

impl Machine {
    /// A machine that knows no name; `None` where none can be made, so that the caller can skip the test: prints why. In
    /// continuous integration (`CI=true`) nothing is skipped.
    ///
    /// # Errors
    /// When it cannot be made, though it should be possible.
    pub fn start() -> Result<Option<Self>> {
        if !geteuid().is_root() && env::var("CI").as_deref() != Ok("true") {
            eprintln!("skipped: only root can make a network of its own");
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix("zephyr-machine-").tempdir()?;
        let machine = Self { namespace: Namespace::new(folder.path())?, folder };
        machine.names(&[])?;
        machine.name_service("")?;
        machine.boots(1)?;
        fs::create_dir(machine.folder().join("etc-zephyr"))?;
        let mut setup = machine.namespace.command("sh");
        setup.args(["-c", SETUP]).env("FOLDER", machine.folder()).env("ADDRESSES", ADDRESSES.join(" "));
        process::run(setup, SETUP_TIMEOUT)?.success().context("cannot furnish the machine")?;
        Ok(Some(machine))
    }

    /// Its private folder, the same inside and outside.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes these lines its `/etc/hosts`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn names(&self, lines: &[&str]) -> Result<()> {
        // Written, not replaced: it is mounted.
        Ok(fs::write(self.folder().join("hosts"), lines.join("\n") + "\n")?)
    }

    /// Makes this its `/etc/resolv.conf`. Empty: there is no name server.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn name_service(&self, configuration: &str) -> Result<()> {
        Ok(fs::write(self.folder().join("resolv.conf"), configuration)?)
    }

    /// Makes this its `/etc/hesiod.conf`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn hesiod(&self, configuration: &str) -> Result<()> {
        Ok(fs::write(self.folder().join("hesiod.conf"), configuration)?)
    }

    /// Starts a real name server at its first address, which knows these zones.
    ///
    /// # Errors
    /// When it does not start; shows what it said.
    pub fn name_server(&self, zones: &[Zone<'_>]) -> Result<NameServer> {
        NameServer::start(&self.namespace, &self.folder().join("named"), ADDRESSES[0].parse()?, zones)
    }

    /// Makes the kernel say that this is the boot of that number.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn boots(&self, number: u32) -> Result<()> {
        Ok(fs::write(self.folder().join("boot_id"), format!("{number:08}-0000-4000-8000-000000000000\n"))?)
    }

    /// A command inside, without anything of the outside's settings.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        command.env("TZ", "UTC").env("ZEPHYR_AUTH", "none").env("HOME", self.folder());
        command.env("KRB5_CONFIG", "/dev/null").env("ZWGC_FORMAT", "labelled").env_remove("RUST_LOG");
        command.env("HESIOD_CONFIG", self.folder().join("hesiod.conf"));
        command
    }

    /// Starts our server, listening at this address and port; returns when it serves.
    ///
    /// # Errors
    /// When it does not; shows what it said.
    pub fn zephyrd(&self, label: &str, listen: &str) -> Result<Daemon> {
        self.zephyrd_with(label, listen, &["--hostname", "zephyr.open.test"])
    }

    /// As [`Machine::zephyrd`], with these arguments in place of the host's name.
    ///
    /// # Errors
    /// As [`Machine::zephyrd`].
    pub fn zephyrd_with(&self, label: &str, listen: &str, arguments: &[&str]) -> Result<Daemon> {
        let mut command = self.command(bins::path("zephyrd")?);
        command.args(["-d", "--auth", "none", "-k", "OPEN.TEST"]).args(arguments);
        command.args(["--listen", listen]).arg("--config-dir").arg(self.folder().join("etc-zephyr"));
        self.running(label, command)
    }

    /// Starts our host manager with these arguments; returns when it serves.
    ///
    /// # Errors
    /// When it does not; shows what it said.
    pub fn zhm(&self, label: &str, arguments: &[&str]) -> Result<Daemon> {
        let mut command = self.command(bins::path("zhm")?);
        command.arg("-n").args(arguments).arg("--pid-file").arg(self.folder().join("zhm.pid"));
        command.arg("--config-dir").arg(self.folder().join("etc-zephyr"));
        self.running(label, command)
    }

    /// Runs zwrite inside.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn zwrite(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(bins::path("zwrite")?);
        command.args(arguments);
        process::run(command, crate::person::TIMEOUT)
    }

    /// Starts zwgc with these subscriptions (class, instance, recipient). It never asks whether the server still knows it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn zwgc(&self, subscriptions: &[(&str, &str, &str)]) -> Result<Daemon> {
        let line = |(class, instance, recipient): &(&str, &str, &str)| format!("{class},{instance},{recipient}\n");
        fs::write(self.folder().join(".zephyr.subs"), subscriptions.iter().map(line).collect::<String>())?;
        let mut command = self.command(bins::path("zwgc")?);
        command.args(["-nofork", "-ttymode"]).env("TERM", "dumb").env("LC_ALL", "C.UTF-8").env("ZEPHYR_CHECK", "0");
        command.env("WGFILE", self.folder().join("wgfile"));
        Daemon::spawn(command, self.folder().join("zwgc.log"))
    }

    fn running(&self, label: &str, command: Command) -> Result<Daemon> {
        let daemon = Daemon::spawn(command, self.folder().join(format!("{label}.log")))?;
        daemon.wait_for(crate::person::TIMEOUT, |line| line.contains(crate::stack::READY))?;
        Ok(daemon)
    }
}
