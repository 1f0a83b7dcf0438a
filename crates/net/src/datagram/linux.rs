//! Linux: control messages `IP_PKTINFO` for local addresses, and the error queue of `IP_RECVERR`.

use super::{ErrorReport, Received, past_earlier_errors};
use nix::{
    cmsg_space,
    errno::Errno,
    libc::{self, in_addr, in_pktinfo, sock_extended_err, sockaddr_in},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    },
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};
use zephyr_engine::machine::Transmit;

/// Makes an IPv4 socket say which address of this host each datagram came to, if it is bound to all of them, and report
/// errors about what it has sent.
///
/// # Errors
///
/// When the system refuses it.
pub fn prepare(socket: &impl AsFd) -> io::Result<()> {
    let bound = socket2::SockRef::from(socket).local_addr()?.as_socket_ipv4();
    let Some(bound) = bound else { return Ok(()) };
    if bound.ip().is_unspecified() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    Ok(())
}

/// Room for what the system says beside a datagram.
#[derive(Debug)]
pub(crate) struct ControlSpace(Vec<u8>);

impl ControlSpace {
    pub(crate) fn new() -> Self {
        Self(cmsg_space!(in_pktinfo))
    }

    pub(crate) fn into_inner(self) -> Vec<u8> {
        self.0
    }
}

/// Receives datagrams one at a time.
#[derive(Debug)]
pub struct Receiver(ControlSpace);

impl Receiver {
    /// A receiver for any socket.
    pub fn new() -> Self {
        Self(ControlSpace::new())
    }

    /// Receives a datagram without waiting. What does not fit into the buffer is cut off.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing has come; others may be about what was sent before.
    pub fn receive(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
        let descriptor = socket.as_fd().as_raw_fd();
        past_earlier_errors(|| {
            let mut slices = [IoSliceMut::new(buffer)];
            let control = Some(self.0.0.as_mut_slice());
            let datagram = recvmsg::<SockaddrStorage>(descriptor, &mut slices, control, MsgFlags::MSG_DONTWAIT)?;
            let from = source_address(&datagram).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Received { len: datagram.bytes, from, local: local_address(&datagram) })
        })
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes errors off a socket's queue, one at a time.
#[derive(Debug)]
pub struct ErrorReceiver(Vec<u8>);

impl ErrorReceiver {
    /// A receiver for any socket.
    pub fn new() -> Self {
        // With the errors come local addresses.
        Self(cmsg_space!(in_pktinfo, sock_extended_err, sockaddr_in))
    }

    /// Takes the oldest error without waiting, and puts the octets that are quoted of the packet into a buffer. `None` for
    /// one that says nothing of where the packet was sent.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when there is none.
    pub fn take(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Option<ErrorReport>> {
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let descriptor = socket.as_fd().as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(descriptor, &mut slices, Some(&mut self.0), flags)?;
        let Some(to) = source_address(&message) else { return Ok(None) };
        let is_unreachable = |message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) => {
                error.ee_origin == libc::SO_EE_ORIGIN_ICMP
                    && (error.ee_type, error.ee_code) == (DESTINATION_UNREACHABLE, PORT_UNREACHABLE)
            }
            _ => false,
        };
        let port_unreachable = message.cmsgs().is_ok_and(|mut messages| messages.any(is_unreachable));
        Ok(Some(ErrorReport { to, port_unreachable, quoted: message.bytes }))
    }
}

impl Default for ErrorReceiver {
    fn default() -> Self {
        Self::new()
    }
}

/// The type and the code of an ICMP message that says that nobody listens at a port (RFC 792).
const DESTINATION_UNREACHABLE: u8 = 3;
const PORT_UNREACHABLE: u8 = 3;

pub(super) fn send(socket: BorrowedFd<'_>, transmit: &Transmit, local: Option<IpAddr>) -> io::Result<()> {
    let to = SockaddrStorage::from(transmit.to);
    let octets = [IoSlice::new(&transmit.payload)];
    let source = match local {
        Some(IpAddr::V4(local)) => Some(in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        }),
        Some(IpAddr::V6(_)) | None => None,
    };
    let source = source.as_ref().map(ControlMessage::Ipv4PacketInfo);
    sendmsg(socket.as_raw_fd(), &octets, source.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&to))?;
    Ok(())
}

/// Whether an error may be one that the network has reported (`icmp_err_convert` of the kernel).
pub(super) fn is_reported(error: i32) -> bool {
    matches!(
        Errno::from_raw(error),
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::EMSGSIZE
            | Errno::EPROTO
    )
}

/// Where a datagram came from.
pub(crate) fn source_address(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SocketAddr> {
    let from = message.address.as_ref()?;
    let v4 = || from.as_sockaddr_in().map(|&v4| SocketAddr::V4(v4.into()));
    let v6 = || from.as_sockaddr_in6().map(|&v6| SocketAddr::V6(v6.into()));
    v4().or_else(v6)
}

/// The address of this host that a datagram came to, or that its sender used if that was one of many hosts.
pub(crate) fn local_address(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
        }
        _ => None,
    })
}
