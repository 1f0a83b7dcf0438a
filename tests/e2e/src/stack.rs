//! A whole domain on loopback: KDC, zephyrd and zhm, each on ports that nobody else has.

use crate::{
    middle::{Middle, Rule, unchanged},
    person::{Person, TIMEOUT},
};
use anyhow::{Context, Result};
use std::{fs, net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;
use zephyr_testkit::{
    bins,
    loopback::Network,
    ports,
    process::{self, Daemon, Output},
    realm::{Engine, Realm, RealmOptions},
};

/// What every daemon says when it serves, before its address.
pub const READY: &str = "Ready for action on ";

/// The server's control socket, in the stack's folder.
const CONTROL: &str = "zephyrd.sock";
/// The policy file's name in the server's configuration directory.
const POLICY: &str = "policy.toml";

/// A running domain. All of it ends when it is dropped.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: whoever depends on others ends first, the files go last.
    zhm: Daemon,
    middle: Option<Middle>,
    zephyrd: Daemon,
    realm: Option<Realm>,
    folder: TempDir,
    server: SocketAddr,
    host_manager: SocketAddr,
    network: Network,
}

impl Stack {
    /// A realm with its KDC on `engine`, and our daemons in it.
    ///
    /// # Errors
    /// When something does not start; shows what it said.
    pub fn start(engine: Engine, options: RealmOptions) -> Result<Self> {
        Self::build(Some(Realm::start_on(engine, options)?), None)
    }

