//! Providers of authentication backends, and the table of them.

use crate::Enctype;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};
use zephyr_auth_krb::{KerberosAcceptor, KerberosInitiator, KerberosService};
use zephyr_auth_none::{NullAcceptor, NullInitiator, NullService};
use zephyr_core::{
    auth::{Acceptor, AuthError, Initiator, Service},
    policy::Policy,
};

/// Every backend, in the order in which they are asked for the realm of a machine. The first is that of a domain that
/// no policy file describes.
///
/// Another backend is a crate that implements the traits of [`zephyr_core::auth`], and one line here.
pub static PROVIDERS: &[&Provider] = &[&KERBEROS, &NONE];

/// Kerberos 5, as the C programs have it.
pub(crate) static KERBEROS: Provider = Provider {
    name: "kerberos",
    policy: Policy::KERBEROS,
    settings: &[BackendSetting::Enctypes],
    default_realm: |_| zephyr_auth_krb::default_realm(),
    configured_realms: zephyr_auth_krb::configured_realms,
    acceptor_warnings: |options| {
        let keytab = options.keytab.as_deref().unwrap_or(Path::new(zephyr_auth_krb::DEFAULT_KEYTAB));
        let permitted = options.permitted_enctypes.as_deref().unwrap_or(&Enctype::DEFAULT);
        let realm = options.realm.clone().or_else(|| zephyr_auth_krb::default_realm().ok()).unwrap_or_default();
        zephyr_auth_krb::keytab_warnings(keytab, &realm, permitted)
    },
    acceptor: |options| {
        let acceptor = KerberosAcceptor::new(options.realm.as_deref(), options.keytab.as_deref())?;
        let permitted = options.permitted_enctypes.as_deref().unwrap_or(&Enctype::DEFAULT);
        Ok(Arc::new(acceptor.permitting(permitted)))
    },
    service: |options| {
        let service = KerberosService::new(options.realm.as_deref(), options.keytab.as_deref())?;
        let permitted = options.permitted_enctypes.as_deref().unwrap_or(&Enctype::DEFAULT);
        Ok(Arc::new(service.permitting(permitted)))
    },
    initiator: |options| {
        Ok(Arc::new(match &options.realm {
            Some(realm) => KerberosInitiator::of_realm(realm),
            None => KerberosInitiator::new(),
        }))
    },
};

/// No authentication: nothing is ever authentic, unless the domain believes whoever claims to be.
pub(crate) static NONE: Provider = Provider {
    name: "none",
    policy: Policy::OPEN,
    settings: &[BackendSetting::BelieveUnprovenSenders],
    default_realm: |host| host.map_or_else(zephyr_auth_none::default_realm, zephyr_auth_none::realm_of_host),
    configured_realms: || zephyr_auth_none::default_realm().map(|realm| vec![realm]),
    acceptor_warnings: |_| Vec::new(),
    acceptor: |options| {
        Ok(Arc::new(match options.believe_unproven {
            true => NullAcceptor::believing_unproven_senders(),
            false => NullAcceptor::new(),
        }))
    },
    service: |options| {
        Ok(Arc::new(match options.believe_unproven {
            true => NullService::believing_unproven_senders(),
            false => NullService::new(),
        }))
    },
    initiator: |options| {
        Ok(Arc::new(match options.believe_unproven {
            true => NullInitiator::believing_unproven_senders(),
            false => NullInitiator::new(),
        }))
    },
};

/// An authentication backend, as the table has it. Its name is what tells it from others.
pub struct Provider {
    /// Its name in files, options and the environment.
    pub name: &'static str,
    /// The policy of a domain that no policy file describes.
    pub policy: Policy,
    /// The settings of a domain that not every backend has and this one does.
    pub settings: &'static [BackendSetting],
    /// The realm of a server on this machine when nothing else is said. Its name is given where it has another than the machine.
    pub default_realm: fn(Option<&str>) -> Result<String, AuthError>,
    /// The realms that its configuration on this machine names, that one included.
    pub configured_realms: fn() -> Result<Vec<String>, AuthError>,
    /// What an acceptor would read that is valid, but probably a mistake.
    pub acceptor_warnings: fn(&AcceptorOptions) -> Vec<String>,
    /// Creates an acceptor: the server's side of a domain.
    pub acceptor: fn(&AcceptorOptions) -> Result<Arc<dyn Acceptor>, AuthError>,
    /// Creates the service itself, with the options of its acceptor: what a server does with its own keys.
    pub service: fn(&AcceptorOptions) -> Result<Arc<dyn Service>, AuthError>,
    /// Creates an initiator for the user of this process: the client's side of a domain.
    pub initiator: fn(&InitiatorOptions) -> Result<Arc<dyn Initiator>, AuthError>,
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Provider {}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.name)
    }
}

/// A setting of a policy file that only domains with certain backends have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendSetting {
    /// `enctypes`: the Kerberos encryption types that servers take.
    Enctypes,
    /// `believe-unproven-senders`: who claims proof is believed unseen.
    BelieveUnprovenSenders,
}

/// Options of an acceptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptorOptions {
    /// The realm it serves; the default one when not given.
    pub realm: Option<String>,
    /// The path of its keytab; the traditional one when not given.
    pub keytab: Option<PathBuf>,
    /// The Kerberos encryption types that its keys and those of its clients may have; [`Enctype::DEFAULT`] when not
    /// given. What is not among them is a [failed](zephyr_core::auth::Verdict::Failed) proof.
    pub permitted_enctypes: Option<Vec<Enctype>>,
    /// Where nobody can prove anything: believe who claims proof, without looking at it.
    pub believe_unproven: bool,
}

/// Options of an initiator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitiatorOptions {
    /// The realm of the servers: a user who is somebody in several realms is whoever he is there.
    pub realm: Option<String>,
    /// Where nobody can prove anything: claim proof, and believe who claims it.
    pub believe_unproven: bool,
}
