//! A sender of arbitrary packets, without credentials.

use crate::person::TIMEOUT;
use anyhow::{Result, bail};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    limits::{Limits, MAX_PACKET},
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::{Uid, UidSource},
};

/// A socket of its own, and uids.
#[derive(Debug)]
pub struct Stranger {
    socket: UdpSocket,
    uids: UidSource,
}

impl Stranger {
    /// At this address, which must be the machine's.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub fn at(address: Ipv4Addr) -> Result<Self> {
        Ok(Self { socket: UdpSocket::bind((address, 0))?, uids: UidSource::new(address) })
    }

    /// Where he is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// A uid that nobody has used yet.
    pub fn uid(&mut self) -> Uid {
        let monotonic = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.uids.next(&Now { monotonic, wall: SystemTime::now() })
    }

    /// Sends octets.
    ///
    /// # Errors
    /// When the system does not.
    pub fn send(&self, to: SocketAddr, packet: &[u8]) -> Result<()> {
        self.socket.send_to(packet, to)?;
        Ok(())
    }

    /// Sends a notice with this claim, and a new uid if it has none.
    ///
    /// # Errors
    /// When it cannot be written or sent.
    pub fn send_notice(&mut self, to: SocketAddr, notice: Notice<'_>, claim: &Claim<'_>) -> Result<Uid> {
        let uid = if notice.uid == Notice::EMPTY.uid { self.uid() } else { notice.uid };
        let IpAddr::V4(address) = self.address()?.ip() else { bail!("not at an IPv4 address") };
        let notice = Notice { uid, multiuid: uid, address: address.into(), ..notice };
        self.send(to, &notice.write(claim, Limits::WHOLE_PACKET)?)?;
        Ok(uid)
    }

    /// The next datagram that is `wanted`; others are passed over.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn receive(&self, wanted: impl FnMut(&Packet<'_>) -> bool) -> Result<Vec<u8>> {
        self.receive_within(TIMEOUT, wanted)
    }

    /// As [`Stranger::receive`], within a time of the caller's choice.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn receive_within(&self, time: Duration, mut wanted: impl FnMut(&Packet<'_>) -> bool) -> Result<Vec<u8>> {
        let deadline = Instant::now() + time;
        let mut buffer = [0; MAX_PACKET];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no such packet came within {time:?}");
            }
            self.socket.set_read_timeout(Some(left))?;
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let datagram = buffer.get(..length).unwrap_or_default();
            if Packet::parse(datagram).is_ok_and(|packet| wanted(&packet)) {
                return Ok(datagram.to_vec());
            }
        }
    }
}
