//! The service of the null backend: it has no keys, and proves nothing to anybody.

use crate::{NO_KEY, NullSession};
use std::sync::Arc;
use zephyr_core::{
    auth::{AuthError, Channel, Ends, MAX_RECORD, PendingChannel, Service, Session, SessionKey, StorageKey},
    time::Now,
};

/// What both ends of a connection say. It proves nothing; who has another backend sees that this one is none.
const TOKEN: &[u8] = b"no proof";

/// The service of the null backend. Its connections are plain: whoever can open one is believed to be a server, and whoever
/// is on the way can read and change what they carry.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullService {
    session: NullSession,
}

impl NullService {
    /// Its sessions claim nothing, and nothing is authentic in them.
    pub const fn new() -> Self {
        Self { session: NullSession { believing: false } }
    }

    /// Its sessions claim a proof that they do not have, and believe such claims.
    pub const fn believing_unproven_senders() -> Self {
        Self { session: NullSession { believing: true } }
    }
}

impl Service for NullService {
    fn session(&self, _realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        Ok(Arc::new(self.session))
    }

    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        if key.kind == NO_KEY && key.octets.is_empty() {
            return Ok(Arc::new(self.session));
        }
        Err(AuthError::Backend(format!("a key of type {}, where there is no authentication", key.kind)))
    }

    fn storage_keys(&self, _purpose: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
        Ok(Vec::new())
    }

    fn connect(&self, _: Ends, _: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
        Ok((TOKEN.to_vec(), Box::new(Plain)))
    }

    fn accept(&self, _: Ends, token: &[u8], _: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
        Ok((TOKEN.to_vec(), Plain::after(token)?))
    }

    fn proves(&self) -> bool {
        false
    }
}

/// A connection without protection.
struct Plain;

impl Plain {
    fn after(token: &[u8]) -> Result<Box<dyn Channel>, AuthError> {
        if token == TOKEN {
            return Ok(Box::new(Self));
        }
        Err(AuthError::Backend("the other server has another authentication backend than none".to_owned()))
    }

    fn carried(record: &[u8]) -> Result<Vec<u8>, AuthError> {
        if record.len() <= MAX_RECORD {
            return Ok(record.to_vec());
        }
        Err(AuthError::Backend(format!("a record of {} octets, not of at most {MAX_RECORD}", record.len())))
    }
}

impl PendingChannel for Plain {
    fn finish(self: Box<Self>, answer: &[u8]) -> Result<Box<dyn Channel>, AuthError> {
        Self::after(answer)
    }
}

impl Channel for Plain {
    fn seal(&mut self, record: &[u8]) -> Result<Vec<u8>, AuthError> {
        Self::carried(record)
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, AuthError> {
        Self::carried(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: Now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };

    fn ends() -> Ends {
        Ends { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() }
    }

    #[test]
    fn a_session_is_restored_where_there_is_one() {
        let believing = NullService::believing_unproven_senders();
        let key = believing.session("R").unwrap().key().unwrap();
        assert_eq!(believing.restore(&key).unwrap().key(), Some(key.clone()));
        // Another policy since then: what was believed is not believed any more.
        assert_eq!(NullService::new().restore(&key).unwrap().key(), None);
        let other = SessionKey { kind: 18, octets: vec![1; 32].into() };
        assert!(believing.restore(&other).is_err());
        assert_eq!(believing.storage_keys(b"state").unwrap(), []);
    }

    #[test]
    fn a_connection_carries_records() {
        let service = NullService::new();
        assert!(!service.proves());
        let (token, pending) = service.connect(ends(), NOW).unwrap();
        let (answer, mut theirs) = service.accept(ends(), &token, NOW).unwrap();
        let mut ours = pending.finish(&answer).unwrap();
        for record in [&b""[..], b"hello", &[7; MAX_RECORD]] {
            assert_eq!(theirs.open(&ours.seal(record).unwrap()).unwrap(), record);
            assert_eq!(ours.open(&theirs.seal(record).unwrap()).unwrap(), record);
        }
        for channel in [&mut ours, &mut theirs] {
            assert!(channel.seal(&[7; MAX_RECORD + 1]).is_err());
            assert!(channel.open(&[7; MAX_RECORD + 1]).is_err());
        }
    }

    #[test]
    fn who_has_another_backend_is_noticed() {
        let service = NullService::new();
        assert!(service.accept(ends(), b"\x6e\x82", NOW).is_err());
        let (_, pending) = service.connect(ends(), NOW).unwrap();
        assert!(pending.finish(b"").is_err());
    }
}
