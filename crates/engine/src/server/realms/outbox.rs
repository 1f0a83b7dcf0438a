//! Packets on their way to other realms, until a server of the realm answers them (server to server, section 8).

use crate::server::{
    intake::KnownBy,
    origin::RealmId,
    request::{Path, Source},
    state::{clients::ClientId, standing::Standing, subscriptions::Destination},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{notice::OwnedPacket, schedule::TO_REALM, uid::Uid};

/// The sender of a notice hears within this time what becomes of it: host managers take a server that is silent for twenty
/// seconds for dead.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// A proof older than this is made anew: the other side takes it for too old soon.
const PROOF_AGE: Duration = Duration::from_secs(240);
/// Overhead in octets of a packet.
const OVERHEAD: usize = 512;
/// How often the whole schedule is gone through at most, however many servers a realm has.
const MAX_ROUNDS: usize = 2;

/// The key of a packet: the realm that it goes to, and its uid.
pub(crate) type Key = (RealmId, Uid);

/// Whoever waits for a realm's answer to what he sent.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) path: Path,
    pub(crate) known_by: KnownBy,
    /// What he sent.
    pub(crate) packet: OwnedPacket,
    /// Its recipient, as he is told it.
    pub(crate) recipient: Box<[u8]>,
    /// The time at which he is answered in any case.
    pub(crate) deadline: Duration,
    /// The uids of the other packets that his became.
    pub(crate) parts: Vec<Uid>,
}

/// What a packet is, which says what its answer means.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A notice whose sender waits for the answer.
    HandOff(Box<Waiting>),
    /// A notice, or a part of one, whose sender has his answer.
    Copy,
    /// The realm is told that we have started.
    Greeting,
    /// A subscription of this client is asked for.
    Wish(ClientId, Destination),
    /// Something is asked for again that is held here.
    Control,
    /// This is not wanted any longer.
    End(Destination),
    /// An answer to a question of the realm's: it goes to the server that asked.
    Answer(SocketAddr),
    /// A question of a user's.
    Question,
}

impl Purpose {
    /// Whether it is one of the requests about subscriptions, of which only some are under way at a time.
    pub(crate) const fn is_request(&self) -> bool {
        matches!(self, Self::Wish(..) | Self::Control | Self::End(_))
    }

    /// Transmissions to a realm with so many servers at most.
    const fn transmissions(&self, servers: usize) -> usize {
        match self {
            Self::Answer(_) | Self::Question => zephyr_core::schedule::ANSWER_TRANSMISSIONS,
            _ if servers < MAX_ROUNDS => TO_REALM.len(),
            _ => TO_REALM.len() * MAX_ROUNDS,
        }
    }
}

/// A packet as it goes to a realm.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The packet without proof.
    pub(crate) plain: OwnedPacket,
    /// Whether it is sent with our proof.
    pub(crate) proven: bool,
    pub(crate) purpose: Purpose,
    /// Who is charged for it.
    pub(crate) payer: Payer,
}

/// Who is charged for a packet.
#[derive(Clone, Debug)]
pub(crate) struct Payer {
    pub(crate) source: Source,
    pub(crate) standing: Standing,
}

/// A packet as it is sent.
#[derive(Debug)]
struct Seal {
    packet: Bytes,
    at: Duration,
    /// Whether the realm was up then.
    is_firm: bool,
    /// How often it was sent.
    sent: usize,
}

/// What is known of the realm for which a proof is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    /// Whether it is up.
    pub(crate) is_up: bool,
    /// When it last began anew. A server that keeps nothing takes a proof from before for one that has served.
    pub(crate) began: Duration,
}

/// A packet that is not answered yet.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) outgoing: Outgoing,
    sealed: Option<Seal>,
    /// Whether its proof was refused, and has been made anew because of that.
    is_refused: bool,
    /// Turns that it has had: in most of them it was sent.
    pub(crate) turns: usize,
    /// When it was first sent.
    pub(crate) first_sent: Option<Duration>,
    /// The number of the address that it goes to next.
    pub(crate) target: usize,
    begun: Duration,
    due: Duration,
}

