//! What a receiving client does with a datagram (wire format, section 7, "Receiving in a client").

use crate::{
    auth::Verdict,
    duplicate::DuplicateFilter,
    fragment::{Partial, Span},
    kind::Kind,
    limits::{Limits, MAX_PACKET, MAX_QUEUED},
    notice::{Claim, Notice, Packet, ParseError},
    schedule::FRAGMENT_TIMEOUT,
    time::Now,
    uid::Uid,
};
use bytes::Bytes;
use std::{collections::HashMap, time::Duration};

/// Why a datagram is not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It is no well-formed packet.
    #[error(transparent)]
    Malformed(#[from] ParseError),
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

/// What became of a datagram.
#[derive(Debug)]
pub struct Received {
    /// The acknowledgement to send to where the datagram came from, if it deserves one.
    pub acknowledgement: Option<Bytes>,
    /// What the program gets.
    pub outcome: Outcome,
}

/// What a datagram means for the program.
#[derive(Debug)]
pub enum Outcome {
    /// A notice is complete.
    Complete(Delivered),
    /// More fragments must come.
    Incomplete,
    /// Nothing.
    Dropped(DropReason),
}

/// A whole notice, and what is known about its origin.
#[derive(Clone, Debug)]
pub struct Delivered {
    packet: Bytes,
    body: Vec<u8>,
    verdict: Verdict,
}

impl Delivered {
    /// The notice with its whole body; its header is that of the first fragment.
    pub fn notice(&self) -> Notice<'_> {
        // It was parsed when it came, so the empty notice never shows.
        let header = Packet::parse(&self.packet).map_or(Notice::EMPTY, |packet| packet.notice);
        Notice { body: &self.body, ..header }
    }

    /// What is known about the origin of all fragments.
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
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

    /// Takes one datagram. `judge` is asked about the origin of packets that are not duplicates.
    pub fn receive(&mut self, now: Now, datagram: &[u8], judge: &mut dyn FnMut(&Packet<'_>) -> Verdict) -> Received {
        let datagram = datagram.get(..MAX_PACKET).unwrap_or(datagram);
        match Packet::parse(datagram) {
            Ok(packet) => Received {
                acknowledgement: acknowledgement(&packet),
                outcome: self.take(now, &packet, judge).unwrap_or_else(Outcome::Dropped),
            },
            Err(error) => Received { acknowledgement: None, outcome: Outcome::Dropped(error.into()) },
        }
    }

    fn take(
        &mut self,
        now: Now,
        packet: &Packet<'_>,
        judge: &mut dyn FnMut(&Packet<'_>) -> Verdict,
    ) -> Result<Outcome, DropReason> {
        let Notice { uid, multiuid, kind, body, .. } = packet.notice;
        if !self.duplicates.is_new(now, uid, kind) {
            return Err(DropReason::Duplicate);
        }
        let verdict = judge(packet);
        let span = Span::of(packet)?;
        if matches!(kind, Kind::ServAck | Kind::ServNak) && multiuid != uid {
            return Err(DropReason::LaterFragmentAck);
        }
        let key = (if matches!(kind, Kind::HmAck | Kind::ServAck | Kind::ServNak) { uid } else { multiuid }, kind);
        self.give_up(now, key);
        if !self.incomplete.contains_key(&key) {
            if span.offset == 0 && body.len() == span.total {
                let packet = Bytes::copy_from_slice(packet.octets());
                return Ok(Outcome::Complete(Delivered { packet, body: body.to_vec(), verdict }));
            }
            let waiting = Waiting { partial: Partial::new(span.total, verdict.clone()), last_packet: now.monotonic };
            if self.promised + waiting.promised() > MAX_QUEUED {
                return Err(DropReason::Full);
            }
            self.promised += waiting.promised();
            self.incomplete.insert(key, waiting);
        }
        let Some(waiting) = self.incomplete.get_mut(&key) else {
            return Ok(Outcome::Incomplete);
        };
        waiting.last_packet = now.monotonic;
        waiting.partial.add(packet, span.offset, &verdict);
        let Some((packet, body, verdict)) = waiting.partial.finished() else {
            return Ok(Outcome::Incomplete);
        };
        self.promised = self.promised.saturating_sub(waiting.promised());
        self.incomplete.remove(&key);
        Ok(Outcome::Complete(Delivered { packet, body, verdict }))
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
