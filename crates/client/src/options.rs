//! Where a client finds its host manager, and how it proves who it is.

use crate::{Error, Result, account::Account, policy_watch::PolicyWatch};
use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    sync::Arc,
};
use zephyr_core::{
    auth::{AuthError, Initiator},
    policy::Policy,
};
use zephyr_domain::{
    Backend,
    client_domain::ClientDomain,
    policy_file::{DEFAULT_PATH, PolicyFile},
};
use zephyr_engine::client::Settings;
use zephyr_net::{address, services};

/// Where a client's authentication, and the policy it goes by, come from.
#[derive(Clone)]
pub enum Authentication {
    /// From the domain that the host manager's server is in.
    ByPolicy {
        /// What domains demand.
        policies: PolicyFile,
        /// The file that says so, which is read again when it has changed.
        file: Option<PathBuf>,
        /// The backend to be used in place of the one that the policy names.
        backend: Option<Backend>,
    },
    /// From the program.
    Given {
        /// The user's side of the domain's authentication.
        initiator: Arc<dyn Initiator>,
        /// What the domain demands.
        policy: Box<Policy>,
    },
}

/// A user's side of a domain.
pub(crate) struct ClientSide {
    /// The domain's realm.
    pub(crate) realm: String,
    /// How its user proves who he is.
    pub(crate) initiator: Arc<dyn Initiator>,
    /// What is demanded of him.
    pub(crate) policy: Policy,
    /// Where that may change.
    pub(crate) watch: Option<PolicyWatch>,
}

impl Authentication {
    /// The user's side of the domain whose server is called `host`.
    pub(crate) fn of_server(self, host: &str) -> std::result::Result<ClientSide, AuthError> {
        match self {
            Self::ByPolicy { policies, file, backend } => {
                let side = ClientDomain::of_server(&policies, backend, host)?;
                tracing::debug!(realm = side.realm, "the policy is {}", side.domain.origin());
                let watch = file.map(|file| PolicyWatch::new(file, side.realm.clone(), &side.domain, backend));
                Ok(ClientSide { realm: side.realm, initiator: side.initiator, policy: side.domain.policy, watch })
            }
            Self::Given { initiator, policy } => {
                Ok(ClientSide { realm: initiator.realm_of(host)?, initiator, policy: *policy, watch: None })
            }
        }
    }
}

/// What a client must know before it can ask anybody, and how it behaves.
#[derive(Clone)]
pub struct Options {
    /// Where the host manager listens.
    pub host_manager: SocketAddr,
    /// The only address to receive at, and to be known by. Without it every address of the machine is heard, and the one
    /// towards the server is named.
    pub address: Option<Ipv4Addr>,
    /// How the user proves who he is, and what is demanded of him.
    pub authentication: Authentication,
    /// The login name, for senders without credentials.
    pub login: Option<String>,
    /// Once something was subscribed to, the client looks after the user's tickets and subscribes again with new ones.
    pub renews_tickets: bool,
    /// Acknowledgements are received, too; see [`Inbox::next_raw`](crate::Inbox::next_raw).
    pub raw: bool,
}

impl Options {
    /// These options with this host manager and this authentication, and nothing else that is not usual.
    pub fn new(host_manager: SocketAddr, authentication: Authentication) -> Self {
        let login = Account::own().map(|account| account.login);
        Self { host_manager, address: None, authentication, login, renews_tickets: true, raw: false }
    }

    /// How the client behaves.
    pub(crate) const fn settings(&self) -> Settings {
        Settings { raw: self.raw, renews_tickets: self.renews_tickets }
    }

    /// Where the client receives: any port.
    pub(crate) fn local(&self) -> SocketAddr {
        (self.address.unwrap_or(Ipv4Addr::UNSPECIFIED), 0).into()
    }

    /// What the environment says: `ZEPHYR_HM=ADDRESS:PORT` (default: 127.0.0.1, port `zephyr-hm`),
    /// `ZEPHYR_AUTH=kerberos|none` (default: as the policy says), `ZEPHYR_POLICY=FILE` (default:
    /// `/etc/zephyr/policy.toml`, if it is there) and `ZEPHYR_ADDRESS=ADDRESS` (default: every address).
    ///
    /// # Errors
    ///
    /// When a variable says nothing sensible, or the policy file is broken: a policy that cannot be read is not guessed.
    pub fn from_environment() -> Result<Self> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let host_manager = match variable("ZEPHYR_HM") {
            Some(place) => host_manager(&place)?,
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, services::port(services::ZEPHYR_HM))),
        };
        let backend = match variable("ZEPHYR_AUTH") {
            Some(name) => {
                Some(name.parse().map_err(|error| AuthError::Backend(format!("ZEPHYR_AUTH={name}: {error}")))?)
            }
            None => None,
        };
        let usual = Path::new(DEFAULT_PATH);
        let policies = PolicyFile::find(usual).map_err(Error::PolicyFile)?;
        let file = Some(PolicyFile::path(usual));
        let address = variable("ZEPHYR_ADDRESS").map(|text| own_address(&text)).transpose()?;
        let authentication = Authentication::ByPolicy { policies, file, backend };
        Ok(Self { address, ..Self::new(host_manager, authentication) })
    }
}

fn own_address(text: &str) -> Result<Ipv4Addr> {
    let bad =
        |_| io::Error::new(io::ErrorKind::InvalidInput, format!("ZEPHYR_ADDRESS={text}: expected an IPv4 address"));
    Ok(text.parse().map_err(bad)?)
}

/// A place written `ADDRESS:PORT`, `HOST:PORT`, or without the port.
fn host_manager(place: &str) -> Result<SocketAddr> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("ZEPHYR_HM={place}: expected ADDRESS:PORT"));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (place, services::port(services::ZEPHYR_HM)),
    };
    let address: SocketAddrV4 = address::resolve(host, port).map_err(|_| bad())?;
    Ok(address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(host_manager("127.0.0.9:5000").ok(), Some(([127, 0, 0, 9], 5000).into()));
        assert_eq!(host_manager("127.0.0.9").ok().map(|place| place.ip()), Some([127, 0, 0, 9].into()));
        assert!(host_manager("127.0.0.9:many").is_err());
        assert_eq!(own_address("127.0.0.9").ok(), Some([127, 0, 0, 9].into()));
        assert!(own_address("localhost").is_err_and(|error| error.to_string().contains("ZEPHYR_ADDRESS=localhost")));
    }
}
