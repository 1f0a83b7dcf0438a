//! Sessions: sealing outgoing notices and verifying incoming ones with a session key (authentication, sections 4, 6 and
//! 7).

use crate::{
    apreq::MAX_AUTHENTICATOR,
    binding::Context,
    checksum::{self, Checksums, KeyError},
    error,
    ticket::{Key, ServiceTicket},
};
use bytes::Bytes;
use std::{
    borrow::Cow,
    sync::{Arc, Once},
    time::SystemTime,
};
use zephyr_core::{
    auth::{AuthError, Direction, Session, SessionKey},
    coding::zcode,
    limits::Limits,
    notice::{Notice, Packet},
    time::Now,
};
use zeroize::Zeroizing;

/// A session key without the ticket it came from: what a server has of its clients.
///
/// It seals notices for clients; towards a server it can only check.
pub struct KeySession {
    checksums: Checksums,
}

impl KeySession {
    /// A session with this key, of Kerberos encryption type `enctype`.
    ///
    /// # Errors
    ///
    /// When no checksum goes with the type, or the key does not have the type's length.
    pub fn from_raw(enctype: i32, key: &[u8]) -> Result<Self, KeyError> {
        Self::new(Key { enctype, octets: key.to_vec().into() })
    }

    pub(crate) fn new(key: Key) -> Result<Self, KeyError> {
        Ok(Self { checksums: Checksums::new(key)? })
    }

    /// The same session in fewer octets, for those who keep very many.
    pub fn at_rest(self: Arc<Self>) -> Arc<dyn Session> {
        match RestingKey::of(self.checksums.key()) {
            Some(resting) => Arc::new(resting),
            None => self,
        }
    }

    /// The key's Kerberos encryption type.
    pub const fn enctype(&self) -> i32 {
        self.checksums.enctype()
    }

    fn sealed(
        &self,
        notice: &Notice<'_>,
        direction: Direction,
        authenticator: &[u8],
        limits: Limits,
    ) -> Result<Bytes, AuthError> {
        let text = if authenticator.is_empty() { Vec::new() } else { zcode::encoded(authenticator) };
        let unsealed = notice.unsealed(authenticator.len(), &text)?;
        let checksum = self.checksums.make(direction, &unsealed.covered()).map_err(error::ours)?;
        Ok(unsealed.seal(&checksum, limits)?)
    }
}

impl Session for KeySession {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, _: Now) -> Result<Bytes, AuthError> {
        match direction {
            Direction::ToClient => self.sealed(notice, direction, b"", limits),
            Direction::ToServer => Err(AuthError::Backend("a session key alone proves nothing to a server".to_owned())),
        }
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        let covered = packet.covered()?;
        let claimed = zcode::decode(packet.claim.checksum, MAX_AUTHENTICATOR).ok()?;
        let holds = self.checksums.verify(direction, &covered, &claimed).unwrap_or_else(|error| {
            tracing::warn!(%error, enctype = self.enctype(), "cannot compute a checksum");
            false
        });
        holds.then_some(Cow::Borrowed(packet.notice.body))
    }

    fn key(&self) -> Option<SessionKey> {
        let Key { enctype, octets } = self.checksums.key();
        Some(SessionKey { kind: *enctype, octets: octets.clone() })
    }
}

/// A compact session key, for a server that keeps one of every client: it takes a fraction of the octets that one at
/// work takes. What is derived from it is derived anew every time, which costs less than fetching it from memory would
/// among very many.
struct RestingKey {
    octets: Zeroizing<[u8; MAX_KEY_LEN]>,
    len: u8,
    enctype: i32,
}

/// Maximum octets of a session key.
const MAX_KEY_LEN: usize = 32;

impl RestingKey {
    fn of(key: &Key) -> Option<Self> {
        let mut octets = Zeroizing::new([0; MAX_KEY_LEN]);
        octets.get_mut(..key.octets.len())?.copy_from_slice(&key.octets);
        Some(Self { octets, len: u8::try_from(key.octets.len()).ok()?, enctype: key.enctype })
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn at_work(&self) -> Result<KeySession, KeyError> {
        KeySession::from_raw(self.enctype, self.octets())
    }
}

impl Session for RestingKey {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, now: Now) -> Result<Bytes, AuthError> {
        let session = self.at_work().map_err(|error| AuthError::Backend(error.to_string()))?;
        session.seal(notice, direction, limits, now)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        self.at_work().ok()?.open(packet, direction)
    }

    fn key(&self) -> Option<SessionKey> {
        Some(SessionKey { kind: self.enctype, octets: self.octets().to_vec().into() })
    }
}

/// A ticket for the servers of a realm: what a client has.
pub struct TicketSession {
    key: KeySession,
    ticket: ServiceTicket,
    warning: Once,
}

impl TicketSession {
    pub(crate) fn new(ticket: ServiceTicket) -> Result<Self, KeyError> {
        Ok(Self { key: KeySession::new(ticket.key.clone())?, ticket, warning: Once::new() })
    }

    pub(crate) const fn ticket(&self) -> &ServiceTicket {
        &self.ticket
    }

    /// Warns once that a C program, if one is on the way, will not see the proof.
    fn warn_of_c_programs(&self, limits: Limits) {
        let enctype = self.key.enctype();
        if limits == Limits::COMPATIBLE && !checksum::is_known_to_c(enctype) {
            self.warning.call_once(|| {
                tracing::warn!(
                    "C servers and clients do not know session keys of type {enctype} and will take the notice for \
                     unauthenticated; on the KDC: kadmin -q 'setstr zephyr/zephyr session_enctypes \
                     aes256-cts-hmac-sha1-96', then kinit again"
                );
            });
        }
    }
}

impl Session for TicketSession {
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, now: Now) -> Result<Bytes, AuthError> {
        if direction == Direction::ToClient {
            return self.key.seal(notice, direction, limits, now);
        }
        self.warn_of_c_programs(limits);
        let now = now.wall;
        if self.ticket.has_ended(now) {
            return Err(AuthError::Expired);
        }
        let authenticator =
            Context::with_own(|context| context.make_request(&self.ticket, now)).map_err(error::ours)?;
        self.key.sealed(notice, direction, &authenticator, limits)
    }

    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>> {
        self.key.open(packet, direction)
    }

    fn ends(&self) -> Option<SystemTime> {
        Some(self.ticket.end())
    }
}
