//! A cache of tickets that libkrb5 has accepted. What comes with them again need not be verified from the beginning.
//!
//! Of a known ticket everything is known that stays as it is: that the service's key opens it, whose it is, that the
//! way through other realms is allowed, and from when to when it is good. What remains is the authenticator, and the
//! time. This way only ever says yes: what it does not accept is judged by libkrb5.

use crate::{
    apreq::Parts,
    authenticator::Authenticator,
    decryption::Decryption,
    session::KeySession,
    ticket::{Accepted, Made, Validity},
};
use ring::digest;
use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};
use zephyr_core::{auth::Session, time::Now};

/// Maximum number of cached tickets; each takes between one and two thousand octets.
const MAX_ENTRIES: usize = 16 * 1024;

/// The usage of authenticators' keys (RFC 4120, section 7.5.1).
const AUTHENTICATOR: i32 = 11;

/// A cached ticket, with a single copy of its session key.
pub(crate) struct KnownTicket {
    /// The client's text.
    pub(crate) client: Vec<u8>,
    /// The ticket's session key at work.
    pub(crate) session: Arc<KeySession>,
    /// The same for the engine to keep.
    pub(crate) resting: Arc<dyn Session>,
    enctype: i32,
    realm: Box<[u8]>,
    name: Box<[u8]>,
    validity: Validity,
    authenticators: Decryption,
}

impl KnownTicket {
    /// The cache entry of a ticket that libkrb5 has just accepted; `None` when its authenticator is not one of
    /// the usual kind.
    pub(crate) fn new(accepted: &Accepted, session: &Arc<KeySession>, parts: &Parts<'_>) -> Option<Self> {
        let authenticators = Decryption::new(accepted.key.clone(), AUTHENTICATOR);
        let plain = authenticators.decrypt(parts.cipher)?;
        let Authenticator { realm, name, .. } = Authenticator::decode(&plain)?;
        Some(Self {
            client: accepted.client.clone(),
            session: Arc::clone(session),
            resting: Arc::clone(session).at_rest(),
            enctype: accepted.key.enctype,
            realm: realm.into(),
            name: name.into(),
            validity: accepted.validity,
            authenticators,
        })
    }

    /// When this authenticator was made, if it proves that the ticket's owner made it, at about this time.
    fn proven(&self, parts: &Parts<'_>, now: u32, skew: u32) -> Option<Made> {
        let is_good =
            self.validity.starts <= now.saturating_add(skew) && now <= self.validity.ends.saturating_add(skew);
        if !is_good || parts.enctype != self.enctype {
            return None;
        }
        let plain = self.authenticators.decrypt(parts.cipher)?;
        let maker = Authenticator::decode(&plain)?;
        let is_owners = maker.realm == &*self.realm && maker.name == &*self.name;
        (is_owners && maker.made.seconds.abs_diff(now) <= skew).then_some(maker.made)
    }
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// The tickets that one state of the keytab opens.
#[derive(Default)]
pub(crate) struct KnownTickets {
    tickets: Mutex<Generations>,
}

/// Tickets that are in use are in the young half; when that is full it becomes the old one, and what nobody has used
/// since it last did is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Arc<KnownTicket>>,
    old: HashMap<Digest, Arc<KnownTicket>>,
}

impl Generations {
    fn find(&mut self, digest: &Digest) -> Option<Arc<KnownTicket>> {
        if let Some(ticket) = self.young.get(digest) {
            return Some(Arc::clone(ticket));
        }
        let ticket = self.old.remove(digest)?;
        self.insert(*digest, Arc::clone(&ticket));
        Some(ticket)
    }

    fn insert(&mut self, digest: Digest, ticket: Arc<KnownTicket>) {
        if self.young.len() >= MAX_ENTRIES / 2 {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, ticket);
    }
}

