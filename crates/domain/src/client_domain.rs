//! The domain of a client, and how its user is authenticated there.

use crate::{
    Backend, InitiatorOptions,
    policy_file::{Domain, PolicyFile},
};
use std::sync::Arc;
use zephyr_core::auth::{AuthError, Initiator};

/// The domain of a client.
#[derive(Clone)]
pub struct ClientDomain {
    /// The domain's realm.
    pub realm: String,
    /// The domain's description.
    pub domain: Domain,
    /// How its user proves who he is.
    pub initiator: Arc<dyn Initiator>,
}

impl ClientDomain {
    /// The domain whose server is called `host`. `forced` is the backend that the user wants, whatever the file says.
    ///
    /// The realm is the one that the file names this server for; else the one that a backend's own configuration gives
    /// the host: that of the first backend of the table which the domain of the realm uses.
    ///
    /// # Errors
    ///
    /// When no backend that fits the policy knows a realm.
    pub fn of_server(file: &PolicyFile, forced: Option<Backend>, host: &str) -> Result<Self, AuthError> {
        if let Some((realm, domain)) = file.realm_of_server(host) {
            return Self::new(realm.to_owned(), domain.with_backend(forced));
        }
        if let Some(backend) = forced {
            let realm = realm_of(backend, host)?;
            let domain = file.domain(&realm).with_backend(forced);
            return Self::new(realm, domain);
        }
        let mut failed = None;
        for backend in file.backends() {
            match realm_of(backend, host) {
                Ok(realm) => {
                    let domain = file.domain(&realm);
                    if domain.backend == backend {
                        return Self::new(realm, Domain::clone(&domain));
                    }
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let nothing_fits = || AuthError::Backend(format!("the policy file has no domain that the server {host} is in"));
        Err(failed.unwrap_or_else(nothing_fits))
    }

    /// The domain of `realm`, whatever its servers are called. `forced` is as for [`ClientDomain::of_server`].
    ///
    /// # Errors
    ///
    /// When the backend cannot be used.
    pub fn of_realm(file: &PolicyFile, forced: Option<Backend>, realm: &str) -> Result<Self, AuthError> {
        Self::new(realm.to_owned(), file.domain(realm).with_backend(forced))
    }

    fn new(realm: String, domain: Domain) -> Result<Self, AuthError> {
        let believe_unproven = domain.policy.believe_unproven;
        let options = InitiatorOptions { realm: Some(realm.clone()), believe_unproven };
        let initiator = domain.backend.initiator(&options)?;
        Ok(Self { realm, domain, initiator })
    }
}

/// The realm that the backend's own configuration gives the host.
fn realm_of(backend: Backend, host: &str) -> Result<String, AuthError> {
    backend.initiator(&InitiatorOptions::default())?.realm_of(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn domain_of(content: &str, forced: Option<Backend>, host: &str) -> (String, Backend) {
        let file = PolicyFile::read(Path::new("policy.toml"), content).unwrap();
        let client = ClientDomain::of_server(&file, forced, host).unwrap();
        (client.realm, client.domain.backend)
    }

    #[test]
    fn the_realm_is_that_of_the_server() {
        let file = "[domain.\"A.ORG\"]\nservers = [\"z.somewhere.net\"]\nsend = \"closed\"\n\
                    [domain.\"B.ORG\"]\nbackend = \"none\"\nservers = [\"one.b.org\", \"two.b.org\"]\n";
        assert_eq!(domain_of(file, None, "Z.somewhere.net."), ("A.ORG".to_owned(), Backend::KERBEROS));
        assert_eq!(domain_of(file, None, "two.b.org"), ("B.ORG".to_owned(), Backend::NONE));
        assert_eq!(domain_of(file, Some(Backend::NONE), "z.somewhere.net"), ("A.ORG".to_owned(), Backend::NONE));
        assert_eq!(domain_of("", Some(Backend::NONE), "zephyr.c.org"), ("C.ORG".to_owned(), Backend::NONE));
        let file_of_b = PolicyFile::read(Path::new("policy.toml"), file).unwrap();
        let of_realm = ClientDomain::of_realm(&file_of_b, None, "B.ORG").unwrap();
        assert_eq!((of_realm.realm.as_str(), of_realm.domain.backend), ("B.ORG", Backend::NONE));
        let everywhere = "[domain.\"*\"]\nbackend = \"none\"\n";
        assert_eq!(domain_of(everywhere, None, "zephyr.c.org"), ("C.ORG".to_owned(), Backend::NONE));
    }

    #[test]
    fn another_backend_than_the_files_has_its_own_demands() {
        let file = PolicyFile::read(Path::new("p"), "[domain.\"A.ORG\"]\nsend = \"required\"\n").unwrap();
        let domain = file.domain("a.org");
        assert_eq!(domain.with_backend(Some(Backend::KERBEROS)), *domain);
        assert_eq!(domain.with_backend(None), *domain);
        assert_eq!(domain.with_backend(Some(Backend::NONE)), Domain::undescribed(Backend::NONE));
    }
}
