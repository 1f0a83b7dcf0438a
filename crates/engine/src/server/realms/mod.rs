//! Other realms.

use std::{fmt, sync::Arc};
use zephyr_core::auth::{AuthError, Session};

/// A job about another realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealmJob {
    /// A session of this realm's service with the servers of the realm of this name.
    Session(Arc<[u8]>),
}

/// The result of a [`RealmJob`].
#[derive(Clone)]
pub enum RealmDone {
    /// Of [`RealmJob::Session`].
    Session {
        /// The realm's name, as it was asked for.
        realm: Arc<[u8]>,
        /// The session; an error when there is none now. The server asks again.
        result: Result<Arc<dyn Session>, AuthError>,
    },
}

impl fmt::Debug for RealmDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are not for anybody's eyes.
        let Self::Session { realm, result } = self;
        write!(f, "Session({}, {:?})", realm.escape_ascii(), result.as_ref().map(|_| ()))
    }
}
