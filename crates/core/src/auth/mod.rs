//! The interface of authentication backends: verdicts about a notice's origin, and the traits of a backend.
//!
//! A backend is a crate that implements [`Acceptor`] and [`Service`] for servers, [`Initiator`] for clients and [`Session`]
//! for both. Nothing here, and nothing that uses it, knows which backend is at work.

mod service;

pub use service::{
    Channel, Ends, MAX_RECORD, MAX_SEALED_RECORD, MAX_TOKEN, PendingChannel, Service, SessionKey, StorageKey,
};

use crate::{
    limits::Limits,
    notice::{FormatError, Notice, Packet},
    time::Now,
};
use bytes::Bytes;
use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

/// The verdict on a notice's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The notice claims nothing.
    Unauthenticated,
    /// The notice claims proof, and the proof does not hold.
    Failed(Reason),
    /// The notice was sent by this principal, and arrived as it was sent.
    Authentic(Identity),
}

impl Verdict {
    /// The identity of the sender, when it is proven.
    pub const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Authentic(identity) => Some(identity),
            _ => None,
        }
    }

    /// True when the origin is proven.
    pub const fn is_authentic(&self) -> bool {
        self.identity().is_some()
    }

    /// The verdict on a whole with this verdict on one part and `other` on another: the weaker of the two
    /// (wire format, section 7, step 13).
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (failed @ Self::Failed(_), _) | (_, failed @ Self::Failed(_)) => failed,
            (Self::Authentic(a), Self::Authentic(b)) if a == b => Self::Authentic(a),
            (Self::Authentic(_), Self::Authentic(_)) => Self::Failed(Reason::WrongPrincipal),
            _ => Self::Unauthenticated,
        }
    }
}

/// A proven principal, as text with its realm: `alice@ATHENA.MIT.EDU`. Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<[u8]>);

impl Identity {
    /// The identity with this principal text.
    pub fn new(principal: &[u8]) -> Self {
        Self(principal.into())
    }

    /// The principal's text.
    pub fn principal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.0.escape_ascii())
    }
}

/// Why a proof does not hold. All of these are errors in the packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Proof is claimed, but the authenticator is empty.
    #[error("no authenticator")]
    NoAuthenticator,
    /// The authenticator is not one.
    #[error("malformed authenticator: {0}")]
    Malformed(String),
    /// The header has too few fields for its checksum to cover it.
    #[error("too few header fields for a proof")]
    Uncovered,
    /// The authenticator proves somebody else than the notice names.
    #[error("proven principal and sender differ")]
    WrongPrincipal,
    /// The checksum is missing, malformed or wrong: what arrived is not what was sent.
    #[error("wrong checksum")]
    Checksum,
    /// The authenticator has already served another notice.
    #[error("authenticator used before")]
    Replayed,
    /// It is older than what the receiver still remembers of its sender, so it may have come before.
    #[error("so old that it may be a repetition")]
    Forgotten,
    /// Some of its fragments are proven and others are not.
    #[error("only some of its fragments are proven")]
    PartlyProven,
    /// The authenticator is from a time of which it is no longer known which authenticators were used: so many seconds
    /// since 1970, or earlier.
    #[error("authenticator older than what is remembered (since second {0})")]
    NotRemembered(u64),
    /// It is proven by a realm that may not speak for the sender here.
    #[error("realm {0} may not speak for this sender")]
    Untrusted(String),
    /// The backend refuses the authenticator, with its own message.
    #[error("{0}")]
    Refused(String),
}

/// The direction of a notice between client and server; the two are proven differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Made by a client, or by a server towards another realm's server.
    ToServer,
    /// Made by a server for one of its clients.
    ToClient,
}

