//! Where a client finds its host manager, and how it proves who it is.

use crate::{ClientError, account::Account};
use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    sync::Arc,
};
use zephyr_auth::{
    Backend,
    client_side::ClientSide,
    policy_file::{DEFAULT_PATH, PolicyFile},
};
use zephyr_core::{
    auth::{AuthError, Initiator},
    policy::Policy,
};
use zephyr_net::{address, services};

/// Where a client's authentication, and the policy it goes by, come from.
#[derive(Clone)]
pub enum Authentication {
    /// From the domain that the host manager's server is in.
    ByPolicy {
        /// What domains demand.
        policies: PolicyFile,
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

impl Authentication {
    /// The realm of the server called `host`, the user's side of it, and what is demanded there.
    pub(crate) fn of_server(self, host: &str) -> Result<(String, Arc<dyn Initiator>, Policy), AuthError> {
        match self {
            Self::ByPolicy { policies, backend } => {
                let side = ClientSide::of_server(&policies, backend, host)?;
                tracing::debug!(realm = side.realm, "the policy is {}", side.domain.origin());
                Ok((side.realm, side.initiator, side.domain.policy))
            }
            Self::Given { initiator, policy } => Ok((initiator.realm_of(host)?, initiator, *policy)),
        }
    }
}

/// What a [`crate::Client`] must know before it can ask anybody.
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
}

impl Options {
    /// What the environment says: `ZEPHYR_HM=ADDRESS:PORT` (default: 127.0.0.1, port `zephyr-hm`),
    /// `ZEPHYR_AUTH=kerberos|none` (default: as the policy says), `ZEPHYR_POLICY=FILE` (default:
    /// `/etc/zephyr/policy.toml`, if it is there) and `ZEPHYR_ADDRESS=ADDRESS` (default: every address).
    ///
    /// # Errors
    ///
    /// When a variable says nothing sensible, or the policy file is broken: a policy that cannot be read is not guessed.
    pub fn from_environment() -> Result<Self, ClientError> {
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
        let policies = PolicyFile::find(Path::new(DEFAULT_PATH)).map_err(ClientError::PolicyFile)?;
        let address = variable("ZEPHYR_ADDRESS").map(|text| own_address(&text)).transpose()?;
        let login = Account::own().map(|account| account.login);
        Ok(Self { host_manager, address, authentication: Authentication::ByPolicy { policies, backend }, login })
    }
}

fn own_address(text: &str) -> Result<Ipv4Addr, ClientError> {
    let bad =
        |_| io::Error::new(io::ErrorKind::InvalidInput, format!("ZEPHYR_ADDRESS={text}: expected an IPv4 address"));
    Ok(text.parse().map_err(bad)?)
}

/// A place written `ADDRESS:PORT`, `HOST:PORT`, or without the port.
fn host_manager(place: &str) -> Result<SocketAddr, ClientError> {
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
