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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};
    use zephyr_core::{
        auth::Identity,
        limits::Limits,
        notice::{Claim, Notice},
    };

    /// Believes everybody but mallory, for whom it fails.
    struct Gullible;

    impl Acceptor for Gullible {
        fn judge(&self, _: &Packet<'_>, expected: &[u8], _: Now) -> Result<Judgement, AuthError> {
            match expected {
                b"mallory@R" => Err(AuthError::Backend("broken".to_owned())),
                sender => Ok(Judgement::bare(Verdict::Authentic(Identity::new(sender)))),
            }
        }
    }

    fn judged(kind: Kind, sender: &[u8]) -> (Verdict, bool) {
        let now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };
        let octets = Notice { kind, sender, ..Notice::EMPTY }.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
        let judge = Judge::new(Arc::new(Gullible));
        let (judged, error) = judge.judge(Packet::parse(&octets).unwrap(), now);
        (judged.judgement.verdict, error.is_some())
    }

    #[test]
    fn only_what_asks_for_something_is_judged() {
        let alice = Verdict::Authentic(Identity::new(b"alice@R"));
        for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked, Kind::HmCtl] {
            assert_eq!(judged(kind, b"alice@R"), (alice.clone(), false));
        }
        for kind in [Kind::HmAck, Kind::ServAck, Kind::ServNak, Kind::ClientAck, Kind::Stat, Kind::Other(9)] {
            assert_eq!(judged(kind, b"alice@R"), (Verdict::Unauthenticated, false), "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_judged_proves_nothing() {
        assert_eq!(judged(Kind::Acked, b"mallory@R"), (Verdict::Unauthenticated, true));
    }
}
