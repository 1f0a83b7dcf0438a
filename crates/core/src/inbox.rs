//! What a receiving client does with a packet (wire format, section 7, "Receiving in a client").
//!
//! It is done in two steps, so that verifying a packet's origin may take its time in between: [`Inbox::admit`] decides whether
//! the packet is acknowledged and whether it is new, [`Inbox::complete`] joins it with the others of its notice.

use crate::{
    auth::Verdict,
    duplicate::DuplicateFilter,
    fragment::{Partial, Span},
    kind::Kind,
    limits::{Limits, MAX_PACKET, MAX_QUEUED},
    notice::{Claim, Notice, OwnedPacket, Packet},
    schedule::FRAGMENT_TIMEOUT,
    time::Now,
    uid::Uid,
};
use bytes::Bytes;
use std::{collections::HashMap, time::Duration};

/// Why a packet is not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It is part of a notice larger than any receiver accepts.
    #[error("part of a notice of {0} octets")]
    TooLarge(usize),
    /// Its body reaches beyond the notice that it says it is part of.
    #[error("the body reaches beyond the notice's total")]
    BodyBeyondTotal,
    /// The same packet came before.
    #[error("a duplicate")]
    Duplicate,
    /// It acknowledges a later fragment, which nobody waits for.
    #[error("acknowledges a later fragment")]
    LaterFragmentAck,
    /// Too much is waiting for its missing fragments.
    #[error("too many incomplete notices")]
    Full,
}

/// What became of a packet at the door; see [`Inbox::admit`].
#[derive(Debug)]
pub struct Admission {
    /// The acknowledgement to send to where the packet came from, if it deserves one.
    pub acknowledgement: Option<Bytes>,
    /// The packet as part of its notice, if it is a new one and can be.
    pub fragment: Result<Fragment, DropReason>,
}

/// A packet that was admitted: all of a notice, or a part. Its origin is still to be verified.
#[derive(Clone, Debug)]
pub struct Fragment {
    packet: OwnedPacket,
    span: Span,
}

impl Fragment {
    /// The packet.
    pub fn packet(&self) -> Packet<'_> {
        self.packet.packet()
    }

    /// The packet alone.
    pub fn into_packet(self) -> OwnedPacket {
        self.packet
    }
}

/// What was found out about a packet: its origin, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What is known about the origin.
    pub verdict: Verdict,
    /// The body as it was before it was sealed, where that is not what the packet holds: of a backend that encrypts.
    pub body: Option<Bytes>,
}

impl From<Verdict> for Opened {
    /// Of a packet whose body is as it was sealed.
    fn from(verdict: Verdict) -> Self {
        Self { verdict, body: None }
    }
}

/// A whole notice, and what is known about its origin.
#[derive(Clone, Debug)]
pub struct Delivered {
    packet: OwnedPacket,
    /// The body, where it is not that of the packet.
    body: Option<Bytes>,
    verdict: Verdict,
}

impl Delivered {
    /// The notice with its whole body; its header is that of the first fragment.
    pub fn notice(&self) -> Notice<'_> {
        let notice = self.packet.notice();
        Notice { body: self.body.as_deref().unwrap_or(notice.body), ..notice }
    }

    /// What is known about the origin of all fragments.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The first fragment's packet, as it came.
    pub const fn packet(&self) -> &OwnedPacket {
        &self.packet
    }
}

/// The state of a receiving program: packets seen lately, and notices that are not yet complete.
#[derive(Debug, Default)]
pub struct Inbox {
    duplicates: DuplicateFilter,
    incomplete: HashMap<(Uid, Kind), Waiting>,
    /// Octets that the incomplete notices may come to hold.
    promised: usize,
}

#[derive(Debug)]
struct Waiting {
    partial: Partial,
    last_packet: Duration,
}

impl Waiting {
    /// What it may come to hold: the body, and the header's packet.
    const fn promised(&self) -> usize {
        self.partial.total() + MAX_PACKET
    }
}

