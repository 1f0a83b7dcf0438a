//! The invariants that hold for every seed.

use super::{
    trace::beginning,
    truth::{Heading, Truth},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};
use zephyr_core::{auth::Identity, fragment::Span, kind::Kind, notice::Notice, schedule::RECEIVER_MEMORY, uid::Uid};
use zephyr_engine::{
    client::{OperationError, OperationId, Outcome, Received},
    server::Published,
};

/// Something that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// Nothing is shown as authentic that its sender has not proven as it is.
    Authenticity,
    /// Nobody is shown a notice twice.
    NoRepeats,
    /// Every operation ends once, and in one way.
    OneOutcome,
    /// Nothing grows beyond its bound.
    Bounded,
    /// Whoever has something to do says when, and does it then; in the end nothing is left to do.
    Timers,
    /// When the network is well again, notices are proven, taken and shown again.
    Recovery,
    /// When it is quiet, all servers of a domain that know each other know the same.
    Agreement,
    /// A notice that a server has handed out reaches its readers, as long as both are there.
    NoLostNotice,
    /// What has ended does not come back.
    NoReturn,
    /// What was answered stays, as long as somebody lives on who knew it.
    NoLoss,
    /// A host manager leaves a dead server soon after somebody has sent something for it.
    Failover,
    /// No host manager leaves a healthy server when all is calm.
    Steadiness,
    /// When all is calm, every host manager is at the best of its servers.
    BestServer,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should hold.
    pub invariant: Invariant,
    /// When it did not.
    pub at: Duration,
    /// Where.
    pub node: String,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, node, seen } = self;
        write!(f, "{invariant:?} does not hold at {:.6} s, {node}: {seen}", at.as_secs_f64())
    }
}

/// `Err` when something does not hold; which, and what was seen.
pub(super) type Checked = Result<(), (Invariant, String)>;

/// Which process: the node, and how often it was started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Incarnation {
    /// The node.
    pub node: usize,
    /// How often it was started before.
    pub start: u32,
}

/// A packet as receivers tell it from others.
type PacketId = (Incarnation, Uid, Kind);

/// What a simulation has brought, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Things that happened.
    pub steps: u64,
    /// Operations begun.
    pub operations: u64,
    /// Operations that ended well.
    pub succeeded: u64,
    /// Notices shown.
    pub shown: u64,
    /// Those among them that were shown as authentic.
    pub authentic: u64,
    /// Notices that servers had handed out to readers, each counted for each of them.
    pub promised: u64,
    /// Changes that servers have told.
    pub changes: u64,
    /// Packets that came again after the time for which a client remembers them.
    pub forgotten: u64,
}

impl Numbers {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            operations: self.operations + other.operations,
            succeeded: self.succeeded + other.succeeded,
            shown: self.shown + other.shown,
            authentic: self.authentic + other.authentic,
            promised: self.promised + other.promised,
            changes: self.changes + other.changes,
            forgotten: self.forgotten + other.forgotten,
        }
    }
}

/// Watches over what must hold.
#[derive(Debug, Default)]
pub(super) struct Checker {
    /// What was really said.
    pub truth: Truth,
    /// What was counted.
    pub numbers: Numbers,
    /// When each packet last came to each client.
    came: HashMap<PacketId, Duration>,
    /// What was shown, and as proven by whom each time.
    shown: HashMap<PacketId, Vec<Option<Identity>>>,
    shown_texts: HashSet<(Incarnation, Heading, Vec<u8>)>,
    open: BTreeMap<(Incarnation, OperationId), bool>,
}

impl Checker {
    /// A packet has come to a client. One that comes again after the client's memory of it has ended may be shown again.
    pub(super) fn came(&mut self, client: Incarnation, now: Duration, notice: &Notice<'_>) {
        let packet = (client, notice.uid, notice.kind);
        if let Some(last) = self.came.insert(packet, now)
            && now.saturating_sub(last) > RECEIVER_MEMORY
            && self.shown.remove(&packet).is_some()
        {
            self.numbers.forgotten += 1;
            self.shown_texts.retain(|(reader, heading, _)| *reader != client || *heading != Heading::of(notice));
        }
    }

    /// Whether a packet has come to a program before.
    pub(super) fn has_come(&self, program: Incarnation, notice: &Notice<'_>) -> bool {
        self.came.contains_key(&(program, notice.uid, notice.kind))
    }

