//! Sockets of other users, for tests that run as root.

use nix::unistd::{Uid, setfsuid};
use socket2::{Domain, Socket, Type};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
};

/// A user who is not root, and whom no test needs to have in its files.
pub const ALICE: u32 = 61_001;
/// Another one.
pub const MALLORY: u32 = 61_002;

/// Does something, such as to open a socket, so that the system takes what is made for this user's; `None`, and a line
/// that says so, when the tests do not run as root.
///
/// # Errors
///
/// When no thread can be started, or the system does not let root become this user.
pub fn owned_by<T: Send>(user: u32, make: impl FnOnce() -> T + Send) -> io::Result<Option<T>> {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root can make sockets of other users");
        return Ok(None);
    }
    // The system keeps the user of what is made for each thread, so no other test notices.
    let made = thread::scope(|scope| {
        let maker = scope.spawn(|| {
            setfsuid(Uid::from_raw(user));
            // Only asking shows whether it was done.
            let now = setfsuid(Uid::from_raw(u32::MAX));
            (now.as_raw() == user).then(make)
        });
        maker.join().ok().flatten()
    });
    made.map(Some).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}

/// A UDP socket at this address whose port is nobody else's at any address of the machine, as long as the second socket is there.
///
/// The system tells a program's user for certain only then, and other tests have sockets of other users at ports that it
/// would give away again at another address.
///
/// # Errors
///
/// When the address is none of this machine.
pub fn sole_socket(address: Ipv4Addr) -> io::Result<(UdpSocket, UdpSocket)> {
    let shared = |address: SocketAddr| -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    let everywhere = shared((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let port = everywhere.local_addr()?.port();
    Ok((shared((address, port).into())?, everywhere))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::Network;

    #[test]
    fn nobody_else_gets_the_port_of_a_sole_socket() -> io::Result<()> {
        let network = Network::claim()?;
        let (socket, everywhere) = sole_socket(network.here())?;
        let elsewhere = (network.host(9), socket.local_addr()?.port());
        assert_eq!(UdpSocket::bind(elsewhere).map_err(|error| error.kind()).err(), Some(io::ErrorKind::AddrInUse));
        let sender = UdpSocket::bind((network.here(), 0))?;
        sender.send_to(b"hello", socket.local_addr()?)?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(60)))?;
        assert_eq!(socket.recv(&mut [0; 16])?, 5, "what is sent to its address is its own");
        drop(everywhere);
        Ok(())
    }
}
