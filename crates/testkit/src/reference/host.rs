//! A machine on a local network: a name, an address, files and a syslog of its own, and a cable that can be pulled.

use super::{Namespace, syslog::Syslog};
use crate::{
    place::Place,
    process::{self, Daemon},
    realm::Realm,
    transcript::Transcript,
    user::User,
};
use anyhow::{Context, Result};
use std::{
    ffi::OsStr,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// A hardware address that nobody has.
const NOBODY: &str = "02:00:00:00:00:ff";

/// A machine. All that runs on it ends when it is dropped.
#[derive(Debug)]
pub struct Host {
    // Dropped in this order.
    namespace: Namespace,
    syslog: Syslog,
    folder: TempDir,
    name: String,
    address: Ipv4Addr,
    switch: Place,
}

impl Host {
    /// A machine that is connected with nothing yet.
    pub(crate) fn furnish(name: &str, address: Ipv4Addr, hosts: &str, switch: Place) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zephyr-host-").tempdir()?;
        fs::write(folder.path().join("hosts"), hosts)?;
        fs::write(folder.path().join("server.list"), "")?;
        fs::create_dir(folder.path().join("homes"))?;
        let (namespace, syslog) = super::furnish(folder.path(), name.split('.').next().unwrap_or(name), "")?;
        Ok(Self { namespace, syslog, folder, name: name.to_owned(), address, switch })
    }

    /// Lays the cable to the switch.
    pub(crate) fn join(&self) -> Result<()> {
        let holder = self.namespace.holder().to_string();
        let port = self.port();
        let cable = ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &holder];
        self.at_switch(&cable)?;
        self.at_switch(&["link", "set", &port, "master", "switch", "up"])?;
        let script = "PATH=$PATH:/usr/sbin:/sbin; ip addr add $ADDRESS/24 dev eth0; ip link set eth0 up";
        self.namespace.script(script, &[("ADDRESS", &self.address.to_string())])
    }

    /// The machine's full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its private directory, the same inside and outside.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is `/etc/zephyr` on it.
    pub fn etc_zephyr(&self) -> PathBuf {
        self.folder().join("etc-zephyr")
    }

    /// Its namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What its programs write to the syslog: the only output of the C daemons.
    pub fn syslog(&self) -> &Transcript {
        self.syslog.transcript()
    }

    /// Makes it a machine of this realm: programs find the realm's KDC.
    ///
    /// # Errors
    ///
    /// When its files cannot be written.
    pub fn enrol(&self, realm: &Realm) -> Result<()> {
        // Written, not replaced: it is mounted.
        fs::copy(realm.krb5_conf(), self.folder().join("krb5.conf")).map(drop).context("cannot write krb5.conf")
    }

    /// Gives it the keys of the realm's Zephyr service.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn entrust(&self, realm: &Realm) -> Result<()> {
        let keytab = self.etc_zephyr().join("krb5.keytab");
        fs::copy(realm.service_keytab(), keytab).map(drop).context("cannot write krb5.keytab")
    }

    /// A command on it, in the environment of a server of this realm (see [`Realm::env`]). Paths must be absolute.
    pub fn command(&self, realm: &Realm, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        command.envs(realm.env()).env("TZ", "UTC").env_remove("RUST_LOG");
        command.env("KRB5_KTNAME", format!("FILE:{}", self.etc_zephyr().join("krb5.keytab").display()));
        command.env("KRB5CCNAME", format!("FILE:{}", self.folder().join("no-tickets").display()));
        command
    }

    /// A user of the realm at this machine, with a home directory here and a fresh ticket.
    ///
    /// # Errors
    ///
    /// When the KDC gives none.
    pub fn login(&self, realm: &Realm, name: &str) -> Result<User> {
        let home = self.folder().join("homes").join(name);
        fs::create_dir_all(&home)?;
        let user = User::new(name, realm.name(), home, realm.krb5_conf(), self.namespace.place());
        realm.kinit(&user, None)?;
        Ok(user)
    }

    /// Starts a program as a daemon; returns when the UDP port is open on this machine. `label` names its log file.
    ///
    /// # Errors
    ///
    /// When the port is not open in time; contains the program's output and the syslog.
    pub fn spawn_at_port(&self, label: &str, command: Command, port: u16) -> Result<Daemon> {
        let daemon = Daemon::spawn(command, self.folder().join(format!("{label}.log")))?;
        self.namespace.wait_for_udp(port, START_TIMEOUT).with_context(|| {
            let (said, syslog) = (daemon.transcript().text(), self.syslog().text());
            format!("{label} at {} does not serve; it said:\n{said}\nand the syslog:\n{syslog}", self.name)
        })?;
        Ok(daemon)
    }

    /// Pulls the cable: what is sent to it and by it is lost, and nobody is told.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn unplug(&self) -> Result<()> {
        self.at_switch(&["link", "set", &self.port(), "nomaster"])
    }

    /// Puts the cable back.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn plug_in(&self) -> Result<()> {
        self.at_switch(&["link", "set", &self.port(), "master", "switch"])
    }

    /// Takes its address away, as when a network is left: nothing can be sent, and its programs are told. [`Host::address`] stays the one
    /// that belongs to its name.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn leave_network(&self) -> Result<()> {
        self.ip(&["addr", "flush", "dev", "eth0"])
    }

    /// Gives it an address, as when a network is joined; one that no other machine has.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn join_network(&self, address: Ipv4Addr) -> Result<()> {
        self.ip(&["addr", "add", &format!("{address}/24"), "dev", "eth0"])
    }

    /// Switches its interface off, and on again with the address that it has.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn set_link(&self, is_up: bool) -> Result<()> {
        self.ip(&["link", "set", "eth0", if is_up { "up" } else { "down" }])
    }

    /// Loses all that this machine and the other send each other, and nothing else. Neither is told.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn part_from(&self, other: &Self) -> Result<()> {
        for (here, there) in [(self, other), (other, self)] {
            let there = there.address.to_string();
            here.ip(&["neigh", "replace", &there, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0"])?;
        }
        Ok(())
    }

    /// Undoes [`Host::part_from`].
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn meet(&self, other: &Self) -> Result<()> {
        for (here, there) in [(self, other), (other, self)] {
            here.ip(&["neigh", "del", &there.address.to_string(), "dev", "eth0"])?;
        }
        Ok(())
    }

    fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(self.namespace.place(), arguments)
    }

    fn at_switch(&self, arguments: &[&str]) -> Result<()> {
        ip(self.switch, arguments)
    }

    /// The name of the switch's end of the cable.
    fn port(&self) -> String {
        format!("to-{}", self.address.octets().last().copied().unwrap_or_default())
    }
}

fn ip(place: Place, arguments: &[&str]) -> Result<()> {
    let mut command = place.command("ip");
    command.args(arguments);
    process::run(command, START_TIMEOUT)?.success().map(drop)
}
