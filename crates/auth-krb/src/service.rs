//! The service's own credentials and keys at work (server to server, sections 3.2 and 8).

use crate::{
    binding::{Context, OwnCredentials},
    channel::{self, KerberosPending},
    default_realm,
    enctype::{Enctype, Permitted},
    error::{self, Error, code},
    keytab::{DEFAULT_KEYTAB, Keys, Keytab},
    session::{KeySession, TicketSession},
    storage,
    ticket::ServiceTicket,
    ticket_search::Search,
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Channel, Ends, PendingChannel, Service, Session, SessionKey, StorageKey},
    time::Now,
};

/// How long before its end a ticket-granting ticket is replaced, in seconds; sooner where it lives for less than four times
/// this.
const RENEWAL: u64 = 15 * 60;

/// How long after a KDC gave no new ticket it is asked again, while the old one is good.
const RETRY: Duration = Duration::from_secs(30);

/// The service `zephyr/zephyr` of one realm, by its keytab.
///
/// Its tickets are its own: no credential cache of a user is read or written.
pub struct KerberosService {
    realm: String,
    keytab: Keytab,
    permitted: Arc<Permitted>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    own: Option<Arc<Own>>,
    /// When the KDC last gave none.
    refused: Option<Instant>,
    /// Something could not be had with them: a ticket in their cache may be no good, such as one between realms whose keys have
    /// been changed since.
    doubted: bool,
}

/// Credentials of the service, and the keys that they were fetched with.
struct Own {
    keys: Arc<Keys>,
    credentials: OwnCredentials,
}

impl Own {
    /// How much longer its ticket is good, in seconds.
    fn remaining(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = now.saturating_add_signed(self.credentials.kdc_ahead.into());
        u64::from(self.credentials.ends).saturating_sub(now)
    }

    fn is_fresh(&self) -> bool {
        let life = self.credentials.ends.saturating_sub(self.credentials.starts);
        is_fresh(life.into(), self.remaining())
    }
}

/// Whether a ticket of this life, with so much of it remaining, need not be replaced; both in seconds.
fn is_fresh(life: u64, remaining: u64) -> bool {
    remaining > RENEWAL.min(life / 4)
}

impl KerberosService {
    /// The service of `realm`, or of the default realm; with the keys in `keytab`, or in [`DEFAULT_KEYTAB`]. It uses keys of
    /// the types in [`Enctype::DEFAULT`].
    ///
    /// # Errors
    ///
    /// When there is no default realm, the keytab cannot be read, or the service's key is not in it.
    pub fn new(realm: Option<&str>, keytab: Option<&Path>) -> Result<Self, AuthError> {
        let realm = realm.map_or_else(default_realm, |realm| Ok(realm.to_owned()))?;
        let keytab = Keytab::open(keytab.unwrap_or(Path::new(DEFAULT_KEYTAB)), &realm)?;
        let permitted = Arc::new(Permitted::new(&Enctype::DEFAULT));
        Ok(Self { realm, keytab, permitted, state: Mutex::default() })
    }

    /// The same, with keys of these types alone. libkrb5 must know and permit them as well.
    #[must_use]
    pub fn permitting(mut self, enctypes: &[Enctype]) -> Self {
        self.permitted = Arc::new(Permitted::new(enctypes));
        self
    }

    /// The service's credentials, fetched anew where they are about to end, are doubted, or the keytab has changed. Whoever comes
    /// meanwhile waits: one asks the KDC for all.
    fn own(&self) -> Result<Arc<Own>, AuthError> {
        let keys = self.keytab.keys();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let old = state.own.clone().filter(|own| Arc::ptr_eq(&own.keys, &keys) && own.remaining() > 0);
        let waits = state.refused.is_some_and(|refused| refused.elapsed() < RETRY);
        let is_good = |own: &Arc<Own>| waits || own.is_fresh() && !state.doubted;
        if let Some(own) = old.as_ref().filter(|own| is_good(own)) {
            return Ok(Arc::clone(own));
        }
        match OwnCredentials::fetch(&keys.keytab, self.realm.as_bytes()) {
            Ok(credentials) => {
                let own = Arc::new(Own { keys, credentials });
                *state = State { own: Some(Arc::clone(&own)), refused: None, doubted: false };
                Ok(own)
            }
            Err(error) => {
                state.refused = Some(Instant::now());
                old.ok_or_else(|| {
                    let realm = &self.realm;
                    AuthError::Backend(format!("the KDC gives zephyr/zephyr@{realm} no ticket: {error}"))
                })
            }
        }
    }

    /// A ticket of the service for the servers of `realm`.
    fn ticket(&self, realm: &str) -> Result<ServiceTicket, AuthError> {
        let own = self.own()?;
        let find = || {
            let context = Context::new()?;
            context.follow(own.credentials.kdc_ahead, SystemTime::now())?;
            let cache = own.credentials.cache(&context)?;
            let client = context.principal_of(&cache)?;
            let search = Search { context: &context, cache: &cache, client: &client, realm: realm.as_bytes() };
            search.permitted(|enctype| self.permitted.has(enctype))
        };
        find().map_err(|error| {
            self.doubt(&own);
            self.explained(realm, error)
        })
    }

    /// Why there is no ticket for the servers of `realm`: that a KDC cannot decrypt a ticket says nothing of which key it is about.
    fn explained(&self, realm: &str, error: Error) -> AuthError {
        if realm == self.realm || !matches!(error.code, code::BAD_INTEGRITY | code::BAD_KEY_VERSION) {
            return error::in_realm(realm)(error);
        }
        let (own, text) = (&self.realm, error.text.replace('\n', "; "));
        let reason = format!("the keys or versions of krbtgt/{realm}@{own} differ on the two KDCs: {text}");
        AuthError::WrongRealm { realm: realm.to_owned(), reason }
    }

    /// These credentials are replaced at the next need. Until there are others they are used: not all that they are good for has
    /// failed.
    fn doubt(&self, own: &Arc<Own>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.doubted |= state.own.as_ref().is_some_and(|current| Arc::ptr_eq(current, own));
    }
}

impl Service for KerberosService {
    fn session(&self, realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        let session = TicketSession::new(self.ticket(realm)?);
        Ok(Arc::new(session.map_err(|error| AuthError::Backend(error.to_string()))?))
    }

    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        if let Some(refusal) = self.permitted.refusal("the session key", key.kind) {
            return Err(AuthError::Backend(refusal));
        }
        let session = KeySession::from_raw(key.kind, &key.octets);
        session.map(|session| Arc::new(session).at_rest()).map_err(|error| AuthError::Backend(error.to_string()))
    }

    fn storage_keys(&self, purpose: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
        Ok(storage::keys(&self.keytab.keys().keytab.keys, &self.permitted, purpose))
    }

    fn connect(&self, ends: Ends, now: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
        let ticket = self.ticket(&self.realm)?;
        let (request, pending) = KerberosPending::begin(&ticket, Arc::clone(&self.permitted), ends, now)?;
        Ok((request, Box::new(pending)))
    }

    fn accept(&self, ends: Ends, token: &[u8], now: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
        channel::accept(token, &self.realm, &self.keytab.keys().keytab, &self.permitted, ends, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_replaced_before_its_end() {
        for (life, remaining, fresh) in [
            (36_000, 36_000, true),
            (36_000, 901, true),
            (36_000, 900, false),
            (36_000, 0, false),
            (8, 3, true),
            (8, 2, false),
            (0, 0, false),
        ] {
            assert_eq!(is_fresh(life, remaining), fresh, "{remaining} s of {life} s");
        }
    }
}
