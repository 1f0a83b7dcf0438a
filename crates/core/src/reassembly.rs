//! Reassembly of notices that come in several packets, by who is proven to have sent them (wire format, section 7).
//!
//! Fragments belong together when uid and kind *and* their proof agree: those of a principal are never joined with what proves
//! nothing or somebody else. The octets that are held are bounded. Who has none proven makes room first, then who has most; what
//! still finds no room is refused, and is to come again.

use crate::{
    auth::Identity,
    fragment::Span,
    inbox::Opened,
    limits::MAX_QUEUED,
    notice::OwnedPacket,
    partial::{Partial, Whole},
    schedule::FRAGMENT_TIMEOUT,
    shares::{Holder, Shares},
    uid::Uid,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// A notice is given up when its last fragment came longer than [`FRAGMENT_TIMEOUT`] ago.
const TIMEOUT: Duration = FRAGMENT_TIMEOUT.saturating_add(Duration::from_millis(1));

/// The uid and the number of the kind that all fragments of a notice have in common.
pub(crate) type NoticeKey = (Uid, u32);
/// A notice, and by whom its fragments are proven: `None` when by nobody.
type PartialKey = (NoticeKey, Option<Identity>);

/// A packet to be joined with the others of its notice.
pub(crate) struct Piece<'a> {
    pub(crate) key: NoticeKey,
    pub(crate) holder: Holder,
    pub(crate) from: SocketAddr,
    pub(crate) packet: &'a OwnedPacket,
    pub(crate) span: Span,
    pub(crate) opened: &'a Opened,
}

/// There is no room for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Notices that are not yet complete.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    partials: BTreeMap<PartialKey, Incomplete>,
    by_due: BTreeMap<(Duration, u64), PartialKey>,
    /// By whom they are charged to, the oldest first.
    by_holder: BTreeMap<(Holder, u64), PartialKey>,
    proven: Shares<Holder>,
    unproven: Shares<Holder>,
    begun: u64,
}

#[derive(Debug)]
struct Incomplete {
    partial: Partial,
    order: u64,
    due: Duration,
    /// Of its first packet.
    holder: Holder,
    /// Where its last packet came from.
    from: SocketAddr,
}

impl Reassembly {
    /// Octets that are held.
    pub(crate) const fn octets(&self) -> usize {
        self.proven.total() + self.unproven.total()
    }

    /// When the next notice is to be given up.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// Whether proven fragments of this notice wait for others.
    pub(crate) fn has_proven(&self, key: NoticeKey) -> bool {
        let first = (key, Some(Identity::new(b"")));
        self.partials.range(first..).next().is_some_and(|((found, _), _)| *found == key)
    }

