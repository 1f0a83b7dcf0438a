//! Whether a received notice is what its server says (authentication, section 7).

use crate::keyring::Keyring;
use std::{sync::Arc, time::Duration};
use zephyr_core::{
    auth::{Direction, Identity, Initiator, Reason, Session, Verdict},
    notice::Packet,
    time::Now,
};

/// After a look at the user's credentials, the next one waits this long, whatever packets come.
const PAUSE: Duration = Duration::from_secs(2);
/// The same after a look that found nothing: it may have cost a while of waiting for the KDC.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Judges packets by the remembered sessions, then by the user's credentials of this moment.
///
/// The latter are what another program of the same user may have subscribed with for us. Looking at them may mean asking
/// the KDC, so packets from anybody cannot make it happen more often than the pauses allow; between looks the session of
/// the last one is used.
pub struct Judge {
    /// The sessions that this program has subscribed with.
    pub keyring: Keyring,
    initiator: Arc<dyn Initiator>,
    realm: String,
    current: Option<Look>,
}

struct Look {
    session: Option<Arc<dyn Session>>,
    again_at: Duration,
}

impl Judge {
    /// A judge with no sessions yet, for notices from the servers of `realm`.
    pub fn new(initiator: Arc<dyn Initiator>, realm: String) -> Self {
        Self { keyring: Keyring::default(), initiator, realm, current: None }
    }

    /// What is known about the packet's origin.
    ///
    /// A claim that nobody could check, for want of any session, is no proof and no failure.
    pub fn judge(&mut self, now: Now, packet: &Packet<'_>) -> Verdict {
        if packet.claim.auth == 0 {
            return Verdict::Unauthenticated;
        }
        let authentic = || Verdict::Authentic(Identity::new(packet.notice.sender));
        if self.keyring.proves(now, packet) {
            return authentic();
        }
        match self.credentials(now) {
            Some(session) if session.check(packet, Direction::ToClient) => authentic(),
            None if self.keyring.is_empty() => Verdict::Unauthenticated,
            _ => Verdict::Failed(Reason::Checksum),
        }
    }

    fn credentials(&mut self, now: Now) -> Option<Arc<dyn Session>> {
        if self.current.as_ref().is_none_or(|look| now.monotonic >= look.again_at) {
            let session = self.initiator.session(&self.realm);
            if let Err(error) = &session {
                tracing::debug!(%error, "no session to check a notice with");
            }
            let pause = if session.is_ok() { PAUSE } else { PAUSE_AFTER_FAILURE };
            self.current = Some(Look { session: session.ok(), again_at: now.monotonic + pause });
        }
        self.current.as_ref()?.session.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{Credentials, Key, at, plain, sealed};

    fn judged(judge: &mut Judge, seconds: u64, packet: &[u8]) -> Option<Verdict> {
        Packet::parse(packet).ok().map(|packet| judge.judge(at(seconds), &packet))
    }

    const ALICE: &[u8] = b"alice@TEST";
    const FAILED: Option<Verdict> = Some(Verdict::Failed(Reason::Checksum));

    fn authentic() -> Option<Verdict> {
        Some(Verdict::Authentic(Identity::new(ALICE)))
    }

    #[test]
    fn remembered_sessions_then_credentials() {
        let credentials = Arc::new(Credentials::with(2));
        let mut judge = Judge::new(credentials.clone(), "TEST".to_owned());
        judge.keyring.remember(at(0), Arc::new(Key(1)));
        assert_eq!(judged(&mut judge, 0, &plain(b"x")), Some(Verdict::Unauthenticated));
        assert_eq!(judged(&mut judge, 0, &sealed(1, b"x")), authentic());
        assert_eq!(credentials.looks(), 0, "no credentials are needed for what the keyring knows");
        assert_eq!(judged(&mut judge, 0, &sealed(2, b"x")), authentic());
        assert_eq!(judged(&mut judge, 0, &sealed(3, b"x")), FAILED);
    }

    #[test]
    fn hostile_packets_cannot_make_us_ask_the_kdc_again_and_again() {
        let credentials = Arc::new(Credentials::none());
        let mut judge = Judge::new(credentials.clone(), "TEST".to_owned());
        judge.keyring.remember(at(0), Arc::new(Key(1)));
        for second in 0..30 {
            for _ in 0..100 {
                assert_eq!(judged(&mut judge, second, &sealed(9, b"x")), FAILED);
            }
        }
        assert_eq!(credentials.looks(), 1);
        credentials.become_key(9);
        assert_eq!(judged(&mut judge, 30, &sealed(9, b"x")), authentic());
        assert_eq!(credentials.looks(), 2);
        credentials.become_key(8);
        assert_eq!(judged(&mut judge, 31, &sealed(8, b"x")), FAILED);
        assert_eq!(judged(&mut judge, 32, &sealed(8, b"x")), authentic());
    }

    #[test]
    fn a_claim_that_cannot_be_checked_is_no_failure() {
        let mut judge = Judge::new(Arc::new(Credentials::none()), "TEST".to_owned());
        assert_eq!(judged(&mut judge, 0, &sealed(1, b"x")), Some(Verdict::Unauthenticated));
    }
}
