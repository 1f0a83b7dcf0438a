//! The null authentication backend: for domains without a KDC.
//!
//! It cannot prove anything, and says so: no notice is ever authentic, whatever the packet claims. A domain that wants
//! what C programs without Kerberos do (who says that he is alice, is alice) must choose it in so many words:
//! `believing_unproven_senders`.
//!
//! Realms, which belong to Kerberos, are made from host names here; see [`realm_of_host`].

mod realm;
mod service;

pub use realm::{default_realm, realm_of_host};
pub use service::NullService;

use bytes::Bytes;
use std::{borrow::Cow, sync::Arc};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Initiator, Judgement, Session, SessionKey, Verdict},
    limits::Limits,
    notice::{Claim, Notice, Packet},
    time::Now,
};
use zeroize::Zeroizing;

/// The acceptor of the null backend: believes nobody, or everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullAcceptor {
    session: NullSession,
}

impl NullAcceptor {
    /// Believes nobody: every notice is unauthenticated.
    pub const fn new() -> Self {
        Self { session: NullSession { believing: false } }
    }

    /// Believes everybody who claims proof, without looking at it. Anybody can then speak in anybody's name.
    pub const fn believing_unproven_senders() -> Self {
        Self { session: NullSession { believing: true } }
    }
}

impl Acceptor for NullAcceptor {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], _now: Now) -> Result<Judgement, AuthError> {
        Ok(if self.session.check(packet, Direction::ToServer) {
            Judgement::authentic(Identity::new(expected), Arc::new(self.session))
        } else {
            Judgement::bare(Verdict::Unauthenticated)
        })
    }
}

/// The initiator of the null backend: has no credentials, and needs none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullInitiator {
    session: NullSession,
}

impl NullInitiator {
    /// Sends without a claim, and takes everything received for unauthenticated.
    pub const fn new() -> Self {
        Self { session: NullSession { believing: false } }
    }

    /// Claims a proof that it does not have, and believes such claims: for domains whose servers do so, too.
    pub const fn believing_unproven_senders() -> Self {
        Self { session: NullSession { believing: true } }
    }
}

impl Initiator for NullInitiator {
    /// Nobody in particular: programs use the login name.
    fn principal(&self) -> Result<Option<String>, AuthError> {
        Ok(None)
    }

    /// [`realm_of_host`].
    fn realm_of(&self, host: &str) -> Result<String, AuthError> {
        realm_of_host(host)
    }

    /// A session that adds no proof; there always is one.
    fn session(&self, _realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        Ok(Arc::new(self.session))
    }
}

/// A session without a key.
#[derive(Clone, Copy, Debug, Default)]
struct NullSession {
    believing: bool,
}

/// The type of a key of no octets: Kerberos's null encryption.
const NO_KEY: i32 = 0;

impl Session for NullSession {
    fn seal(&self, notice: &Notice<'_>, _: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        Ok(notice.write(&Claim { auth: u32::from(self.believing), ..Claim::NONE }, limits)?)
    }

    fn open<'a>(&self, packet: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
        (self.believing && packet.claim.auth != 0).then_some(Cow::Borrowed(packet.notice.body))
    }

    /// A key of no octets, where it is a session at all.
    fn key(&self) -> Option<SessionKey> {
        self.believing.then(|| SessionKey { kind: NO_KEY, octets: Zeroizing::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: Now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };

    fn packet(auth: u32) -> Bytes {
        let notice = Notice { class: b"c", sender: b"alice@R", ..Notice::EMPTY };
        notice
            .write(&Claim { auth, authent_len: 3, authenticator: b"Zabc", checksum: b"Zdef" }, Limits::COMPATIBLE)
            .unwrap()
    }

    fn verdict(acceptor: NullAcceptor, auth: u32) -> Verdict {
        acceptor.judge(&Packet::parse(&packet(auth)).unwrap(), b"alice@R", NOW).unwrap().verdict
    }

    #[test]
    fn a_claim_is_not_believed() {
        for auth in [0, 1, 2, u32::MAX] {
            assert_eq!(verdict(NullAcceptor::new(), auth), Verdict::Unauthenticated);
            let session = NullInitiator::new().session("R").unwrap();
            for direction in [Direction::ToServer, Direction::ToClient] {
                assert!(!session.check(&Packet::parse(&packet(auth)).unwrap(), direction));
            }
        }
    }

    #[test]
    fn a_claim_is_believed_on_demand() {
        let acceptor = NullAcceptor::believing_unproven_senders();
        assert_eq!(verdict(acceptor, 1), Verdict::Authentic(Identity::new(b"alice@R")));
        assert_eq!(verdict(acceptor, 0), Verdict::Unauthenticated);
    }

    #[test]
    fn what_is_sent_claims_nothing_unless_believed() {
        let notice = Notice { class: b"c", body: b"hello", ..Notice::EMPTY };
        for (initiator, auth) in [(NullInitiator::new(), 0), (NullInitiator::believing_unproven_senders(), 1)] {
            let session = initiator.session("R").unwrap();
            for direction in [Direction::ToServer, Direction::ToClient] {
                let packet = session.seal(&notice, direction, Limits::COMPATIBLE, NOW).unwrap();
                let packet = Packet::parse(&packet).unwrap();
                assert_eq!(packet.claim, Claim { auth, ..Claim::NONE });
                assert_eq!(packet.notice, notice);
                assert_eq!(session.check(&packet, direction), auth == 1);
            }
        }
    }
}
