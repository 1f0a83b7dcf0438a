//! A lab: a machine with a Kerberos realm and the configuration files that the C programs need.

use super::{Namespace, syslog::Syslog};
use crate::{
    deadline::wait_until,
    process::{Daemon, run},
    realm::{Realm, RealmOptions},
    transcript::Transcript,
    user::User,
};
use anyhow::{Context, Result};
use std::{ffi::OsStr, fmt::Write as _, fs, net::Ipv4Addr, path::Path, process::Command, time::Duration};
use tempfile::TempDir;

/// The port of zephyrd (`zephyr-clt`).
pub const SERVER_PORT: u16 = 2103;
/// The port of zhm (`zephyr-hm`).
pub const HOST_MANAGER_PORT: u16 = 2104;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The options of a lab. Start from [`LabOptions::default`], which suits the C programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabOptions {
    /// Its realm. The default has no PAC in tickets: with it, the header of a notice outgrows what
    /// the C programs send.
    pub realm: RealmOptions,
    /// The first part of the machine's name; the rest is the realm's domain.
    pub host: String,
    /// The machine's address. Not a loopback address: the C zhm regards packets from 127.0.0.1 as
    /// those of a client, never of a server.
    pub address: Ipv4Addr,
    /// More addresses of the machine, with the names that belong to them.
    pub more_hosts: Vec<(Ipv4Addr, String)>,
}

impl Default for LabOptions {
    fn default() -> Self {
        let realm = RealmOptions { realm: "ATHENA.TEST".to_owned(), pac: false, ..RealmOptions::default() };
        Self { realm, host: "zsrv".to_owned(), address: Ipv4Addr::new(10, 77, 0, 1), more_hosts: Vec::new() }
    }
}

/// A running lab: a KDC and the programs started in it. All of them end when it is dropped.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: the KDC, then everything else inside, then the files.
    realm: Realm,
    namespace: Namespace,
    syslog: Syslog,
    folder: TempDir,
    host_name: String,
    address: Ipv4Addr,
}

impl Lab {
    /// Creates the machine and starts its KDC. Needs root and the packages of
    /// [`crate::packages::REFERENCE`]; see [`super::available`].
    ///
    /// # Errors
    ///
    /// When any step fails.
    pub fn start(options: LabOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zephyr-lab-").tempdir()?;
        let domain = options.realm.domain.clone().unwrap_or_else(|| options.realm.realm.to_lowercase());
        let host_name = format!("{}.{domain}", options.host);

        let mut hosts = format!("127.0.0.1 localhost\n{} {host_name} {}\n", options.address, options.host);
        let mut addresses = options.address.to_string();
        for (address, name) in &options.more_hosts {
            writeln!(hosts, "{address} {name}")?;
            write!(addresses, " {address}")?;
        }
        fs::write(folder.path().join("hosts"), hosts)?;
        fs::write(folder.path().join("server.list"), format!("{host_name}\n"))?;
        let (namespace, syslog) = super::furnish(folder.path(), &options.host, &addresses)?;

        let realm = Realm::start_in_namespace(namespace.place(), &options.realm)?;
        // Written, not replaced: these two are mounted, or in a mounted directory.
        fs::copy(realm.krb5_conf(), folder.path().join("krb5.conf"))?;
        fs::copy(realm.service_keytab(), folder.path().join("etc-zephyr/krb5.keytab"))?;
        Ok(Self { realm, namespace, syslog, folder, host_name, address: options.address })
    }

    /// The lab's realm. Its tools run inside.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// The namespaces.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The machine's full name.
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// The machine's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The lab's private directory, the same inside and outside; log files go here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The syslog of its programs: the only output of the C daemons.
    pub fn syslog(&self) -> &Transcript {
        self.syslog.transcript()
    }

    /// A command inside, in the environment of a server (see [`Realm::env`]). Paths must be absolute.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.realm.command(program)
    }

    /// A command inside, as a user with a ticket, which is fetched when there is none.
    ///
    /// # Errors
    ///
    /// When the KDC gives no ticket.
    pub fn as_user(&self, name: &str, program: impl AsRef<OsStr>) -> Result<Command> {
        Ok(self.user(name)?.command(program))
    }

    /// A user with a ticket.
    ///
    /// # Errors
    ///
    /// When the KDC gives none.
    pub fn user(&self, name: &str) -> Result<User> {
        let user = self.realm.user(name)?;
        if !user.ccache().exists() {
            self.realm.kinit(&user, None)?;
        }
        Ok(user)
    }

    /// Starts any program inside as a daemon; `label` names its log file.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(&self, label: &str, command: Command) -> Result<Daemon> {
        Daemon::spawn(command, self.folder().join(format!("{label}.log")))
    }

    /// Starts the C zephyrd; returns when its port is open.
    ///
    /// # Errors
    ///
    /// When the port is not open in time; contains the syslog.
    pub fn start_c_zephyrd(&self) -> Result<Daemon> {
        let mut command = self.command("/usr/sbin/zephyrd");
        command.args(["-n", "-d"]);
        self.spawn_at_port("c-zephyrd", command, SERVER_PORT)
    }

    /// Starts the C zhm for the server on this machine; returns when its port is open.
    ///
    /// # Errors
    ///
    /// As [`Lab::start_c_zephyrd`].
    pub fn start_c_zhm(&self) -> Result<Daemon> {
        let mut command = self.command("/usr/sbin/zhm");
        command.args(["-n", "-d", &self.host_name]);
        self.spawn_at_port("c-zhm", command, HOST_MANAGER_PORT)
    }

    /// Starts a program as a daemon; returns when the UDP port is open inside.
    ///
    /// # Errors
    ///
    /// When the port is not open in time; contains the syslog and the program's output.
    pub fn spawn_at_port(&self, label: &str, command: Command, port: u16) -> Result<Daemon> {
        let daemon = self.spawn(label, command)?;
        self.namespace.wait_for_udp(port, START_TIMEOUT).with_context(|| {
            let output = daemon.transcript().text();
            format!("{label} does not serve; it said:\n{output}\nand the syslog:\n{}", self.syslog().text())
        })?;
        Ok(daemon)
    }

    /// Starts the C zwgc of a user in tty mode; returns when personal messages reach it.
    /// Needs a host manager and a server inside, ours or C's.
    ///
    /// # Errors
    ///
    /// When none reaches it in time; contains its output.
    pub fn start_c_zwgc(&self, name: &str) -> Result<Daemon> {
        let mut command = self.as_user(name, "/usr/bin/zwgc")?;
        command.args(["-nofork", "-ttymode"]).env("TERM", "dumb");
        let zwgc = self.spawn(&format!("c-zwgc-{name}"), command)?;
        wait_until(&format!("zwgc of {name} subscribed"), START_TIMEOUT, || self.is_reached_by_ping(name))
            .with_context(|| format!("zwgc said:\n{}", zwgc.transcript().text()))?;
        Ok(zwgc)
    }

    /// Whether a ping is delivered, which a zwgc acknowledges and does not show.
    fn is_reached_by_ping(&self, name: &str) -> Result<Option<()>> {
        let mut ping = self.as_user(name, "/usr/bin/zwrite")?;
        ping.args(["-q", "-O", "PING", name, "-m", ""]);
        Ok(run(ping, START_TIMEOUT)?.status.success().then_some(()))
    }
}
