//! Fan-outs: notices on their way to their readers.
//!
//! A notice to many is work for many packets, and only so many may be on their way at a time. So a notice is handed out
//! one reader at a time, whenever there is room for one packet more, and notices take turns: first the speakers that they
//! are from, then those of one speaker. Nobody waits for somebody else's readers.
//!
//! A speaker is a proven principal at an address; all who prove nothing there are one. Every reader gets the notices of
//! one speaker in the order in which they came: when a notice comes to a reader whom earlier ones of its speaker have yet
//! to reach, the earliest of them reaches that reader first, before its other readers. So a notice to few does not wait
//! for one to many.

use crate::server::{
    Published,
    intake::KnownBy,
    state::clients::{ClientId, Clients},
};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
};
use zephyr_core::{
    auth::{AuthError, Identity},
    uid::Uid,
};

/// The packets that carry one notice to one client, each with its uid.
pub(crate) type Packets = Vec<(Uid, Bytes)>;

/// Maximum number of notices of one speaker under way; further ones are refused.
const MAX_PER_SPEAKER: usize = 256;
/// Maximum number of notices of one address under way; further packets of it wait before they are looked at.
const MAX_PER_ADDRESS: usize = 1024;
/// Maximum number of readers passed over in one go.
const MAX_PASSED_OVER: usize = 64;
/// A notice to so few readers may always be under way.
const FEW_READERS: usize = 64;

/// A notice on its way to its readers.
#[derive(Debug)]
pub(crate) struct FanOut {
    /// What is told of it in the end.
    pub(crate) published: Published,
    /// The address of this host that it came to.
    pub(crate) local: Option<IpAddr>,
    /// Its recipient, with a realm.
    pub(crate) recipient: Box<[u8]>,
    /// What it is for those who cannot check its proof: the same for everybody.
    pub(crate) unproven: Option<Result<Packets, AuthError>>,
    /// By what its packet is known, while its sender has no answer yet.
    pub(crate) unanswered: Option<KnownBy>,
    /// Its readers in the order of their numbers; those before `next` have had their turn.
    readers: Vec<ClientId>,
    next: usize,
    /// Of the others, those that were reached before their turn.
    early: BTreeSet<ClientId>,
}

/// How a fan-out goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// With this reader.
    Reader(ClientId),
    /// Some readers are gone; there may be more.
    PassedOver,
    /// Not at all: all have been reached.
    Done,
}

impl FanOut {
    /// The fan-out of a notice to these readers, who are in the order of their numbers.
    pub(crate) const fn new(
        published: Published,
        local: Option<IpAddr>,
        recipient: Box<[u8]>,
        readers: Vec<ClientId>,
    ) -> Self {
        let early = BTreeSet::new();
        Self { published, local, recipient, unproven: None, unanswered: None, readers, next: 0, early }
    }

    /// The number of readers that it has still to reach.
    pub(crate) fn left(&self) -> usize {
        self.readers.len().saturating_sub(self.next + self.early.len())
    }

    /// Takes the next reader. Those that are gone are passed over.
    pub(crate) fn take_next(&mut self, clients: &Clients) -> Next {
        let next = self.peek(clients);
        if let Next::Reader(_) = next {
            self.next += 1;
        }
        next
    }

    /// The next reader. Those that are gone or have been reached are passed over.
    fn peek(&mut self, clients: &Clients) -> Next {
        for _ in 0..MAX_PASSED_OVER {
            let Some(&reader) = self.readers.get(self.next) else { return Next::Done };
            if !self.early.remove(&reader) && clients.get(reader).is_some() {
                return Next::Reader(reader);
            }
            self.next += 1;
        }
        Next::PassedOver
    }

    /// Whether it has still to reach this reader.
    fn has_before_it(&self, reader: ClientId) -> bool {
        let to_come = self.readers.get(self.next..).unwrap_or_default();
        to_come.binary_search(&reader).is_ok() && !self.early.contains(&reader)
    }
}

/// Whom a notice is from: an address, and who is proven to speak there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Speaker {
    address: IpAddr,
    principal: Option<Identity>,
}

impl Speaker {
    pub(crate) fn of(published: &Published) -> Self {
        Self { address: published.from.ip(), principal: published.verdict.identity().cloned() }
    }
}

