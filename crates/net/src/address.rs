//! Addresses of this machine and of others.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket},
};

/// An address outside of every site (RFC 5737), to which nothing is ever sent.
const OUTSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 9);

/// The local IPv4 address towards the rest of the world: the one to take when a name that would tell a better one is not
/// known. Nothing is sent.
///
/// # Errors
///
/// When there is no such route.
pub fn outward() -> io::Result<Ipv4Addr> {
    towards(OUTSIDE)
}

/// The local IPv4 address from which the system would send to `peer`. Nothing is sent.
///
/// # Errors
///
/// When there is no route to the peer.
pub fn towards(peer: SocketAddrV4) -> io::Result<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // Port 0 cannot be connected to; which other one is asked makes no difference to the route.
    probe.connect((*peer.ip(), peer.port().max(1)))?;
    match probe.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// The first IPv4 address of a host, by name or as numbers.
///
/// # Errors
///
/// When the name does not resolve, or only to IPv6 addresses. May wait for the name service.
pub fn resolve(host: &str, port: u16) -> io::Result<SocketAddrV4> {
    resolve_all(host, port).map(|(first, _)| first)
}

/// The IPv4 addresses of a host, by name or as numbers: the first, and the others in the order of the name service.
///
/// # Errors
///
/// As of [`resolve`].
pub fn resolve_all(host: &str, port: u16) -> io::Result<(SocketAddrV4, Vec<SocketAddrV4>)> {
    let v4 = |address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    };
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "it has no IPv4 address");
    let mut addresses = (host, port).to_socket_addrs()?.filter_map(v4);
    let first = addresses.next().ok_or_else(none)?;
    let mut others = Vec::new();
    for address in addresses {
        if address != first && !others.contains(&address) {
            others.push(address);
        }
    }
    Ok((first, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towards_loopback_is_from_loopback() {
        for peer in [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2103), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)] {
            assert!(towards(peer).is_ok_and(|address| address.is_loopback()), "{peer}");
        }
    }

    #[test]
    fn numbers_resolve_to_themselves() {
        assert_eq!(resolve("127.0.0.7", 5).ok(), Some(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 7), 5)));
        assert!(resolve("::1", 5).is_err());
    }
}
