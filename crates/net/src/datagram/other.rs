//! Systems without Linux's control messages: nothing is known of local addresses, and nothing of errors.

use super::{ErrorReport, Received};
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvfrom, sendto};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};
use zephyr_engine::machine::Transmit;

/// Nothing to prepare.
///
/// # Errors
///
/// None.
pub fn prepare(_: &impl AsFd) -> io::Result<()> {
    Ok(())
}

/// Receives datagrams one at a time.
#[derive(Debug, Default)]
pub struct Receiver;

impl Receiver {
    /// A receiver for any socket.
    pub const fn new() -> Self {
        Self
    }

    /// Receives a datagram from a socket that does not wait. What does not fit into the buffer is cut off.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing has come.
    pub fn receive(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
        let (len, from) = recvfrom::<SockaddrStorage>(socket.as_fd().as_raw_fd(), buffer)?;
        let from = from.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Received { len, from, local: None })
    }
}

/// Takes errors off a socket's queue, which has none.
#[derive(Debug, Default)]
pub struct ErrorReceiver;

impl ErrorReceiver {
    /// A receiver for any socket.
    pub const fn new() -> Self {
        Self
    }

    /// Takes nothing.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`], always.
    pub fn take(&mut self, _: &impl AsFd, _: &mut [u8]) -> io::Result<Option<ErrorReport>> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

pub(super) fn send(socket: BorrowedFd<'_>, transmit: &Transmit, _: Option<IpAddr>) -> io::Result<()> {
    let to = SockaddrStorage::from(transmit.to);
    sendto(socket.as_raw_fd(), &transmit.payload, &to, MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

pub(super) const fn is_reported(_: i32) -> bool {
    false
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || from.as_sockaddr_in().map(|&v4| SocketAddr::V4(v4.into()));
    let v6 = || from.as_sockaddr_in6().map(|&v6| SocketAddr::V6(v6.into()));
    v4().or_else(v6)
}
