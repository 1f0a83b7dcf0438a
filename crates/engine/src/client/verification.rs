//! Verification of the origin of received notices (authentication, section 7).

use super::keyring::{self, Keyring};
use std::{sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Reason, Session, Verdict},
    inbox::Opened,
    notice::Packet,
    time::Now,
};

/// The minimum time between two lookups of the user's credentials.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(2);
/// The same after a lookup that failed, which may have waited for the KDC.
const LOOKUP_INTERVAL_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Verifies packets with the remembered sessions, then with the user's current credentials.
///
/// Another program of the same user may have subscribed with the latter for this client. A lookup of them may ask the KDC, so
/// packets from anybody cannot cause it more often than the intervals allow; between lookups the session of the last one
/// is used.
#[derive(Default)]
pub(super) struct Verifier {
    /// The sessions that this program has subscribed with.
    pub(super) keyring: Keyring,
    current: Option<Lookup>,
}

/// The result of the last lookup of the user's credentials.
struct Lookup {
    session: Option<Arc<dyn Session>>,
    valid_until: Duration,
}

impl Verifier {
    /// Verifies and opens a packet; `None` when that needs a new lookup of the user's credentials, after which it must be
    /// called again.
    ///
    /// A claim that cannot be checked, for want of any session, is unauthenticated and no failure.
    pub(super) fn verify(&mut self, now: Now, packet: &Packet<'_>) -> Option<Opened> {
        if packet.claim.auth == 0 {
            return Some(Verdict::Unauthenticated.into());
        }
        if let Some(opened) = self.keyring.open(now, packet) {
            return Some(opened);
        }
        let lookup = self.current.as_ref().filter(|lookup| now.monotonic < lookup.valid_until)?;
        Some(match &lookup.session {
            Some(session) => {
                keyring::open(&**session, packet).unwrap_or_else(|| Verdict::Failed(Reason::Checksum).into())
            }
            None if self.keyring.is_empty() => Verdict::Unauthenticated.into(),
            None => Verdict::Failed(Reason::Checksum).into(),
        })
    }

    /// Whether something was subscribed with proof.
    pub(super) fn has_keys(&self) -> bool {
        !self.keyring.is_empty()
    }

    /// Handles the result of a lookup of the user's credentials.
    pub(super) fn handle_session(&mut self, now: Now, session: &Result<Arc<dyn Session>, AuthError>) {
        let interval = if session.is_ok() { LOOKUP_INTERVAL } else { LOOKUP_INTERVAL_AFTER_FAILURE };
        self.current = Some(Lookup { session: session.as_ref().ok().cloned(), valid_until: now.monotonic + interval });
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Credentials, Key, at, plain, sealed};
    use super::*;
    use zephyr_core::auth::{Identity, Initiator as _};

    /// A verifier with credentials for its lookups.
    struct Harness<'a> {
        verifier: Verifier,
        credentials: &'a Credentials,
    }

    impl<'a> Harness<'a> {
        fn new(credentials: &'a Credentials) -> Self {
            Self { verifier: Verifier::default(), credentials }
        }

        fn verdict(&mut self, seconds: u64, packet: &[u8]) -> Option<Verdict> {
            let packet = Packet::parse(packet).ok()?;
            let opened = self.verifier.verify(at(seconds), &packet).or_else(|| {
                self.verifier.handle_session(at(seconds), &self.credentials.session("TEST"));
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
        let mut harness = Harness::new(&credentials);
        harness.verifier.keyring.remember(at(0), Arc::new(Key(1)));
        assert_eq!(harness.verdict(0, &plain(b"x")), Some(Verdict::Unauthenticated));
        assert_eq!(harness.verdict(0, &sealed(1, b"x")), authentic());
        assert_eq!(credentials.lookups(), 0, "no credentials are needed for what the keyring knows");
        assert_eq!(harness.verdict(0, &sealed(2, b"x")), authentic());
        assert_eq!(harness.verdict(0, &sealed(3, b"x")), FAILED);
    }

    #[test]
    fn forged_packets_cannot_cause_a_kdc_request_each() {
        let credentials = Credentials::none();
        let mut harness = Harness::new(&credentials);
        harness.verifier.keyring.remember(at(0), Arc::new(Key(1)));
        for second in 0..30 {
            for _ in 0..100 {
                assert_eq!(harness.verdict(second, &sealed(9, b"x")), FAILED);
            }
        }
        assert_eq!(credentials.lookups(), 1);
        credentials.set_key(9);
        assert_eq!(harness.verdict(30, &sealed(9, b"x")), authentic());
        assert_eq!(credentials.lookups(), 2);
        credentials.set_key(8);
        assert_eq!(harness.verdict(31, &sealed(8, b"x")), FAILED);
        assert_eq!(harness.verdict(32, &sealed(8, b"x")), authentic());
    }

    #[test]
    fn a_claim_that_cannot_be_checked_is_no_failure() {
        let credentials = Credentials::none();
        let mut harness = Harness::new(&credentials);
        assert_eq!(harness.verdict(0, &sealed(1, b"x")), Some(Verdict::Unauthenticated));
    }
}