impl Entry {
    /// Who waits for the answer.
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        match &self.outgoing.purpose {
            Purpose::HandOff(waiting) => Some(waiting),
            _ => None,
        }
    }

    /// The packet with its proof, unless another one is needed by now: that one is too old, or the other side may have begun
    /// anew since.
    pub(crate) fn fresh(&self, now: Duration, side: Side) -> Option<Bytes> {
        let seal = self.sealed.as_ref()?;
        let is_good = seal.is_firm && seal.at >= side.began && now.saturating_sub(seal.at) < PROOF_AGE;
        (!self.outgoing.proven || seal.sent == 0 || is_good).then(|| seal.packet.clone())
    }

    /// The packet as it is sent from now on.
    pub(crate) fn set_sealed(&mut self, now: Duration, packet: Bytes, side: Side) {
        self.sealed = Some(Seal { packet, at: now, is_firm: side.is_up, sent: 0 });
    }

    /// The packet as it was sent last, however old its proof is.
    pub(crate) fn last_sealed(&self) -> Option<Bytes> {
        self.sealed.as_ref().map(|seal| seal.packet.clone())
    }

    /// The packet is sent as it is.
    pub(crate) fn sent(&mut self, now: Duration) {
        self.first_sent.get_or_insert(now);
        if let Some(seal) = &mut self.sealed {
            seal.sent += 1;
        }
    }

    /// Its answer refuses it: it gets another proof, once, if it was sent again with the one that it has. True when it does.
    pub(crate) fn refused(&mut self) -> bool {
        let may_be_old = self.outgoing.proven && self.sealed.as_ref().is_some_and(|seal| seal.sent > 1);
        if !may_be_old || std::mem::replace(&mut self.is_refused, true) {
            return false;
        }
        if let Some(seal) = &mut self.sealed {
            seal.is_firm = false;
        }
        true
    }

    /// Whether it has had all its turns, or waits for longer than it would have been repeated.
    pub(crate) fn is_exhausted(&self, now: Duration, servers: usize) -> bool {
        let all: Duration = TO_REALM.iter().sum();
        self.turns >= self.outgoing.purpose.transmissions(servers)
            || self.first_sent.is_none() && now.saturating_sub(self.begun) >= all
    }

    fn octets(&self) -> usize {
        OVERHEAD + self.outgoing.plain.octets().len() * 2
    }
}

/// Limits of packets on their way to one realm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) packets: usize,
    pub(crate) packets_of_source: usize,
    pub(crate) octets: usize,
}

/// All packets on their way to other realms.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: BTreeMap<Key, Entry>,
    due: BTreeSet<(Duration, Key)>,
    counts: HashMap<(RealmId, Standing), usize>,
    octets: HashMap<(RealmId, Standing), usize>,
    of_source: HashMap<(RealmId, Source), usize>,
    requests: HashMap<RealmId, usize>,
}

const FIRST: Uid = Uid { address: Ipv4Addr::UNSPECIFIED, seconds: 0, micros: 0 };
const LAST: Uid = Uid { address: Ipv4Addr::BROADCAST, seconds: u32::MAX, micros: u32::MAX };

