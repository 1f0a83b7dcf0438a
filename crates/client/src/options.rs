//! The options of a connection: host manager, authentication, and behaviour.

use crate::{Error, Result, account::Account, error::system_text, policy_watch::PolicyWatch};
use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::{AuthError, Initiator},
    policy::Policy,
};
use zephyr_discovery::{Discovery, ServerName};
use zephyr_domain::{
    Backend,
    client_domain::ClientDomain,
    policy_file::{DEFAULT_PATH, PolicyFile, VARIABLE},
};
use zephyr_engine::client::{Config, Direct, SUBSCRIPTION_CHECK, Settings};
use zephyr_net::{address, services};

/// The source of a client's authentication and policy.
#[derive(Clone)]
pub enum Authentication {
    /// The policy file decides, by the domain of the host manager's server.
    ByPolicy {
        /// The policies of all domains.
        policies: PolicyFile,
        /// The policy file, which is read again when it has changed; `None`: the policies do not change.
        file: Option<PathBuf>,
        /// The backend in place of the one that the policy names.
        backend: Option<Backend>,
    },
    /// The program decides.
    Given {
        /// The initiator of the domain's authentication.
        initiator: Arc<dyn Initiator>,
        /// The domain's policy.
        policy: Box<Policy>,
    },
}

/// The domain of a server, as its client uses it.
pub(crate) struct ResolvedDomain {
    /// The domain's realm.
    pub(crate) realm: String,
    /// The initiator of its authentication.
    pub(crate) initiator: Arc<dyn Initiator>,
    /// Its policy.
    pub(crate) policy: Policy,
    /// The watch over the policy file.
    pub(crate) watch: Option<PolicyWatch>,
}

impl Authentication {
    /// Finds the domain of this realm, or else of the server named `host`.
    pub(crate) fn resolve(self, realm: Option<&str>, host: &str) -> std::result::Result<ResolvedDomain, AuthError> {
        match self {
            Self::ByPolicy { policies, file, backend } => {
                let found = match realm {
                    Some(realm) => ClientDomain::of_realm(&policies, backend, realm)?,
                    None => ClientDomain::of_server(&policies, backend, host)?,
                };
                tracing::debug!(realm = found.realm, "the policy is {}", found.domain.origin());
                let watch = file.map(|file| PolicyWatch::new(file, found.realm.clone(), &found.domain, backend));
                Ok(ResolvedDomain {
                    realm: found.realm,
                    initiator: found.initiator,
                    policy: found.domain.policy,
                    watch,
                })
            }
            Self::Given { initiator, policy } => {
                let realm = realm.map_or_else(|| initiator.realm_of(host), |realm| Ok(realm.to_owned()))?;
                Ok(ResolvedDomain { realm, initiator, policy: *policy, watch: None })
            }
        }
    }
}

/// The options of a connection. [`Options::from_environment`] reads them, [`Options::new`] gives defaults.
#[derive(Clone)]
pub struct Options {
    /// The address and port of the host manager.
    pub host_manager: SocketAddr,
    /// The realm of the servers; `None`: as the configuration says, by the server's name. It decides the policy, and which of the user's
    /// tickets prove who he is.
    pub realm: Option<String>,
    /// The local address: the socket is bound to it, and uids and notices carry it. `None`: the socket is bound to all
    /// addresses, and uids and notices carry the one towards the server.
    pub address: Option<Ipv4Addr>,
    /// The authentication, and the policy.
    pub authentication: Authentication,
    /// The login name, which is the sender's name without credentials.
    pub login: Option<String>,
    /// Ticket renewal: after the first subscription the client watches the user's tickets, and subscribes again with new ones.
    pub renews_tickets: bool,
    /// The time between two questions whether the server still knows the client, which subscribes again when it does not: at least
    /// a second. `None`: it is never asked.
    pub subscription_check: Option<Duration>,
    /// Raw mode: acknowledgements are received, too; see [`Inbox::next_raw`](crate::Inbox::next_raw).
    pub raw: bool,
    /// Whether the system is asked which user of this machine has sent a control notice for windowgram clients; see
    /// [`Received::local_user`](crate::Received::local_user).
    pub names_local_senders: bool,
    /// Whether to speak to a server directly: while no host manager answers, never, or always.
    pub direct: Direct,
    /// How servers are found to speak to directly.
    pub discovery: Discovery,
}