impl KnownTickets {
    /// The ticket that came with this authenticator, if it is a known one and the authenticator proves that its owner
    /// made the packet now; and when. `skew` is how many seconds clocks may be apart.
    pub(crate) fn proven(&self, parts: &Parts<'_>, now: Now, skew: u32) -> Option<(Arc<KnownTicket>, Made)> {
        let digest = digest(parts.ticket)?;
        let ticket = self.lock(|tickets| tickets.find(&digest))?;
        let (now, _) = now.unix();
        if ticket.validity.ends.saturating_add(skew) < now {
            self.lock(|tickets| tickets.young.remove(&digest));
            return None;
        }
        let made = ticket.proven(parts, now, skew)?;
        Some((ticket, made))
    }

    /// Remembers the ticket that came with this authenticator.
    pub(crate) fn remember(&self, parts: &Parts<'_>, ticket: KnownTicket) {
        if let Some(digest) = digest(parts.ticket) {
            self.lock(|tickets| tickets.insert(digest, Arc::new(ticket)));
        }
    }

    fn lock<T>(&self, action: impl FnOnce(&mut Generations) -> T) -> T {
        action(&mut self.tickets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn digest(ticket: &[u8]) -> Option<Digest> {
    digest::digest(&digest::SHA256, ticket).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::Key;
    use std::time::{Duration, UNIX_EPOCH};

    const MAX_SKEW: u32 = 300;
    const BEGIN: u32 = 1_000_000;
    const END: u32 = 2_000_000;

    fn key() -> Key {
        Key { enctype: 18, octets: vec![7; 32].into() }
    }

    fn ticket() -> KnownTicket {
        let session = Arc::new(KeySession::new(key()).unwrap());
        KnownTicket {
            client: b"alice@R".to_vec(),
            resting: Arc::clone(&session).at_rest(),
            session,
            enctype: 18,
            realm: b"R"[..].into(),
            name: b"\x1b\x05alice"[..].into(),
            validity: Validity { starts: BEGIN, ends: END },
            authenticators: Decryption::new(key(), AUTHENTICATOR),
        }
    }

    fn at(second: u32) -> Now {
        Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH + Duration::from_secs(second.into()) }
    }

    fn parts(ticket: &[u8]) -> Parts<'_> {
        Parts { ticket, enctype: 18, cipher: b"no authenticator" }
    }

    fn len(known: &KnownTickets) -> usize {
        known.lock(|tickets| tickets.young.len() + tickets.old.len())
    }

    fn is_known(known: &KnownTickets, name: &[u8]) -> bool {
        known.lock(|tickets| tickets.find(&digest(name).unwrap()).is_some())
    }

    #[test]
    fn a_ticket_alone_proves_nothing() {
        let known = KnownTickets::default();
        known.remember(&parts(b"a"), ticket());
        assert!(known.proven(&parts(b"a"), at(BEGIN + 1), MAX_SKEW).is_none());
        assert!(is_known(&known, b"a"));
    }

    #[test]
    fn memory_is_bounded_and_keeps_what_is_in_use() {
        let known = KnownTickets::default();
        known.remember(&parts(b"in use"), ticket());
        known.remember(&parts(b"forgotten"), ticket());
        for number in 0..MAX_ENTRIES {
            known.remember(&parts(&number.to_be_bytes()), ticket());
            if number % 1000 == 0 {
                assert!(is_known(&known, b"in use"), "{number}");
            }
        }
        assert!(len(&known) <= MAX_ENTRIES);
        assert!(is_known(&known, b"in use") && !is_known(&known, b"forgotten"));
        assert!(is_known(&known, &(MAX_ENTRIES - 1).to_be_bytes()) && !is_known(&known, &0_usize.to_be_bytes()));
    }

    #[test]
    fn a_ticket_dies_at_its_end() {
        let known = KnownTickets::default();
        known.remember(&parts(b"a"), ticket());
        assert!(known.proven(&parts(b"a"), at(END + MAX_SKEW), MAX_SKEW).is_none() && is_known(&known, b"a"));
        assert!(known.proven(&parts(b"a"), at(END + MAX_SKEW + 1), MAX_SKEW).is_none());
        assert!(!is_known(&known, b"a"));
    }
}
