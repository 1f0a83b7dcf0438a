//! The users who own the UDP sockets of this machine.
//!
//! Linux tells anybody who asks (`sock_diag(7)`), by the same rules by which it finds the socket for a packet that
//! comes in: bound to one address or to all, connected or not, of either family. No other system is asked yet.
//!
//! A packet may come from another socket than the one that answers to it would reach: on Linux a program names any
//! address of the machine as the source of what it sends from a port, though its socket be bound to another
//! address. A socket that is bound to all addresses, as those of Zephyr's programs are, has its port to itself, unless
//! it shares it willingly. For others, and for what must be certain, all sockets at the port are looked at.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
use linux as system;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::{Duration, Instant},
};

/// Maximum number of looks at all sockets of a port in a second, each of which takes as long as dozens of packets.
const MAX_LISTINGS: u32 = 100;

/// Asks whose the sockets are that talk to one of this program's.
#[derive(Debug)]
pub struct SocketOwners {
    diagnosis: system::Diagnosis,
    /// The address to which the others talk.
    here: SocketAddrV4,
    /// When the second began in which the listings are counted.
    began: Instant,
    listings: u32,
}

impl SocketOwners {
    /// For the sockets that talk to one that is bound to `here`.
    ///
    /// # Errors
    ///
    /// When the system does not say whose the socket at `here` itself is, so that it need not be asked about others;
    /// or when that is no IPv4 address.
    pub fn new(here: SocketAddr) -> io::Result<Self> {
        let SocketAddr::V4(here) = here else { return Err(io::ErrorKind::Unsupported.into()) };
        // What is sent to any address of this machine without naming one arrives at this one.
        let here = if here.ip().is_unspecified() { SocketAddrV4::new(Ipv4Addr::LOCALHOST, here.port()) } else { here };
        let owners = Self { diagnosis: system::Diagnosis::new()?, here, began: Instant::now(), listings: 0 };
        owners.diagnosis.find(here, here)?;
        Ok(owners)
    }

    /// The number of the user whose socket at `program` talks to this program's. `None` when there is none, when another
    /// user's could be meant, when the user is none of those whom this program could name, or when too much was
    /// asked.
    ///
    /// Whoever opened the socket owns it, whatever has become of him since.
    pub fn owner(&mut self, program: SocketAddr) -> Option<u32> {
        let SocketAddr::V4(address) = program else { return None };
        let found = self.diagnosis.find(address, self.here).ok()?;
        if found.has_all_addresses { found.user() } else { self.sole_owner(program) }
    }

    /// As [`Self::owner`], and certain: nobody else has a socket at that port of any address.
    pub fn sole_owner(&mut self, program: SocketAddr) -> Option<u32> {
        if self.began.elapsed() >= Duration::from_secs(1) {
            (self.began, self.listings) = (Instant::now(), 0);
        }
        self.listings += 1;
        if self.listings > MAX_LISTINGS {
            return None;
        }
        let SocketAddr::V4(address) = program else { return None };
        // There must be one there now, and not only at another address.
        let owner = self.diagnosis.find(address, self.here).ok()?.user()?;
        let users = system::users_of_port(address.port()).ok()?;
        users.iter().all(|&user| user == owner).then_some(owner)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{io, net::SocketAddrV4};

    #[derive(Debug)]
    pub(super) struct Diagnosis;

    #[derive(Debug)]
    pub(super) struct Found {
        pub(super) has_all_addresses: bool,
    }

    impl Found {
        pub(super) fn user(self) -> Option<u32> {
            None
        }
    }

    impl Diagnosis {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn find(&self, _: SocketAddrV4, _: SocketAddrV4) -> io::Result<Found> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    pub(super) fn users_of_port(_: u16) -> io::Result<Vec<u32>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, UdpSocket};
    use zephyr_testkit::{
        loopback::Network,
        ownership::{ALICE, MALLORY, owned_by},
    };

    /// The owner of this very process's sockets.
    fn own() -> u32 {
        nix::unistd::Uid::effective().as_raw()
    }

    /// A socket to talk to, and what knows who does.
    fn here(network: &Network) -> io::Result<(UdpSocket, SocketOwners)> {
        let socket = UdpSocket::bind((network.here(), 0))?;
        let owners = SocketOwners::new(socket.local_addr()?)?;
        Ok((socket, owners))
    }

    #[test]
    fn sockets_of_all_kinds_are_their_users() -> io::Result<()> {
        let network = Network::claim()?;
        let (socket, mut owners) = here(&network)?;
        let here = socket.local_addr()?;
        for (connected, address) in [(false, network.here()), (true, network.here()), (false, Ipv4Addr::UNSPECIFIED)] {
            let program = UdpSocket::bind((address, 0))?;
            if connected {
                program.connect(here)?;
            }
            program.send_to(b"hello", here).or_else(|_| program.send(b"hello"))?;
            let (_, from) = socket.recv_from(&mut [0; 16])?;
            assert_eq!(owners.owner(from), Some(own()), "{address}, connected: {connected}");
            drop(program);
            assert_eq!(owners.owner(from), None, "closed: {address}");
        }
        if let Ok(program) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
            let from = SocketAddr::from((network.here(), program.local_addr()?.port()));
            assert_eq!(owners.owner(from), Some(own()), "of the other family");
        }
        Ok(())
    }

