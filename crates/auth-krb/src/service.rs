//! The service's own credentials and keys at work (server to server, sections 3.2 and 8).

use crate::{
    default_realm,
    enctype::{Enctype, Permitted},
    keytab::{DEFAULT_KEYTAB, Keytab},
    session::KeySession,
};
use std::{path::Path, sync::Arc};
use zephyr_core::{
    auth::{AuthError, Channel, Ends, PendingChannel, Service, Session, SessionKey, StorageKey},
    time::Now,
};

/// The service `zephyr/zephyr` of one realm, by its keytab.
pub struct KerberosService {
    realm: String,
    keytab: Keytab,
    permitted: Permitted,
}

impl KerberosService {
    /// The service of `realm`, or of the default realm; with the keys in `keytab`, or in [`DEFAULT_KEYTAB`].
    ///
    /// # Errors
    ///
    /// When there is no default realm, the keytab cannot be read, or the service's key is not in it.
    pub fn new(realm: Option<&str>, keytab: Option<&Path>) -> Result<Self, AuthError> {
        let realm = realm.map_or_else(default_realm, |realm| Ok(realm.to_owned()))?;
        let keytab = Keytab::open(keytab.unwrap_or(Path::new(DEFAULT_KEYTAB)), &realm)?;
        Ok(Self { realm, keytab, permitted: Permitted::new(&Enctype::DEFAULT) })
    }

    /// The same, with keys of these types alone.
    #[must_use]
    pub fn permitting(mut self, enctypes: &[Enctype]) -> Self {
        self.permitted = Permitted::new(enctypes);
        self
    }
}

impl Service for KerberosService {
    fn session(&self, realm: &str) -> Result<Arc<dyn Session>, AuthError> {
        let _ = (&self.realm, &self.keytab);
        Err(AuthError::WrongRealm { realm: realm.to_owned(), reason: "not implemented".to_owned() })
    }

    fn restore(&self, key: &SessionKey) -> Result<Arc<dyn Session>, AuthError> {
        if let Some(refusal) = self.permitted.refusal("the session key", key.kind) {
            return Err(AuthError::Backend(refusal));
        }
        let session = KeySession::from_raw(key.kind, &key.octets);
        session.map(|session| Arc::new(session).at_rest()).map_err(|error| AuthError::Backend(error.to_string()))
    }

    fn storage_keys(&self, _purpose: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
        Err(AuthError::Backend("not implemented".to_owned()))
    }

    fn connect(&self, _: Ends, _: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
        Err(AuthError::Backend("not implemented".to_owned()))
    }

    fn accept(&self, _: Ends, _: &[u8], _: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
        Err(AuthError::Backend("not implemented".to_owned()))
    }
}
