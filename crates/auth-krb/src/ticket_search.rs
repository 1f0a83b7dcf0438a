//! The search for the best ticket for a service: in a credential cache, then at the KDC.

use crate::{
    binding::{Cache, Context, Lookup, Principal},
    checksum,
    error::{Error, code},
    ticket::ServiceTicket,
};

/// Session keys that C programs can use, most wanted first: AES with SHA-1, Camellia, and what old realms have.
const KNOWN_TO_C: [i32; 6] = [18, 17, 26, 25, 23, 16];
/// The others that notices can be proven with.
const UNKNOWN_TO_C: [i32; 2] = [20, 19];
/// Of those that C programs can use, what is asked of a KDC before it may choose.
const ASKED_FOR: [i32; 2] = [18, 17];
/// The library's "any enctype".
const ANY: i32 = 0;

/// A search for tickets of one client for the servers of one realm.
pub(crate) struct Search<'a> {
    pub(crate) context: &'a Context,
    pub(crate) cache: &'a Cache<'a>,
    pub(crate) client: &'a Principal<'a>,
    pub(crate) realm: &'a [u8],
}

impl Search<'_> {
    /// The best ticket, preferring one whose key C programs know, and one that the user has. `known` is the one in use.
    pub(crate) fn best(&self, known: Option<&ServiceTicket>) -> Result<ServiceTicket, Error> {
        let cached = |enctype| self.by(Lookup::Cached, enctype).ok();
        if let Some(ticket) = KNOWN_TO_C.into_iter().find_map(cached) {
            return Ok(ticket);
        }
        // One of another type is in use only because the KDC gives no better one: do not ask again.
        let other = cached(ANY).filter(|ticket| checksum::is_known(ticket.key.enctype));
        if let Some(ticket) = other.as_ref().filter(|ticket| Some(*ticket) == known) {
            return Ok(ticket.clone());
        }
        for enctype in ASKED_FOR {
            match self.by(Lookup::Kdc, enctype) {
                Err(error) if is_about_enctype(&error) => {}
                outcome => return outcome,
            }
        }
        other.map_or_else(|| self.by(Lookup::Kdc, ANY), Ok)
    }

    /// The best ticket whose key is of a type that `is_permitted`, preferring one that C programs know.
    pub(crate) fn permitted(&self, is_permitted: impl Fn(i32) -> bool) -> Result<ServiceTicket, Error> {
        let types = KNOWN_TO_C.into_iter().chain(UNKNOWN_TO_C).filter(|&enctype| is_permitted(enctype));
        if let Some(ticket) = types.clone().find_map(|enctype| self.by(Lookup::Cached, enctype).ok()) {
            return Ok(ticket);
        }
        let mut refusal = Error::invalid("no encryption type is permitted");
        for enctype in types {
            match self.by(Lookup::Kdc, enctype) {
                Err(error) if is_about_enctype(&error) => refusal = error,
                outcome => return outcome,
            }
        }
        Err(refusal)
    }

    fn by(&self, lookup: Lookup, enctype: i32) -> Result<ServiceTicket, Error> {
        self.context.ticket(lookup, self.cache, self.client, self.realm, enctype)
    }
}

fn is_about_enctype(error: &Error) -> bool {
    matches!(error.code, code::ETYPE_NOSUPP | code::PROG_ETYPE_NOSUPP | code::CONFIG_ETYPE_NOSUPP)
}
