//! A temporary Kerberos realm with a real KDC: MIT's, or Heimdal's.

pub use crate::recipe::{Keys, RealmOptions};
use crate::{
    container::{self, Container},
    heimdal,
    loopback::Network,
    native,
    place::Place,
    ports,
    process::{self, Daemon, Output},
    recipe::Recipe,
    user::User,
};
use anyhow::{Context, Result, bail};
use std::{
    env,
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// The environment variable that selects where KDCs run: `container` or `native`. Without it a container is used when a
/// Docker engine answers.
pub const KDC_VARIABLE: &str = "ZEPHYR_TEST_KDC";

/// The Zephyr service's principal, without realm.
pub const SERVICE: &str = "zephyr/zephyr";

const START_TIMEOUT: Duration = Duration::from_secs(60);
const TOOL_TIMEOUT: Duration = Duration::from_secs(20);

/// The way a KDC is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// As a container.
    Container,
    /// As a program of this machine.
    Native,
    /// Heimdal's KDC as a program of this machine. It does not support `session_enctypes`, `pac` and `weak`.
    Heimdal,
}

impl Engine {
    /// The engine that [`KDC_VARIABLE`] selects; without it, a container where that is possible.
    ///
    /// # Errors
    ///
    /// When the variable holds something else.
    pub fn choose() -> Result<Self> {
        if let Some(engine) = Self::from_variable(&env::var(KDC_VARIABLE).unwrap_or_default())? {
            return Ok(engine);
        }
        if !container::engine_answers() {
            return Ok(Self::Native);
        }
        Ok(match container::image() {
            Ok(_) => Self::Container,
            Err(reason) => {
                eprintln!("the KDC runs natively: {reason:#}");
                Self::Native
            }
        })
    }

    fn from_variable(value: &str) -> Result<Option<Self>> {
        match value {
            "" => Ok(None),
            "container" => Ok(Some(Self::Container)),
            "native" => Ok(Some(Self::Native)),
            other => bail!("{KDC_VARIABLE} is {other:?}, but must be container or native"),
        }
    }
}

/// A running realm. Dropping it stops its KDC and removes all of its files.
#[derive(Debug)]
pub struct Realm {
    // Dropped in this order: the KDC ends first, its files go last.
    kdc: Daemon,
    container: Option<Container>,
    folder: TempDir,
    place: Place,
    engine: Engine,
    name: String,
    address: SocketAddrV4,
    /// The network of a KDC that runs on this machine.
    _network: Option<Network>,
}

impl Realm {
    /// Creates a realm and starts its KDC on an address of its own; returns when the KDC serves.
    ///
    /// # Errors
    ///
    /// When packages are missing (the message says which) or the KDC does not start; contains its output.
    pub fn start(options: RealmOptions) -> Result<Self> {
        Self::start_on(Engine::choose()?, options)
    }

    /// As [`Realm::start`], with a given engine.
    ///
    /// # Errors
    ///
    /// As [`Realm::start`].
    pub fn start_on(engine: Engine, options: RealmOptions) -> Result<Self> {
        let network = Network::claim()?;
        let address = SocketAddrV4::new(network.here(), ports::free_udp_and_tcp(network.here())?);
        Self::launch(engine, &options, Place::Host, address, Some(network))
    }

    /// As [`Realm::start`], natively and inside a namespace, whose 127.0.0.1 is its own and where every port is free.
    pub(crate) fn start_in_namespace(place: Place, options: &RealmOptions) -> Result<Self> {
        Self::start_at(place, Ipv4Addr::LOCALHOST, options)
    }

    /// As [`Realm::start_in_namespace`], at an address that other namespaces reach.
    pub(crate) fn start_at(place: Place, address: Ipv4Addr, options: &RealmOptions) -> Result<Self> {
        // Random, so that several realms may be at one address.
        let address = SocketAddrV4::new(address, ports::free_udp_and_tcp(Ipv4Addr::LOCALHOST)?);
        Self::launch(Engine::Native, options, place, address, None)
    }

