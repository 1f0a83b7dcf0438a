//! A notice of which some fragments have come.

use crate::{
    auth::{Reason, Verdict},
    inbox::Opened,
    limits::MAX_PACKET,
    notice::OwnedPacket,
};
use std::collections::BTreeMap;

/// Octets that a partial notice is counted with besides what came for it.
const OVERHEAD: usize = 256;
/// Octets that each stretch of its body is counted with besides what is in it.
const STRETCH_OVERHEAD: usize = 96;
/// The longest stretch that is moved to join it with another: the work for a packet does not grow with the notice.
const MAX_MOVED: usize = MAX_PACKET;

/// A partially received notice.
#[derive(Debug)]
pub(crate) struct Partial {
    total: usize,
    /// Stretches of the body that have come, by where they begin: none is empty or overlaps another.
    stretches: BTreeMap<usize, Vec<u8>>,
    received: usize,
    header: Option<OwnedPacket>,
    verdict: Verdict,
}

/// A notice with nothing missing.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The packet with the header.
    pub(crate) packet: OwnedPacket,
    pub(crate) body: Vec<u8>,
    /// What is known of all its parts.
    pub(crate) verdict: Verdict,
}

impl Partial {
    /// Begins with the first packet that came, whichever part it is.
    pub(crate) const fn new(total: usize, verdict: Verdict) -> Self {
        Self { total, stretches: BTreeMap::new(), received: 0, header: None, verdict }
    }

    /// Octets that it holds, approximately.
    pub(crate) fn held(&self) -> usize {
        let header = self.header.as_ref().map_or(0, |packet| packet.octets().len());
        OVERHEAD + header + self.received + self.stretches.len() * STRETCH_OVERHEAD
    }

    /// Octets by which a packet makes it, or a new one, grow at most.
    pub(crate) fn growth(packet: &OwnedPacket) -> usize {
        OVERHEAD + packet.octets().len() + packet.notice().body.len() + STRETCH_OVERHEAD
    }

    /// Adds a packet's part; what does not fit into the whole is ignored. Of octets that came twice the later ones
    /// stay.
    pub(crate) fn add(&mut self, packet: &OwnedPacket, offset: usize, opened: &Opened) {
        let body = opened.body.as_deref().unwrap_or(packet.notice().body);
        if offset + body.len() > self.total {
            return;
        }
        if offset == 0 && self.header.is_none() {
            self.header = Some(packet.clone());
        }
        self.verdict = self.verdict.clone().and(opened.verdict.clone());
        self.insert(offset, body);
    }

    fn insert(&mut self, mut at: usize, mut body: &[u8]) {
        while !body.is_empty() {
            let next = self.stretches.range(at + 1..).next().map_or(usize::MAX, |(&next, _)| next);
            let before = self.stretches.range_mut(..=at).next_back();
            let room = body.len().min(next - at);
            let taken = match before {
                Some((&start, stretch)) if at <= start + stretch.len() => {
                    let (old, new) = put(stretch, at - start, body.get(..room).unwrap_or(body));
                    self.received += new;
                    self.join_next(start);
                    old + new
                }
                _ => {
                    self.stretches.insert(at, body.get(..room).unwrap_or(body).to_vec());
                    self.received += room;
                    self.join_next(at);
                    room
                }
            };
            at += taken;
            body = body.get(taken..).unwrap_or_default();
        }
    }

    /// Joins the stretch that begins at `start` with the short ones that follow it without a gap.
    fn join_next(&mut self, start: usize) {
        while let Some(end) = self.stretches.get(&start).map(|stretch| start + stretch.len())
            && self.stretches.get(&end).is_some_and(|next| next.len() <= MAX_MOVED)
            && let Some(next) = self.stretches.remove(&end)
            && let Some(stretch) = self.stretches.get_mut(&start)
        {
            stretch.extend_from_slice(&next);
        }
    }

    /// The whole notice, once nothing is missing.
    pub(crate) fn finished(&mut self) -> Option<Whole> {
        if self.received < self.total {
            return None;
        }
        let packet = self.header.clone()?;
        let mut stretches = std::mem::take(&mut self.stretches).into_values();
        let mut body = stretches.next().unwrap_or_default();
        stretches.for_each(|stretch| body.extend_from_slice(&stretch));
        Some(Whole { packet, body, verdict: self.verdict.clone() })
    }

