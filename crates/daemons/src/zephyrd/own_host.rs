//! This host's name and address, as the server tells them. The name service may not be there yet when a machine boots: then
//! the server begins with what the system says, as nothing that is proven depends on either.

use crate::settings::Server;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread,
    time::Duration,
};
use zephyr_config::system_text;
use zephyr_net::{address, host};

/// How long the name service may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A host's name and IPv4 address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnHost {
    pub(super) name: String,
    /// 0.0.0.0: it has none.
    pub(super) address: Ipv4Addr,
}

/// This host's name and address, of a server that listens there.
///
/// # Errors
///
/// When the system has no name.
pub(super) fn find(settings: &Server, listening: SocketAddr) -> io::Result<OwnHost> {
    let bound = match listening.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => Some(address),
        _ => None,
    };
    match (settings.hostname.clone(), bound) {
        (Some(name), Some(address)) => Ok(OwnHost { name, address }),
        (Some(name), None) => Ok(look_up(name, |name| name, None)),
        (None, bound) => {
            let full = |own: String| host::canonical_name(&own).unwrap_or(own);
            let own = host::own_name().map_err(|error| {
                io::Error::other(format!(
                    "this host's name is not known ({}); --hostname, or hostname in zephyr.toml, gives one",
                    system_text(&error)
                ))
            })?;
            Ok(look_up(own, full, bound))
        }
    }
}

/// Looks up the full name and, unless it is `bound` to one, the address of a host, but not for ever.
fn look_up(own: String, full: fn(String) -> String, bound: Option<Ipv4Addr>) -> OwnHost {
    let (answers, queue) = mpsc::channel();
    let asked = own.clone();
    let started = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        let name = full(asked);
        let address = bound.map_or_else(|| address::resolve(&name, 0).map(|found| *found.ip()), Ok);
        // When the time is over nobody wants it.
        let _ = answers.send((name, address));
    });
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name service does not answer");
    let found = started.and_then(|_| queue.recv_timeout(LOOKUP_TIMEOUT).map_err(late));
    let (name, address) = found.unwrap_or_else(|error| (own, bound.ok_or(error)));
    let address = address.unwrap_or_else(|error| {
        let address = address::outward().unwrap_or(Ipv4Addr::UNSPECIFIED);
        tracing::warn!(
            "this host's name {name} has no IPv4 address ({}); clients are told {address}",
            system_text(&error)
        );
        address
    });
    OwnHost { name, address }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_not_looked_up() {
        let settings = Server { hostname: Some("no-such-host.invalid".to_owned()), ..Server::default() };
        let found = find(&settings, ([127, 0, 0, 7], 2103).into()).unwrap();
        assert_eq!(found, OwnHost { name: "no-such-host.invalid".to_owned(), address: [127, 0, 0, 7].into() });
    }

    #[test]
    fn a_name_without_an_address_keeps_no_server_from_starting() {
        let settings = Server { hostname: Some("no-such-host.invalid".to_owned()), ..Server::default() };
        let found = find(&settings, (Ipv4Addr::UNSPECIFIED, 2103).into()).unwrap();
        assert_eq!(found.name, "no-such-host.invalid");
    }
}