fn subtract<K: Eq + Hash>(sums: &mut HashMap<K, usize>, key: &K, amount: usize) {
    if let Some(sum) = sums.get_mut(key) {
        *sum = sum.saturating_sub(amount);
        if *sum == 0 {
            sums.remove(key);
        }
    }
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn octets(&self) -> usize {
        self.octets.values().sum()
    }

    /// The packets on their way to a realm.
    pub(crate) fn count_of(&self, realm: RealmId) -> usize {
        [Standing::Proven, Standing::Unproven].iter().filter_map(|&it| self.counts.get(&(realm, it))).sum()
    }

    /// The requests about subscriptions on their way to a realm.
    pub(crate) fn requests_of(&self, realm: RealmId) -> usize {
        self.requests.get(&realm).copied().unwrap_or(0)
    }

    /// Whether there is room for so many packets more of this source; the octets of all are about `octets`.
    pub(crate) fn has_room(
        &self,
        realm: RealmId,
        payer: &Payer,
        packets: usize,
        octets: usize,
        limits: &OutboxLimits,
    ) -> bool {
        let sums = (realm, payer.standing);
        let of = |all: &HashMap<(RealmId, Standing), usize>| all.get(&sums).copied().unwrap_or(0);
        let of_source = self.of_source.get(&(realm, payer.source.clone())).copied().unwrap_or(0);
        of(&self.counts) + packets <= limits.packets
            && of(&self.octets) + packets * OVERHEAD + octets * 2 <= limits.octets
            && of_source + packets <= limits.packets_of_source
    }

    /// Adds a packet, which is due now and goes to this address first. One of the same key stays as it is.
    pub(crate) fn insert(&mut self, now: Duration, key: Key, outgoing: Outgoing, target: usize) {
        if self.entries.contains_key(&key) {
            return;
        }
        let entry = Entry {
            outgoing,
            sealed: None,
            is_refused: false,
            turns: 0,
            first_sent: None,
            target,
            begun: now,
            due: now,
        };
        let Outgoing { payer: Payer { source, standing }, purpose, .. } = &entry.outgoing;
        *self.counts.entry((key.0, *standing)).or_insert(0) += 1;
        *self.octets.entry((key.0, *standing)).or_insert(0) += entry.octets();
        *self.of_source.entry((key.0, source.clone())).or_insert(0) += 1;
        if purpose.is_request() {
            *self.requests.entry(key.0).or_insert(0) += 1;
        }
        self.due.insert((now, key));
        self.entries.insert(key, entry);
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// The sender of a packet has his answer.
    pub(crate) fn take_waiting(&mut self, key: &Key) -> Option<Box<Waiting>> {
        let entry = self.entries.get_mut(key)?;
        match std::mem::replace(&mut entry.outgoing.purpose, Purpose::Copy) {
            Purpose::HandOff(waiting) => Some(waiting),
            other => {
                entry.outgoing.purpose = other;
                None
            }
        }
    }

    /// Another packet is sent in this one's place: of the same purpose, and the same uid.
    pub(crate) fn replace_plain(&mut self, key: &Key, plain: OwnedPacket) {
        if let Some(entry) = self.entries.get_mut(key) {
            let (sums, before) = ((key.0, entry.outgoing.payer.standing), entry.octets());
            entry.outgoing.plain = plain;
            let after = entry.octets();
            subtract(&mut self.octets, &sums, before);
            *self.octets.entry(sums).or_insert(0) += after;
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.due.remove(&(entry.due, *key));
        let Outgoing { payer: Payer { source, standing }, purpose, .. } = &entry.outgoing;
        subtract(&mut self.counts, &(key.0, *standing), 1);
        subtract(&mut self.octets, &(key.0, *standing), entry.octets());
        subtract(&mut self.of_source, &(key.0, source.clone()), 1);
        if purpose.is_request() {
            subtract(&mut self.requests, &key.0, 1);
        }
        Some(entry)
    }

    /// A packet has its next turn at this time; earlier, if its sender is to be answered before.
    pub(crate) fn set_due(&mut self, key: &Key, due: Duration) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let due = entry.waiting().map_or(due, |waiting| due.min(waiting.deadline));
        self.due.remove(&(entry.due, *key));
        entry.due = due;
        self.due.insert((due, *key));
    }

    /// The packets to a realm, in the order of their uids.
    pub(crate) fn keys_of(&self, realm: RealmId) -> Vec<Key> {
        self.entries.range((realm, FIRST)..=(realm, LAST)).map(|(key, _)| *key).collect()
    }

    /// A realm is no longer told that something is not wanted: it is wanted again, and a late repetition would end it.
    pub(crate) fn end_ends(&mut self, realm: RealmId, destination: &Destination) {
        let is_end = |key: &Key| matches!(self.entries.get(key), Some(Entry { outgoing: Outgoing { purpose: Purpose::End(it), .. }, .. }) if it == destination);
        let ended: Vec<Key> = self.keys_of(realm).into_iter().filter(is_end).collect();
        for key in ended {
            self.remove(&key);
        }
    }

    /// The packets whose senders wait for their answers.
    pub(crate) fn waiting(&self) -> Vec<Key> {
        self.entries.iter().filter(|(_, entry)| entry.waiting().is_some()).map(|(key, _)| *key).collect()
    }

    /// A packet whose turn it is.
    pub(crate) fn due(&self, now: Duration) -> Option<Key> {
        self.due.first().filter(|(due, _)| *due <= now).map(|&(_, key)| key)
    }

    /// When the next packet has its turn.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|&(due, _)| due)
    }
}
