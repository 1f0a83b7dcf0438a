//! Loopback addresses that one test has for itself, so that tests running side by side never meet.
//!
//! Programs under test send where forged packets tell them to, and go on sending for a while to somebody who is gone. When
//! all of them live on 127.0.0.1, what one test causes ends up at a port that another test has by then. So whoever opens
//! sockets in a test claims a [`Network`], and everything that the test starts stays on the addresses of that network.
//!
//! A network is 127.x.y.0/24. It is taken by binding a guard's port on its last address, which the kernel gives to one
//! process only and takes back when that one dies, however it dies; no file stays behind. Programs that the test starts
//! inherit the guard, so a network is not given to anybody else before the last of them has ended, too.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, UdpSocket},
};

/// The guard's port: no service's, and below those that the kernel hands out by itself.
const GUARD_PORT: u16 = 10_239;
/// The guard's place on its network; nobody else is there.
const GUARD: u8 = 255;
/// The second octet of networks; 127.0.x.y is where this machine's own services are.
const FIRST: u8 = 1;
const LAST: u8 = 254;
/// Enough that it is no chance when nothing is free.
const ATTEMPTS: u32 = 10_000;

/// A network of loopback addresses, claimed as long as the value and the programs started meanwhile live.
#[derive(Debug)]
pub struct Network {
    high: u8,
    low: u8,
    _guard: UdpSocket,
}

impl Network {
    /// Takes a network that nobody has.
    ///
    /// # Errors
    /// When none is found, or the system has no loopback addresses but 127.0.0.1.
    pub fn claim() -> io::Result<Self> {
        let random = RandomState::new();
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let [.., high, low] = random.hash_one(attempt).to_be_bytes();
            match Self::claim_this(high.clamp(FIRST, LAST), low) {
                Ok(network) => return Ok(network),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }

    fn claim_this(high: u8, low: u8) -> io::Result<Self> {
        let guard = UdpSocket::bind((Ipv4Addr::new(127, high, low, GUARD), GUARD_PORT))?;
        // Programs that are started inherit it.
        fcntl(&guard, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(Self { high, low, _guard: guard })
    }

    /// One of its addresses, with this last octet: 1 to 254.
    pub fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.high, self.low, number)
    }

    /// Where a test lives that needs only one address.
    pub fn here(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// A name for an address that resolves everywhere without a name service, as the system's resolver also takes
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
    fn nobody_else_gets_a_network_that_is_claimed() {
        let networks: Vec<Network> = (0..200).map(|_| Network::claim().unwrap()).collect();
        let different: HashSet<Ipv4Addr> = networks.iter().map(Network::here).collect();
        assert_eq!(different.len(), networks.len());
        let taken = &networks[0];
        let refused = Network::claim_this(taken.high, taken.low).unwrap_err();
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
