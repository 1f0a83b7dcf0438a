//! Answers that wait until what their requests changed is kept.
//!
//! Whoever is answered may rely on it, so the answer to a request that has changed something leaves when all *keepers* have the
//! change: the disk, and the servers beside this one. Each has a time for that. One that does not keep to it is no longer
//! waited for until it has caught up, so a slow disk or a silent peer costs one wait and not one for each request.
//!
//! An answer whose request has changed nothing never waits, and without keepers none does.

use crate::{
    machine::Transmit,
    server::{Server, intake::KnownBy, limits::digest::Digest, log_event::LogEvent, request::Request},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::time::Now;

/// Maximum number of answers that wait. Beyond, the oldest leaves.
const MAX_HELD: usize = 16_384;

/// Somebody who keeps what a server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeeperId {
    /// The disk.
    Disk,
    /// Another server of the domain.
    Peer(SocketAddr),
}

impl KeeperId {
    /// How long an answer waits for it.
    const fn timeout(self) -> Duration {
        match self {
            Self::Disk => Duration::from_secs(1),
            Self::Peer(_) => Duration::from_millis(500),
        }
    }
}

impl fmt::Display for KeeperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("the disk"),
            Self::Peer(peer) => write!(f, "server {peer}"),
        }
    }
}

/// Whether a keeper is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It keeps what is told from now on.
    Here,
    /// It keeps nothing.
    Away,
}

/// How far a keeper is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The number of changes that it has, of all that were told.
    has: u64,
    /// Too late: not waited for until it has so many.
    late_until: Option<u64>,
}

/// An answer that waits.
#[derive(Debug)]
struct Held {
    /// So many changes must be kept.
    needs: u64,
    since: Duration,
    /// The digest of what it answers.
    packet: Digest,
    transmit: Transmit,
}

/// All answers that wait, and those for whom.
#[derive(Debug, Default)]
pub(crate) struct HeldAnswers {
    keepers: BTreeMap<KeeperId, Progress>,
    /// The oldest first.
    held: VecDeque<Held>,
    /// How many of them answer a packet of these octets.
    packets: HashMap<Digest, usize>,
}

impl HeldAnswers {
    /// Whether an answer waits at all.
    pub(crate) fn is_waited(&self) -> bool {
        self.keepers.values().any(|progress| progress.late_until.is_none())
    }

    /// The number of answers that wait.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the answer to this packet waits, wherever it came from.
    pub(crate) fn holds(&self, known_by: &KnownBy) -> bool {
        !self.held.is_empty() && self.packets.contains_key(&known_by.print.octets)
    }

    /// The answer waits until so many changes are kept. Gives another one that can no longer wait.
    #[must_use]
    fn hold(&mut self, held: Held) -> Option<Transmit> {
        *self.packets.entry(held.packet).or_insert(0) += 1;
        self.held.push_back(held);
        if self.held.len() > MAX_HELD { self.take_first() } else { None }
    }

    fn take_first(&mut self) -> Option<Transmit> {
        let held = self.held.pop_front()?;
        if let Some(count) = self.packets.get_mut(&held.packet) {
            *count -= 1;
            if *count == 0 {
                self.packets.remove(&held.packet);
            }
        }
        Some(held.transmit)
    }

    /// The next answer that need not wait any longer.
    fn take_kept(&mut self) -> Option<Transmit> {
        let waited = self.keepers.values().filter(|progress| progress.late_until.is_none());
        let kept = waited.map(|progress| progress.has).min().unwrap_or(u64::MAX);
        if self.held.front()?.needs <= kept { self.take_first() } else { None }
    }

    /// A keeper for whom the oldest answer has waited for too long: it is late, and must have so many changes before it is
    /// waited for again.
    fn take_late(&mut self, now: Duration, told: u64) -> Option<KeeperId> {
        let oldest = self.held.front()?;
        let is_late = |id: &KeeperId, progress: &Progress| {
            progress.late_until.is_none()
                && progress.has < oldest.needs
                && now.saturating_sub(oldest.since) >= id.timeout()
        };
        let (&id, progress) = self.keepers.iter_mut().find(|(id, progress)| is_late(id, progress))?;
        progress.late_until = Some(told);
        Some(id)
    }

    /// When the oldest answer has waited for too long.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let oldest = self.held.front()?;
        let waited = |(id, progress): (&KeeperId, &Progress)| {
            (progress.late_until.is_none() && progress.has < oldest.needs).then(|| oldest.since + id.timeout())
        };
        self.keepers.iter().filter_map(waited).min()
    }

    /// A keeper has so many changes.
    fn has(&mut self, id: KeeperId, number: u64) {
        let Some(progress) = self.keepers.get_mut(&id) else { return };
        progress.has = progress.has.max(number);
        if progress.late_until.is_some_and(|until| until <= progress.has) {
            progress.late_until = None;
        }
    }
}

impl Server {
    /// Changes that were ever told. A keeper's numbers are of these.
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// Whether the answer to a request waits: it has changed something, or will, as its authenticator is used now.
    pub(crate) fn may_wait(&self, request: &Request<'_>) -> bool {
        let uses_proof = request.known_by.authenticator.is_some() && request.verdict.is_authentic();
        self.held_answers.is_waited() && (uses_proof || self.told != request.told_before)
    }

    /// Sends an answer; when its request may have changed something since so many changes had been told, once that is kept.
    pub(crate) fn send_when_kept(&mut self, now: Now, transmit: Transmit, known_by: KnownBy, before: u64) {
        if self.told == before || !self.held_answers.is_waited() {
            return self.send(transmit);
        }
        self.counters.answers_held += 1;
        let held = Held { needs: self.told, since: now.monotonic, packet: known_by.print.octets, transmit };
        if let Some(oldest) = self.held_answers.hold(held) {
            self.send(oldest);
        }
    }

    /// Somebody keeps all that is told from the beginning.
    pub fn keep_with(&mut self, keeper: KeeperId) {
        self.keeper(keeper, Presence::Here);
    }

    /// A keeper comes or goes. One that comes says itself how far it is.
    pub(crate) fn keeper(&mut self, id: KeeperId, presence: Presence) {
        match presence {
            Presence::Here => {
                let progress = Progress { has: 0, late_until: None };
                self.held_answers.keepers.insert(id, progress);
            }
            Presence::Away => {
                self.held_answers.keepers.remove(&id);
            }
        }
        self.release_answers();
    }

    /// A keeper has so many of all changes that were told.
    pub(crate) fn stored(&mut self, id: KeeperId, up_to: u64) {
        self.held_answers.has(id, up_to);
        self.release_answers();
    }

    /// Sends the answers that have waited for too long.
    pub(crate) fn answer_overdue(&mut self, now: Now) {
        while let Some(keeper) = self.held_answers.take_late(now.monotonic, self.told) {
            self.counters.keepers_late += 1;
            let event = match self.keeper_name(keeper) {
                Some(name) => LogEvent::PeerLate { name },
                None => LogEvent::KeeperLate { keeper },
            };
            self.report(event);
        }
        self.release_answers();
    }

    fn release_answers(&mut self) {
        while let Some(answer) = self.held_answers.take_kept() {
            self.send(answer);
        }
    }
}
