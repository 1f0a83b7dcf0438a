//! Loopback networks, each reserved for one test, so that concurrent tests never exchange packets.
//!
//! Programs under test send where forged packets tell them to, and go on sending for a while to a peer that is gone. When
//! all of them live on 127.0.0.1, what one test causes ends up at a port that another test has by then. So whoever opens
//! sockets in a test claims a [`Network`], and everything that the test starts stays on the addresses of that network.
//!
//! A network is 127.x.y.0/24. It is claimed by binding a guard port on its last address, which the kernel gives to one
//! process only and releases when that process ends, however it ends; no file stays behind. Programs that the test starts
//! inherit the guard, so a network is not given to anybody else before the last of them has ended, too.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, UdpSocket},
};

/// The guard port: no service's, and below the kernel's ephemeral ports.
const GUARD_PORT: u16 = 10_239;
/// The last octet of the guard's address, which nothing else uses.
const GUARD_HOST: u8 = 255;
/// The range of the second octet of networks; this machine's own services are at 127.0.x.y.
const FIRST_OCTET: u8 = 1;
const LAST_OCTET: u8 = 254;
/// The number of networks tried before giving up.
const MAX_ATTEMPTS: u32 = 10_000;

/// A network of loopback addresses, claimed as long as the value and the programs started meanwhile live.
#[derive(Debug)]
pub struct Network {
    high: u8,
    low: u8,
    _guard: UdpSocket,
}

impl Network {
    /// Claims a free network.
    ///
    /// # Errors
    ///
    /// When none is found, or the system has no loopback addresses but 127.0.0.1.
    pub fn claim() -> io::Result<Self> {
        let random = RandomState::new();
        let mut last = None;
        for attempt in 0..MAX_ATTEMPTS {
            let [.., high, low] = random.hash_one(attempt).to_be_bytes();
            match Self::claim_this(high.clamp(FIRST_OCTET, LAST_OCTET), low) {
                Ok(network) => return Ok(network),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    fn claim_this(high: u8, low: u8) -> io::Result<Self> {
        let guard = UdpSocket::bind((Ipv4Addr::new(127, high, low, GUARD_HOST), GUARD_PORT))?;
        // Programs that are started inherit it.
        fcntl(&guard, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(Self { high, low, _guard: guard })
    }

    /// One of its addresses, with this last octet: 1 to 254.
    pub fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.high, self.low, number)
    }

    /// The first address, for a test that needs only one.
    pub fn here(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// A host name for an address that resolves everywhere without a name service, as the system's resolver also accepts
    /// addresses in the old notation of two hexadecimal numbers: `0x7f.0x10203` is 127.1.2.3.
    ///
    /// To Kerberos and to us this is the name of a host, so that a realm can be said to be that host's. An address in the
    /// usual notation would not do: Kerberos gives those no realm.
    pub fn name_of(address: Ipv4Addr) -> String {
        let [first, rest @ ..] = address.octets();
        let rest = rest.iter().fold(0_u32, |sum, &octet| sum << 8 | u32::from(octet));
        format!("{first:#x}.{rest:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::wait_until;
    use std::{
        collections::HashSet,
        net::ToSocketAddrs,
        process::{Command, Stdio},
        time::Duration,
    };

    #[test]
    fn a_network_is_claimed_only_once() {
        let networks: Vec<Network> = (0..200).map(|_| Network::claim().unwrap()).collect();
        let different: HashSet<Ipv4Addr> = networks.iter().map(Network::here).collect();
        assert_eq!(different.len(), networks.len());
        let claimed = &networks[0];
        let refused = Network::claim_this(claimed.high, claimed.low).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn every_address_of_a_network_can_be_bound() {
        let network = Network::claim().unwrap();
        for number in [1, 2, 77, 254] {
            let socket = UdpSocket::bind((network.host(number), 0)).unwrap();
            assert!(socket.local_addr().unwrap().ip().is_loopback());
        }
    }

    #[test]
    fn a_network_is_free_again_when_the_last_program_has_ended() {
        let network = Network::claim().unwrap();
        let (high, low) = (network.high, network.low);
        let mut program = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(network);
        assert!(Network::claim_this(high, low).is_err(), "the program still lives there");
        drop(program.stdin.take());
        program.wait().unwrap();
        // Programs that other tests of this process have started meanwhile inherit it, too.
        let again = || Ok(Network::claim_this(high, low).ok().map(drop));
        wait_until("the network is free", Duration::from_secs(60), again).unwrap();
    }

    #[test]
    fn names_resolve_to_their_addresses() {
        let address = Ipv4Addr::new(127, 1, 2, 3);
        assert_eq!(Network::name_of(address), "0x7f.0x10203");
        for address in [address, Ipv4Addr::new(127, 254, 0, 1), Network::claim().unwrap().here()] {
            let name = Network::name_of(address);
            let found: Vec<_> = (name.as_str(), 5).to_socket_addrs().unwrap().collect();
            assert!(found.iter().all(|found| found.ip() == address) && !found.is_empty(), "{name}: {found:?}");
        }
    }
}