    /// Adds a packet, and gives the notice when nothing is missing any more.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    pub(crate) fn add(&mut self, now: Duration, piece: &Piece<'_>) -> Result<Option<Whole>, Full> {
        let identity = match &piece.holder {
            Holder::Proven(identity) => Some(identity.clone()),
            Holder::Source(_) => None,
        };
        let key = (piece.key, identity);
        let known = self.partials.get(&key).map(|incomplete| incomplete.holder.clone());
        let holder = known.clone().unwrap_or_else(|| piece.holder.clone());
        self.make_room(&holder, Partial::growth(piece.packet))?;
        if known.is_none() {
            self.begin(now, &key, piece);
        }
        let Some(incomplete) = self.partials.get_mut(&key) else { return Ok(None) };
        let before = if known.is_some() { incomplete.partial.held() } else { 0 };
        incomplete.partial.add(piece.packet, piece.span.offset, piece.opened);
        incomplete.from = piece.from;
        self.by_due.remove(&(incomplete.due, incomplete.order));
        incomplete.due = now + TIMEOUT;
        self.by_due.insert((incomplete.due, incomplete.order), key.clone());
        let after = incomplete.partial.held();
        let finished = incomplete.partial.finished();
        self.shares(&holder).replace(&holder, before, after);
        if finished.is_some() {
            self.remove(&key, after);
        }
        Ok(finished)
    }

    fn begin(&mut self, now: Duration, key: &PartialKey, piece: &Piece<'_>) {
        self.begun += 1;
        let incomplete = Incomplete {
            partial: Partial::new(piece.span.total, piece.opened.verdict.clone()),
            order: self.begun,
            due: now + TIMEOUT,
            holder: piece.holder.clone(),
            from: piece.from,
        };
        self.by_holder.insert((piece.holder.clone(), self.begun), key.clone());
        self.partials.insert(key.clone(), incomplete);
    }

    const fn shares(&mut self, holder: &Holder) -> &mut Shares<Holder> {
        if holder.is_proven() { &mut self.proven } else { &mut self.unproven }
    }

    /// Makes room at the cost of those who have no proof, then of whoever has most; never at the holder's own.
    fn make_room(&mut self, holder: &Holder, octets: usize) -> Result<(), Full> {
        while self.octets() + octets > MAX_QUEUED {
            let own = self.shares(holder).of(holder) + octets;
            let richer = |shares: &Shares<Holder>| {
                shares.largest().filter(|(_, held)| *held > own).map(|(largest, _)| largest.clone())
            };
            let victim = match holder {
                Holder::Source(_) => richer(&self.unproven),
                Holder::Proven(_) => {
                    let unproven = self.unproven.largest().map(|(largest, _)| largest.clone());
                    unproven.or_else(|| richer(&self.proven))
                }
            };
            self.evict_oldest(victim.ok_or(Full)?)?;
        }
        Ok(())
    }

    fn evict_oldest(&mut self, holder: Holder) -> Result<(), Full> {
        let oldest = self.by_holder.range((holder.clone(), 0)..=(holder, u64::MAX)).next();
        let key = oldest.map(|(_, key)| key.clone()).ok_or(Full)?;
        self.forget(&key);
        Ok(())
    }

    fn forget(&mut self, key: &PartialKey) {
        if let Some(held) = self.partials.get(key).map(|incomplete| incomplete.partial.held()) {
            self.remove(key, held);
        }
    }

    fn remove(&mut self, key: &PartialKey, held: usize) {
        if let Some(Incomplete { order, due, holder, .. }) = self.partials.remove(key) {
            self.by_due.remove(&(due, order));
            self.shares(&holder).remove(&holder, held);
            self.by_holder.remove(&(holder, order));
        }
    }

    /// Gives up one notice whose missing fragments have not come for too long; `None` when there is none.
    ///
    /// What proven and other fragments make together is not silently lost: somebody has changed it on its way.
    pub(crate) fn give_up(&mut self, now: Duration) -> Option<GivenUp> {
        let (_, key) = self.by_due.first_key_value().filter(|((due, _), _)| *due <= now)?;
        let key = key.clone();
        if key.1.is_none() && self.has_proven(key.0) {
            // It is needed to tell what became of those.
            self.postpone(now, &key);
            return Some(GivenUp::Nothing);
        }
        let spoilt = self.spoilt(&key);
        self.forget(&key);
        if spoilt.is_some() {
            self.forget(&(key.0, None));
        }
        Some(spoilt.map_or(GivenUp::Nothing, GivenUp::Spoilt))
    }

    /// The whole that the fragments of a principal make with those of nobody.
    fn spoilt(&self, key: &PartialKey) -> Option<Spoilt> {
        key.1.as_ref()?;
        let filler = self.partials.get(&(key.0, None))?;
        let whole = self.partials.get(key)?.partial.filled_by(&filler.partial)?;
        Some(Spoilt { whole, from: filler.from })
    }

    fn postpone(&mut self, now: Duration, key: &PartialKey) {
        if let Some(incomplete) = self.partials.get_mut(key) {
            self.by_due.remove(&(incomplete.due, incomplete.order));
            incomplete.due = now + TIMEOUT;
            self.by_due.insert((incomplete.due, incomplete.order), key.clone());
        }
    }
}

/// What became of a notice that was given up.
#[derive(Debug)]
pub(crate) enum GivenUp {
    /// It is lost.
    Nothing,
    /// It is shown, but as failed.
    Spoilt(Spoilt),
}

/// A notice that is whole, but not all of it is proven.
#[derive(Debug)]
pub(crate) struct Spoilt {
    /// The notice, as failed.
    pub(crate) whole: Whole,
    /// Where the unproven part came from.
    pub(crate) from: SocketAddr,
}
