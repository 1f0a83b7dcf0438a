//! Receiving in a client: duplicates, reassembly and acknowledgement (wire format, section 7).
//!
//! A packet's origin is verified first: what is remembered and held is kept by who is proven to have sent it, so that nothing
//! proven is changed, used up or pushed out by what is not, or by another principal. What finds no room is neither remembered
//! nor acknowledged, and so comes again.

use crate::{
    auth::{Reason, Verdict},
    duplicate::{DuplicateFilter, Novelty},
    fragment::Span,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice, OwnedPacket, Packet},
    partial::Whole,
    reassembly::{Full, GivenUp, NoticeKey, Piece, Reassembly, Spoilt},
    shares::Holder,
    time::Now,
};
use bytes::Bytes;
use std::{net::SocketAddr, time::Duration};

/// Maximum number of notices given up for each packet that comes, so that none costs much.
const MAX_GIVEN_UP_AT_ONCE: usize = 2;

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
    /// There is no room for more of incomplete notices: it must come again.
    #[error("too many incomplete notices")]
    Full,
}

/// A packet whose origin has been verified.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Where it came from, which nothing proves.
    pub from: SocketAddr,
    /// The packet.
    pub packet: OwnedPacket,
    /// What is known of it.
    pub opened: Opened,
}

/// The result of receiving a packet; see [`Inbox::receive`].
#[derive(Debug)]
pub struct Reception {
    /// The acknowledgement to send to where the packet came from. Without one its server sends it again.
    pub acknowledgement: Option<Bytes>,
    /// The notice, if nothing of it is missing any more; or why the packet is dropped.
    pub delivered: Result<Option<Delivered>, DropReason>,
}

/// The result of verifying a packet: its origin and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The verdict on the origin.
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
    from: SocketAddr,
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

    /// The verdict on the origin of all fragments.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Where its last packet came from, which nothing proves.
    pub const fn from(&self) -> SocketAddr {
        self.from
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
    incomplete: Reassembly,
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

    /// Octets that the incomplete notices hold.
    pub const fn incomplete_octets(&self) -> usize {
        self.incomplete.octets()
    }

    /// When [`Inbox::give_up`] is to be called next, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.incomplete.deadline()
    }

    /// Handles a packet: whether it is acknowledged, and the notice that it completes.
    pub fn receive(&mut self, now: Now, mut arrival: Arrival) -> Reception {
        let holder = self.holder_of(now, &mut arrival);
        let Arrival { from, packet, opened } = &arrival;
        let notice = packet.notice();
        let (id, key) = ((notice.uid, notice.kind), key_of(&notice));
        let delivered = match self.duplicates.novelty(now, id, &holder) {
            Novelty::New => span_of(&packet.packet()).and_then(|span| {
                self.join(now, &Piece { key, holder: holder.clone(), from: *from, packet, span, opened })
            }),
            Novelty::Duplicate | Novelty::Unknown => Err(DropReason::Duplicate),
        };
        match delivered {
            Err(DropReason::Full) => return Reception { acknowledgement: None, delivered },
            // It is never shown. A server finds out with such packets whether a program is there, and their uids are no times.
            Err(DropReason::TooLarge(_)) => {}
            _ => self.duplicates.remember(now, id, &holder),
        }
        // While proven fragments wait for others, one that is not proven may be a changed copy of what they wait for. Were it
        // acknowledged, its server would not send that again.
        let is_contested = !holder.is_proven() && self.incomplete.has_proven(key);
        let acknowledgement = if is_contested { None } else { acknowledgement(&packet.packet()) };
        Reception { acknowledgement, delivered }
    }

    /// Whom a packet is charged to. One that may be a repetition of what is forgotten proves nothing any more.
    fn holder_of(&mut self, now: Now, Arrival { from, packet, opened }: &mut Arrival) -> Holder {
        let holder = Holder::new(&opened.verdict, from.ip());
        let Notice { uid, kind, .. } = packet.notice();
        if self.duplicates.novelty(now, (uid, kind), &holder) != Novelty::Unknown {
            return holder;
        }
        opened.verdict = Verdict::Failed(Reason::Forgotten);
        Holder::Source(from.ip())
    }

    fn join(&mut self, now: Now, piece: &Piece<'_>) -> Result<Option<Delivered>, DropReason> {
        let Piece { from, packet, span, opened, .. } = piece;
        if span.offset == 0 && packet.notice().body.len() == span.total {
            let Opened { verdict, body } = (*opened).clone();
            return Ok(Some(Delivered { from: *from, packet: (*packet).clone(), body, verdict }));
        }
        let whole = self.incomplete.add(now.monotonic, piece).map_err(|Full| DropReason::Full)?;
        Ok(whole.map(|whole| Delivered::new(whole, *from)))
    }

    /// Whether an acknowledgement is new, for a program that is told of them; nothing proves its origin.
    ///
    /// # Errors
    ///
    /// When it is to be dropped.
    pub fn receive_acknowledgement(
        &mut self,
        now: Now,
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let id = (packet.notice.uid, packet.notice.kind);
        if !self.duplicates.is_new_acknowledgement(now, id, from) {
            return Err(DropReason::Duplicate);
        }
        span_of(packet).map(drop)
    }

    /// Gives up notices whose missing fragments have not come for too long. Those that are whole but partly changed on their way
    /// are delivered as failed.
    pub fn give_up(&mut self, now: Now) -> Vec<Delivered> {
        let given_up = (0..MAX_GIVEN_UP_AT_ONCE).map_while(|_| self.incomplete.give_up(now.monotonic));
        let spoilt = given_up.filter_map(|given_up| match given_up {
            GivenUp::Nothing => None,
            GivenUp::Spoilt(Spoilt { whole, from }) => Some(Delivered::new(whole, from)),
        });
        spoilt.collect()
    }
}

impl Delivered {
    fn new(whole: Whole, from: SocketAddr) -> Self {
        let Whole { packet, body, verdict } = whole;
        Self { from, packet, body: Some(body.into()), verdict }
    }
}

/// What all packets of a notice have in common; acknowledgements stand alone.
fn key_of(notice: &Notice<'_>) -> NoticeKey {
    let is_answer = matches!(notice.kind, Kind::HmAck | Kind::ServAck | Kind::ServNak);
    (if is_answer { notice.uid } else { notice.multiuid }, notice.kind.number())
}

fn span_of(packet: &Packet<'_>) -> Result<Span, DropReason> {
    let Notice { uid, multiuid, kind, .. } = packet.notice;
    let span = Span::of(packet)?;
    if matches!(kind, Kind::ServAck | Kind::ServNak) && multiuid != uid {
        return Err(DropReason::LaterFragmentAck);
    }
    Ok(span)
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
