//! Finding out where a packet comes from, before the engine sees it.

use std::sync::Arc;
use zephyr_core::{
    auth::{Acceptor, AuthError, Judgement, Verdict},
    notice::Packet,
    time::Now,
};

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
    /// A packet that could not be judged, which is our own fault, proves nothing; why is the second value.
    pub fn judge(&self, packet: &Packet<'_>, now: Now) -> (Judgement, Option<AuthError>) {
        match self.acceptor.judge(packet, packet.notice.sender, now) {
            Ok(judgement) => (judgement, None),
            Err(error) => (Judgement::bare(Verdict::Unauthenticated), Some(error)),
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

    fn judged(sender: &[u8]) -> (Verdict, bool) {
        let now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };
        let octets = Notice { sender, ..Notice::EMPTY }.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
        let (judgement, error) = Judge::new(Arc::new(Gullible)).judge(&Packet::parse(&octets).unwrap(), now);
        (judgement.verdict, error.is_some())
    }

    #[test]
    fn what_cannot_be_judged_proves_nothing() {
        assert_eq!(judged(b"alice@R"), (Verdict::Authentic(Identity::new(b"alice@R")), false));
        assert_eq!(judged(b"mallory@R"), (Verdict::Unauthenticated, true));
    }
}
