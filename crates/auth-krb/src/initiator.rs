//! The user's tickets: the client's side of the backend (authentication, sections 2 and 4; wire format, section 8).

use crate::{
    binding::{Cache, Context, Lookup, Principal},
    checksum,
    error::{self, Error, code},
    gss,
    session::TicketSession,
    ticket::ServiceTicket,
};
use std::{
    collections::HashMap,
    ffi::CString,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use zephyr_core::auth::{AuthError, Initiator, Session};

/// Session keys that C programs can use, most wanted first: AES with SHA-1, Camellia, and what old realms have.
const KNOWN_TO_C: [i32; 6] = [18, 17, 26, 25, 23, 16];
/// Of these, what is asked of a KDC before it may choose.
const ASKED_FOR: [i32; 2] = [18, 17];
/// The library's "any enctype".
const ANY: i32 = 0;

/// Proves notices with the tickets in the user's default credential cache.
///
/// The cache is looked at whenever a session is asked for, so that `kinit` and `kdestroy` have their effect at once.
#[derive(Default)]
pub struct KerberosInitiator {
    sessions: Mutex<HashMap<String, Arc<TicketSession>>>,
}

impl KerberosInitiator {
    /// An initiator without sessions; nothing is read yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn known(&self, realm: &str) -> Option<Arc<TicketSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(realm).cloned()
    }
}

impl Initiator for KerberosInitiator {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        if let Ok(credentials) = gss::credentials() {
            return Ok(Some(credentials.principal));
        }
        // GSSAPI has no name for tickets that have ended, nor for a cache that cannot be read. Whoever has old ones is
        // still the same person.
        match owner_of_cache() {
            Err(AuthError::NoCredentials) => Ok(None),
            owner => owner.map(Some),
        }
    }

    fn realm_of(&self, host: &str) -> Result<String, AuthError> {
        let context = Context::new().map_err(error::ours)?;
        let default = || context.default_realm().map_err(error::ours);
        if host.is_empty() || host.parse::<IpAddr>().is_ok() {
            return default();
        }
        let name = CString::new(host).map_err(|_| AuthError::Backend("a host's name with a NUL in it".to_owned()))?;
        match context.realm_of_host(&name) {
            Ok(Some(realm)) if !realm.is_empty() => Ok(realm),
            Ok(_) | Err(Error { code: code::NUMERIC_REALM, .. }) => default(),
            Err(error) => Err(error::ours(error)),
        }
    }

    fn session(&self, realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        let known = self.known(realm);
        let ticket = ticket_for(realm, known.as_deref().map(TicketSession::ticket)).map_err(error::in_realm(realm))?;
        if let Some(session) = known.filter(|session| *session.ticket() == ticket) {
            return Ok(session);
        }
        let session = Arc::new(TicketSession::new(ticket).map_err(|error| AuthError::Backend(error.to_string()))?);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(realm.to_owned(), Arc::clone(&session));
        Ok(session)
    }
}

/// The principal of the user's credential cache, whether or not its tickets are still valid.
pub(crate) fn owner_of_cache() -> Result<String, AuthError> {
    let read = || {
        let context = Context::new()?;
        let cache = context.default_cache()?;
        context.text(&context.principal_of(&cache)?)
    };
    let owner = read().map_err(error::in_realm(""))?;
    owner.into_string().map_err(|_| AuthError::Backend("the principal's name is not UTF-8".to_owned()))
}

/// The best ticket for the servers of `realm`, preferring one whose key C programs know, and one that the user has.
fn ticket_for(realm: &str, known: Option<&ServiceTicket>) -> Result<ServiceTicket, Error> {
    let context = Context::new()?;
    let cache = context.default_cache()?;
    let client = context.principal_of(&cache)?;
    let search = Search { context: &context, cache: &cache, client: &client, realm: realm.as_bytes() };
    let cached = |enctype| search.by(Lookup::Cached, enctype).ok();

    if let Some(ticket) = KNOWN_TO_C.into_iter().find_map(cached) {
        return Ok(ticket);
    }
    // One of another type is in use only because the KDC gives no better one: do not ask again.
    let other = cached(ANY).filter(|ticket| checksum::is_known(ticket.key.enctype));
    if let Some(ticket) = other.as_ref().filter(|ticket| Some(*ticket) == known) {
        return Ok(ticket.clone());
    }
    for enctype in ASKED_FOR {
        match search.by(Lookup::Kdc, enctype) {
            Err(error) if is_about_enctype(&error) => {}
            outcome => return outcome,
        }
    }
    other.map_or_else(|| search.by(Lookup::Kdc, ANY), Ok)
}

fn is_about_enctype(error: &Error) -> bool {
    matches!(error.code, code::ETYPE_NOSUPP | code::PROG_ETYPE_NOSUPP | code::CONFIG_ETYPE_NOSUPP)
}

struct Search<'a> {
    context: &'a Context,
    cache: &'a Cache<'a>,
    client: &'a Principal<'a>,
    realm: &'a [u8],
}

impl Search<'_> {
    fn by(&self, lookup: Lookup, enctype: i32) -> Result<ServiceTicket, Error> {
        self.context.ticket(lookup, self.cache, self.client, self.realm, enctype)
    }
}