    /// As [`Stack::start`] with a native KDC, and somebody between the host manager and its clients on one side and the
    /// server on the other.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn with_middle(options: RealmOptions, rule: impl Rule) -> Result<Self> {
        Self::with_middle_on(Engine::Native, options, rule)
    }

    /// As [`Stack::with_middle`], with the KDC on `engine`.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn with_middle_on(engine: Engine, options: RealmOptions, rule: impl Rule) -> Result<Self> {
        Self::build(Some(Realm::start_on(engine, options)?), Some(Box::new(rule)))
    }

    /// A domain without Kerberos.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn without_kerberos() -> Result<Self> {
        Self::build(None, None)
    }

    /// A domain with the configuration files of `config`, which its clients go by as well; on `realm`, or without
    /// Kerberos; with somebody between the host manager and the server.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub fn configured(config: &Path, realm: Option<Realm>) -> Result<Self> {
        Self::furnish(realm, Some(Box::new(unchanged)), Some(config))
    }

    /// Waits until the host manager has found its server: until then it does not know what that can take.
    fn settled(self) -> Result<Self> {
        self.zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
        Ok(self)
    }

    fn build(realm: Option<Realm>, rule: Option<Box<dyn Rule>>) -> Result<Self> {
        Self::furnish(realm, rule, None)
    }

    fn furnish(realm: Option<Realm>, rule: Option<Box<dyn Rule>>, config: Option<&Path>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zephyr-stack-").tempdir()?;
        fs::create_dir(folder.path().join("etc-zephyr"))?;
        // What Debian's server gives everybody, too.
        fs::write(
            folder.path().join("etc-zephyr/default.subscriptions"),
            "message,personal,%me%\nmessage,urgent,%me%\n",
        )?;
        if let Some(config) = config {
            copy_files(config, &folder.path().join("etc-zephyr"))?;
        }
        let network = Network::claim()?;
        let here = network.here();
        let name = match &realm {
            // The realm of a client follows from the name of the server.
            Some(realm) => {
                let name = Network::name_of(here);
                realm.add_settings("server", &format!("[domain_realm]\n{name} = {}\n", realm.name()))?;
                name
            }
            None => here.to_string(),
        };
        let server = SocketAddr::from((here, ports::free_udp(here)?));
        let zephyrd = running(folder.path(), "zephyrd", zephyrd(realm.as_ref(), folder.path(), server)?)?;
        let middle = rule.map(|rule| Middle::start(&network, server, rule)).transpose()?;
        let towards = middle.as_ref().map_or(server, Middle::address);
        let host_manager = SocketAddr::from((here, ports::free_udp(here)?));
        let zhm = running(folder.path(), "zhm", zhm(&format!("{name}:{}", towards.port()), host_manager)?)?;
        Self { zhm, middle, zephyrd, realm, folder, server, host_manager, network }.settled()
    }

    /// Starts a new server where the last one was, which must have ended.
    ///
    /// # Errors
    /// When it does not start; shows what it said.
    pub fn restart_zephyrd(&mut self) -> Result<()> {
        let command = zephyrd(self.realm.as_ref(), self.folder.path(), self.server)?;
        let daemon = Daemon::spawn(command, self.folder.path().join("zephyrd-again.log"))?;
        daemon.wait_for(TIMEOUT, |line| line.contains(READY))?;
        self.zephyrd = daemon;
        Ok(())
    }

    /// Runs zephyrctl about the server.
    ///
    /// # Errors
    /// When it cannot be run; that it fails is none.
    pub fn zephyrctl(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(bins::path("zephyrctl")?);
        command.arg("--control-socket").arg(self.folder.path().join(CONTROL)).args(arguments);
        process::run(command, TIMEOUT)
    }

    /// The realm.
    ///
    /// # Errors
    /// When this domain is without Kerberos.
    pub fn realm(&self) -> Result<&Realm> {
        self.realm.as_ref().context("this domain has no Kerberos realm")
    }

    /// The server.
    pub fn zephyrd(&mut self) -> &mut Daemon {
        &mut self.zephyrd
    }

    /// The host manager.
    pub fn zhm(&mut self) -> &mut Daemon {
        &mut self.zhm
    }

    /// Who is in the middle.
    ///
    /// # Errors
    /// When nobody is.
    pub fn middle(&self) -> Result<&Middle> {
        self.middle.as_ref().context("nobody is in the middle")
    }

    /// Where the server really is.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Where the host manager is.
    pub fn host_manager(&self) -> SocketAddr {
        self.host_manager
    }

    /// The loopback addresses that this domain has for itself. Its programs and people are at [`Network::here`],
    /// somebody in the middle at the next one; strangers may be at any.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The server's name, as its clients are told by the host manager.
    pub fn server_name(&self) -> String {
        Network::name_of(self.network.here())
    }

    /// The server's configuration directory.
    pub fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("etc-zephyr")
    }

    /// A person with a fresh ticket.
    ///
    /// # Errors
    /// When the KDC gives none.
    pub fn login(&self, name: &str) -> Result<Person> {
        Ok(Person::of_realm(self.realm()?.login(name)?, self.environment("kerberos")))
    }

    /// A person of the realm without any ticket.
    ///
    /// # Errors
    /// When there is no home for them.
    pub fn person(&self, name: &str) -> Result<Person> {
        Ok(Person::of_realm(self.realm()?.user(name)?, self.environment("kerberos")))
    }

    /// A person who knows nothing of Kerberos.
    ///
    /// # Errors
    /// When there is no home for them.
    pub fn bare_person(&self, name: &str) -> Result<Person> {
        let home = self.folder.path().join("homes").join(name);
        fs::create_dir_all(&home)?;
        Ok(Person::bare(name, home, self.environment("none")))
    }

    /// What a person's programs must know; where a policy file is, that says how to authenticate.
    fn environment(&self, auth: &str) -> Vec<(String, String)> {
        let policy = self.config().join(POLICY);
        let authentication = match policy.exists() {
            true => ("ZEPHYR_POLICY", policy.display().to_string()),
            false => ("ZEPHYR_AUTH", auth.to_owned()),
        };
        let variables = [
            ("ZEPHYR_HM", self.host_manager.to_string()),
            ("ZEPHYR_ADDRESS", self.network.here().to_string()),
            authentication,
        ];
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn zephyrd(realm: Option<&Realm>, folder: &Path, listen: SocketAddr) -> Result<Command> {
    let program = bins::path("zephyrd")?;
    let mut command = match realm {
        Some(realm) => realm.command(program),
        None => Command::new(program),
    };
    command.args(["-n", "--hostname", "localhost", "--listen", &listen.to_string()]);
    command.arg("--config-dir").arg(folder.join("etc-zephyr"));
    command.arg("--control-socket").arg(folder.join(CONTROL));
    match realm {
        Some(realm) => command.arg("--keytab").arg(realm.service_keytab()),
        None if folder.join("etc-zephyr").join(POLICY).exists() => &mut command,
        // The realm of both sides is then that of this machine.
        None => command.args(["--auth", "none"]),
    };
    Ok(command)
}

fn zhm(server: &str, listen: SocketAddr) -> Result<Command> {
    let mut command = Command::new(bins::path("zhm")?);
    command.args(["-n", "--listen", &listen.to_string(), server]);
    Ok(command)
}

/// Copies a folder's files, and those of the folders in it.
///
/// # Errors
/// When one cannot be copied.
pub fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_files(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Starts a daemon, and returns when it says that it serves.
fn running(folder: &Path, label: &str, mut command: Command) -> Result<Daemon> {
    command.env("TZ", "UTC").env_remove("RUST_LOG");
    let daemon = Daemon::spawn(command, folder.join(format!("{label}.log")))?;
    daemon.wait_for(TIMEOUT, |line| line.contains(READY))?;
    Ok(daemon)
}
