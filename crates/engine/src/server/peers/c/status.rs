//! Jobs about C servers: sessions of the keys that they tell, and since when they run.

use std::{fmt, net::SocketAddr, sync::Arc};
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

/// What a C server says of how long it has been running, asked by its status query from a port that is no server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// Which server.
    pub of: SocketAddr,
    /// Seconds; none when it does not say.
    pub seconds: Option<u64>,
}

impl Uptime {
    /// The uptime in the body of a status answer: the line `N seconds operational`.
    pub fn read(body: &[u8]) -> Option<u64> {
        let line = body.split(|&octet| octet == 0).nth(2)?;
        str::from_utf8(line).ok()?.strip_suffix(" seconds operational")?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_line_of_a_status_says_for_how_long() {
        assert_eq!(Uptime::read(b"Zephyr Server 3.1.2/x\x0012 pkts\x00345 seconds operational\0a\0"), Some(345));
        for body in [&b""[..], b"a\0b\0", b"a\0b\0x seconds operational\0", b"a\0b\x00-1 seconds operational\0"] {
            assert_eq!(Uptime::read(body), None);
        }
    }
}