    #[test]
    fn each_socket_is_its_own_users() -> io::Result<()> {
        let network = Network::claim()?;
        let (_socket, mut owners) = here(&network)?;
        for user in [ALICE, MALLORY] {
            let open = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            let Some(program) = owned_by(user, open)? else { return Ok(()) };
            let program = program?;
            let from = SocketAddr::from((network.here(), program.local_addr()?.port()));
            assert_eq!((owners.owner(from), owners.sole_owner(from)), (Some(user), Some(user)));
        }
        Ok(())
    }

    /// Who has the same port of another address could send as if from this one.
    #[test]
    fn a_port_of_several_users_is_nobodys() -> io::Result<()> {
        let network = Network::claim()?;
        let (_socket, mut owners) = here(&network)?;
        let victim = UdpSocket::bind((network.here(), 0))?;
        let from = victim.local_addr()?;
        let other = (network.host(9), from.port());
        let Some(other) = owned_by(MALLORY, move || UdpSocket::bind(other))? else { return Ok(()) };
        assert_eq!((owners.owner(from), owners.sole_owner(from)), (None, None));
        drop(other?);
        assert_eq!((owners.owner(from), owners.sole_owner(from)), (Some(own()), Some(own())), "the control");
        Ok(())
    }

    #[test]
    fn few_ports_are_looked_through() -> io::Result<()> {
        let network = Network::claim()?;
        let (_socket, mut owners) = here(&network)?;
        let (of_one, of_all) = (UdpSocket::bind((network.here(), 0))?, UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?);
        owners.began += Duration::from_secs(3600);
        let one = of_one.local_addr()?;
        let known = (0..1000).filter(|_| owners.owner(one).is_some()).count();
        assert_eq!(known, 100);
        let from = (network.here(), of_all.local_addr()?.port()).into();
        assert_eq!(owners.owner(from), Some(own()), "others are known all the same");
        Ok(())
    }

    /// The socket at that port of another address is another.
    #[test]
    fn a_port_belongs_to_an_address() -> io::Result<()> {
        let network = Network::claim()?;
        let (_socket, mut owners) = here(&network)?;
        let program = UdpSocket::bind((network.here(), 0))?;
        let port = program.local_addr()?.port();
        assert_eq!(owners.owner((network.here(), port).into()), Some(own()));
        assert_eq!(owners.owner((network.host(9), port).into()), None);
        Ok(())
    }

    #[test]
    fn nobody_is_asked_about_a_socket_that_is_not_there() -> io::Result<()> {
        let network = Network::claim()?;
        assert!(SocketOwners::new((network.here(), 9).into()).is_err());
        assert!(SocketOwners::new((Ipv6Addr::LOCALHOST, 9).into()).is_err());
        Ok(())
    }
}
