//! A stream to another server of ours, once it is open: what has come and what is to be sent.

use super::{cursor::Cursor, wire::Hello};
use crate::server::{
    peers::stream::{MAX_RECORD, StreamId},
    stamp::{Stamp, VersionVector},
    state::{clients, subscriptions::Destination},
};
use bytes::Bytes;
use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

/// Maximum octets of records that are under way: what comes after them waits here.
pub(super) const WINDOW: usize = 32 * 1024;
/// Maximum octets that have come and are not looked at yet. More is no server that we have slowed down.
const MAX_WAITING: usize = 4 << 20;
/// Something is sent at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Who says nothing for so long is not there.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// How far the other server's snapshot is, here.
#[derive(Debug)]
pub(super) enum Merge {
    /// It has not begun.
    Before,
    /// It comes in.
    Running(Box<Progress>),
    /// It is all here: what the other says that it knows is known here, too.
    Done,
}

/// A snapshot that comes in, in the order of its elements.
#[derive(Debug)]
pub(super) struct Progress {
    /// What the other knew when it began. What of that is not in the snapshot has ended there.
    pub(super) knew: VersionVector,
    /// The last element that has come.
    pub(super) place: Place,
    /// Where what is here and did not come is looked for now.
    pub(super) sweeps: VecDeque<Sweep>,
    /// Nothing more comes.
    pub(super) is_over: bool,
    /// The subscriptions of the client that came last.
    pub(super) listed: HashSet<(Destination, Stamp)>,
    /// The subscriptions of other realms that have come.
    pub(super) of_realms: HashSet<(Arc<[u8]>, Destination, Stamp)>,
}

impl Progress {
    /// Whether the other knew a change of a client before its snapshot began, and has not told of it where that should have been.
    pub(super) fn has_passed_client(&self, client: SocketAddr, stamp: Stamp) -> bool {
        let is_behind = match self.place {
            Place::Client(at) => at.is_some_and(|at| clients::in_order(client, at)),
            Place::Location(_) => true,
        };
        is_behind && self.knew.covers(stamp)
    }

    /// The same for a location.
    pub(super) fn has_passed_location(&self, address: SocketAddr, user: &[u8], stamp: Stamp) -> bool {
        let is_behind = match &self.place {
            Place::Location(Some((at, of))) => (address, user) < (*at, of),
            Place::Location(None) | Place::Client(_) => false,
        };
        (is_behind || self.is_over) && self.knew.covers(stamp)
    }
}

/// An element of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Client(Option<SocketAddr>),
    Location(Option<(SocketAddr, Arc<[u8]>)>),
}

/// Elements between two that followed each other in a snapshot; `None`: up to the last.
#[derive(Clone, Debug)]
pub(super) enum Sweep {
    Clients { after: Option<SocketAddr>, before: Option<SocketAddr> },
    Locations { after: Option<(SocketAddr, Arc<[u8]>)>, before: Option<(SocketAddr, Arc<[u8]>)> },
}

/// An open stream.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) stream: StreamId,
    pub(super) since: Duration,
    /// When something last came.
    pub(super) heard: Duration,
    /// When something was last sent.
    sent: Duration,
    /// Who the other is, once it has said so.
    pub(super) hello: Option<Hello>,
    /// What has come and is not looked at yet.
    pub(super) incoming: Vec<u8>,
    /// What the other has said that it knows.
    pub(super) told: VersionVector,
    pub(super) merge: Merge,
    /// What is to be sent next, behind what of it was sent.
    pub(super) out: Vec<u8>,
    sent_of_out: usize,
    /// Octets that were given to the driver and have not left.
    under_way: usize,
    /// The next entry of the log; none before the snapshot has begun.
    pub(super) next: Option<u64>,
    pub(super) cursor: Cursor,
    /// Whose turn it is, when there is both.
    pub(super) cursor_is_next: bool,
    /// Our own changes that were sent and are not acknowledged: their times, and their numbers among all that were told.
    pub(super) unacknowledged: VecDeque<(u64, u64)>,
    /// What we knew when all of the snapshot was sent: the other has caught up when it knows that.
    pub(super) goal: Option<VersionVector>,
    /// Whether it has caught up.
    pub(super) is_abreast: bool,
}

impl Channel {
    pub(super) fn new(stream: StreamId, now: Duration) -> Self {
        Self {
            stream,
            since: now,
            heard: now,
            sent: now,
            hello: None,
            incoming: Vec::new(),
            told: VersionVector::default(),
            merge: Merge::Before,
            out: Vec::new(),
            sent_of_out: 0,
            under_way: 0,
            next: None,
            cursor: Cursor::START,
            cursor_is_next: false,
            unacknowledged: VecDeque::new(),
            goal: None,
            is_abreast: false,
        }
    }

    /// A record has come; false when too much has.
    pub(super) fn receive(&mut self, now: Duration, record: &[u8]) -> bool {
        self.heard = now;
        self.incoming.extend_from_slice(record);
        self.incoming.len() <= MAX_WAITING
    }

    pub(super) fn drained(&mut self, octets: usize) {
        self.under_way = self.under_way.saturating_sub(octets);
    }

    /// Whether more may be sent now.
    pub(super) const fn has_room(&self) -> bool {
        self.under_way < WINDOW
    }

    /// Octets that wait to be sent.
    pub(super) const fn waiting(&self) -> usize {
        self.out.len() - self.sent_of_out
    }

    /// The next record, when one is full, or there is something and the last one has left.
    pub(super) fn record(&mut self, now: Duration) -> Option<Bytes> {
        let is_due = self.waiting() >= MAX_RECORD || self.waiting() > 0 && self.under_way == 0;
        if !is_due || !self.has_room() {
            return None;
        }
        let end = self.out.len().min(self.sent_of_out + MAX_RECORD);
        let record = Bytes::copy_from_slice(self.out.get(self.sent_of_out..end)?);
        self.sent_of_out = end;
        if end == self.out.len() {
            self.out.clear();
            self.sent_of_out = 0;
        }
        self.under_way += record.len();
        self.sent = now;
        Some(record)
    }

    /// All records that wait, however much is under way.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = Bytes> {
        let waiting = self.out.split_off(self.sent_of_out.min(self.out.len()));
        let records: Vec<Bytes> = waiting.chunks(MAX_RECORD).map(Bytes::copy_from_slice).collect();
        records.into_iter()
    }

    /// When something must be sent, or have come.
    pub(super) fn due(&self) -> Duration {
        self.keep_alive_due().min(self.heard + SILENCE)
    }

    pub(super) fn keep_alive_due(&self) -> Duration {
        self.sent + KEEP_ALIVE
    }

    /// Something is sent now, or as soon as anything can be.
    pub(super) const fn kept_alive(&mut self, now: Duration) {
        self.sent = now;
    }

    /// How many of our own changes it has not acknowledged.
    pub(super) fn behind(&self, log_end: u64) -> usize {
        let waiting = self.next.map_or(0, |next| log_end.saturating_sub(next));
        self.unacknowledged.len().saturating_add(usize::try_from(waiting).unwrap_or(usize::MAX))
    }
}
