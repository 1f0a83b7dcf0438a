//! The user's tickets: the client's side of the backend (authentication, sections 2 and 4; wire format, section 8).

use crate::{
    binding::{Cache, Context},
    error::{self, Error, code},
    gss,
    ownership::{self, NotOwn},
    session::TicketSession,
    ticket::ServiceTicket,
    ticket_search::Search,
};
use std::{
    collections::HashMap,
    ffi::{CStr, CString, OsStr},
    fs,
    net::IpAddr,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use zephyr_core::auth::{AuthError, Initiator, Session};

/// Proves notices with the tickets in one of the user's credential caches.
///
/// The cache is looked at whenever a session is asked for, so that `kinit` and `kdestroy` have their effect at once.
#[derive(Default)]
pub struct KerberosInitiator {
    /// The realm that the cache is chosen for.
    realm: Option<String>,
    sessions: Mutex<HashMap<String, Arc<TicketSession>>>,
}

impl KerberosInitiator {
    /// An initiator without sessions, with the user's default cache; nothing is read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An initiator for the servers of this realm. Where the user has several caches in a collection (`DIR:`, `KCM:`, `KEYRING:`), it
    /// takes the one that his `.k5identity` names for them, else the one of a principal of this realm, else the default one. So one
    /// process proves itself in several realms, in each by that realm's own tickets.
    pub fn of_realm(realm: impl Into<String>) -> Self {
        Self { realm: Some(realm.into()), ..Self::default() }
    }

    fn known(&self, realm: &str) -> Option<Arc<TicketSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(realm).cloned()
    }
}

impl Initiator for KerberosInitiator {
    fn principal(&self) -> Result<Option<String>, AuthError> {
        if let Some(owner) = self.realm.as_deref().and_then(owner_of_cache_for) {
            return owner.map(Some);
        }
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
        let ticket = ticket_for(self.realm.as_deref(), realm, known.as_deref().map(TicketSession::ticket))?;
        if let Some(session) = known.filter(|session| *session.ticket() == ticket) {
            return Ok(session);
        }
        let session = Arc::new(TicketSession::new(ticket).map_err(|error| AuthError::Backend(error.to_string()))?);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(realm.to_owned(), Arc::clone(&session));
        Ok(session)
    }
}

/// The principal of the user's default credential cache, whether or not its tickets are still valid.
pub(crate) fn owner_of_cache() -> Result<String, AuthError> {
    owner_of(with_own_cache(None, "", text_of_owner))
}

/// The principal of the cache that is chosen for the servers of a realm; `None` when that is the default one.
fn owner_of_cache_for(realm: &str) -> Option<Result<String, AuthError>> {
    let is_chosen = Context::new().is_ok_and(|context| context.cache_for(realm.as_bytes()).is_some());
    is_chosen.then(|| owner_of(with_own_cache(Some(realm), realm, text_of_owner)))
}

/// The best ticket for the servers of `realm`, preferring one whose key C programs know, and one that the user has. `chosen_for` is
/// as for [`with_own_cache`].
pub(crate) fn ticket_for(
    chosen_for: Option<&str>,
    realm: &str,
    known: Option<&ServiceTicket>,
) -> Result<ServiceTicket, AuthError> {
    with_own_cache(chosen_for, realm, |context, cache| best_ticket(context, cache, realm, known))
}

fn text_of_owner(context: &Context, cache: &Cache<'_>) -> Result<CString, Error> {
    context.text(&context.principal_of(cache)?)
}

fn owner_of(text: Result<CString, AuthError>) -> Result<String, AuthError> {
    text?.into_string().map_err(|_| AuthError::Backend("the principal's name is not UTF-8".to_owned()))
}

/// Does something with the user's cache for the servers of the realm `chosen_for`, or with the default one, if that is the user's own.
/// `realm` is for errors.
fn with_own_cache<T>(
    chosen_for: Option<&str>,
    realm: &str,
    action: impl FnOnce(&Context, &Cache<'_>) -> Result<T, Error>,
) -> Result<T, AuthError> {
    let of_realm = error::in_realm(realm);
    let context = Context::new().map_err(&of_realm)?;
    let chosen = chosen_for.and_then(|realm| context.cache_for(realm.as_bytes()));
    let cache = chosen.map_or_else(|| context.default_cache(), Ok).map_err(&of_realm)?;
    let files = files_of(&context.name_of(&cache).map_err(&of_realm)?);
    let check = || files.iter().try_for_each(|file| ownership::check(file));
    let not_own = |refusal: NotOwn| AuthError::NotOwnCredentials { reason: refusal.to_string() };
    match check() {
        // The library knows best what it means that there is none.
        Err(refusal) if !refusal.is_missing() => return Err(not_own(refusal)),
        _ => {}
    }
    let outcome = action(&context, &cache).map_err(&of_realm)?;
    // Perhaps there was none before and somebody has just put one there.
    match check() {
        Err(refusal) if refusal.is_missing() => Err(AuthError::NoCredentials),
        checked => checked.map(|()| outcome).map_err(not_own),
    }
}

/// The files that decide what is in a cache of this name; none when it is kept by the kernel or by a daemon, which know whose
/// it is.
fn files_of(name: &CStr) -> Vec<PathBuf> {
    let path = |octets: &[u8]| PathBuf::from(OsStr::from_bytes(octets));
    let name = name.to_bytes();
    if let Some(file) = name.strip_prefix(b"FILE:") {
        return vec![path(file)];
    }
    // A cache in a folder of caches; a file there says which is the default one.
    let Some(file) = name.strip_prefix(b"DIR:") else { return Vec::new() };
    let file = path(file.strip_prefix(b":").unwrap_or(file));
    let primary = file.with_file_name("primary");
    if fs::symlink_metadata(&primary).is_ok() { vec![file, primary] } else { vec![file] }
}

fn best_ticket(
    context: &Context,
    cache: &Cache<'_>,
    realm: &str,
    known: Option<&ServiceTicket>,
) -> Result<ServiceTicket, Error> {
    let client = context.principal_of(cache)?;
    Search { context, cache, client: &client, realm: realm.as_bytes() }.best(known)
}
