//! Packets that wait for their acknowledgement (server behaviour, section 9).

use super::clients::ClientId;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    schedule::{CLIENT_SILENCE, TO_CLIENT},
    uid::Uid,
};

/// Whom a packet is for, which says how long it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addressee {
    /// A client: until it acknowledges or is given up.
    Client(ClientId),
    /// Somebody proven who asked a question: as long as he waits for the answer.
    Asker,
    /// Somebody who may have forged where he asks from: few times, so that nobody is flooded in his name.
    Stranger,
}

impl Addressee {
    /// How often the packet is sent at most; a client's fate is decided after the last.
    const fn transmissions(self) -> usize {
        match self {
            Self::Client(_) => TO_CLIENT.len(),
            Self::Asker => 7,
            Self::Stranger => 3,
        }
    }
}

/// Which packet: where it went, and its uid.
pub(super) type PacketKey = (SocketAddr, Uid);

/// One packet on its way.
struct Pending {
    payload: Bytes,
    addressee: Addressee,
    /// How often it was sent.
    transmissions: usize,
    due: Duration,
}

/// What is to be done with a packet whose time has come.
pub(super) enum Due {
    /// Send it again; this is transmission number so-and-so.
    Resend { to: SocketAddr, payload: Bytes, transmission: usize },
    /// Its last wait is over and it belongs to this client; the packet is still pending.
    Undecided { packet: PacketKey, client: ClientId },
    /// It was forgotten.
    Forgotten,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Packets to one address and port.
    pub(super) per_destination: usize,
    /// Octets to clients.
    pub(super) client_octets: usize,
    /// Octets to those who asked something.
    pub(super) answer_octets: usize,
}

/// All packets on their way.
#[derive(Default)]
pub(super) struct Deliveries {
    pending: BTreeMap<PacketKey, Pending>,
    due: BTreeSet<(Duration, PacketKey)>,
    per_destination: HashMap<SocketAddr, usize>,
    client_octets: usize,
    answer_octets: usize,
}

/// Octets that a waiting packet takes beside its own.
const OVERHEAD: usize = 256;

const fn key_range(to: SocketAddr) -> std::ops::RangeInclusive<PacketKey> {
    let first = Uid { address: Ipv4Addr::UNSPECIFIED, seconds: 0, micros: 0 };
    let last = Uid { address: Ipv4Addr::BROADCAST, seconds: u32::MAX, micros: u32::MAX };
    (to, first)..=(to, last)
}

impl Deliveries {
    /// Whether packets of so many octets for this addressee may be waited for.
    pub(super) fn has_room(&self, to: SocketAddr, addressee: Addressee, octets: usize, room: &Room) -> bool {
        let (used, allowed) = match addressee {
            Addressee::Client(_) => (self.client_octets, room.client_octets),
            Addressee::Asker | Addressee::Stranger => (self.answer_octets, room.answer_octets),
        };
        self.per_destination.get(&to).is_none_or(|&count| count < room.per_destination)
            && used + octets + OVERHEAD <= allowed
    }

    /// Remembers a packet that is sent for the first time now. One of the same uid that already waits there stays as it
    /// is: nobody cancels another's packet by reusing its uid.
    pub(super) fn sent(&mut self, now: Duration, packet: PacketKey, addressee: Addressee, payload: Bytes) {
        if self.pending.contains_key(&packet) {
            return;
        }
        let due = now + wait_after(1);
        *self.octets_of(addressee) += payload.len() + OVERHEAD;
        *self.per_destination.entry(packet.0).or_insert(0) += 1;
        self.due.insert((due, packet));
        self.pending.insert(packet, Pending { payload, addressee, transmissions: 1, due });
    }

    /// An acknowledgement has come; true when something waited for it.
    pub(super) fn acknowledged(&mut self, packet: &PacketKey) -> bool {
        self.forget(packet).is_some()
    }

    /// Forgets all packets to a client. Costs as much as that client has waiting, not what others have.
    pub(super) fn forget_client(&mut self, address: SocketAddr, client: ClientId) {
        let own = |pending: &Pending| pending.addressee == Addressee::Client(client);
        let packets = self.pending.range(key_range(address));
        let packets: Vec<_> = packets.filter(|(_, pending)| own(pending)).map(|(&packet, _)| packet).collect();
        for packet in packets {
            self.forget(&packet);
        }
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|&(due, _)| due)
    }

    /// What is to be done now, one packet at a time.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Due> {
        let &(due, packet) = self.due.first()?;
        if due > now {
            return None;
        }
        let pending = self.pending.get_mut(&packet)?;
        if pending.transmissions < pending.addressee.transmissions() {
            pending.transmissions += 1;
            let (payload, transmission) = (pending.payload.clone(), pending.transmissions);
            self.postpone(packet, now + wait_after(transmission));
            return Some(Due::Resend { to: packet.0, payload, transmission });
        }
        match pending.addressee {
            Addressee::Client(client) => Some(Due::Undecided { packet, client }),
            Addressee::Asker | Addressee::Stranger => {
                self.forget(&packet);
                Some(Due::Forgotten)
            }
        }
    }

    /// An undecided packet's client is alive: sends the packet again, and asks again when the client has been silent
    /// for long.
    pub(super) fn keep(&mut self, now: Duration, packet: PacketKey) -> Option<Due> {
        let pending = self.pending.get_mut(&packet)?;
        pending.transmissions += 1;
        let (payload, transmission) = (pending.payload.clone(), pending.transmissions);
        self.postpone(packet, now + CLIENT_SILENCE);
        Some(Due::Resend { to: packet.0, payload, transmission })
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn octets(&self) -> usize {
        self.client_octets + self.answer_octets
    }

    fn postpone(&mut self, packet: PacketKey, due: Duration) {
        if let Some(pending) = self.pending.get_mut(&packet) {
            self.due.remove(&(pending.due, packet));
            pending.due = due;
            self.due.insert((due, packet));
        }
    }

    fn forget(&mut self, packet: &PacketKey) -> Option<()> {
        let pending = self.pending.remove(packet)?;
        self.due.remove(&(pending.due, *packet));
        *self.octets_of(pending.addressee) -= pending.payload.len() + OVERHEAD;
        if let Some(count) = self.per_destination.get_mut(&packet.0) {
            *count -= 1;
            if *count == 0 {
                self.per_destination.remove(&packet.0);
            }
        }
        Some(())
    }

    fn octets_of(&mut self, addressee: Addressee) -> &mut usize {
        match addressee {
            Addressee::Client(_) => &mut self.client_octets,
            Addressee::Asker | Addressee::Stranger => &mut self.answer_octets,
        }
    }
}

/// The wait after the nth transmission, counted from one.
fn wait_after(transmission: usize) -> Duration {
    TO_CLIENT.get(transmission - 1).copied().unwrap_or(CLIENT_SILENCE)
}
