//! Unacknowledged packets, and their retransmission (server behaviour, section 9).

use crate::{
    machine::Transmit,
    server::{
        kept::KeptDelivery,
        reply::PARTS,
        state::{clients::ClientId, standing::Standing},
    },
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    schedule::{CLIENT_SILENCE, TO_CLIENT},
    time::Now,
    uid::Uid,
};

/// The addressee of a packet, which decides how long it is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    /// A client: until it acknowledges or is given up.
    Client(ClientId),
    /// Whoever asked something with proof: so many times, at most as long as he waits for the answer.
    Asker { transmissions: usize },
    /// An address that may be forged: so many times, so that nobody is flooded in his name.
    Stranger { transmissions: usize },
}

impl Addressee {
    /// Maximum transmissions of the packet; a client's fate is decided after the last.
    const fn transmissions(self) -> usize {
        match self {
            Self::Client(_) => TO_CLIENT.len(),
            Self::Asker { transmissions } | Self::Stranger { transmissions } => transmissions,
        }
    }
}

/// Those who share the room for unacknowledged packets. Nothing that is meant for one of these takes the room of another,
/// not even at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Room {
    Clients(Standing),
    /// Clients that have not shown that they are there: whoever forges addresses takes nothing of those that have.
    Held,
    Askers,
    Strangers,
}

impl Room {
    const ALL: [Self; 5] =
        [Self::Clients(Standing::Unproven), Self::Clients(Standing::Proven), Self::Held, Self::Askers, Self::Strangers];

    const fn of(addressee: Addressee, standing: Standing) -> Self {
        match addressee {
            Addressee::Client(_) => Self::Clients(standing),
            Addressee::Asker { .. } => Self::Askers,
            Addressee::Stranger { .. } => Self::Strangers,
        }
    }
}

/// The key of a packet: its destination and its uid.
pub(crate) type PacketKey = (SocketAddr, Uid);

/// Packets that may wait for a client whatever waits for others of its principal.
const MIN_PER_CLIENT: usize = 8;

/// An unacknowledged packet.
struct Pending {
    /// The local address that it goes from.
    local: Option<IpAddr>,
    payload: Bytes,
    addressee: Addressee,
    owner: Option<Arc<[u8]>>,
    room: Room,
    /// How often it was sent: not at all while it is held.
    transmissions: usize,
    due: Duration,
}

impl Pending {
    fn transmit(&self, to: SocketAddr) -> Transmit {
        Transmit { to, local: self.local, payload: self.payload.clone() }
    }
}

/// The action on a packet that is due.
pub(crate) enum Due {
    /// Send it again; this is transmission number so-and-so.
    Resend { uid: Uid, transmit: Transmit, transmission: usize },
    /// Its last wait is over and it belongs to this client; the packet is still pending.
    Undecided { packet: PacketKey, client: ClientId },
    /// It was forgotten.
    Forgotten,
}

/// Limits of unacknowledged packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeliveryLimits {
    /// Packets to one address and port.
    pub(crate) per_destination: usize,
    /// Octets to one host.
    pub(crate) host_octets: usize,
    /// Octets to the clients of one principal.
    pub(crate) principal_octets: usize,
    /// Octets to clients of this standing.
    pub(crate) client_octets: usize,
    /// Octets to those who asked something.
    pub(crate) answer_octets: usize,
}

impl DeliveryLimits {
    /// The part of them for what is held.
    const fn part(&self) -> Self {
        Self {
            per_destination: self.per_destination,
            host_octets: self.host_octets / PARTS,
            principal_octets: self.principal_octets / PARTS,
            client_octets: self.client_octets / PARTS,
            answer_octets: self.answer_octets,
        }
    }
}

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The client's, or the asker's.
    Destination,
    /// The host's.
    Host,
    /// The principal's.
    Principal,
    /// The server's.
    Server,
}

/// A packet to be retransmitted until it is acknowledged.
pub(crate) struct Outgoing {
    pub(crate) key: PacketKey,
    /// The local address that it goes from.
    pub(crate) local: Option<IpAddr>,
    pub(crate) addressee: Addressee,
    /// The principal of the client, or of who asked.
    pub(crate) owner: Option<Arc<[u8]>>,
    /// Whether that is proven.
    pub(crate) standing: Standing,
    pub(crate) payload: Bytes,
}

