//! Datagrams one at a time: received with the address of this host that they came to, sent from one, and what the
//! network says of those that did not arrive.
//!
//! A socket that is bound to all addresses of a host would otherwise answer from whichever address the system prefers for
//! the way back, and who asked another one takes no notice of that.
//!
//! A socket that reports errors ([`prepare`]) has two ways for them. Each is queued with the beginning of the packet that it
//! is about, to be [taken](ErrorReceiver::take); and the next call on the socket, whatever it is for, fails with it once.
//! Such a call has neither sent nor received anything, so it is made again here, some times.

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "other.rs"]
mod system;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use system::{ControlSpace, local_address, source_address};
pub use system::{ErrorReceiver, Receiver, prepare};

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
};
use zephyr_engine::machine::Transmit;

/// How often a call is made, of which all but the last may fail with errors of earlier packets.
const MAX_CALLS: usize = 4;

/// A received datagram, but for its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The number of octets.
    pub len: usize,
    /// Where it came from.
    pub from: SocketAddr,
    /// The address of this host that it came to, where the socket says so.
    pub local: Option<IpAddr>,
}

/// An error about a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    /// Where the packet was sent.
    pub to: SocketAddr,
    /// Whether the host is there, and nobody listens at that port.
    pub port_unreachable: bool,
    /// The number of octets of the packet that are quoted.
    pub quoted: usize,
}

/// Sends a packet. When the address that it should go from is not, or no longer, one of this host from which its
/// destination can be reached, it goes from another one.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] when the socket takes no more at the moment; any other when the packet is lost.
pub fn send(socket: &impl AsFd, transmit: &Transmit) -> io::Result<()> {
    let send_from = |local| past_earlier_errors(|| system::send(socket.as_fd(), transmit, local));
    match send_from(transmit.local) {
        Err(error) if transmit.local.is_some() && error.kind() != ErrorKind::WouldBlock => send_from(None),
        result => result,
    }
}

/// Makes a call until it does not fail because of a packet that was sent before, but not endlessly.
pub(crate) fn past_earlier_errors<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..MAX_CALLS {
        match call() {
            Err(error) if may_be_of_an_earlier_packet(&error) => {}
            result => return result,
        }
    }
    call()
}

/// Whether a call on a socket may have failed because of a packet that was sent before. That is queued as well.
pub(crate) fn may_be_of_an_earlier_packet(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(system::is_reported)
}
