//! Makes the authentication backend that a Zephyr domain asks for.
//!
//! This is the one place that knows every backend; programs name one with a [`Backend`], or let the domain's policy do so,
//! and get the traits of [`zephyr_core::auth`].
//!
//! * [`policy_file`]: what each domain demands
//! * [`client_domain`], [`server_domain`]: the domain that a client or server is in

#![forbid(unsafe_code)]

mod backend;
pub mod client_domain;
pub mod policy_file;
pub mod server_domain;

pub use backend::{Backend, UnknownBackend};

use std::{path::PathBuf, sync::Arc};
pub use zephyr_auth_krb::{Enctype, UnknownEnctype};
use zephyr_auth_krb::{KerberosAcceptor, KerberosInitiator};
use zephyr_auth_none::{NullAcceptor, NullInitiator};
use zephyr_core::auth::{Acceptor, AuthError, Initiator};

/// What a server says about its side of the domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptorOptions {
    /// The realm it serves; the default one when not given.
    pub realm: Option<String>,
    /// Where its keys are; the traditional place when not given.
    pub keytab: Option<PathBuf>,
    /// The Kerberos encryption types that its keys and those of its clients may have; [`Enctype::DEFAULT`] when not given.
    /// What is not among them is a [failed](zephyr_core::auth::Verdict::Failed) proof.
    pub permitted_enctypes: Option<Vec<Enctype>>,
    /// Without a backend: believe who claims proof, without looking at it.
    pub believe_unproven: bool,
}

/// The server's side of a domain. Whatever it needs is read now, so that a server can say at its start what is wrong.
///
/// # Errors
///
/// When there is no realm to serve, or the keytab cannot be read or lacks the service's key.
pub fn acceptor(backend: Backend, options: AcceptorOptions) -> Result<Arc<dyn Acceptor>, AuthError> {
    Ok(match backend {
        Backend::Kerberos => {
            let acceptor = KerberosAcceptor::new(options.realm.as_deref(), options.keytab.as_deref())?;
            let permitted = options.permitted_enctypes.as_deref().unwrap_or(&Enctype::DEFAULT);
            Arc::new(acceptor.permitting(permitted))
        }
        Backend::None if options.believe_unproven => Arc::new(NullAcceptor::believing_unproven_senders()),
        Backend::None => Arc::new(NullAcceptor::new()),
    })
}

/// The realm of this machine's servers when nothing else is said.
///
/// # Errors
///
/// When the backend's configuration names none or cannot be read.
pub fn default_realm(backend: Backend) -> Result<String, AuthError> {
    match backend {
        Backend::Kerberos => zephyr_auth_krb::default_realm(),
        Backend::None => zephyr_auth_none::default_realm(),
    }
}

/// The client's side of a domain, for this user. Credentials are only looked at when they are needed.
///
/// # Errors
///
/// When the backend cannot work on this machine.
pub fn initiator(backend: Backend) -> Result<Arc<dyn Initiator>, AuthError> {
    Ok(match backend {
        Backend::Kerberos => Arc::new(KerberosInitiator::new()),
        Backend::None => Arc::new(NullInitiator::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for backend in [Backend::Kerberos, Backend::None] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        assert_eq!("Kerberos".parse::<Backend>(), Err(UnknownBackend("Kerberos".to_owned())));
    }

    #[test]
    fn a_server_without_keys_says_so() {
        let folder = std::env::temp_dir().join("no-such-folder-of-zephyr");
        let keytab = Some(folder.join("keytab"));
        let options = AcceptorOptions { realm: Some("R".to_owned()), keytab, ..AcceptorOptions::default() };
        let error = acceptor(Backend::Kerberos, options.clone()).err().unwrap();
        assert!(matches!(error, AuthError::KeytabUnreadable { .. }), "{error:?}");
        assert!(acceptor(Backend::None, options).is_ok());
    }
}
