//! Where a client finds its host manager, and how it proves who it is.

use crate::{ClientError, account::Account};
use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};
use zephyr_auth::Backend;
use zephyr_core::auth::{AuthError, Initiator};
use zephyr_net::{address, services};

/// What a [`crate::Client`] must know before it can ask anybody.
#[derive(Clone)]
pub struct Options {
    /// Where the host manager listens.
    pub host_manager: SocketAddr,
    /// The only address to receive at, and to be known by. Without it every address of the machine is heard, and the one
    /// towards the server is named.
    pub address: Option<Ipv4Addr>,
    /// The user's side of the domain's authentication.
    pub initiator: Arc<dyn Initiator>,
    /// The login name, for senders without credentials.
    pub login: Option<String>,
}

impl Options {
    /// What the environment says: `ZEPHYR_HM=ADDRESS:PORT` (default: 127.0.0.1, port `zephyr-hm`),
    /// `ZEPHYR_AUTH=kerberos|none` (default: `kerberos`) and `ZEPHYR_ADDRESS=ADDRESS` (default: every address).
    ///
    /// # Errors
    ///
    /// When a variable says nothing sensible, or the backend cannot start.
    pub fn from_environment() -> Result<Self, ClientError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let host_manager = match variable("ZEPHYR_HM") {
            Some(place) => host_manager(&place)?,
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, services::port(services::ZEPHYR_HM))),
        };
        let backend = match variable("ZEPHYR_AUTH") {
            Some(name) => name.parse().map_err(|error| AuthError::Backend(format!("ZEPHYR_AUTH={name}: {error}")))?,
            None => Backend::Kerberos,
        };
        let address = variable("ZEPHYR_ADDRESS").map(|text| own_address(&text)).transpose()?;
        let login = Account::own().map(|account| account.login);
        Ok(Self { host_manager, address, initiator: zephyr_auth::initiator(backend)?, login })
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
