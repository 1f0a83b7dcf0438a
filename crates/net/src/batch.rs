//! Batched receive: many datagrams with one system call.
//!
//! That call costs more than the one for a single datagram, and pays from about sixteen datagrams on. So the first are
//! taken one by one, unless the last time has shown that a burst is under way.

use crate::datagram::Receiver;
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};
use tokio::{io::Interest, net::UdpSocket};
use zephyr_core::limits::MAX_PACKET;

/// Maximum number of datagrams of a batch.
pub const MAX_BATCH: usize = 32;
/// Number of datagrams received one by one before a batch is.
const MAX_SINGLE_DATAGRAMS: usize = 16;

type Buffers = [[u8; MAX_PACKET]; MAX_BATCH];

/// Buffers for the datagrams of one batch.
///
/// A datagram longer than [`MAX_PACKET`] is cut off, as by every Zephyr program.
#[derive(Debug)]
pub struct BatchReceiver {
    buffers: Box<Buffers>,
    single: Receiver,
    /// Whether the system has a call for many datagrams.
    batched: bool,
    /// The last batch was a full one.
    burst: bool,
}

impl BatchReceiver {
    /// Empty buffers.
    pub fn new() -> Self {
        let buffers = Box::new([[0; MAX_PACKET]; MAX_BATCH]);
        Self { buffers, single: Receiver::new(), batched: system::HAS_BATCHES, burst: false }
    }

    /// Receives what has come, at most [`MAX_BATCH`] datagrams, each with where it came from, and to which address of this
    /// host, as far as the socket says that; says how many. After fewer than [`MAX_BATCH`] it is time to do something else;
    /// whether nothing is left, [`UdpSocket::readable`] knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] when nothing has come. Others are about packets that were sent before, when many are, or
    /// for want of memory: what has come can still be taken afterwards.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        let result = self.receive_some(socket, &mut each);
        self.burst = matches!(result, Ok(MAX_BATCH));
        result
    }

    fn receive_some(
        &mut self,
        socket: &UdpSocket,
        each: &mut impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        let singly = match (self.batched, self.burst) {
            (true, true) => 0,
            (true, false) => MAX_SINGLE_DATAGRAMS,
            (false, _) => MAX_BATCH,
        };
        let received = self.one_by_one(socket, singly, each)?;
        if received < singly || singly == MAX_BATCH {
            return Ok(received);
        }
        let max = MAX_BATCH - received;
        match socket.try_io(Interest::READABLE, || system::receive(socket, &mut self.buffers, max, each)) {
            Ok(more) => Ok(received + more),
            // An old system, or a sandbox that does not let the call through.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                self.batched = false;
                self.one_by_one(socket, max, each).map(|more| received + more)
            }
            Err(error) if received == 0 => Err(error),
            Err(_) => Ok(received),
        }
    }

    /// As many system calls as datagrams, and one that says that there are no more.
    fn one_by_one(
        &mut self,
        socket: &UdpSocket,
        max: usize,
        each: &mut impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        let Self { buffers, single, .. } = self;
        for (received, buffer) in buffers.iter_mut().take(max).enumerate() {
            match socket.try_io(Interest::READABLE, || single.receive(socket, buffer)) {
                Ok(datagram) => {
                    each(datagram.from, datagram.local, buffer.get(..datagram.len).unwrap_or_default());
                }
                Err(error) if received == 0 => return Err(error),
                Err(_) => return Ok(received),
            }
        }
        Ok(max)
    }
}

impl Default for BatchReceiver {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::Buffers;
    use crate::datagram::{ControlSpace, local_address, past_earlier_errors, source_address};
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
    use std::{
        io::{self, IoSliceMut},
        net::{IpAddr, SocketAddr},
        os::fd::AsRawFd,
    };
    use tokio::net::UdpSocket;

    pub(super) const HAS_BATCHES: bool = true;