/// A key that two parties share: proves outgoing notices, checks incoming ones.
pub trait Session: Send + Sync {
    /// The packet that carries `notice` with proof.
    ///
    /// Towards a server the proof holds a fresh authenticator, so two calls give different packets of slightly
    /// different lengths. `limits` bounds header and packet. A backend that encrypts keeps the body's length, since
    /// fragments say where in the whole their octets belong: what it must add goes into the checksum field.
    ///
    /// # Errors
    ///
    /// [`AuthError::Format`] when the packet does not fit; others when the backend cannot make the proof.
    fn seal(&self, notice: &Notice<'_>, direction: Direction, limits: Limits, now: Now) -> Result<Bytes, AuthError>;

    /// The packet's body as it was before it was sealed, when it was sealed with this key for this direction: the very
    /// octets of the packet where the backend does not encrypt. `None` when it was not, or is not as it was sealed.
    fn open<'a>(&self, packet: &Packet<'a>, direction: Direction) -> Option<Cow<'a, [u8]>>;

    /// Whether the packet was sealed with this key for this direction, and is as it was sealed.
    fn check(&self, packet: &Packet<'_>, direction: Direction) -> bool {
        self.open(packet, direction).is_some()
    }

    /// The expiry of the session, by this machine's clock; `None` when that has no end.
    fn ends(&self) -> Option<SystemTime> {
        None
    }

    /// Its key, from which [`Service::restore`] makes it again; `None` when it cannot be kept.
    fn key(&self) -> Option<SessionKey> {
        None
    }
}

/// When an authenticator can prove something: from when it was made until the acceptor takes it for too old, both by
/// the wall clocks of those who say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was made, by the clock of whoever made it.
    pub made: SystemTime,
    /// From when on the acceptor refuses it, by the acceptor's clock.
    pub ends: SystemTime,
}

/// The judgement of an [`Acceptor`] on a packet.
pub struct Judgement {
    /// The verdict on the origin.
    pub verdict: Verdict,
    /// The session key to prove answers to this sender with; only with [`Verdict::Authentic`].
    pub session: Option<Arc<dyn Session>>,
    /// The body as it was before it was sealed, where that is not what the packet holds: of a backend that encrypts.
    pub opened: Option<Bytes>,
    /// The lifetime of the packet's authenticator; only with [`Verdict::Authentic`]. A server remembers for so long what
    /// it proved, and refuses what was made at a time that it has had to forget. `None` of a backend whose authenticators
    /// do not say when they were made: those are remembered for a fixed time, and nothing is refused for its age.
    pub lifetime: Option<Lifetime>,
}

impl fmt::Debug for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are not for anybody's eyes.
        f.debug_struct("Judgement").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

impl Judgement {
    /// The judgement of a packet that `identity` made, with the key that it proves.
    pub const fn authentic(identity: Identity, session: Arc<dyn Session>) -> Self {
        Self { verdict: Verdict::Authentic(identity), session: Some(session), opened: None, lifetime: None }
    }

    /// The same, of a packet whose authenticator has this lifetime.
    #[must_use]
    pub fn within(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// A judgement without a key.
    pub const fn bare(verdict: Verdict) -> Self {
        Self { verdict, session: None, opened: None, lifetime: None }
    }
}

/// Verification of packets: the server's side of a domain.
pub trait Acceptor: Send + Sync {
    /// Verifies the origin of a packet. `expected` is the principal that must have made it: the notice's sender, or
    /// another realm's server.
    ///
    /// # Errors
    ///
    /// Only for errors of our own (no key, a library that fails): the packet could not be judged. What is wrong
    /// with the packet is a [`Verdict::Failed`].
    fn judge(&self, packet: &Packet<'_>, expected: &[u8], now: Now) -> Result<Judgement, AuthError>;
}

/// Sessions for a user: the client's side of a domain.
pub trait Initiator: Send + Sync {
    /// The principal that this user's notices will be proven for, or `None` when there are no credentials at all.
    ///
    /// # Errors
    ///
    /// When credentials are there but cannot be read.
    fn principal(&self) -> Result<Option<String>, AuthError>;