    /// A client has shown a notice to its reader.
    ///
    /// # Errors
    ///
    /// When it should not have.
    pub(super) fn shown(&mut self, client: Incarnation, received: &Received) -> Checked {
        let notice = received.notice();
        self.numbers.shown += 1;
        // What is proven is not kept from its reader by what somebody forged before it; nothing else is shown twice.
        let proven_by = received.verdict().identity().cloned();
        let before = self.shown.entry((client, notice.uid, notice.kind)).or_default();
        let is_repeated = before.contains(&proven_by) || (proven_by.is_none() && !before.is_empty());
        before.push(proven_by);
        if is_repeated {
            return Err((Invariant::NoRepeats, format!("shown twice: uid {} {}", notice.uid, notice.kind)));
        }
        if !received.is_authentic() {
            return Ok(());
        }
        self.numbers.authentic += 1;
        if !self.truth.was_said(&notice) {
            return Err((Invariant::Authenticity, format!("shown as authentic, never said so: {}", in_words(&notice))));
        }
        if !self.shown_texts.insert((client, Heading::of(&notice), notice.body.to_vec())) {
            return Err((Invariant::NoRepeats, format!("said once, shown twice: {}", in_words(&notice))));
        }
        Ok(())
    }

    /// Whether a client has shown this to its reader, as authentic.
    pub(super) fn has_shown(&self, client: Incarnation, heading: &Heading, body: &[u8]) -> bool {
        self.shown_texts.contains(&(client, heading.clone(), body.to_vec()))
    }

    /// A server has published a packet.
    ///
    /// # Errors
    ///
    /// When it should not have, or not as authentic.
    pub(super) fn published(&self, published: &Published) -> Checked {
        let notice = published.notice();
        let whole = Span { offset: 0, total: notice.body.len() };
        let span = span_of(&notice).unwrap_or(whole);
        if published.verdict.is_authentic() && !self.truth.part_was_said(&notice, span) {
            return Err((
                Invariant::Authenticity,
                format!("taken for authentic, never said so: {}", in_words(&notice)),
            ));
        }
        Ok(())
    }

    /// A program begins an operation.
    pub(super) fn begun(&mut self, client: Incarnation, id: OperationId) {
        self.numbers.operations += 1;
        self.open.insert((client, id), false);
    }

    /// An operation has ended.
    ///
    /// # Errors
    ///
    /// When it had ended before, or never begun.
    pub(super) fn finished(
        &mut self,
        client: Incarnation,
        id: OperationId,
        outcome: &Result<Outcome, OperationError>,
    ) -> Checked {
        match self.open.get_mut(&(client, id)) {
            Some(ended @ false) => {
                *ended = true;
                self.numbers.succeeded += u64::from(outcome.is_ok());
                Ok(())
            }
            Some(true) => Err((Invariant::OneOutcome, format!("operation {} ended twice: {outcome:?}", id.0))),
            None => Err((Invariant::OneOutcome, format!("operation {} ended and was never begun", id.0))),
        }
    }

    /// A client has crashed: nobody waits for its operations.
    pub(super) fn crashed(&mut self, client: Incarnation) {
        self.open.retain(|(of, _), _| *of != client);
    }

    /// In the end every operation has ended.
    ///
    /// # Errors
    ///
    /// When one has not.
    pub(super) fn all_finished(&self) -> Result<(), (Incarnation, Invariant, String)> {
        match self.open.iter().find(|(_, ended)| !**ended) {
            Some(((client, id), _)) => {
                Err((*client, Invariant::OneOutcome, format!("operation {} has never ended", id.0)))
            }
            None => Ok(()),
        }
    }
}

/// Which part of a whole a published packet is, as receivers understand it.
fn span_of(notice: &Notice<'_>) -> Option<Span> {
    let text = std::str::from_utf8(notice.multinotice).ok()?;
    let (offset, total) = text.split_once('/')?;
    Some(Span { offset: offset.parse().ok()?, total: total.parse().ok()? })
}

fn in_words(notice: &Notice<'_>) -> String {
    let Heading { sender, class, instance, opcode, .. } = Heading::of(notice);
    let [sender, class, instance, opcode] =
        [sender, class, instance, opcode].map(|text| text.escape_ascii().to_string());
    format!("{class}/{instance}/{opcode} by {sender}, uid {}, body {:?}", notice.uid, beginning(notice.body))
}
