//! Finding out where a packet comes from, before the engine sees it.

use std::sync::Arc;
use zephyr_core::{
    auth::{Acceptor, AuthError, Judgement, Verdict},
    kind::Kind,
    notice::Packet,
    time::Now,
};

/// A packet, and what is known about its origin.
pub struct Judged<'a> {
    /// The packet.
    pub packet: Packet<'a>,
    /// Where it comes from.
    pub judgement: Judgement,
}

/// Judges packets with the keys of one domain.
pub struct Judge {
    acceptor: Arc<dyn Acceptor>,
}

impl Judge {
    /// A judge who asks `acceptor`.
    pub fn new(acceptor: Arc<dyn Acceptor>) -> Self {
        Self { acceptor }
    }

    /// Judges a packet that says it is from its sender.
    ///
    /// Kinds that only answer, or that no server takes, prove nothing and are not looked at. A packet that could not be
    /// judged, which is our own fault, proves nothing either; why is the second value.
    pub fn judge<'a>(&self, packet: Packet<'a>, now: Now) -> (Judged<'a>, Option<AuthError>) {
        let kind = packet.notice.kind;
        if kind.is_acknowledgement() || matches!(kind, Kind::Stat | Kind::Other(_)) {
            return (Judged { packet, judgement: Judgement::bare(Verdict::Unauthenticated) }, None);
        }
        match self.acceptor.judge(&packet, packet.notice.sender, now) {
            Ok(judgement) => (Judged { packet, judgement }, None),
            Err(error) => (Judged { packet, judgement: Judgement::bare(Verdict::Unauthenticated) }, Some(error)),
        }
    }
}
