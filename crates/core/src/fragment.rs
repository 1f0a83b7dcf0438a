//! Fragmentation and reassembly of long notices (wire format, section 7).

use crate::{
    auth::AuthError,
    coding::decimal::leading_integer,
    inbox::DropReason,
    limits::{FRAGMENT_FUDGE, MAX_NOTICE, MAX_PACKET},
    notice::{FormatError, Notice, Packet},
    uid::Uid,
};
use bytes::Bytes;

/// The span of the whole body that a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of its body in the whole.
    pub offset: usize,
    /// Octets of the whole.
    pub total: usize,
}

impl Span {
    /// Parses the multinotice field. One that says nothing sensible means that the packet stands alone.
    ///
    /// # Errors
    ///
    /// When the whole is larger than [`MAX_NOTICE`], or the body reaches beyond it: receivers, clients and servers
    /// alike, drop such packets.
    pub fn of(packet: &Packet<'_>) -> Result<Self, DropReason> {
        let body = packet.notice.body.len();
        let span = Self::read(packet.notice.multinotice).unwrap_or(Self { offset: 0, total: body });
        if span.total > MAX_NOTICE {
            return Err(DropReason::TooLarge(span.total));
        }
        if body > span.total - span.offset {
            return Err(DropReason::BodyBeyondTotal);
        }
        Ok(span)
    }

    fn read(multinotice: &[u8]) -> Option<Self> {
        let slash = multinotice.iter().position(|&octet| octet == b'/')?;
        let offset = usize::try_from(leading_integer(multinotice.get(..slash)?)).ok()?;
        let total = usize::try_from(leading_integer(multinotice.get(slash + 1..)?)).ok()?;
        (total > 0 && offset <= total).then_some(Self { offset, total })
    }
}

/// Fragments a notice into packets, each as large as fits.
///
/// How much body fits is found for every packet anew, since every fragment has its own proof, and proofs differ in
/// length.
#[derive(Debug)]
pub struct Cutter<'a> {
    whole: Notice<'a>,
    /// The offset of `whole.body` in the notice it is part of.
    base: usize,
    /// Octets of that notice.
    total: usize,
    /// Octets of `whole.body` that are sent.
    sent: usize,
    max_body: usize,
    done: bool,
}

impl<'a> Cutter<'a> {
    /// A cutter of `whole`, whose uid and multiuid become those of the first packet.
    pub const fn new(whole: Notice<'a>) -> Self {
        Self { whole, base: 0, total: whole.body.len(), sent: 0, max_body: MAX_PACKET, done: false }
    }

    /// A cutter of one fragment that no longer fits into one packet.
    pub fn again(piece: Notice<'a>) -> Self {
        let whole = Self::new(piece);
        match Span::read(piece.multinotice) {
            Some(Span { offset, total }) if piece.body.len() <= total - offset => Self { base: offset, total, ..whole },
            _ => whole,
        }
    }

    /// The next packet, or `None` when all is sent.
    ///
    /// `uid` becomes the packet's uid, from the second packet on. `write` makes a packet of one fragment; it is called
    /// again with less body until the packet fits.
    ///
    /// # Errors
    ///
    /// The errors of `write`, also when not even the header fits.
    pub fn next_packet(
        &mut self,
        uid: Uid,
        write: &mut dyn FnMut(&Notice<'_>) -> Result<Bytes, AuthError>,
    ) -> Result<Option<Bytes>, AuthError> {
        if self.done {
            return Ok(None);
        }
        let rest = self.whole.body.get(self.sent..).unwrap_or_default();
        let multinotice = format!("{}/{}", self.base + self.sent, self.total);
        loop {
            let body = rest.get(..self.max_body).unwrap_or(rest);
            let uid = if self.sent == 0 { self.whole.uid } else { uid };
            let piece = Notice { uid, multinotice: multinotice.as_bytes(), body, ..self.whole };
            match write(&piece) {
                Ok(packet) => {
                    self.sent += body.len();
                    self.done = body.len() == rest.len();
                    return Ok(Some(packet));
                }
                Err(AuthError::Format(FormatError::PacketTooLong { len, limit })) if body.len() > 1 => {
                    let excess = len.saturating_sub(limit) + FRAGMENT_FUDGE;
                    self.max_body = body.len().saturating_sub(excess).max(1);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