    /// The realm that the server called `host` belongs to.
    ///
    /// # Errors
    ///
    /// When the backend's configuration cannot be read.
    fn realm_of(&self, host: &str) -> Result<String, AuthError>;

    /// A session with the servers of `realm`, made with the user's credentials of this moment.
    ///
    /// # Errors
    ///
    /// When there are no credentials, or they do not serve for that realm.
    fn session(&self, realm: &str) -> Result<Arc<dyn Session>, AuthError>;
}

/// Errors of authentication on our own side, with the messages of C programs where they have some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The user has no credentials.
    #[error("No credentials cache found")]
    NoCredentials,
    /// The credentials that would be used may be somebody else's.
    #[error("the credentials are not used: {reason}")]
    NotOwnCredentials {
        /// Whose they are, or who could have put them there.
        reason: String,
    },
    /// The user's credentials have expired.
    #[error("Ticket expired")]
    Expired,
    /// The credentials do not reach that realm.
    #[error("No credentials for realm {realm}: {reason}")]
    WrongRealm {
        /// The realm that was wanted.
        realm: String,
        /// The backend's message.
        reason: String,
    },
    /// This machine's clock and the other's are too far apart.
    #[error("Clock skew too great")]
    ClockSkew,
    /// Others than the server's user can change its keys.
    #[error("the keytab is not used: {reason}")]
    KeytabNotOwn {
        /// Whose it is, or who can change it.
        reason: String,
    },
    /// The server cannot read its keys.
    #[error("cannot read keytab {path}: {reason}")]
    KeytabUnreadable {
        /// Which keytab.
        path: String,
        /// The system's error message.
        reason: String,
    },
    /// What should be the server's keytab is none.
    #[error("{path} is no keytab: {reason}")]
    NoKeytab {
        /// Which file.
        path: String,
        /// What it is, or the library's error message.
        reason: String,
    },
    /// The server's keytab lacks the key of the service.
    #[error("keytab {path} holds no key for {principal}{}", whose(others))]
    NoServiceKey {
        /// Which keytab.
        path: String,
        /// Which principal.
        principal: String,
        /// Whose keys it holds: the first few.
        others: Vec<String>,
    },
    /// The proven packet does not fit.
    #[error("Notice header too large ({0})")]
    Format(#[from] FormatError),
    /// Anything else, with the backend's message.
    #[error("{0}")]
    Backend(String),
}

/// Whose keys a keytab holds, as the end of a sentence.
fn whose(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!(", but of {}", others.join(", ")) }
}

impl AuthError {
    /// Advice for the user or the administrator: one or two sentences, or `None` when nobody knows.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCredentials => "Run kinit first, or send without proof (zwrite -d).",
            Self::NotOwnCredentials { .. } => {
                "Somebody else may have made them. Remove that file, or set KRB5CCNAME to a cache of your own, and run kinit."
            }
            Self::Expired => "Run kinit to get a new ticket.",
            Self::WrongRealm { .. } => {
                "Check with: kvno zephyr/zephyr@REALM. The principal must exist on the KDC and your realm must be trusted there."
            }
            Self::ClockSkew => {
                "Set this machine's clock: it must be within five minutes of the KDC's and the server's."
            }
            Self::KeytabUnreadable { .. } => "The keytab must exist and be readable by the server's user.",
            Self::KeytabNotOwn { .. } => {
                "The keytab must belong to root or to the server's user, and nobody else may write to it or to its folder."
            }
            Self::NoKeytab { .. } | Self::NoServiceKey { .. } => {
                "On the KDC: kadmin -q 'ktadd -k KEYTAB zephyr/zephyr', then install KEYTAB on the server."
            }
            Self::Format(FormatError::HeaderTooLong { .. }) => {
                "The ticket is too large for C host managers and servers. On the KDC: kadmin -q 'modprinc +no_auth_data_required zephyr/zephyr', then kinit again."
            }
            Self::Format(_) | Self::Backend(_) => return None,
        })
    }
}
