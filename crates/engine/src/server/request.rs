//! A notice that wants something of the server, and what is known about it.

use crate::server::{acl::Who, intake::Arrival, origin::Origin, reply::Reply};
use bytes::Bytes;
use std::{net::SocketAddr, sync::Arc};
use zephyr_core::{
    auth::{Identity, Session, Verdict},
    fold::FoldedName,
    fragment::Span,
    notice::{Claim, Notice, OwnedPacket, Packet},
    time::Now,
};

/// A request that is being handled.
pub(crate) struct Request<'a> {
    pub(crate) now: Now,
    /// Where it came from, and where its answer goes.
    pub(crate) from: SocketAddr,
    pub(crate) origin: Origin,
    /// Its packet.
    pub(crate) packet: &'a OwnedPacket,
    /// The body as it was before it was sealed, where that is not what the packet holds.
    pub(crate) opened: Option<&'a Bytes>,
    /// What it says; handlers change it when the answer should show that.
    pub(crate) notice: Notice<'a>,
    pub(crate) claim: Claim<'a>,
    /// The notice's class in the form in which classes are compared.
    pub(crate) class: FoldedName,
    pub(crate) verdict: Verdict,
    pub(crate) session: Option<Arc<dyn Session>>,
    /// Octets of the whole notice, of which the packet may be a part.
    pub(crate) total: usize,
    /// It tells of a user's coming, in the server's words: its opcode is not that of its packet.
    pub(crate) announced: bool,
    /// What its sender is told beside the answer.
    pub(crate) message: Option<String>,
    /// What it was answered.
    pub(crate) answered: Option<Reply>,
    /// The packet of the answer.
    pub(crate) answer: Option<Bytes>,
    /// Octets of its packet.
    pub(crate) octets: usize,
}

impl<'a> Request<'a> {
    /// The request of a packet, perhaps with another body, of whose origin so much is known.
    pub(crate) fn new(
        now: Now,
        arrival: &'a Arrival,
        opened: Option<&'a Bytes>,
        origin: Origin,
        class: FoldedName,
    ) -> Self {
        let packet: Packet<'a> = arrival.packet.packet();
        let body = opened.map_or(packet.notice.body, |body| &body[..]);
        Self {
            now,
            from: arrival.from,
            packet: &arrival.packet,
            opened,
            origin,
            notice: Notice { body, ..packet.notice },
            claim: packet.claim,
            class,
            verdict: Verdict::Unauthenticated,
            session: None,
            total: Span::of(&packet).map_or(0, |span| span.total),
            announced: false,
            message: None,
            answered: None,
            answer: None,
            octets: packet.octets().len(),
        }
    }

    /// Who sent it: proven if it is, else as it says.
    pub(crate) fn principal(&self) -> &[u8] {
        self.verdict.identity().map_or(self.notice.sender, |identity| identity.principal())
    }

    /// Who it is for the rules: only what is proven.
    pub(crate) fn who(&self) -> Who<'_> {
        Who { principal: self.verdict.identity().map(Identity::principal), address: Some(self.from.ip()) }
    }

    /// The client that it speaks for: where it came from, at the port that it names.
    pub(crate) fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.from.ip(), self.notice.port)
    }
}
