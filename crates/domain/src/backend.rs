//! Authentication backends by name.

use crate::{
    AcceptorOptions, BackendSetting, InitiatorOptions, PROVIDERS, Provider,
    provider::{KERBEROS, NONE},
};
use std::{fmt, str::FromStr, sync::Arc};
use zephyr_core::{
    auth::{Acceptor, AuthError, Initiator, Service},
    policy::Policy,
};

/// The authentication backend of a domain: a handle to one of the [`PROVIDERS`]. Written as its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(&'static Provider);

/// An unknown name of a backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown authentication backend {name:?}: it must be {}", alternatives(known))]
pub struct UnknownBackend {
    /// That name.
    pub name: String,
    /// The names of those that there are.
    pub known: Vec<&'static str>,
}

impl Backend {
    /// Kerberos 5, as the C programs have it.
    pub const KERBEROS: Self = Self(&KERBEROS);
    /// No authentication: nothing is ever authentic.
    pub const NONE: Self = Self(&NONE);

    /// The backend of this name in a table.
    ///
    /// # Errors
    ///
    /// When the table has none.
    pub fn named(name: &str, providers: &'static [&'static Provider]) -> Result<Self, UnknownBackend> {
        Self::all(providers).find(|backend| backend.name() == name).ok_or_else(|| UnknownBackend {
            name: name.to_owned(),
            known: Self::all(providers).map(Self::name).collect(),
        })
    }

    /// The backends of a table, in its order.
    pub fn all(providers: &'static [&'static Provider]) -> impl Iterator<Item = Self> {
        providers.iter().copied().map(Self)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// The policy of a domain that no policy file describes.
    pub const fn policy(self) -> &'static Policy {
        &self.0.policy
    }

    /// Whether a domain with it has this setting.
    pub fn has(self, setting: BackendSetting) -> bool {
        self.0.settings.contains(&setting)
    }

    /// The realm of a server on this machine when nothing else is said. `host` is its name, where that is another than the
    /// machine's.
    ///
    /// # Errors
    ///
    /// When the backend's configuration names none or cannot be read.
    pub fn default_realm(self, host: Option<&str>) -> Result<String, AuthError> {
        (self.0.default_realm)(host)
    }

    /// The realms that the backend's configuration on this machine names.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read.
    pub fn configured_realms(self) -> Result<Vec<String>, AuthError> {
        (self.0.configured_realms)()
    }

    /// What an acceptor with these options reads that is valid, but probably a mistake.
    pub fn acceptor_warnings(self, options: &AcceptorOptions) -> Vec<String> {
        (self.0.acceptor_warnings)(options)
    }

    /// The server's side of a domain. Whatever it needs is read now, so that a server can say at its start what is
    /// wrong.
    ///
    /// # Errors
    ///
    /// When there is no realm to serve, or the keytab cannot be read or lacks the service's key.
    pub fn acceptor(self, options: &AcceptorOptions) -> Result<Arc<dyn Acceptor>, AuthError> {
        (self.0.acceptor)(options)
    }

    /// The service of a domain, with the options of its acceptor: what a server does with its own keys. Whatever it needs on
    /// this machine is read now; a KDC is only asked when it is needed.
    ///
    /// # Errors
    ///
    /// As [`Backend::acceptor`].
    pub fn service(self, options: &AcceptorOptions) -> Result<Arc<dyn Service>, AuthError> {
        (self.0.service)(options)
    }

    /// The client's side of a domain, for this user. Credentials are only looked at when they are needed.
    ///
    /// # Errors
    ///
    /// When the backend cannot work on this machine.
    pub fn initiator(self, options: &InitiatorOptions) -> Result<Arc<dyn Initiator>, AuthError> {
        (self.0.initiator)(options)
    }
}

/// That of a domain that no policy file describes: the first of the table.
impl Default for Backend {
    fn default() -> Self {
        Self::all(PROVIDERS).next().unwrap_or(Self::KERBEROS)
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        Self::named(name, PROVIDERS)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.name())
    }
}

/// Names as alternatives in a sentence: `a, b or c`.
pub(crate) fn alternatives(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for backend in Backend::all(PROVIDERS) {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        assert_ne!(Backend::KERBEROS, Backend::NONE);
        assert_eq!(Backend::default(), Backend::KERBEROS);
        let unknown = "Kerberos".parse::<Backend>().unwrap_err();
        assert_eq!(unknown.to_string(), "unknown authentication backend \"Kerberos\": it must be kerberos or none");
    }

    #[test]
    fn a_server_without_keys_says_so() {
        let folder = std::env::temp_dir().join("no-such-folder-of-zephyr");
        let keytab = Some(folder.join("keytab"));
        let options = AcceptorOptions { realm: Some("R".to_owned()), keytab, ..AcceptorOptions::default() };
        let error = Backend::KERBEROS.acceptor(&options).err().unwrap();
        assert!(matches!(error, AuthError::KeytabUnreadable { .. }), "{error:?}");
        assert!(Backend::NONE.acceptor(&options).is_ok());
    }

    #[test]
    fn alternatives_are_a_sentence() {
        for (names, text) in [(&["a"][..], "a"), (&["a", "b"], "a or b"), (&["a", "b", "c"], "a, b or c")] {
            assert_eq!(alternatives(names), text);
        }
    }
}
