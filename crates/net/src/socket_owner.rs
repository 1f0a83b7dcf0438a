//! The users who own the UDP sockets of this machine.
//!
//! Linux tells anybody who asks (`sock_diag(7)`), by the same rules by which it finds the socket for a packet that
//! comes in: bound to one address or to all, connected or not, of either family. No other system is asked yet.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

/// Asks whose the sockets are that talk to one of this program's.
#[derive(Debug)]
pub struct SocketOwners {
    diagnosis: system::Diagnosis,
    /// The address to which the others talk.
    here: SocketAddrV4,
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
        let owners = Self { diagnosis: system::Diagnosis::new()?, here };
        owners.diagnosis.owner(here, here)?;
        Ok(owners)
    }

    /// The number of the user whose socket at `program` talks to this program's; `None` when there is none, or its user
    /// is none of those whom this program could name.
    ///
    /// Whoever opened the socket owns it, whatever has become of him since.
    pub fn owner(&self, program: SocketAddr) -> Option<u32> {
        let SocketAddr::V4(program) = program else { return None };
        self.diagnosis.owner(program, self.here).ok()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use nix::sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, socket,
    };
    use std::{
        io,
        net::SocketAddrV4,
        os::fd::{AsRawFd, OwnedFd},
        sync::atomic::{AtomicU32, Ordering},
    };

    /// The message by which a socket is asked for, and told (`SOCK_DIAG_BY_FAMILY`).
    const BY_FAMILY: u16 = 20;
    /// An error (`NLMSG_ERROR`).
    const ERROR: u16 = 2;
    /// It is a request (`NLM_F_REQUEST`).
    const REQUEST: u16 = 1;
    /// The length of a message's header (`struct nlmsghdr`).
    const HEADER: usize = 16;
    /// The length of a request with its header (`struct inet_diag_req_v2`).
    const REQUEST_LEN: usize = HEADER + 56;
    /// Where the port of a socket that is told begins (`idiag_sport` of `struct inet_diag_msg`).
    const PORT: usize = HEADER + 4;
    /// Where its user begins (`idiag_uid`).
    const USER: usize = HEADER + 64;
    const UDP: u8 = 17;
    const ALL_STATES: u32 = u32::MAX;
    /// Any socket at this address, not one that is known already (`INET_DIAG_NOCOOKIE`).
    const NO_COOKIE: u32 = u32::MAX;
    /// What stands for users whom a program cannot name, such as those of another user namespace, unless an
    /// administrator has chosen another number.
    const OVERFLOW_USER: u32 = 65_534;

    /// A socket for questions to the kernel.
    #[derive(Debug)]
    pub(super) struct Diagnosis {
        kernel: OwnedFd,
        /// The last question's number.
        asked: AtomicU32,
    }

    impl Diagnosis {
        pub(super) fn new() -> io::Result<Self> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let kernel = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
            // From then on nobody else can send anything to it.
            connect(kernel.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
            Ok(Self { kernel, asked: AtomicU32::new(0) })
        }

        /// The user of the socket that a packet from `from` to `to` would come to.
        pub(super) fn owner(&self, to: SocketAddrV4, from: SocketAddrV4) -> io::Result<u32> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            send(self.kernel.as_raw_fd(), &request(number, to, from), MsgFlags::empty())?;
            let mut buffer = [0; 1024];
            loop {
                // The answer is there as soon as the question is sent.
                let len = recv(self.kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
                let answer = buffer.get(..len).unwrap_or_default();
                // One of before, which was not waited for because something went wrong.
                if read(answer, 8).map(u32::from_ne_bytes) == Some(number) {
                    return user(answer, to.port());
                }
            }
        }
    }

    fn request(number: u32, to: SocketAddrV4, from: SocketAddrV4) -> Vec<u8> {
        // As for a packet: the source is where it comes from, the destination is the socket in question.
        let address = |address: SocketAddrV4| [&address.ip().octets()[..], &[0; 12]].concat();
        let len = u32::try_from(REQUEST_LEN).unwrap_or_default();
        let family = u8::try_from(AddressFamily::Inet as i32).unwrap_or_default();
        [
            &len.to_ne_bytes()[..],
            &BY_FAMILY.to_ne_bytes(),
            &REQUEST.to_ne_bytes(),
            &number.to_ne_bytes(),
            &0_u32.to_ne_bytes(),
            &[family, UDP, 0, 0],
            &ALL_STATES.to_ne_bytes(),
            &from.port().to_be_bytes(),
            &to.port().to_be_bytes(),
            &address(from),
            &address(to),
            &0_u32.to_ne_bytes(),
            &NO_COOKIE.to_ne_bytes(),
            &NO_COOKIE.to_ne_bytes(),
        ]
        .concat()
    }

    /// The user that an answer names, for a socket at this port.
    fn user(answer: &[u8], port: u16) -> io::Result<u32> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let kind = read(answer, 4).map(u16::from_ne_bytes).ok_or_else(malformed)?;
        if kind == ERROR {
            let error = read(answer, HEADER).map(i32::from_ne_bytes).ok_or_else(malformed)?;
            return Err(io::Error::from_raw_os_error(-error));
        }
        let told = read(answer, PORT).map(u16::from_be_bytes).ok_or_else(malformed)?;
        let user = read(answer, USER).map(u32::from_ne_bytes).ok_or_else(malformed)?;
        if kind != BY_FAMILY || told != port {
            return Err(malformed());
        }
        if user == OVERFLOW_USER {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(user)
    }

    fn read<const LEN: usize>(octets: &[u8], at: usize) -> Option<[u8; LEN]> {
        octets.get(at..)?.first_chunk().copied()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_request_is_as_long_as_it_says() {
            let address = SocketAddrV4::new([127, 0, 0, 1].into(), 5);
            assert_eq!(request(1, address, address).len(), REQUEST_LEN);
        }

        #[test]
        fn what_is_no_answer_names_nobody() {
            let mut answer = [0; HEADER + 72];
            answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
            answer[PORT..PORT + 2].copy_from_slice(&7_u16.to_be_bytes());
            answer[USER..USER + 4].copy_from_slice(&1000_u32.to_ne_bytes());
            assert_eq!(user(&answer, 7).ok(), Some(1000));
            assert!(user(&answer, 8).is_err(), "a socket at another port");
            for len in 0..USER + 4 {
                assert!(user(&answer[..len], 7).is_err(), "{len}");
            }
            answer[USER..USER + 4].copy_from_slice(&OVERFLOW_USER.to_ne_bytes());
            assert!(user(&answer, 7).is_err(), "somebody of another user namespace");
            answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
            assert!(user(&answer, 7).is_err());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{io, net::SocketAddrV4};

    #[derive(Debug)]
    pub(super) struct Diagnosis;

    impl Diagnosis {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn owner(&self, _: SocketAddrV4, _: SocketAddrV4) -> io::Result<u32> {
            Err(io::ErrorKind::Unsupported.into())
        }
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
        let (socket, owners) = here(&network)?;
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
        let (_socket, owners) = here(&network)?;
        for user in [ALICE, MALLORY] {
            let address = (network.here(), 0);
            let Some(program) = owned_by(user, move || UdpSocket::bind(address))? else { return Ok(()) };
            let program = program?;
            assert_eq!(owners.owner(program.local_addr()?), Some(user));
        }
        Ok(())
    }

    /// The socket at that port of another address is another.
    #[test]
    fn a_port_belongs_to_an_address() -> io::Result<()> {
        let network = Network::claim()?;
        let (_socket, owners) = here(&network)?;
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