/// All unacknowledged packets.
#[derive(Default)]
pub(crate) struct Deliveries {
    pending: BTreeMap<PacketKey, Pending>,
    due: BTreeSet<(Duration, PacketKey)>,
    /// Packets that are held for clients, in order.
    held: HashMap<ClientId, Vec<PacketKey>>,
    per_destination: HashMap<(SocketAddr, Room), usize>,
    host_octets: HashMap<(IpAddr, Room), usize>,
    principal_octets: HashMap<(Arc<[u8]>, Room), usize>,
    octets: HashMap<Room, usize>,
    /// Clients that are gone, whose packets are still to be forgotten.
    gone: VecDeque<(SocketAddr, ClientId)>,
}

/// Overhead in octets of an unacknowledged packet.
const OVERHEAD: usize = 320;
/// Packets that were held for a client and are sent at once when it is known to be there.
pub(crate) const MAX_RELEASED_AT_ONCE: usize = 16;
/// Packets of clients that are gone, forgotten in one go: nobody waits because somebody else had many.
const MAX_FORGOTTEN_PER_STEP: usize = 64;

const fn key_range(to: SocketAddr) -> std::ops::RangeInclusive<PacketKey> {
    let first = Uid { address: Ipv4Addr::UNSPECIFIED, seconds: 0, micros: 0 };
    let last = Uid { address: Ipv4Addr::BROADCAST, seconds: u32::MAX, micros: u32::MAX };
    (to, first)..=(to, last)
}

/// Subtracts from a sum, which is removed when it is zero.
fn subtract<K: Eq + Hash>(sums: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(sum) = sums.get_mut(key) {
        *sum = sum.saturating_sub(amount);
        if *sum == 0 {
            sums.remove(key);
        }
    }
}

impl Deliveries {
    /// Remembers a packet that is sent for the first time now. One of the same uid that already waits there stays as it
    /// is: nobody cancels another's packet by reusing its uid.
    ///
    /// # Errors
    ///
    /// When a limit is reached; the packet is not remembered then.
    pub(crate) fn remember(&mut self, now: Duration, packet: Outgoing, limits: &DeliveryLimits) -> Result<(), Full> {
        let key = packet.key;
        let room = Room::of(packet.addressee, packet.standing);
        if self.insert(packet, room, limits)? {
            self.sent_first(now, key);
        }
        Ok(())
    }

    /// Remembers a packet that was sent so many times before this server began, and is due then.
    ///
    /// # Errors
    ///
    /// When a limit is reached; the packet is not remembered then.
    pub(crate) fn restore(
        &mut self,
        packet: Outgoing,
        transmissions: usize,
        due: Duration,
        limits: &DeliveryLimits,
    ) -> Result<(), Full> {
        let key = packet.key;
        let room = Room::of(packet.addressee, packet.standing);
        if self.insert(packet, room, limits)?
            && let Some(pending) = self.pending.get_mut(&key)
        {
            (pending.transmissions, pending.due) = (transmissions, due);
            self.due.insert((due, key));
        }
        Ok(())
    }

    /// All packets for clients that wait, those that are due first in front, and each client's held ones in their order.
    pub(crate) fn kept(&self, now: Now) -> Vec<KeptDelivery> {
        let is_of_client = |pending: &Pending| matches!(pending.addressee, Addressee::Client(_));
        let kept = |key: &PacketKey| {
            let pending = self.pending.get(key).filter(|pending| is_of_client(pending))?;
            let wait =
                if pending.due == Duration::MAX { Duration::ZERO } else { pending.due.saturating_sub(now.monotonic) };
            Some(KeptDelivery {
                client: key.0,
                uid: key.1,
                local: pending.local,
                transmissions: pending.transmissions,
                due: now.wall + wait,
                payload: pending.payload.clone(),
            })
        };
        self.due.iter().map(|(_, key)| key).chain(self.held.values().flatten()).filter_map(kept).collect()
    }

    /// As [`remember`](Self::remember), but the packet is not sent before its client is [released](Self::release).
    ///
    /// # Errors
    ///
    /// When a limit is reached; the packet is not remembered then.
    pub(crate) fn hold(&mut self, client: ClientId, packet: Outgoing, limits: &DeliveryLimits) -> Result<(), Full> {
        let key = packet.key;
        if self.insert(packet, Room::Held, &limits.part())? {
            self.held.entry(client).or_default().push(key);
        }
        Ok(())
    }