impl Options {
    /// Options with this host manager and authentication, and defaults otherwise: all addresses, the user's login name, ticket
    /// renewal, a question to the server every [`SUBSCRIPTION_CHECK`], no raw mode; where no host manager answers, a server is
    /// spoken to directly.
    pub fn new(host_manager: SocketAddr, authentication: Authentication) -> Self {
        let login = Account::own().map(|account| account.login);
        Self {
            host_manager,
            realm: None,
            address: None,
            authentication,
            login,
            renews_tickets: true,
            subscription_check: Some(SUBSCRIPTION_CHECK),
            raw: false,
            names_local_senders: false,
            direct: Direct::Fallback,
            discovery: Discovery::of_system(),
        }
    }

    /// The same options for the servers of this realm, which are spoken to directly, as the SRV records of the domain of that name have
    /// them: a process may be connected in several realms at once. Each connection has servers, tickets and a policy of its own, and
    /// none knows of the others.
    ///
    /// ```no_run
    /// # async fn example() -> zephyr_client::Result<()> {
    /// let options = zephyr_client::Options::from_environment()?;
    /// let (here, _) = options.clone().for_realm("EXAMPLE.ORG").connect().await?;
    /// let (there, _) = options.for_realm("EXAMPLE.NET").through(([127, 0, 0, 1], 3104)).connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The tickets are those of a principal of that realm where the user has a collection of credential caches (`DIR:`, `KCM:`, `KEYRING:`),
    /// and else those of the default cache.
    #[must_use]
    pub fn for_realm(self, realm: impl Into<String>) -> Self {
        let realm: String = realm.into();
        let discovery = Discovery::of_domain(&realm);
        Self { realm: Some(realm), direct: Direct::Always, discovery, ..self }
    }

    /// The same options with the host manager at this address, and no other way to a server.
    #[must_use]
    pub fn through(self, host_manager: impl Into<SocketAddr>) -> Self {
        Self { host_manager: host_manager.into(), direct: Direct::Never, ..self }
    }

    /// The configuration of a client that receives at this port.
    pub(crate) fn config(&self, port: u16) -> Config {
        let address = self.address.or_else(|| address::outward().ok()).unwrap_or(Ipv4Addr::LOCALHOST);
        Config { host_manager: self.host_manager, port, address, settings: self.settings() }
    }

    /// The client's behaviour.
    const fn settings(&self) -> Settings {
        Settings {
            raw: self.raw,
            renews_tickets: self.renews_tickets,
            subscription_check: self.subscription_check,
            direct: self.direct,
        }
    }

    /// The local address to bind, with any port.
    pub(crate) fn local(&self) -> SocketAddr {
        (self.address.unwrap_or(Ipv4Addr::UNSPECIFIED), 0).into()
    }

    /// Reads options from the environment: `ZEPHYR_HM=ADDRESS:PORT` (default: 127.0.0.1, port `zephyr-hm`),
    /// `ZEPHYR_AUTH=kerberos|none` (default: as the policy says), `ZEPHYR_POLICY=FILE` (default:
    /// `/etc/zephyr/policy.toml`, if it is there), `ZEPHYR_ADDRESS=ADDRESS` (default: every address),
    /// `ZEPHYR_CHECK=SECONDS`, the time between two questions whether the server still knows the client (default: 40, and
    /// up to a quarter more; 0: none), `ZEPHYR_DIRECT=0|1|always`, whether to speak to a server without a host manager
    /// (default: 1, while none answers), and `ZEPHYR_SERVERS=HOST[:PORT],...`, the servers for that (default: as the
    /// machine is configured).
    ///
    /// # Errors
    ///
    /// When a variable or the policy file is invalid, or the policy file cannot be read.
    pub fn from_environment() -> Result<Self> {
        let host_manager = host_manager_of_environment()?;
        let backend = match variable("ZEPHYR_AUTH") {
            Some(name) => Some(name.parse().map_err(|error| invalid(format!("ZEPHYR_AUTH={name}: {error}")))?),
            None => None,
        };
        let default = Path::new(DEFAULT_PATH);
        let policies = PolicyFile::find(default).map_err(match variable(VARIABLE) {
            Some(_) => Error::ChosenPolicyFile,
            None => Error::PolicyFile,
        })?;
        let file = Some(PolicyFile::path(default));
        let address = variable("ZEPHYR_ADDRESS").map(|text| own_address(&text)).transpose()?;
        let authentication = Authentication::ByPolicy { policies, file, backend };
        let discovery = variable("ZEPHYR_SERVERS").map_or_else(|| Ok(Discovery::of_system()), |text| servers(&text))?;
        let direct = variable("ZEPHYR_DIRECT").map_or(Ok(Direct::Fallback), |text| direct(&text))?;
        let options = Self { address, direct, discovery, ..Self::new(host_manager, authentication) };
        match variable("ZEPHYR_CHECK") {
            Some(text) => Ok(Self { subscription_check: check_interval(&text)?, ..options }),
            None => Ok(options),
        }
    }
}

