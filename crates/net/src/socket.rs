//! UDP sockets.

use crate::datagram;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{self, SocketAddr},
    os::fd::OwnedFd,
};
use tokio::net::UdpSocket;

/// The receive buffer that a socket asks for, in octets. The system may give less.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A UDP socket bound to `address`, with as large a receive buffer as the system gives. It is
/// [prepared](datagram::prepare) for drivers.
///
/// # Errors
///
/// When the address cannot be bound, or no tokio runtime is running.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    bind_with(address, RECEIVE_BUFFER)
}

/// As [`bind`], without a runtime; it does not wait, so [`UdpSocket::from_std`] takes it.
///
/// # Errors
///
/// When the address cannot be bound.
pub fn open(address: SocketAddr) -> io::Result<net::UdpSocket> {
    open_with(address, RECEIVE_BUFFER)
}

/// As [`bind`], asking for a receive buffer of so many octets.
///
/// # Errors
///
/// As [`bind`].
pub fn bind_with(address: SocketAddr, receive_buffer: usize) -> io::Result<UdpSocket> {
    UdpSocket::from_std(open_with(address, receive_buffer)?)
}

fn open_with(address: SocketAddr, receive_buffer: usize) -> io::Result<net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // Only a wish: an unprivileged process gets what the system's limit allows.
    let _ = socket.set_recv_buffer_size(receive_buffer);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    datagram::prepare(&socket)?;
    Ok(socket.into())
}

/// The UDP socket that another program has bound and handed to this one, [prepared](datagram::prepare) for drivers. It does not
/// wait, so [`UdpSocket::from_std`] takes it.
///
/// # Errors
///
/// When it is no bound UDP socket of IPv4.
pub fn inherited(handed: OwnedFd) -> io::Result<net::UdpSocket> {
    let socket = Socket::from(handed);
    let invalid = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    match (socket.r#type(), socket.local_addr().map(|address| address.as_socket_ipv4())) {
        (Ok(Type::DGRAM), Ok(Some(address))) if address.port() != 0 => {}
        _ => {
            return invalid(
                "this is no UDP socket of IPv4 that is bound to a port, such as inetd or systemd hands over",
            );
        }
    }
    if socket.recv_buffer_size()? < RECEIVE_BUFFER {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    socket.set_nonblocking(true)?;
    datagram::prepare(&socket)?;
    Ok(socket.into())
}

/// The receive buffer of a socket in octets, the system's own bookkeeping included.
///
/// # Errors
///
/// When the system does not say.
pub fn receive_buffer(socket: &UdpSocket) -> io::Result<usize> {
    socket2::SockRef::from(socket).recv_buffer_size()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_testkit::loopback::Network;

    #[tokio::test]
    async fn two_sockets_talk() -> io::Result<()> {
        let network = Network::claim()?;
        let loopback = SocketAddr::from((network.here(), 0));
        let (one, other) = (bind(loopback)?, bind(loopback)?);
        one.send_to(b"hello", other.local_addr()?).await?;
        let mut buffer = [0; 16];
        let received = other.recv_from(&mut buffer).await?;
        assert_eq!((received, &buffer[..5]), ((5, one.local_addr()?), &b"hello"[..]));
        Ok(())
    }

    /// What another program can do to be taken for one that has the port: it would get what is sent to the more specific
    /// address. Linux lets it only if both sockets allow it, and ours do not.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nobody_else_gets_the_port_at_a_more_specific_address() -> io::Result<()> {
        let network = Network::claim()?;
        let ours = bind(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, 0)))?;
        let port = ours.local_addr()?.port();
        let sharing = |port: u16| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            socket.bind(&SocketAddr::from((network.here(), port)).into())?;
            Ok::<_, io::Error>(socket)
        };
        assert_eq!(sharing(port).map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
        // The control: with one that allows it, it is possible.
        let first = sharing(0)?;
        let allowing = first.local_addr()?.as_socket_ipv4().map_or(0, |address| address.port());
        sharing(allowing)?;
        Ok(())
    }
}