impl Inbox {
    /// An inbox that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many packets are remembered, so that they are told when they come again.
    pub fn remembered(&self) -> usize {
        self.duplicates.len()
    }

    /// Octets that the incomplete notices may come to hold.
    pub const fn incomplete_octets(&self) -> usize {
        self.promised
    }

    /// Decides whether a packet is acknowledged, and whether it is a new one. An admitted one is to be verified and then handed
    /// to [`Inbox::complete`], in any order and at any time.
    pub fn admit(&mut self, now: Now, packet: OwnedPacket) -> Admission {
        let read = packet.packet();
        let acknowledgement = acknowledgement(&read);
        let span = self.new_span(now, &read);
        Admission { acknowledgement, fragment: span.map(|span| Fragment { packet, span }) }
    }

    fn new_span(&mut self, now: Now, packet: &Packet<'_>) -> Result<Span, DropReason> {
        let Notice { uid, multiuid, kind, .. } = packet.notice;
        if !self.duplicates.is_new(now, uid, kind) {
            return Err(DropReason::Duplicate);
        }
        let span = Span::of(packet)?;
        if matches!(kind, Kind::ServAck | Kind::ServNak) && multiuid != uid {
            return Err(DropReason::LaterFragmentAck);
        }
        Ok(span)
    }

    /// Adds an admitted packet to its notice, and gives that when nothing is missing any more.
    ///
    /// # Errors
    ///
    /// When too much is waiting for its missing fragments.
    pub fn complete(&mut self, now: Now, fragment: Fragment, opened: Opened) -> Result<Option<Delivered>, DropReason> {
        let Fragment { packet, span } = fragment;
        let Notice { uid, multiuid, kind, body, .. } = packet.notice();
        let key = (if matches!(kind, Kind::HmAck | Kind::ServAck | Kind::ServNak) { uid } else { multiuid }, kind);
        self.give_up(now, key);
        if !self.incomplete.contains_key(&key) {
            if span.offset == 0 && body.len() == span.total {
                let Opened { verdict, body } = opened;
                return Ok(Some(Delivered { packet, body, verdict }));
            }
            let partial = Partial::new(span.total, opened.verdict.clone());
            let waiting = Waiting { partial, last_packet: now.monotonic };
            if self.promised + waiting.promised() > MAX_QUEUED {
                return Err(DropReason::Full);
            }
            self.promised += waiting.promised();
            self.incomplete.insert(key, waiting);
        }
        let Some(waiting) = self.incomplete.get_mut(&key) else {
            return Ok(None);
        };
        waiting.last_packet = now.monotonic;
        waiting.partial.add(&packet, span.offset, &opened);
        let Some((packet, body, verdict)) = waiting.partial.finished() else {
            return Ok(None);
        };
        self.promised = self.promised.saturating_sub(waiting.promised());
        self.incomplete.remove(&key);
        Ok(Some(Delivered { packet, body: Some(body.into()), verdict }))
    }

    /// Forgets notices whose missing fragments have not come for too long, but for the one that `key` belongs to.
    fn give_up(&mut self, now: Now, key: (Uid, Kind)) {
        self.incomplete.retain(|&candidate, waiting| {
            let keep = candidate == key || now.monotonic.saturating_sub(waiting.last_packet) <= FRAGMENT_TIMEOUT;
            if !keep {
                self.promised = self.promised.saturating_sub(waiting.promised());
            }
            keep
        });
    }
}

/// The CLIENTACK that a packet gets: its header as received, without a body. Also for duplicates and unknown kinds.
fn acknowledgement(packet: &Packet<'_>) -> Option<Bytes> {
    if packet.notice.kind.is_acknowledgement() {
        return None;
    }
    let header = Notice { kind: Kind::ClientAck, body: b"", ..packet.notice };
    let whole = || header.write(&packet.claim.echoed(), Limits::WHOLE_PACKET);
    whole().or_else(|_| header.write(&Claim::NONE, Limits::WHOLE_PACKET)).ok()
}