/// The fan-outs of one speaker, oldest first.
#[derive(Debug, Default)]
struct OfSpeaker {
    fan_outs: VecDeque<Box<FanOut>>,
    /// Whose turn it is.
    turn: usize,
}

/// A fan-out that has its turn.
pub(crate) struct Turn {
    speaker: Speaker,
    place: usize,
    pub(crate) fan_out: Box<FanOut>,
    pub(crate) next: Next,
}

/// The fan-outs of all speakers; those without are not kept.
#[derive(Debug, Default)]
pub(crate) struct FanOuts {
    speakers: HashMap<Speaker, OfSpeaker>,
    /// The speakers in the order of their turns.
    turns: VecDeque<Speaker>,
    /// The number of notices of each address.
    of_address: HashMap<IpAddr, usize>,
    /// Readers that all of them have still to reach.
    left: usize,
}

impl FanOuts {
    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The number of readers that are still to be reached.
    pub(crate) const fn left(&self) -> usize {
        self.left
    }

    /// Whether one notice more of this address may be under way.
    pub(crate) fn has_room_for(&self, source: IpAddr) -> bool {
        self.of_address.get(&source).is_none_or(|&count| count < MAX_PER_ADDRESS)
    }

    /// Whether one notice more of this speaker may be under way.
    pub(crate) fn has_room_for_speaker(&self, speaker: &Speaker) -> bool {
        self.speakers.get(speaker).is_none_or(|own| own.fan_outs.len() < MAX_PER_SPEAKER)
    }

    /// Whether a notice to so many readers may be under way beside the others, which have `max` in all.
    pub(crate) const fn have_room_for_readers(&self, readers: usize, max: usize) -> bool {
        readers <= FEW_READERS || self.left.saturating_add(readers) <= max
    }

    /// Adds a fan-out behind those of the same speaker.
    pub(crate) fn push(&mut self, fan_out: Box<FanOut>) {
        let speaker = Speaker::of(&fan_out.published);
        self.left += fan_out.left();
        *self.of_address.entry(speaker.address).or_insert(0) += 1;
        let own = self.speakers.entry(speaker.clone()).or_default();
        if own.fan_outs.is_empty() {
            self.turns.push_back(speaker);
        }
        own.fan_outs.push_back(fan_out);
    }

    /// Takes the fan-out whose turn it is, with the reader that it reaches next. It must be given back, unless it is
    /// done.
    pub(crate) fn take(&mut self, clients: &Clients) -> Option<Turn> {
        let speaker = self.turns.pop_front()?;
        self.turns.push_back(speaker.clone());
        let own = self.speakers.get_mut(&speaker)?;
        let mut place = if own.turn < own.fan_outs.len() { own.turn } else { 0 };
        own.turn = place + 1;
        let fan_out = own.fan_outs.get_mut(place)?;
        let before = fan_out.left();
        let next = fan_out.peek(clients);
        self.left = self.left.saturating_sub(before - fan_out.left());
        let reader = if let Next::Reader(reader) = next { Some(reader) } else { None };
        if let Some(reader) = reader
            && let Some(earliest) = own.fan_outs.range(..place).position(|earlier| earlier.has_before_it(reader))
        {
            place = earliest;
            own.fan_outs.get_mut(place)?.early.insert(reader);
            self.left -= 1;
        } else if reader.is_some() {
            own.fan_outs.get_mut(place)?.next += 1;
            self.left -= 1;
        }
        Some(Turn { speaker, place, fan_out: own.fan_outs.remove(place)?, next })
    }

    /// Gives back a fan-out after its turn.
    pub(crate) fn give_back(&mut self, turn: Turn) {
        let Turn { speaker, place, fan_out, .. } = turn;
        if let Some(own) = self.speakers.get_mut(&speaker) {
            own.fan_outs.insert(place, fan_out);
        }
    }

    /// A fan-out is done after its turn, and does not come back.
    pub(crate) fn done(&mut self, turn: &Turn) {
        let Turn { speaker, place, .. } = turn;
        if let Some(count) = self.of_address.get_mut(&speaker.address) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&speaker.address);
            }
        }
        let Some(own) = self.speakers.get_mut(speaker) else { return };
        if *place < own.turn {
            own.turn -= 1;
        }
        if own.fan_outs.is_empty() {
            self.speakers.remove(speaker);
            // It has just had its turn.
            self.turns.pop_back_if(|last| last == speaker);
        }
    }
}
