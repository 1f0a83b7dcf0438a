//! Fan-outs: notices on their way to their readers.
//!
//! A notice to many is work for many packets, and only so many may be on their way at a time. So a notice is handed out
//! one reader at a time, whenever there is room for one packet more, and notices take turns: first the addresses that
//! they came from, then those of one address. Nobody waits for somebody else's readers.
//!
//! Every reader gets the notices of one address in the order in which they came: a notice that comes to a reader whom
//! an earlier one of its address has yet to reach lets that one go first. Such readers, and those that did not
//! acknowledge lately, are set aside, so that a notice's other readers do not wait for them.

use crate::server::{
    Published,
    intake::KnownBy,
    pacer::Room,
    state::clients::{ClientId, Clients},
};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};
use zephyr_core::{auth::AuthError, uid::Uid};

/// The packets that carry one notice to one client, each with its uid.
pub(crate) type Packets = Vec<(Uid, Bytes)>;

/// Maximum number of notices of one address under way; further packets of it wait before they are looked at.
const MAX_PER_SOURCE: usize = 128;
/// Maximum number of readers passed over in one go.
const MAX_PASSED_OVER: usize = 64;
/// Maximum number of notices looked at for one that can go on.
const MAX_LOOKED_AT: usize = 1024;

/// A notice on its way to its readers.
#[derive(Debug)]
pub(crate) struct FanOut {
    /// What is told of it in the end.
    pub(crate) published: Published,
    /// Its recipient, with a realm.
    pub(crate) recipient: Box<[u8]>,
    /// What it is for those who cannot check its proof: the same for everybody.
    pub(crate) unproven: Option<Result<Packets, AuthError>>,
    /// By what its packet is known, while its sender has no answer yet.
    pub(crate) unanswered: Option<KnownBy>,
    /// Its readers in the order of their numbers; those before `next` have had their turn.
    readers: Vec<ClientId>,
    next: usize,
    /// Readers that were set aside, in the same order.
    aside: VecDeque<ClientId>,
}

/// How a fan-out goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// With this reader.
    Reader(ClientId),
    /// Not before there is room, or an earlier notice has gone on.
    Later,
    /// Some readers are gone; there may be more.
    PassedOver,
    /// Not at all: all have been reached.
    Done,
}

impl FanOut {
    /// The fan-out of a notice to these readers, who are in the order of their numbers.
    pub(crate) const fn new(published: Published, recipient: Box<[u8]>, readers: Vec<ClientId>) -> Self {
        Self { published, recipient, unproven: None, unanswered: None, readers, next: 0, aside: VecDeque::new() }
    }

    /// The number of readers that it has still to reach.
    pub(crate) fn left(&self) -> usize {
        self.readers.len().saturating_sub(self.next) + self.aside.len()
    }

    /// Whether it has still to reach this reader.
    fn has_before_it(&self, reader: ClientId) -> bool {
        let awake = self.readers.get(self.next..).unwrap_or_default();
        awake.binary_search(&reader).is_ok() || self.aside.binary_search(&reader).is_ok()
    }

    /// The next reader to whom there may be sent. Readers that are gone are passed over.
    pub(crate) fn next(&mut self, clients: &Clients, room: Room, must_wait: impl Fn(ClientId) -> bool) -> Next {
        for _ in 0..MAX_PASSED_OVER {
            if let Some(&reader) = self.readers.get(self.next)
                && (room.awake || !is_awake(clients, reader))
            {
                self.next += 1;
                if !is_awake(clients, reader) || must_wait(reader) {
                    self.aside.push_back(reader);
                    continue;
                }
                return Next::Reader(reader);
            }
            let Some(&reader) = self.aside.front() else {
                return if self.left() == 0 { Next::Done } else { Next::Later };
            };
            let has_room = match clients.get(reader) {
                Some(client) if client.silent => room.silent,
                Some(_) => room.awake,
                None => true,
            };
            if !has_room || must_wait(reader) {
                return Next::Later;
            }
            self.aside.pop_front();
            if clients.get(reader).is_some() {
                return Next::Reader(reader);
            }
        }
        Next::PassedOver
    }
}

/// Whether a client is there and acknowledged lately.
fn is_awake(clients: &Clients, reader: ClientId) -> bool {
    clients.get(reader).is_some_and(|client| !client.silent)
}

/// The fan-outs of one address, oldest first.
#[derive(Debug, Default)]
struct OfSource {
    fan_outs: VecDeque<Box<FanOut>>,
    /// Whose turn it is.
    turn: usize,
}

/// A fan-out that has its turn.
pub(crate) struct Turn {
    source: IpAddr,
    place: usize,
    pub(crate) fan_out: Box<FanOut>,
    pub(crate) next: Next,
}

/// The fan-outs of all addresses; those without are not kept.
#[derive(Debug, Default)]
pub(crate) struct FanOuts {
    sources: HashMap<IpAddr, OfSource>,
    /// The addresses in the order of their turns.
    turns: VecDeque<IpAddr>,
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
        self.is_empty() || self.sources.get(&source).is_none_or(|own| own.fan_outs.len() < MAX_PER_SOURCE)
    }

    /// Adds a fan-out behind those of the same address.
    pub(crate) fn push(&mut self, fan_out: Box<FanOut>) {
        let source = fan_out.published.from.ip();
        self.left += fan_out.left();
        let own = self.sources.entry(source).or_default();
        if own.fan_outs.is_empty() {
            self.turns.push_back(source);
        }
        own.fan_outs.push_back(fan_out);
    }

    /// Takes the fan-out whose turn it is among those that can go on. It must be given back, unless it is done.
    pub(crate) fn take(&mut self, clients: &Clients, room: Room) -> Option<Turn> {
        let mut looked_at = 0;
        for _ in 0..self.turns.len() {
            let source = self.turns.pop_front()?;
            self.turns.push_back(source);
            let own = self.sources.get_mut(&source)?;
            for step in 0..own.fan_outs.len() {
                let place = (own.turn + step) % own.fan_outs.len();
                let mut fan_out = own.fan_outs.remove(place)?;
                let left = fan_out.left();
                let earlier = || own.fan_outs.range(..place);
                let must_wait = |reader| earlier().any(|earlier| earlier.has_before_it(reader));
                let next = fan_out.next(clients, room, must_wait);
                self.left = self.left.saturating_sub(left - fan_out.left());
                if next != Next::Later {
                    return Some(Turn { source, place, fan_out, next });
                }
                own.fan_outs.insert(place, fan_out);
                looked_at += 1;
                if looked_at >= MAX_LOOKED_AT {
                    return None;
                }
            }
        }
        None
    }

    /// Gives back a fan-out after its turn.
    pub(crate) fn give_back(&mut self, turn: Turn) {
        let Turn { source, place, fan_out, .. } = turn;
        if let Some(own) = self.sources.get_mut(&source) {
            own.fan_outs.insert(place, fan_out);
            own.turn = place + 1;
        }
    }

    /// A fan-out is done after its turn, and does not come back.
    pub(crate) fn done(&mut self, turn: &Turn) {
        let Turn { source, place, .. } = *turn;
        let Some(own) = self.sources.get_mut(&source) else { return };
        own.turn = place;
        if own.fan_outs.is_empty() {
            self.sources.remove(&source);
            // It has just had its turn.
            self.turns.pop_back_if(|last| *last == source);
        }
    }
}
