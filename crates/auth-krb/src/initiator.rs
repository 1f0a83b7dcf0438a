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
        let ticket = ticket_for(realm, known.as_deref().map(TicketSession::ticket))?;
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
    let owner = with_own_cache("", |context, cache| context.text(&context.principal_of(cache)?))?;
    owner.into_string().map_err(|_| AuthError::Backend("the principal's name is not UTF-8".to_owned()))
}

/// The best ticket for the servers of `realm`, preferring one whose key C programs know, and one that the user has.
pub(crate) fn ticket_for(realm: &str, known: Option<&ServiceTicket>) -> Result<ServiceTicket, AuthError> {
    with_own_cache(realm, |context, cache| best_ticket(context, cache, realm, known))
}

/// Does something with the user's default cache, if that is the user's own. `realm` is for errors.
fn with_own_cache<T>(
    realm: &str,
    action: impl FnOnce(&Context, &Cache<'_>) -> Result<T, Error>,
) -> Result<T, AuthError> {
    let of_realm = error::in_realm(realm);
    let context = Context::new().map_err(&of_realm)?;
    let cache = context.default_cache().map_err(&of_realm)?;
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
