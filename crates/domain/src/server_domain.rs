//! The domain of a server, the acceptor of its notices, and its service.

use crate::{
    AcceptorOptions, Backend,
    policy_file::{Domain, PolicyFile},
};
use std::{path::PathBuf, sync::Arc};
use zephyr_core::auth::{Acceptor, AuthError, Service};

/// The domain of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDomain {
    /// The domain's realm.
    pub realm: String,
    /// The domain's description.
    pub domain: Domain,
}

impl ServerDomain {
    /// The domain of a server of `realm`. `forced` is the backend that its operator wants, whatever the file says, and `host` the
    /// server's name, where that is another than the machine's.
    ///
    /// Without a realm it is the default one of a backend: the first of the table that the domain of its default realm
    /// uses. When there is no such backend, the first of the table counts.
    ///
    /// # Errors
    ///
    /// When no backend that fits the policy has a default realm.
    pub fn find(
        file: &PolicyFile,
        forced: Option<Backend>,
        realm: Option<&str>,
        host: Option<&str>,
    ) -> Result<Self, AuthError> {
        let of = |realm: String| Self { domain: file.domain(&realm).with_backend(forced), realm };
        match (realm, forced) {
            (Some(realm), _) => Ok(of(realm.to_owned())),
            (None, Some(backend)) => backend.default_realm(host).map(of),
            (None, None) => {
                let mut first = None;
                for backend in file.backends() {
                    match backend.default_realm(host).map(of) {
                        Ok(found) if found.domain.backend == backend => return Ok(found),
                        other => first = first.or(Some(other)),
                    }
                }
                first.unwrap_or_else(|| Err(AuthError::Backend("there is no authentication backend".to_owned())))
            }
        }
    }

    /// The acceptor of the domain, with the service's keys in `keytab`. Whatever that needs is read now.
    ///
    /// # Errors
    ///
    /// When the keytab cannot be read or lacks the service's key.
    pub fn acceptor(&self, keytab: PathBuf) -> Result<Arc<dyn Acceptor>, AuthError> {
        self.domain.backend.acceptor(&self.acceptor_options(keytab))
    }

    /// The service of the domain itself, with its keys in `keytab`.
    ///
    /// # Errors
    ///
    /// As [`ServerDomain::acceptor`].
    pub fn service(&self, keytab: PathBuf) -> Result<Arc<dyn Service>, AuthError> {
        self.domain.backend.service(&self.acceptor_options(keytab))
    }

    /// What the acceptor with this keytab reads that is valid, but probably a mistake.
    pub fn acceptor_warnings(&self, keytab: PathBuf) -> Vec<String> {
        self.domain.backend.acceptor_warnings(&self.acceptor_options(keytab))
    }

    fn acceptor_options(&self, keytab: PathBuf) -> AcceptorOptions {
        AcceptorOptions {
            realm: Some(self.realm.clone()),
            keytab: Some(keytab),
            permitted_enctypes: Some(self.domain.enctypes.clone()),
            believe_unproven: self.domain.policy.believe_unproven,
        }
    }

    /// Whether another acceptor is needed after a change from this.
    pub fn judges_as(&self, other: &Self) -> bool {
        let how = |server: &Self| {
            (
                server.realm.clone(),
                server.domain.backend,
                server.domain.enctypes.clone(),
                server.domain.policy.believe_unproven,
            )
        };
        how(self) == how(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_domain::ClientDomain;
    use std::path::Path;

    #[test]
    fn without_kerberos_the_realm_is_that_of_the_servers_name() {
        for content in ["[domain.\"*\"]\nbackend = \"none\"\n", "[domain.\"DEPT.EXAMPLE.ORG\"]\nbackend = \"none\"\n"] {
            let file = PolicyFile::read(Path::new("p"), content).unwrap();
            let host = "zephyr.dept.example.org";
            let server = ServerDomain::find(&file, Some(Backend::NONE), None, Some(host)).unwrap();
            let client = ClientDomain::of_server(&file, None, host).unwrap();
            assert_eq!((server.realm.as_str(), server.domain.backend), ("DEPT.EXAMPLE.ORG", Backend::NONE));
            assert_eq!(client.realm, server.realm, "{content}");
        }
    }
}
