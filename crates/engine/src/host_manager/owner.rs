//! Owners of the programs of this host, asked of the driver.
//!
//! Zephyr's programs prove nothing to their host manager, but the system knows whose each socket is. Each packet is
//! asked about anew: a port may pass from one user to another at any moment.

use super::Received;
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};
use zephyr_core::kind::Kind;

/// Maximum number of packets of one program that wait until its owner is known.
const MAX_WAITING_PER_PROGRAM: usize = 64;
/// Maximum number of packets that wait until their owner is known.
const MAX_WAITING: usize = 1024;
/// Root's number.
const ROOT: u32 = 0;

/// The owner of a program's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The user with this number.
    User(u32),
    /// Nobody knows: the socket is closed already, its user has no number here, or the system does not tell. All whom
    /// nobody knows share what one user has, and may order nothing.
    Unknown,
}

impl Owner {
    /// Whether it is root.
    pub(super) fn is_root(self) -> bool {
        self == Self::User(ROOT)
    }
}

/// How certain an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// For a share of the queue: whoever has the socket that answers go to.
    Usual,
    /// For an order: nobody else can have sent from that address.
    Sole,
}

impl Certainty {
    /// What the handling of a packet of this kind needs.
    fn for_kind(kind: Kind) -> Self {
        if kind == Kind::HmCtl { Self::Sole } else { Self::Usual }
    }
}

/// A job: to find out whose socket it is that sends from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerQuery {
    /// The address and port that a packet came from.
    pub program: SocketAddr,
    /// How certain the answer must be. It is [`Owner::Unknown`] rather than less certain.
    pub certainty: Certainty,
}

impl OwnerQuery {
    /// The result of the job.
    pub const fn answer(self, owner: Owner) -> OwnerAnswer {
        OwnerAnswer { query: self, owner }
    }
}

/// The result of an [`OwnerQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerAnswer {
    /// What was asked.
    pub query: OwnerQuery,
    /// Whose socket it is.
    pub owner: Owner,
}

/// A program: its address, and whose it is. The same address is another program once another user has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Program {
    pub(super) owner: Owner,
    pub(super) address: SocketAddr,
}

/// The owners of all programs that have used this host manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// No program has.
    Nobody,
    /// Only programs of this owner.
    Only(Owner),
    /// Programs of several owners, or programs from before this host manager.
    Several,
}

impl Users {
    /// A program of this owner uses the host manager.
    pub(super) fn add(&mut self, owner: Owner) {
        *self = match *self {
            Self::Nobody => Self::Only(owner),
            Self::Only(only) if only == owner => Self::Only(only),
            Self::Only(_) | Self::Several => Self::Several,
        };
    }

    /// Whether what concerns all programs concerns only those of this owner.
    pub(super) fn are_only(self, owner: Owner) -> bool {
        owner != Owner::Unknown && (self == Self::Nobody || self == Self::Only(owner))
    }
}

/// Packets whose owner is being asked for, in the order in which they came from each program.
#[derive(Debug, Default)]
pub(super) struct Unowned {
    waiting: HashMap<SocketAddr, VecDeque<Received>>,
    len: usize,
}

/// There is no room for a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Unowned {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The octets of all packets that wait.
    pub(super) fn octets(&self) -> usize {
        self.waiting.values().flatten().map(|received| received.packet.octets().len()).sum()
    }

    /// Keeps a packet until its owner is known; what must be asked for that, unless something is being asked about its
    /// program already.
    pub(super) fn add(&mut self, received: Received) -> Result<Option<OwnerQuery>, Full> {
        let from = received.from;
        let before = self.waiting.get(&from).map_or(0, VecDeque::len);
        if self.len >= MAX_WAITING || before >= MAX_WAITING_PER_PROGRAM {
            return Err(Full);
        }
        let query = (before == 0).then(|| received.query());
        self.waiting.entry(from).or_default().push_back(received);
        self.len += 1;
        Ok(query)
    }

    /// The next packet of the program in question for which the answer to this query is certain enough.
    pub(super) fn take(&mut self, query: OwnerQuery) -> Option<Received> {
        let packets = self.waiting.get_mut(&query.program)?;
        let received = packets.pop_front_if(|received| received.query().certainty <= query.certainty)?;
        self.len -= 1;
        if packets.is_empty() {
            self.waiting.remove(&query.program);
        }
        Some(received)
    }

    /// What must be asked for the next packet of a program.
    pub(super) fn next_query(&self, program: SocketAddr) -> Option<OwnerQuery> {
        self.waiting.get(&program)?.front().map(Received::query)
    }
}

impl Received {
    fn query(&self) -> OwnerQuery {
        OwnerQuery { program: self.from, certainty: Certainty::for_kind(self.packet.notice().kind) }
    }
}