    pub(super) fn receive(
        socket: &UdpSocket,
        buffers: &mut Buffers,
        max: usize,
        each: &mut impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        past_earlier_errors(|| {
            // Made anew for each call: the system leaves in them how long the addresses of the last one were. Nor can they
            // be sent between threads.
            let control = ControlSpace::new().into_inner();
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(max, Some(control));
            let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
            let slices = slices.iter_mut().take(max);
            let datagrams = recvmmsg(socket.as_raw_fd(), &mut headers, slices, MsgFlags::MSG_DONTWAIT, None)?;
            let mut received = 0;
            for datagram in datagrams {
                received += 1;
                // One without an address cannot be answered, and UDP has none.
                if let Some(from) = source_address(&datagram) {
                    each(from, local_address(&datagram), datagram.iovs().next().unwrap_or_default());
                }
            }
            Ok(received)
        })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::Buffers;
    use std::{
        io,
        net::{IpAddr, SocketAddr},
    };
    use tokio::net::UdpSocket;

    pub(super) const HAS_BATCHES: bool = false;

    pub(super) fn receive(
        _: &UdpSocket,
        _: &mut Buffers,
        _: usize,
        _: &mut impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::bind;
    use std::net::Ipv6Addr;
    use zephyr_testkit::loopback::Network;

    /// All ways of receiving: by the number of datagrams, at once, and one by one.
    fn receivers() -> [BatchReceiver; 3] {
        let [first, second, third] = std::array::from_fn(|_| BatchReceiver::new());
        [first, BatchReceiver { burst: true, ..second }, BatchReceiver { batched: false, ..third }]
    }

    /// The next batch, once there is one: source and octets of each datagram.
    async fn next(receiver: &mut BatchReceiver, socket: &UdpSocket) -> io::Result<Vec<(SocketAddr, Vec<u8>)>> {
        loop {
            socket.readable().await?;
            let mut batch = Vec::new();
            match receiver.receive(socket, |from, _, octets| batch.push((from, octets.to_vec()))) {
                Ok(received) => {
                    assert_eq!(received, batch.len());
                    return Ok(batch);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(batch.is_empty()),
                Err(error) => return Err(error),
            }
        }
    }

    #[tokio::test]
    async fn a_burst_comes_whole_and_in_order() -> io::Result<()> {
        const BURST: u16 = 100;
        let network = Network::claim()?;
        let free = SocketAddr::from((network.here(), 0));
        for mut receiver in receivers() {
            let (one, other, socket) = (bind(free)?, bind(free)?, bind(free)?);
            for number in 0..BURST {
                let sender = if number % 3 == 0 { &one } else { &other };
                sender.send_to(&number.to_be_bytes(), socket.local_addr()?).await?;
            }
            let mut sizes = Vec::new();
            let mut received = Vec::new();
            while received.len() < usize::from(BURST) {
                let batch = next(&mut receiver, &socket).await?;
                sizes.push(batch.len());
                received.extend(batch);
            }
            assert_eq!(sizes, [MAX_BATCH, MAX_BATCH, MAX_BATCH, 4]);
            for (number, (from, octets)) in (0..BURST).zip(&received) {
                let sender = if number % 3 == 0 { &one } else { &other };
                assert_eq!((*from, octets.as_slice()), (sender.local_addr()?, &number.to_be_bytes()[..]));
            }
            let nothing = receiver.receive(&socket, |_, _, _| ()).map_err(|error| error.kind());
            assert_eq!(nothing, Err(ErrorKind::WouldBlock));
        }
        Ok(())
    }

    #[tokio::test]
    async fn long_datagrams_are_cut_off_and_empty_ones_are_datagrams() -> io::Result<()> {
        let network = Network::claim()?;
        let free = SocketAddr::from((network.here(), 0));
        for mut receiver in receivers() {
            let (sender, socket) = (bind(free)?, bind(free)?);
            for len in [MAX_PACKET + 1, 0, 5000, 1, MAX_PACKET] {
                sender.send_to(&vec![b'x'; len], socket.local_addr()?).await?;
            }
            let batch = next(&mut receiver, &socket).await?;
            let lengths: Vec<usize> = batch.iter().map(|(_, octets)| octets.len()).collect();
            assert_eq!(lengths, [MAX_PACKET, 0, MAX_PACKET, 1, MAX_PACKET], "and nothing of one is in another");
        }
        Ok(())
    }

    /// One receiver for sockets of both families: the lengths of addresses are not those of the last call.
    #[tokio::test]
    async fn addresses_of_both_families() -> io::Result<()> {
        let network = Network::claim()?;
        let (v4, v6) = (SocketAddr::from((network.here(), 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
        for mut receiver in receivers() {
            let burst = receiver.burst;
            for free in [v4, v6, v4] {
                receiver.burst = burst;
                let (Ok(sender), Ok(socket)) = (bind(free), bind(free)) else {
                    assert!(free.is_ipv6(), "a machine may be without IPv6");
                    continue;
                };
                sender.send_to(b"hello", socket.local_addr()?).await?;
                assert_eq!(next(&mut receiver, &socket).await?, [(sender.local_addr()?, b"hello".to_vec())]);
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_closed_port_does_not_stop_receiving() -> io::Result<()> {
        let network = Network::claim()?;
        let free = SocketAddr::from((network.here(), 0));
        for mut receiver in receivers() {
            let (peer, socket) = (bind(free)?, bind(free)?);
            let address = peer.local_addr()?;
            socket.connect(address).await?;
            drop(peer);
            socket.send(b"into the void").await?;
            let peer = bind(address)?;
            peer.send_to(b"back again", socket.local_addr()?).await?;
            assert_eq!(next(&mut receiver, &socket).await?, [(address, b"back again".to_vec())]);
        }
        Ok(())
    }

    /// What comes before the error is taken, and what comes after it.
    #[tokio::test]
    async fn an_error_between_datagrams_costs_none_of_them() -> io::Result<()> {
        let network = Network::claim()?;
        let free = SocketAddr::from((network.here(), 0));
        for mut receiver in receivers() {
            let (peer, socket) = (bind(free)?, bind(free)?);
            let address = peer.local_addr()?;
            socket.connect(address).await?;
            peer.send_to(b"before", socket.local_addr()?).await?;
            drop(peer);
            socket.send(b"into the void").await?;
            bind(address)?.send_to(b"after", socket.local_addr()?).await?;
            let mut received = Vec::new();
            while received.len() < 2 {
                match next(&mut receiver, &socket).await {
                    Ok(batch) => received.extend(batch.into_iter().map(|(_, octets)| octets)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
                }
            }
            assert_eq!(received, [&b"before"[..], b"after"]);
        }
        Ok(())
    }
}
