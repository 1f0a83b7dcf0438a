//! Port numbers that are not in use on an address.

use anyhow::{Result, bail};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
};

/// The range of ports to choose from: below the kernel's ephemeral ports, so that no outgoing connection takes ours
/// between the moment we look and the moment a program binds it, or while a program is started anew.
const FIRST_PORT: u16 = 10_240;
const LAST_PORT: u16 = 32_767;
const MAX_ATTEMPTS: usize = 1000;

/// A UDP port that is free on this address.
///
/// # Errors
///
/// When none is found after many attempts.
pub fn free_udp(address: Ipv4Addr) -> Result<u16> {
    free(address, |address| UdpSocket::bind(address).map(drop))
}

/// A port that is free on this address for UDP and for TCP, as a KDC needs it.
///
/// # Errors
///
/// When none is found after many attempts.
pub fn free_udp_and_tcp(address: Ipv4Addr) -> Result<u16> {
    free(address, |address| UdpSocket::bind(address).and(TcpListener::bind(address)).map(drop))
}

fn free(address: Ipv4Addr, bind: impl Fn(SocketAddrV4) -> io::Result<()>) -> Result<u16> {
    for _ in 0..MAX_ATTEMPTS {
        let port = random_port();
        if bind(SocketAddrV4::new(address, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on {address} between {FIRST_PORT} and {LAST_PORT} after {MAX_ATTEMPTS} attempts");
}

/// A random port of the range, so that tests running side by side do not all try the same port next.
fn random_port() -> u16 {
    let span = u64::from(LAST_PORT - FIRST_PORT) + 1;
    let offset = RandomState::new().hash_one(FIRST_PORT) % span;
    FIRST_PORT + u16::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_can_be_bound_and_is_not_given_while_bound() {
        let network = crate::loopback::Network::claim().unwrap();
        let address = |port| SocketAddrV4::new(network.here(), port);
        let both = free_udp_and_tcp(network.here()).unwrap();
        let _udp = UdpSocket::bind(address(both)).unwrap();
        let _tcp = TcpListener::bind(address(both)).unwrap();
        assert!((FIRST_PORT..=LAST_PORT).contains(&both));
        assert_ne!(free_udp(network.here()).unwrap(), both);
    }
}