    fn launch(
        engine: Engine,
        options: &RealmOptions,
        place: Place,
        address: SocketAddrV4,
        network: Option<Network>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("zephyr-realm-").tempdir()?;
        let recipe = Recipe::new(options, folder.path(), address);
        fs::create_dir(folder.path().join("homes"))?;
        fs::create_dir(folder.path().join("krb5.conf.d"))?;
        fs::write(folder.path().join("krb5.conf.d/at-start"), &options.settings)?;
        let (command, container) = match engine {
            Engine::Native => (native::launch(&recipe, place)?, None),
            Engine::Heimdal => {
                let mut command = place.command("sh");
                command.arg(Recipe::folder().join("heimdal.sh")).envs(recipe.environment());
                command.env("HEIMDAL", heimdal::folder()?);
                (command, None)
            }
            Engine::Container => {
                let container = Container::reserve();
                (container.launch(&container::image()?, &recipe, folder.path()), Some(container))
            }
        };
        let kdc = Daemon::spawn_with_lifeline(command, folder.path().join("krb5kdc.log"))?;
        let name = options.realm.clone();
        let realm = Self { kdc, container, folder, place, engine, name, address, _network: network };
        // Logged after its sockets are open.
        realm.kdc.wait_for(START_TIMEOUT, |line| {
            line == "krb5kdc: starting..." || line.contains("KDC worker process started")
        })?;
        Ok(realm)
    }

    /// The realm's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The way its KDC runs.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The address and port of the KDC, for UDP and TCP.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// The KDC and its log.
    pub fn kdc(&self) -> &Daemon {
        &self.kdc
    }

    /// The realm's private directory: a place for a test's own files, too.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The krb5.conf for all programs that use this realm.
    pub fn krb5_conf(&self) -> PathBuf {
        self.folder().join("krb5.conf")
    }

    /// The keytab of `zephyr/zephyr`.
    pub fn service_keytab(&self) -> PathBuf {
        self.folder().join("zephyr.keytab")
    }

    /// The keytab of one of [`RealmOptions::people`] or [`RealmOptions::principals`].
    pub fn keytab(&self, name: &str) -> PathBuf {
        self.folder().join("keytabs").join(format!("{}.keytab", name.replace('/', "_")))
    }

    /// `zephyr/zephyr@REALM`.
    pub fn service(&self) -> String {
        format!("{SERVICE}@{}", self.name)
    }

