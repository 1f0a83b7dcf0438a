//! Packets whose origin is being verified.
//!
//! Verification is a job of the driver's: on the spot, or on other threads. Its results may come back in any order;
//! what one source sent is handled in the order in which it came all the same. So every source has a queue here, in
//! which packets wait for their own result and for those before them.

use crate::server::intake::Arrival;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};
use zephyr_core::{
    auth::{AuthError, Judgement},
    notice::OwnedPacket,
};

/// Maximum number of packets verified at a time; further ones wait before they are looked at.
const MAX_JOBS: usize = 1024;
/// Maximum number of packets of one source verified at a time.
const MAX_PER_SOURCE: usize = 64;

/// A verification job: whether a packet was made by who must have made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyJob {
    /// Which job.
    pub id: VerifyId,
    /// The packet.
    pub packet: OwnedPacket,
    /// The principal that must have made it: its sender, or the servers of another realm.
    pub expected: Box<[u8]>,
}

/// The identifier of a job; says whose packet it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifyId {
    source: IpAddr,
    number: u64,
}

/// The result of a job.
pub struct Verified {
    /// Which job.
    pub id: VerifyId,
    /// The backend's judgement; an error when it cannot say anything, which is not because of the packet.
    pub result: Result<Judgement, AuthError>,
}

/// The state of a packet's verification.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It is being verified.
    Asked(u64),
    /// Nothing is known, and nothing asked: it looks like one that is being verified, which must be handled first.
    Repeated,
    /// The result is there.
    Known(Result<Judgement, AuthError>),
}

/// The queues of all sources; those that are empty are not kept.
#[derive(Debug, Default)]
pub(crate) struct Verifications {
    queues: HashMap<IpAddr, VecDeque<(Arrival, Progress)>>,
    len: usize,
    last_number: u64,
}

impl Verifications {
    /// Whether nothing is being verified of a source, so that what it sends can be handled as soon as its origin is
    /// known.
    pub(crate) fn is_idle(&self, source: IpAddr) -> bool {
        self.len == 0 || !self.queues.contains_key(&source)
    }

    /// Whether a packet more of this source may be verified now.
    pub(crate) fn has_room_for(&self, source: IpAddr) -> bool {
        let of_source = || self.queues.get(&source).is_none_or(|queue| queue.len() < MAX_PER_SOURCE);
        self.len == 0 || self.len < MAX_JOBS && of_source()
    }

    /// Whether a packet of the same source and octets is being verified.
    pub(crate) fn contains(&self, arrival: &Arrival) -> bool {
        let same = |(other, _): &(Arrival, Progress)| other.print == arrival.print;
        self.queues.get(&arrival.from().ip()).is_some_and(|queue| queue.iter().any(same))
    }

    /// The number of queued packets.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Queues a packet until its result has come; gives the job that brings it.
    pub(crate) fn begin(&mut self, arrival: Arrival, expected: Box<[u8]>) -> VerifyJob {
        self.last_number += 1;
        let id = VerifyId { source: arrival.from().ip(), number: self.last_number };
        let job = VerifyJob { id, packet: arrival.packet.clone(), expected };
        self.wait(arrival, Progress::Asked(id.number));
        job
    }

    /// Queues a packet behind those before it.
    pub(crate) fn wait(&mut self, arrival: Arrival, progress: Progress) {
        self.len += 1;
        self.queues.entry(arrival.from().ip()).or_default().push_back((arrival, progress));
    }

    /// Handles a result. One that nobody waits for is of no use.
    pub(crate) fn finish(&mut self, verified: Verified) {
        let Verified { id, result } = verified;
        let Some(queue) = self.queues.get_mut(&id.source) else { return };
        let asked = |(_, progress): &&mut (Arrival, Progress)| matches!(progress, Progress::Asked(number) if *number == id.number);
        if let Some((_, progress)) = queue.iter_mut().find(asked) {
            *progress = Progress::Known(result);
        }
    }

    /// The oldest packet of a source, unless it is still being verified.
    pub(crate) fn take_ready(&mut self, source: IpAddr) -> Option<(Arrival, Progress)> {
        if self.len == 0 {
            return None;
        }
        let queue = self.queues.get_mut(&source)?;
        if matches!(queue.front()?, (_, Progress::Asked(_))) {
            return None;
        }
        let ready = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&source);
        }
        self.len -= 1;
        ready
    }
}

impl VerifyId {
    /// The source of its packet.
    pub(crate) const fn source(&self) -> IpAddr {
        self.source
    }
}
