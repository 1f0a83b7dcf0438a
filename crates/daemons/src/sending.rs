//! Sending what an engine put out.

use std::io;
use tokio::net::UdpSocket;
use zephyr_engine::outbox::Outbox;

/// How far an outbox was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing is left.
    All,
    /// There is more to send.
    Some,
    /// The socket takes no more at the moment.
    Blocked,
}

/// Sends at most `most` packets. One that cannot be sent is lost, as it could be on its way.
pub(crate) fn send_some<E>(socket: &UdpSocket, outbox: &mut Outbox<E>, most: usize) -> Sent {
    for _ in 0..most {
        let Some(transmit) = outbox.next_transmit() else { return Sent::All };
        match socket.try_send_to(&transmit.payload, transmit.to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outbox.not_yet(transmit);
                return Sent::Blocked;
            }
            Err(error) => tracing::debug!("cannot send to {}: {error}", transmit.to),
        }
    }
    if outbox.waiting() == 0 { Sent::All } else { Sent::Some }
}
