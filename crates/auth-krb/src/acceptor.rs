//! The server's side: judging packets with the service's keys (authentication, section 5).

use crate::{
    apreq::{self, MAX_AUTHENTICATOR},
    binding::Context,
    default_realm, fault,
    keytab::{DEFAULT_KEYTAB, Keytab},
    session::KeySession,
};
use std::{path::Path, sync::Arc};
use zephyr_core::{
    auth::{Acceptor, AuthError, Direction, Identity, Judgement, Reason, Session, Verdict},
    coding::zcode,
    notice::Packet,
    time::Now,
};

/// Judges packets for the service `zephyr/zephyr` of one realm.
///
/// Any number of threads may judge at once. The time that counts is the one given with each packet.
pub struct KerberosAcceptor {
    realm: String,
    keytab: Keytab,
}

impl KerberosAcceptor {
    /// An acceptor for `realm`, or for the default realm; with the keys in `keytab`, or in [`DEFAULT_KEYTAB`].
    ///
    /// # Errors
    ///
    /// When there is no default realm, the keytab cannot be read, or the service's key is not in it.
    pub fn new(realm: Option<&str>, keytab: Option<&Path>) -> Result<Self, AuthError> {
        let realm = realm.map_or_else(default_realm, |realm| Ok(realm.to_owned()))?;
        let keytab = Keytab::open(keytab.unwrap_or(Path::new(DEFAULT_KEYTAB)), &realm)?;
        Ok(Self { realm, keytab })
    }

    /// The realm it judges for.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The session key behind a proof that holds.
    fn proven(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Result<KeySession, Reason>, AuthError> {
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
        if let Err(refusal) = apreq::inspect(&request, self.realm.as_bytes()) {
            return Ok(Err(Reason::Malformed(refusal.to_string())));
        }
        let keys = self.keytab.keys();
        let accepted = Context::with_own(|context| context.accept(&request, self.realm.as_bytes(), &keys, now));
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.is_of_the_system() => return Err(fault::ours(error)),
            Err(error) => return Ok(Err(Reason::Refused(error.text))),
        };
        if accepted.client != expected {
            return Ok(Err(Reason::WrongPrincipal));
        }
        let session = match KeySession::new(accepted.key) {
            Ok(session) => session,
            Err(error) => return Ok(Err(Reason::Refused(error.to_string()))),
        };
        Ok(if session.check(packet, Direction::ToServer) { Ok(session) } else { Err(Reason::Checksum) })
    }
}

impl Acceptor for KerberosAcceptor {
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Judgement, AuthError> {
        if packet.claim.auth == 0 {
            return Ok(Judgement::bare(Verdict::Unauthenticated));
        }
        Ok(match self.proven(packet, expected, now)? {
            Ok(session) => {
                Judgement { verdict: Verdict::Authentic(Identity::new(expected)), session: Some(Arc::new(session)) }
            }
            Err(reason) => Judgement::bare(Verdict::Failed(reason)),
        })
    }
}
