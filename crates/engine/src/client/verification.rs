//! Verification: whether a received notice is what its server says (authentication, section 7).

use super::keyring::{Keyring, proven};
use std::{sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Reason, Session, Verdict},
    inbox::Opened,
    notice::Packet,
    time::Now,
};

/// After a look at the user's credentials, the next one waits this long, whatever packets come.
const PAUSE: Duration = Duration::from_secs(2);
/// The same after a look that found nothing: it may have cost a while of waiting for the KDC.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Verifies packets by the remembered sessions, then by the user's credentials of this moment.
///
/// The latter are what another program of the same user may have subscribed with for us. Looking at them may mean asking
/// the KDC, so packets from anybody cannot make it happen more often than the pauses allow; between looks the session of
/// the last one is used.
#[derive(Default)]
pub(super) struct Verifier {
    /// The sessions that this program has subscribed with.
    pub(super) keyring: Keyring,
    current: Option<Look>,
}

struct Look {
    session: Option<Arc<dyn Session>>,
    again_at: Duration,
}

impl Verifier {
    /// What is known about the packet's origin; `None` when that takes a new look at the user's credentials, after which
    /// it must be asked again.
    ///
    /// A claim that nobody could check, for want of any session, is no proof and no failure.
    pub(super) fn verify(&mut self, now: Now, packet: &Packet<'_>) -> Option<Opened> {
        if packet.claim.auth == 0 {
            return Some(Verdict::Unauthenticated.into());
        }
        if let Some(opened) = self.keyring.proven(now, packet) {
            return Some(opened);
        }
        let look = self.current.as_ref().filter(|look| now.monotonic < look.again_at)?;
        Some(match &look.session {
            Some(session) => proven(&**session, packet).unwrap_or_else(|| Verdict::Failed(Reason::Checksum).into()),
            None if self.keyring.is_empty() => Verdict::Unauthenticated.into(),
            None => Verdict::Failed(Reason::Checksum).into(),
        })
    }

    /// Takes what a look at the credentials has brought.
    pub(super) fn looked(&mut self, now: Now, found: &Result<Arc<dyn Session>, AuthError>) {
        let pause = if found.is_ok() { PAUSE } else { PAUSE_AFTER_FAILURE };
        self.current = Some(Look { session: found.as_ref().ok().cloned(), again_at: now.monotonic + pause });
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Credentials, Key, at, plain, sealed};
    use super::*;
    use zephyr_core::auth::{Identity, Initiator as _};

    /// A verifier with credentials that it can look at.
    struct Side<'a> {
        verifier: Verifier,
        credentials: &'a Credentials,
    }

    impl<'a> Side<'a> {
        fn new(credentials: &'a Credentials) -> Self {
            Self { verifier: Verifier::default(), credentials }
        }

        fn verdict(&mut self, seconds: u64, packet: &[u8]) -> Option<Verdict> {
            let packet = Packet::parse(packet).ok()?;
            let opened = self.verifier.verify(at(seconds), &packet).or_else(|| {
                self.verifier.looked(at(seconds), &self.credentials.session("TEST"));
                self.verifier.verify(at(seconds), &packet)
            });
            opened.map(|opened| opened.verdict)
        }
    }

    const ALICE: &[u8] = b"alice@TEST";
    const FAILED: Option<Verdict> = Some(Verdict::Failed(Reason::Checksum));

    fn authentic() -> Option<Verdict> {
        Some(Verdict::Authentic(Identity::new(ALICE)))
    }

    #[test]
    fn remembered_sessions_then_credentials() {
        let credentials = Credentials::with(2);
        let mut side = Side::new(&credentials);
        side.verifier.keyring.remember(at(0), Arc::new(Key(1)));
        assert_eq!(side.verdict(0, &plain(b"x")), Some(Verdict::Unauthenticated));
        assert_eq!(side.verdict(0, &sealed(1, b"x")), authentic());
        assert_eq!(credentials.looks(), 0, "no credentials are needed for what the keyring knows");
        assert_eq!(side.verdict(0, &sealed(2, b"x")), authentic());
        assert_eq!(side.verdict(0, &sealed(3, b"x")), FAILED);
    }

    #[test]
    fn hostile_packets_cannot_make_us_ask_the_kdc_again_and_again() {
        let credentials = Credentials::none();
        let mut side = Side::new(&credentials);
        side.verifier.keyring.remember(at(0), Arc::new(Key(1)));
        for second in 0..30 {
            for _ in 0..100 {
                assert_eq!(side.verdict(second, &sealed(9, b"x")), FAILED);
            }
        }
        assert_eq!(credentials.looks(), 1);
        credentials.become_key(9);
        assert_eq!(side.verdict(30, &sealed(9, b"x")), authentic());
        assert_eq!(credentials.looks(), 2);
        credentials.become_key(8);
        assert_eq!(side.verdict(31, &sealed(8, b"x")), FAILED);
        assert_eq!(side.verdict(32, &sealed(8, b"x")), authentic());
    }

    #[test]
    fn a_claim_that_cannot_be_checked_is_no_failure() {
        let credentials = Credentials::none();
        let mut side = Side::new(&credentials);
        assert_eq!(side.verdict(0, &sealed(1, b"x")), Some(Verdict::Unauthenticated));
    }
}
