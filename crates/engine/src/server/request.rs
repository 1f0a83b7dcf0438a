//! A request to the server, and what is known about its sender.

use crate::{
    machine::Transmit,
    server::{
        acl::Who,
        intake::{Arrival, KnownBy},
        origin::Origin,
        reply::Reply,
        state::standing::Standing,
    },
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::{
    auth::{Identity, Session, Verdict},
    fold::{FoldedName, NameTooLong},
    fragment::Span,
    names,
    notice::{Claim, Notice, OwnedPacket, Packet},
    time::Now,
};

/// The class and the instance of a notice, folded: once, when its packet is examined.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) class: FoldedName,
    pub(crate) instance: FoldedName,
}

impl Names {
    /// The names of a notice; the error is what the one that is too long is.
    pub(crate) fn of(notice: &Notice<'_>) -> Result<Self, &'static str> {
        let class = FoldedName::bounded(notice.class).map_err(|NameTooLong| "class")?;
        let instance = FoldedName::bounded(notice.instance).map_err(|NameTooLong| "instance")?;
        Ok(Self { class, instance })
    }

    /// The names of a notice whose own are not looked at.
    pub(crate) fn none() -> Self {
        Self { class: FoldedName::from_folded(b""), instance: FoldedName::from_folded(b"") }
    }
}

/// What the sender of a name that is too long is told; `what` it is.
pub(crate) fn too_long(what: &str) -> String {
    format!("the {what} is too long: {NameTooLong}")
}

/// Who is charged for a request: a host, and a principal when it is proven.
pub(crate) type Source = (IpAddr, Box<[u8]>);

/// The way of a received packet. What answers it goes the same way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// The address of this host that it came to, as far as is known.
    pub(crate) local: Option<IpAddr>,
}

impl Path {
    /// A packet that goes back.
    pub(crate) const fn back(self, payload: Bytes) -> Transmit {
        Transmit { to: self.from, local: self.local, payload }
    }
}

/// How far a notice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To readers here.
    Here,
    /// Also to other realms.
    Realms,
}

/// A request that is being handled.
pub(crate) struct Request<'a> {
    pub(crate) now: Now,
    /// The way that its packet came, and that its answer goes.
    pub(crate) reply_to: Path,
    /// Whose it is: who has sent it, or for whom somebody else has.
    pub(crate) from: SocketAddr,
    /// The address of this host that it came to, from which what is sent to whose it is goes.
    pub(crate) local: Option<IpAddr>,
    pub(crate) origin: Origin,
    /// By what its packet is known when it comes again.
    pub(crate) known_by: KnownBy,
    /// Its packet.
    pub(crate) packet: &'a OwnedPacket,
    /// The body as it was before it was sealed, where that is not what the packet holds.
    pub(crate) opened: Option<&'a Bytes>,
    /// The notice; handlers change it when the answer should show that.
    pub(crate) notice: Notice<'a>,
    pub(crate) claim: Claim<'a>,
    /// The notice's class and instance in the form in which they are compared.
    pub(crate) names: Names,
    pub(crate) verdict: Verdict,
    /// The other realm's server that is proven to have sent it, and says who the sender is.
    pub(crate) vouched_by: Option<Identity>,
    /// How far its notice goes.
    pub(crate) reach: Reach,
    pub(crate) session: Option<Arc<dyn Session>>,
    /// Octets of the whole notice, of which the packet may be a part.
    pub(crate) total: usize,
    /// It announces a user's login, made by the server: its opcode is not that of its packet.
    pub(crate) announced: bool,
    /// The reason that is added to the answer.
    pub(crate) message: Option<String>,
    /// The answer.
    pub(crate) answered: Option<Reply>,
    /// The packet of the answer.
    pub(crate) answer: Option<Bytes>,
    /// Another packet for who sent it, behind the answer.
    pub(crate) behind: Option<Bytes>,
    /// Changes that had been told before it was handled.
    pub(crate) told_before: u64,
    /// Its answer waits until what it changes is kept.
    pub(crate) waits: bool,
    /// Octets of its packet.
    pub(crate) octets: usize,
}

impl<'a> Request<'a> {
    /// The request of a packet, perhaps with another body, of whose origin so much is known.
    pub(crate) fn new(now: Now, arrival: &'a Arrival, opened: Option<&'a Bytes>, origin: Origin, names: Names) -> Self {
        let packet: Packet<'a> = arrival.packet.packet();
        let body = opened.map_or(packet.notice.body, |body| &body[..]);
        Self {
            now,
            reply_to: arrival.path,
            from: arrival.path.from,
            local: arrival.path.local,
            known_by: arrival.known_by(),
            packet: &arrival.packet,
            opened,
            origin,
            notice: Notice { body, ..packet.notice },
            claim: packet.claim,
            names,
            verdict: Verdict::Unauthenticated,
            vouched_by: None,
            reach: if matches!(origin, Origin::Realm(_)) { Reach::Here } else { Reach::Realms },
            session: None,
            total: Span::of(&packet).map_or(0, |span| span.total),
            announced: false,
            message: None,
            answered: None,
            answer: None,
            behind: None,
            told_before: 0,
            waits: false,
            octets: packet.octets().len(),
        }
    }

    /// The principal of the sender: proven if it is, else as it says.
    pub(crate) fn principal(&self) -> &[u8] {
        self.verdict.identity().map_or(self.notice.sender, |identity| identity.principal())
    }

    /// The subject for access control rules: only what is proven.
    pub(crate) fn who(&self) -> Who<'_> {
        Who { principal: self.verdict.identity().map(Identity::principal), address: Some(self.from.ip()) }
    }

    /// Whether it is proven who sent it.
    pub(crate) fn standing(&self) -> Standing {
        Standing::of(self.session.is_some())
    }

    /// Who is charged for what it causes. Who proves who he is pays for himself alone: others of his host, and those who
    /// forge its address, do not spend what is his.
    pub(crate) fn source(&self) -> Source {
        // A realm pays as one, whomever it speaks for.
        let payer = self.vouched_by.as_ref().or_else(|| self.verdict.identity());
        (self.from.ip(), payer.map_or(&b""[..], Identity::principal).into())
    }

    /// The way that its packet came.
    pub(crate) const fn path(&self) -> Path {
        Path { from: self.from, local: self.local }
    }

    /// Whether somebody without proof asks only whether there is a client at his address, by a request to unsubscribe from
    /// nothing. So whose tickets have ended hears that he was forgotten; that he is known he cannot hear.
    pub(crate) fn asks_for_client(&self) -> bool {
        let notice = &self.notice;
        let is_question = notice.opcode == names::UNSUBSCRIBE && notice.body.is_empty();
        is_question && notice.class.eq_ignore_ascii_case(names::ZEPHYR_CTL) && self.verdict == Verdict::Unauthenticated
    }

    /// The client that it speaks for: where it came from, at the port that it names.
    pub(crate) fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.from.ip(), self.notice.port)
    }
}