    /// As [`hold`](Self::hold), for a client that is confirmed: the packet takes no room of those that are not.
    ///
    /// # Errors
    ///
    /// When a limit is reached; the packet is not remembered then.
    pub(crate) fn hold_confirmed(
        &mut self,
        id: ClientId,
        packet: Outgoing,
        limits: &DeliveryLimits,
    ) -> Result<(), Full> {
        let (key, room) = (packet.key, Room::of(packet.addressee, packet.standing));
        if self.insert(packet, room, limits)? {
            self.held.entry(id).or_default().push(key);
        }
        Ok(())
    }

    /// The first packets that were held for a client, so many, which are sent now. The others are due from now on, in order:
    /// nobody waits because somebody else had many.
    pub(crate) fn release(
        &mut self,
        now: Duration,
        client: ClientId,
        standing: Standing,
        at_once: usize,
    ) -> Vec<(Uid, Transmit)> {
        let mut held = self.held.remove(&client).unwrap_or_default();
        for key in &held {
            if let Some(mut pending) = self.pending.remove(key) {
                self.uncount(key, &pending);
                pending.room = Room::Clients(standing);
                self.count(key, &pending);
                self.pending.insert(*key, pending);
            }
        }
        let later = held.split_off(held.len().min(at_once));
        let mut due = now;
        for key in later {
            due += Duration::from_micros(1);
            if let Some(pending) = self.pending.get_mut(&key) {
                pending.due = due;
                self.due.insert((due, key));
            }
        }
        held.into_iter().filter_map(|key| Some((key.1, self.sent_first(now, key)?))).collect()
    }

    /// True when the packet is a new one.
    fn insert(&mut self, packet: Outgoing, room: Room, limits: &DeliveryLimits) -> Result<bool, Full> {
        let Outgoing { key, local, addressee, owner, payload, .. } = packet;
        let host = key.0.ip();
        let octets = payload.len() + OVERHEAD;
        let (used, allowed) = match room {
            Room::Clients(_) | Room::Held => (self.octets_of(room), limits.client_octets),
            Room::Askers => (self.octets_of(room) + self.octets_of(Room::Strangers), limits.answer_octets),
            Room::Strangers => (self.octets_of(room), limits.answer_octets / PARTS),
        };
        let sum_of = |owner: &Arc<[u8]>| self.principal_octets.get(&(owner.clone(), room)).copied().unwrap_or(0);
        let waiting = self.per_destination.get(&(key.0, room)).copied().unwrap_or(0);
        if waiting >= limits.per_destination {
            return Err(Full::Destination);
        }
        // Clients that are gone use up what the host and the principal may; those that are there acknowledge, and go on
        // receiving.
        let is_behind = !matches!(room, Room::Clients(_)) || waiting >= MIN_PER_CLIENT;
        if is_behind && self.host_octets.get(&(host, room)).copied().unwrap_or(0) + octets > limits.host_octets {
            return Err(Full::Host);
        }
        if is_behind && owner.as_ref().map_or(0, sum_of) + octets > limits.principal_octets {
            return Err(Full::Principal);
        }
        if used + octets > allowed {
            return Err(Full::Server);
        }
        if self.pending.contains_key(&key) {
            return Ok(false);
        }
        let pending = Pending { local, payload, addressee, owner, room, transmissions: 0, due: Duration::MAX };
        self.count(&key, &pending);
        self.pending.insert(key, pending);
        Ok(true)
    }

    fn count(&mut self, key: &PacketKey, pending: &Pending) {
        let (room, octets) = (pending.room, pending.payload.len() + OVERHEAD);
        *self.octets.entry(room).or_insert(0) += octets;
        *self.per_destination.entry((key.0, room)).or_insert(0) += 1;
        *self.host_octets.entry((key.0.ip(), room)).or_insert(0) += octets;
        if let Some(owner) = &pending.owner {
            *self.principal_octets.entry((owner.clone(), room)).or_insert(0) += octets;
        }
    }

    fn uncount(&mut self, key: &PacketKey, pending: &Pending) {
        let (room, octets) = (pending.room, pending.payload.len() + OVERHEAD);
        subtract(&mut self.octets, &room, octets);
        subtract(&mut self.per_destination, &(key.0, room), 1);
        subtract(&mut self.host_octets, &(key.0.ip(), room), octets);
        if let Some(owner) = &pending.owner {
            subtract(&mut self.principal_octets, &(owner.clone(), room), octets);
        }
    }

    /// A packet is sent for the first time: its acknowledgement is waited for.
    fn sent_first(&mut self, now: Duration, key: PacketKey) -> Option<Transmit> {
        let pending = self.pending.get_mut(&key)?;
        pending.transmissions = 1;
        pending.due = now + wait_after(1);
        self.due.insert((pending.due, key));
        Some(pending.transmit(key.0))
    }