/// The value of a variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The address of the user's host manager: `ZEPHYR_HM=ADDRESS:PORT`, else 127.0.0.1 and the port `zephyr-hm`.
///
/// # Errors
///
/// When the variable is invalid.
pub fn host_manager_of_environment() -> Result<SocketAddr> {
    match variable("ZEPHYR_HM") {
        Some(text) => host_manager(&text),
        None => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, services::port(services::ZEPHYR_HM)))),
    }
}

fn check_interval(text: &str) -> Result<Option<Duration>> {
    let seconds = text.parse::<u32>();
    let seconds = seconds.map_err(|_| invalid(format!("ZEPHYR_CHECK={text}: expected a number of seconds")))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
}

fn direct(text: &str) -> Result<Direct> {
    match text {
        "0" => Ok(Direct::Never),
        "1" => Ok(Direct::Fallback),
        "always" => Ok(Direct::Always),
        _ => Err(invalid(format!("ZEPHYR_DIRECT={text}: expected 0, 1 or always")).into()),
    }
}

fn servers(text: &str) -> Result<Discovery> {
    let parse = |name: &str| {
        let parsed: std::result::Result<ServerName, String> = name.trim().parse();
        parsed.map_err(|error| invalid(format!("ZEPHYR_SERVERS={text}: {error}")))
    };
    let names: Vec<ServerName> = text.split(',').map(parse).collect::<io::Result<_>>()?;
    Ok(Discovery::of_names(&names, "ZEPHYR_SERVERS"))
}

fn own_address(text: &str) -> Result<Ipv4Addr> {
    Ok(text.parse().map_err(|_| invalid(format!("ZEPHYR_ADDRESS={text}: expected an IPv4 address")))?)
}

/// Parses `ADDRESS:PORT` or `HOST:PORT`, the port being optional.
fn host_manager(text: &str) -> Result<SocketAddr> {
    let wrong = || invalid(format!("ZEPHYR_HM={text}: expected ADDRESS:PORT"));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (text, services::port(services::ZEPHYR_HM)),
    };
    let unknown = |error| invalid(format!("ZEPHYR_HM={text}: {host} has no IPv4 address: {}", system_text(&error)));
    let address: SocketAddrV4 = address::resolve(host, port).map_err(unknown)?;
    Ok(address.into())
}

/// The error of a variable that says nothing of use.
fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(host_manager("127.0.0.9:5000").ok(), Some(([127, 0, 0, 9], 5000).into()));
        assert_eq!(host_manager("127.0.0.9").ok().map(|address| address.ip()), Some([127, 0, 0, 9].into()));
        assert!(host_manager("127.0.0.9:many").is_err_and(|error| error.to_string().contains("expected ADDRESS:PORT")));
        assert!(host_manager("::1").is_err_and(|error| !error.to_string().contains("os error")));
        assert_eq!(own_address("127.0.0.9").ok(), Some([127, 0, 0, 9].into()));
        assert!(check_interval("5").is_ok_and(|interval| interval == Some(Duration::from_secs(5))));
        assert!(check_interval("0").is_ok_and(|interval| interval.is_none()));
        assert!(check_interval("often").is_err_and(|error| error.to_string().contains("ZEPHYR_CHECK=often")));
        assert!(matches!((direct("0"), direct("always")), (Ok(Direct::Never), Ok(Direct::Always))));
        assert!(direct("yes").is_err_and(|error| error.to_string().contains("expected 0, 1 or always")));
        let found = servers("a, b:5").ok().and_then(|discovery| discovery.discover().ok()).unwrap();
        let found: Vec<_> = found.candidates.iter().map(|found| (&*found.host, found.port, found.priority)).collect();
        assert_eq!(found, [("a", services::port(services::ZEPHYR_CLT), 0), ("b", 5, 1)]);
        assert!(servers("a,").is_err_and(|error| error.to_string().contains("ZEPHYR_SERVERS=a,")));
        assert!(own_address("localhost").is_err_and(|error| error.to_string().contains("ZEPHYR_ADDRESS=localhost")));
    }
}
