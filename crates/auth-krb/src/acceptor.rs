//! Verification of packets with the service's keys: the server's side of the backend (authentication, section 5).

use crate::{
    apreq::{self, MAX_AUTHENTICATOR, Parts},
    binding::Context,
    default_realm,
    enctype::{Enctype, Permitted},
    error,
    keytab::{DEFAULT_KEYTAB, Keytab},
    known::KnownTicket,
    session::KeySession,
    ticket::Made,
};
use std::{path::Path, sync::Arc};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Judgement, Reason, Session, Verdict},
    coding::zcode,
    notice::Packet,
    principal::Principal,
    time::Now,
};

/// Verifies packets for the service `zephyr/zephyr` of one realm.
///
/// A ticket that is new is judged by all of libkrb5's rules. One that libkrb5 has accepted before is not opened again:
/// then only the authenticator and the times are looked at.
///
/// Any number of threads may judge at once. The time that counts is the one given with each packet.
pub struct KerberosAcceptor {
    realm: String,
    keytab: Keytab,
    permitted: Permitted,
    /// The maximum clock skew in seconds.
    skew: u32,
    remembers: bool,
}

/// The principal of an authenticator, and its session key.
struct Proven {
    session: Arc<KeySession>,
    /// The same for the engine to keep, if it is already there.
    resting: Option<Arc<dyn Session>>,
    is_expected: bool,
    made: Made,
}

/// A proof that holds.
struct Proof {
    session: Arc<dyn Session>,
    made: Made,
}

impl KerberosAcceptor {
    /// An acceptor for `realm`, or for the default realm; with the keys in `keytab`, or in [`DEFAULT_KEYTAB`]. It takes
    /// keys of the types in [`Enctype::DEFAULT`].
    ///
    /// # Errors
    ///
    /// When there is no default realm, the keytab cannot be read, or the service's key is not in it.
    pub fn new(realm: Option<&str>, keytab: Option<&Path>) -> Result<Self, AuthError> {
        let realm = realm.map_or_else(default_realm, |realm| Ok(realm.to_owned()))?;
        let context = Context::new().map_err(error::in_configuration)?;
        let keytab = Keytab::open(keytab.unwrap_or(Path::new(DEFAULT_KEYTAB)), &realm)?;
        let skew = context.clock_skew().map_err(error::ours)?;
        Ok(Self { realm, keytab, permitted: Permitted::new(&Enctype::DEFAULT), skew, remembers: true })
    }

    /// The same, for service and session keys of these types alone. libkrb5 must know and permit them as well.
    #[must_use]
    pub fn permitting(mut self, enctypes: &[Enctype]) -> Self {
        self.permitted = Permitted::new(enctypes);
        self
    }

    /// The same, but every ticket is judged as if it had never been seen.
    #[doc(hidden)]
    #[must_use]
    pub fn forgetting(mut self) -> Self {
        self.remembers = false;
        self
    }

    /// The realm it judges for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The session key behind a proof that holds, and when that was made.
    fn proven(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Result<Proof, Reason>, AuthError> {
        let claim = &packet.claim;
        if claim.authent_len <= 0 {
            return Ok(Err(Reason::NoAuthenticator));
        }
        if packet.covered().is_none() {
            return Ok(Err(Reason::Uncovered));
        }
        let request = match zcode::decode(claim.authenticator, MAX_AUTHENTICATOR) {
            Ok(request) => request,
            Err(error) => return Ok(Err(Reason::Malformed(error.to_string()))),
        };
        let Proven { session, resting, is_expected, made } = match self.maker(&request, expected, now)? {
            Ok(proven) => proven,
            Err(reason) => return Ok(Err(reason)),
        };
        Ok(if !is_expected {
            Err(Reason::WrongPrincipal)
        } else if session.check(packet, Direction::ToServer) {
            Ok(Proof { session: resting.unwrap_or_else(|| session.at_rest()), made })
        } else {
            Err(Reason::Checksum)
        })
    }

    /// Verifies an AP-REQ.
    fn maker(&self, request: &[u8], expected: &[u8], now: Now) -> Result<Result<Proven, Reason>, AuthError> {
        let keys = self.keytab.keys();
        let parts = if self.remembers { Parts::of(request) } else { None };
        if let Some((known, made)) = parts.and_then(|parts| keys.known.proven(&parts, now, self.skew)) {
            let is_expected = known.client == expected;
            let (session, resting) = (Arc::clone(&known.session), Some(Arc::clone(&known.resting)));
            return Ok(Ok(Proven { session, resting, is_expected, made }));
        }
        let enctypes = match apreq::inspect(request, self.realm.as_bytes()) {
            Ok(enctypes) => enctypes,
            Err(refusal) => return Ok(Err(Reason::Malformed(refusal.to_string()))),
        };
        let refusal = self.permitted.refusal("the ticket", enctypes.ticket);
        if let Some(refusal) = refusal.or_else(|| self.permitted.refusal("the session key", enctypes.session)) {
            return Ok(Err(Reason::Refused(refusal)));
        }
        let accepted = Context::with_own(|context| context.accept(request, self.realm.as_bytes(), &keys.keytab, now));
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.is_of_the_system() => return Err(error::ours(error)),
            Err(error) => return Ok(Err(Reason::Refused(error.text))),
        };
        let own = Principal::parse(&accepted.client).is_of(self.realm.as_bytes());
        if let Some(refusal) = accepted.way.refusal(own) {
            return Ok(Err(Reason::Refused(refusal.to_owned())));
        }
        let session = match KeySession::new(accepted.key.clone()) {
            Ok(session) => Arc::new(session),
            Err(error) => return Ok(Err(Reason::Refused(error.to_string()))),
        };
        if let Some(parts) = parts
            && let Some(ticket) = KnownTicket::new(&accepted, &session, &parts)
        {
            keys.known.remember(&parts, ticket);
        }
        let is_expected = accepted.client == expected;
        Ok(Ok(Proven { session, resting: None, is_expected, made: accepted.made }))
    }
}

impl Acceptor for KerberosAcceptor {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Judgement, AuthError> {
        if packet.claim.auth == 0 {
            return Ok(Judgement::bare(Verdict::Unauthenticated));
        }
        Ok(match self.proven(packet, expected, now)? {
            Ok(Proof { session, made }) => {
                Judgement::authentic(Identity::new(expected), session).within(made.lifetime(self.skew))
            }
            Err(reason) => Judgement::bare(Verdict::Failed(reason)),
        })
    }
}
