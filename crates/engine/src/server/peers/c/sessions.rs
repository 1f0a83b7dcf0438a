//! Jobs about C servers: sessions of the keys that they tell.

use std::{fmt, sync::Arc};
use zephyr_core::auth::{Session, SessionKey};

/// A job: the sessions of these keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreJob {
    /// Which job.
    pub id: u64,
    /// The keys.
    pub keys: Vec<SessionKey>,
}

/// The result of a [`RestoreJob`].
#[derive(Clone)]
pub struct Restored {
    /// Of which job.
    pub id: u64,
    /// The session of each key, in their order; none of one that is of no use here.
    pub sessions: Vec<Option<Arc<dyn Session>>>,
}

impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Restored({}, {} sessions)", self.id, self.sessions.iter().flatten().count())
    }
}