    /// The notice that is whole only with the fragments of `filler`, which are not proven as its own are: it has failed.
    pub(crate) fn filled_by(&self, filler: &Self) -> Option<Whole> {
        let packet = self.header.as_ref().or(filler.header.as_ref())?.clone();
        if self.total != filler.total || self.received + filler.received < self.total {
            return None;
        }
        let mut body = Vec::with_capacity(self.received + filler.received);
        while body.len() < self.total {
            let more = self.rest_at(body.len()).or_else(|| {
                let more = filler.rest_at(body.len())?;
                let next = self.stretches.range(body.len()..).next().map_or(self.total, |(&next, _)| next);
                Some(more.get(..next - body.len()).unwrap_or(more))
            })?;
            body.extend_from_slice(more);
        }
        let verdict = match filler.verdict.clone() {
            failed @ Verdict::Failed(_) => failed,
            _ => Verdict::Failed(Reason::PartlyProven),
        };
        Some(Whole { packet, body, verdict })
    }

    /// What came from this octet on, up to the next gap or joint.
    fn rest_at(&self, at: usize) -> Option<&[u8]> {
        let (&start, stretch) = self.stretches.range(..=at).next_back()?;
        stretch.get(at - start..).filter(|rest| !rest.is_empty())
    }
}

/// Puts octets into a stretch at a place in it or at its end: how many were there before, and how many are new.
fn put(stretch: &mut Vec<u8>, place: usize, octets: &[u8]) -> (usize, usize) {
    let old = octets.len().min(stretch.len() - place);
    let (over, new) = octets.split_at_checked(old).unwrap_or((octets, &[]));
    if let Some(there) = stretch.get_mut(place..place + old) {
        there.copy_from_slice(over);
    }
    stretch.extend_from_slice(new);
    (old, new.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::Limits,
        notice::{Claim, Notice},
    };

    fn packet() -> OwnedPacket {
        OwnedPacket::parse(Notice::EMPTY.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap()).unwrap()
    }

    fn add(partial: &mut Partial, offset: usize, body: &[u8]) {
        let opened = Opened { verdict: Verdict::Unauthenticated, body: Some(body.to_vec().into()) };
        partial.add(&packet(), offset, &opened);
        let lens: usize = partial.stretches.values().map(Vec::len).sum();
        assert_eq!(lens, partial.received);
        let ends: Vec<_> = partial.stretches.iter().flat_map(|(&start, part)| [start, start + part.len()]).collect();
        assert!(ends.is_sorted(), "{ends:?}");
    }

    #[test]
    fn later_octets_stay() {
        let mut partial = Partial::new(10, Verdict::Unauthenticated);
        for (offset, body) in [(2, &b"cd"[..]), (6, b"gh"), (1, b"BCDEFG"), (8, b"ij"), (0, b"a")] {
            assert!(partial.finished().is_none());
            add(&mut partial, offset, body);
        }
        assert_eq!(partial.finished().unwrap().body, b"aBCDEFGhij");
    }

    #[test]
    fn the_work_for_a_packet_does_not_grow_with_the_notice() {
        // Backwards: each packet stands before all that has come.
        let mut partial = Partial::new(400_000, Verdict::Unauthenticated);
        for number in (0..400).rev() {
            add(&mut partial, number * 1000, &[b'x'; 1000]);
        }
        assert!(partial.stretches.values().all(|stretch| stretch.len() <= 2 * MAX_PACKET));
        assert_eq!(partial.finished().unwrap().body.len(), 400_000);
        // And stretches of one octet are joined by whoever fills the gaps.
        let mut partial = Partial::new(1000, Verdict::Unauthenticated);
        (1..500).for_each(|number| add(&mut partial, number * 2, b"x"));
        assert_eq!(partial.stretches.len(), 499);
        add(&mut partial, 0, &[b'y'; 1000]);
        assert_eq!(partial.stretches.len(), 1);
    }

    #[test]
    fn what_is_filled_has_failed() {
        let mut partial = Partial::new(9, Verdict::Unauthenticated);
        let mut filler = Partial::new(9, Verdict::Unauthenticated);
        add(&mut partial, 0, b"abc");
        add(&mut partial, 6, b"ghi");
        add(&mut filler, 3, b"DE");
        assert!(partial.filled_by(&filler).is_none());
        add(&mut filler, 5, b"FGH");
        let whole = partial.filled_by(&filler).unwrap();
        assert_eq!((whole.body, whole.verdict), (b"abcDEFghi".to_vec(), Verdict::Failed(Reason::PartlyProven)));
        assert!(partial.filled_by(&Partial::new(8, Verdict::Unauthenticated)).is_none(), "of another length");
    }
}
