//! The packets that wait for a lookup of the user's credentials, outside of everything that is known of notices.
//!
//! None of them is acknowledged, so what finds no room comes again. Sources have equal shares: whoever sends most loses his own.

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{notice::OwnedPacket, shares::Shares};

/// The maximum number of packets that wait. No packet is longer than [`MAX_PACKET`](zephyr_core::limits::MAX_PACKET), so this
/// bounds their octets as well, to a mebibyte.
const MAX_UNVERIFIED: usize = 1024;

/// A packet of a notice as it was received.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Where it came from.
    pub(super) from: SocketAddr,
    /// The address of this host that it came to: its acknowledgement goes from there.
    pub(super) local: Option<IpAddr>,
    pub(super) packet: OwnedPacket,
}

/// Packets in order of arrival.
#[derive(Default)]
pub(super) struct Unverified {
    queue: BTreeMap<u64, Received>,
    /// The same by where they came from.
    by_source: BTreeSet<(IpAddr, u64)>,
    shares: Shares<IpAddr>,
    /// Their octets, so that a packet which is sent again waits once.
    waiting: HashSet<(SocketAddr, Bytes)>,
    arrived: u64,
}

/// A packet was refused, or another was dropped for it: it must come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow {
    /// Where the dropped packet came from.
    pub(super) from: SocketAddr,
}

impl Unverified {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Adds a packet at the end, unless it waits already.
    ///
    /// # Errors
    ///
    /// When one packet is dropped for want of room: this one, or the latest of whoever has most.
    pub(super) fn push(&mut self, received: Received) -> Result<(), Overflow> {
        let (from, octets) = (received.from, received.packet.octets().clone());
        if self.waiting.contains(&(from, octets.clone())) {
            return Ok(());
        }
        let overflow = if self.queue.len() >= MAX_UNVERIFIED { Some(self.make_room(from)?) } else { None };
        self.arrived += 1;
        self.waiting.insert((from, octets));
        self.by_source.insert((from.ip(), self.arrived));
        self.shares.add(&from.ip(), 1);
        self.queue.insert(self.arrived, received);
        overflow.map_or(Ok(()), Err)
    }

    /// Drops the latest packet of the source that has most; an error when that is this one.
    fn make_room(&mut self, from: SocketAddr) -> Result<Overflow, Overflow> {
        let refused = Overflow { from };
        let largest = self.shares.largest().filter(|(_, held)| *held > self.shares.of(&from.ip()) + 1);
        let source = *largest.ok_or(refused)?.0;
        let (_, latest) = *self.by_source.range((source, 0)..=(source, u64::MAX)).next_back().ok_or(refused)?;
        let Received { from: dropped, packet, .. } = self.queue.remove(&latest).ok_or(refused)?;
        self.by_source.remove(&(source, latest));
        self.shares.remove(&source, 1);
        self.waiting.remove(&(dropped, packet.octets().clone()));
        Ok(Overflow { from: dropped })
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Received> + use<> {
        std::mem::take(self).queue.into_values()
    }
}