    /// Environment for a server of this realm: it has the service's keytab and nobody's tickets.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KRB5_CONFIG", self.krb5_conf().display().to_string()),
            ("KRB5_KTNAME", format!("FILE:{}", self.service_keytab().display())),
            ("KRB5CCNAME", format!("FILE:{}", self.folder().join("no-tickets").display())),
        ]
    }

    /// A command with [`Realm::env`], started where the realm is.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.place.command(program);
        command.envs(self.env());
        command
    }

    /// Adds settings (sections of a krb5.conf) that win over the realm's own, for programs started
    /// from now on. `name` may hold letters, digits, `-` and `_`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn add_settings(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.folder().join("krb5.conf.d").join(name), text)
            .with_context(|| format!("cannot write settings {name}"))
    }

    /// A user with a home directory and a credential cache of their own, without tickets yet.
    ///
    /// # Errors
    ///
    /// When the home directory cannot be made.
    pub fn user(&self, name: &str) -> Result<User> {
        let home = self.folder().join("homes").join(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        Ok(User::new(name, &self.name, home, self.krb5_conf(), self.place))
    }

    /// A user as [`Realm::user`], with a ticket of the default lifetime.
    ///
    /// # Errors
    ///
    /// When the KDC gives no ticket.
    pub fn login(&self, name: &str) -> Result<User> {
        let user = self.user(name)?;
        self.kinit(&user, None)?;
        Ok(user)
    }

    /// Gets a new ticket-granting ticket with the user's keytab, valid for `life` (whole seconds)
    /// or as long as the realm allows.
    ///
    /// # Errors
    ///
    /// When the KDC gives none.
    pub fn kinit(&self, user: &User, life: Option<Duration>) -> Result<()> {
        let mut command = user.command("kinit");
        if let Some(life) = life {
            command.arg("-l").arg(format!("{}s", life.as_secs()));
        }
        command.arg("-k").arg("-t").arg(self.keytab(user.name())).arg(user.principal());
        process::run(command, TOOL_TIMEOUT)?.success().map(drop)
    }

    /// As [`Realm::kinit`], with Heimdal's command, whatever the KDC is.
    ///
    /// # Errors
    ///
    /// When Heimdal cannot be had, or the KDC gives no ticket.
    pub fn kinit_by_heimdal(&self, user: &User) -> Result<()> {
        // Heimdal reads no settings behind a line that includes a folder.
        let settings = fs::read_to_string(self.krb5_conf())?;
        let settings: Vec<&str> = settings.lines().filter(|line| !line.starts_with("includedir")).collect();
        let file = user.home().join("heimdal.conf");
        fs::write(&file, settings.join("\n"))?;
        let mut command = user.command(heimdal::program("kinit.heimdal")?);
        command.env("KRB5_CONFIG", file).arg("-k").arg("-t").arg(self.keytab(user.name())).arg(user.principal());
        process::run(command, TOOL_TIMEOUT)?.success().map(drop)
    }

    /// Gets the user a ticket for the Zephyr service.
    ///
    /// # Errors
    ///
    /// When the KDC gives none.
    pub fn fetch_service_ticket(&self, user: &User) -> Result<()> {
        let mut command = user.command("kvno");
        command.arg(self.service());
        process::run(command, TOOL_TIMEOUT)?.success().map(drop)
    }

    /// Makes this realm trust `foreign` (one-way cross-realm trust): its users can get tickets for servers here, once their
    /// settings say where this realm's KDC is.
    ///
    /// # Errors
    ///
    /// When kadmin reports an error.
    pub fn trust(&self, foreign: &Self) -> Result<()> {
        for realm in [self, foreign] {
            realm.kadmin(&format!("addprinc -pw between krbtgt/{}@{}", self.name, foreign.name))?;
        }
        Ok(())
    }

    /// Settings (a section of a krb5.conf) by which users of other realms find this realm's KDC.
    pub fn whereabouts(&self) -> String {
        format!("[realms]\n{} = {{\nkdc = {}\n}}\n", self.name, self.address)
    }

    /// Runs one kadmin command on the realm's database, such as `modprinc -maxlife 5min alice`; only for MIT's KDC.
    ///
    /// # Errors
    ///
    /// When kadmin reports an error.
    pub fn kadmin(&self, query: &str) -> Result<Output> {
        if self.engine == Engine::Heimdal {
            bail!("Heimdal's kadmin speaks another language");
        }
        let profile = self.folder().join("kdc.conf").display().to_string();
        let config = self.krb5_conf().display().to_string();
        let environment = [("KRB5_CONFIG", config), ("KRB5_KDC_PROFILE", profile)];
        let mut command = match &self.container {
            Some(container) => container.command("kadmin.local", &environment),
            None => {
                let mut command = self.place.command("kadmin.local");
                command.envs(environment);
                command
            }
        };
        command.args(["-r", &self.name, "-p", "root/admin", "-q", query]);
        let output = process::run(command, TOOL_TIMEOUT)?.success()?;
        // Its exit code is 0 for many errors; all of them read "… while …".
        if output.stderr.contains(" while ") {
            bail!("kadmin {query}: {output}");
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_selects_an_engine_and_invalid_values_are_errors() {
        assert_eq!(Engine::from_variable("").unwrap(), None);
        assert_eq!(Engine::from_variable("native").unwrap(), Some(Engine::Native));
        assert_eq!(Engine::from_variable("container").unwrap(), Some(Engine::Container));
        assert!(Engine::from_variable("podman").unwrap_err().to_string().contains("podman"));
    }
}
