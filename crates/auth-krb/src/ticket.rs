//! Keys and tickets as plain values, without pointers into libkrb5.

use std::{
    ffi::CString,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::auth::Lifetime;
use zeroize::Zeroizing;

/// A key and what it is for. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) enctype: i32,
    pub(crate) octets: Zeroizing<Vec<u8>>,
}

/// A ticket for a Zephyr service, with what a client must know to use it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServiceTicket {
    /// The client principal.
    pub(crate) client: CString,
    /// The realm of the service.
    pub(crate) realm: Box<[u8]>,
    /// The session key.
    pub(crate) key: Key,
    /// The ticket, encoded.
    pub(crate) ticket: Box<[u8]>,
    /// When it ends, in seconds since 1970 by the KDC's clock.
    pub(crate) ends: u32,
    /// The offset of the KDC's clock from ours, in seconds.
    pub(crate) kdc_ahead: i32,
}

impl ServiceTicket {
    /// Whether it has ended at this moment. As for libkrb5, its last second is the one that it names.
    pub(crate) fn has_ended(&self, now: SystemTime) -> bool {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        seconds.saturating_add_signed(i64::from(self.kdc_ahead)) > u64::from(self.ends)
    }

    /// The last moment at which it is good, by our clock.
    pub(crate) fn end(&self) -> SystemTime {
        let ends = i64::from(self.ends).saturating_sub(self.kdc_ahead.into());
        UNIX_EPOCH + Duration::from_secs(u64::try_from(ends).unwrap_or(0))
    }
}

/// The lifetime of a ticket, in seconds since 1970; both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) starts: u32,
    pub(crate) ends: u32,
}

/// The moment that an authenticator says it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Seconds since 1970.
    pub(crate) seconds: u32,
    /// And microseconds, fewer than a million.
    pub(crate) micros: u32,
}

impl Made {
    /// How long an authenticator of this moment is good where clocks may be `skew` seconds apart: the last of these
    /// seconds counts as a whole.
    pub(crate) fn lifetime(self, skew: u32) -> Lifetime {
        let second = UNIX_EPOCH + Duration::from_secs(self.seconds.into());
        let made = second + Duration::from_micros(self.micros.into());
        Lifetime { made, ends: second + Duration::from_secs(u64::from(skew) + 1) }
    }
}

/// The principal of an accepted authenticator, and the contents of its ticket.
pub(crate) struct Accepted {
    /// The principal's text.
    pub(crate) client: Vec<u8>,
    /// Whether the principal is the service that accepted it.
    pub(crate) is_service: bool,
    /// The ticket's session key.
    pub(crate) key: Key,
    /// When the ticket is good.
    pub(crate) validity: Validity,
    /// The realms that the client's proof has come through.
    pub(crate) way: Way,
    /// When the authenticator was made.
    pub(crate) made: Made,
}

/// The realms that a proof has come through on its way from the client's KDC to ours, as the ticket lists them (RFC 4120,
/// section 3.3.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// The kind of list.
    pub(crate) kind: u8,
    /// The list; it may end in NUL.
    pub(crate) list: Vec<u8>,
    /// Whether our KDC says that it has looked at it.
    pub(crate) is_checked: bool,
}

impl Way {
    /// The only kind of list there is.
    const DOMAIN_X500_COMPRESS: u8 = 1;

    /// Why a proof that came this way does not count, if it does not, whatever else libkrb5 says of it. It looks at no list
    /// that begins with NUL, and at none that the KDC says to have looked at.
    pub(crate) fn refusal(&self, is_client_of_own_realm: bool) -> Option<&'static str> {
        let is_empty = self.list.iter().all(|&octet| octet == 0);
        if is_empty {
            return None;
        }
        if is_client_of_own_realm {
            return Some("a client of this realm that comes through another one");
        }
        let is_legible = self.kind == Self::DOMAIN_X500_COMPRESS && self.list.first() != Some(&0);
        (!is_legible && !self.is_checked).then_some("the list of realms on the way cannot be read")
    }
}
