//! Addresses of this machine and of others.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs, UdpSocket},
    path::Path,
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

/// The IPv4 addresses of this machine's interfaces.
///
/// # Errors
///
/// When the system does not tell.
pub fn own() -> io::Result<Vec<Ipv4Addr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    Ok(addresses.collect())
}

/// Where Linux has the settings of its interfaces for IPv4.
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

/// Whether what comes from an address of this machine that is none of loopback was sent by this machine: Linux drops what
/// comes from outside and says to be from there, unless it is told to take it (`accept_local`). Of other systems that is
/// not known, and so denied.
pub fn own_are_unforgeable() -> bool {
    refuses_own(Path::new(INTERFACES)).unwrap_or(false)
}

/// Whether no interface takes packets from the machine's own addresses.
fn refuses_own(interfaces: &Path) -> io::Result<bool> {
    for interface in fs::read_dir(interfaces)? {
        if fs::read_to_string(interface?.path().join("accept_local"))?.trim() != "0" {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_takes_own_addresses_makes_them_forgeable() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("zephyr-interfaces-{}", std::process::id()));
        for (interface, setting) in [("all", "0\n"), ("eth0", "0\n")] {
            fs::create_dir_all(folder.join(interface))?;
            fs::write(folder.join(interface).join("accept_local"), setting)?;
        }
        assert!(refuses_own(&folder)?);
        fs::write(folder.join("eth0/accept_local"), "1\n")?;
        assert!(!refuses_own(&folder)?);
        fs::remove_dir_all(&folder)?;
        assert!(refuses_own(&folder).is_err());
        Ok(())
    }

    #[test]
    fn this_machine_knows_its_loopback_address() {
        assert!(own().is_ok_and(|addresses| addresses.contains(&Ipv4Addr::LOCALHOST)));
    }

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