    /// Handles an acknowledgement; true when something waited for it.
    pub(crate) fn acknowledged(&mut self, packet: &PacketKey) -> bool {
        // What was not sent yet cannot have been received.
        let was_sent = self.pending.get(packet).is_some_and(|pending| pending.transmissions > 0);
        was_sent && self.forget(packet).is_some()
    }

    /// Forgets all packets to a client that is gone, [bit by bit](Self::forget_some).
    pub(crate) fn forget_client(&mut self, address: SocketAddr, client: ClientId) {
        self.held.remove(&client);
        if self.pending_for(address) > 0 {
            self.gone.push_back((address, client));
        }
    }

    /// Forgets some packets of clients that are gone; true when there are more.
    pub(crate) fn forget_some(&mut self) -> bool {
        let mut left = MAX_FORGOTTEN_PER_STEP;
        while left > 0
            && let Some(&(address, client)) = self.gone.front()
        {
            let own = |pending: &Pending| pending.addressee == Addressee::Client(client);
            let packets = self.pending.range(key_range(address)).filter(|(_, pending)| own(pending));
            let packets: Vec<PacketKey> = packets.map(|(&packet, _)| packet).take(left).collect();
            if packets.is_empty() {
                self.gone.pop_front();
            }
            left = left.saturating_sub(packets.len().max(1));
            for packet in packets {
                self.forget(&packet);
            }
        }
        !self.gone.is_empty()
    }

    /// The number of unacknowledged packets to this address.
    pub(crate) fn pending_for(&self, to: SocketAddr) -> usize {
        Room::ALL.iter().filter_map(|&room| self.per_destination.get(&(to, room))).sum()
    }

    /// The time of the next action.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|&(due, _)| due)
    }

    /// The next action that is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Due> {
        let &(due, packet) = self.due.first()?;
        if due > now {
            return None;
        }
        let pending = self.pending.get_mut(&packet)?;
        if pending.transmissions < pending.addressee.transmissions() {
            pending.transmissions += 1;
            let (transmit, transmission) = (pending.transmit(packet.0), pending.transmissions);
            self.postpone(packet, now + wait_after(transmission));
            return Some(Due::Resend { uid: packet.1, transmit, transmission });
        }
        match pending.addressee {
            Addressee::Client(client) => Some(Due::Undecided { packet, client }),
            Addressee::Asker { .. } | Addressee::Stranger { .. } => {
                self.forget(&packet);
                Some(Due::Forgotten)
            }
        }
    }

    /// An undecided packet's client is alive: sends the packet again, and asks again when the client has been silent
    /// for long.
    pub(crate) fn keep(&mut self, now: Duration, packet: PacketKey) -> Option<Due> {
        let pending = self.pending.get_mut(&packet)?;
        pending.transmissions += 1;
        let (transmit, transmission) = (pending.transmit(packet.0), pending.transmissions);
        self.postpone(packet, now + CLIENT_SILENCE);
        Some(Due::Resend { uid: packet.1, transmit, transmission })
    }

    /// A packet was sent for the first time only now.
    pub(crate) fn sent_late(&mut self, now: Duration, packet: PacketKey) {
        if self.pending.get(&packet).is_some_and(|pending| pending.transmissions == 1) {
            self.postpone(packet, now + wait_after(1));
        }
    }

    /// A packet to a client that was due is not sent again before this time; false when it is no such packet.
    pub(crate) fn put_off(&mut self, until: Duration, packet: PacketKey) -> bool {
        let Some(pending) = self.pending.get_mut(&packet) else { return false };
        let is_to_client = matches!(pending.addressee, Addressee::Client(_));
        if is_to_client {
            pending.transmissions = pending.transmissions.saturating_sub(1);
            self.postpone(packet, until);
        }
        is_to_client
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn octets(&self) -> usize {
        self.octets.values().sum()
    }

    fn octets_of(&self, room: Room) -> usize {
        self.octets.get(&room).copied().unwrap_or(0)
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
        self.uncount(packet, &pending);
        Some(())
    }
}

/// The longest wait of a packet that was sent so many times; none where it was not sent yet.
pub(crate) fn longest_wait(transmissions: usize) -> Duration {
    if transmissions == 0 { Duration::ZERO } else { wait_after(transmissions) }
}

/// The wait after the nth transmission, counted from one.
fn wait_after(transmission: usize) -> Duration {
    TO_CLIENT.get(transmission - 1).copied().unwrap_or(CLIENT_SILENCE)
}
