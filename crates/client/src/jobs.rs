//! The jobs of a client: finding the domain, and getting sessions. They may block on name service and KDC.

use crate::{
    Options, host_manager_owner,
    options::{Authentication, ResolvedDomain},
    policy_watch::PolicyWatch,
};
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use zephyr_core::{
    auth::{AuthError, Initiator},
    policy::Policy,
};
use zephyr_engine::client::{Done, Job, LogEvent, Setup, Severity};
use zephyr_net::{address, lookup, services};

/// Runs the jobs of a client. Several threads may share it.
pub(crate) struct Jobs {
    options: Options,
    /// Known once the domain is.
    initiator: OnceLock<Arc<dyn Initiator>>,
    /// The server's name, known once the domain is.
    server: OnceLock<String>,
    /// Where that name was last found: name service may fail where a network has just changed.
    server_address: Mutex<Option<SocketAddrV4>>,
    watch: Mutex<Option<PolicyWatch>>,
}

impl Jobs {
    pub(crate) const fn new(options: Options) -> Self {
        Self {
            options,
            initiator: OnceLock::new(),
            server: OnceLock::new(),
            server_address: Mutex::new(None),
            watch: Mutex::new(None),
        }
    }

    /// Runs a job.
    pub(crate) fn run(&self, job: Job) -> Done {
        match job {
            Job::Setup { server } => Done::Setup(self.set_up(&server)),
            Job::Session { realm } => Done::Session(self.initiator().and_then(|initiator| initiator.session(&realm))),
            Job::Principal => Done::Principal(self.initiator().and_then(|initiator| initiator.principal())),
            Job::Address => Done::Address(self.address(self.server.get().map_or("", String::as_str))),
            Job::Discover => Done::Discovered(self.options.discovery.discover()),
            Job::Lookup(lookup) => Done::Lookup(lookup::answer(lookup)),
            Job::HostManagerOwner => Done::HostManagerOwner(host_manager_owner::trust(self.options.host_manager)),
        }
    }

    fn initiator(&self) -> Result<&Arc<dyn Initiator>, AuthError> {
        self.initiator.get().ok_or_else(|| AuthError::Backend("the domain is not known yet".to_owned()))
    }

    fn set_up(&self, server: &str) -> Result<Setup, AuthError> {
        let authentication: Authentication = self.options.authentication.clone();
        let realm = self.options.realm.as_deref();
        let ResolvedDomain { realm, initiator, policy, watch } = authentication.resolve(realm, server)?;
        let initiator = self.initiator.get_or_init(|| initiator);
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
        let proven = initiator.principal().unwrap_or_else(|error| {
            log(&LogEvent::NoPrincipal { error });
            None
        });
        let sender = proven
            .or_else(|| Some(format!("{}@{realm}", self.options.login.as_ref()?)))
            .unwrap_or_else(|| "unknown".to_owned());
        self.server.get_or_init(|| server.to_owned());
        Ok(Setup { realm, sender: sender.into_bytes(), address: self.address(server), policy })
    }

    /// This machine's address as seen by a server, unless the options name one.
    fn address(&self, server: &str) -> Ipv4Addr {
        self.options.address.unwrap_or_else(|| self.own_address(server))
    }

    /// The address from which the system sends to the server. Where that is not known, the one towards the rest of the world; where there is
    /// no network yet, the one towards the host manager.
    fn own_address(&self, server: &str) -> Ipv4Addr {
        let found = address::resolve(server, services::port(services::ZEPHYR_CLT)).ok();
        let mut known = self.server_address.lock().unwrap_or_else(PoisonError::into_inner);
        *known = found.or(*known);
        let towards_server = known.and_then(|server| address::towards(server).ok());
        let towards_host_manager = || match self.options.host_manager {
            SocketAddr::V4(host_manager) => address::towards(host_manager).ok(),
            SocketAddr::V6(_) => None,
        };
        let other = || address::outward().ok().or_else(towards_host_manager);
        towards_server.or_else(other).unwrap_or(Ipv4Addr::LOCALHOST)
    }

    /// The domain's new policy, if the policy file has changed.
    pub(crate) fn changed_policy(&self) -> Option<Policy> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.changed()
    }
}

/// Logs an event.
pub(crate) fn log(event: &LogEvent) {
    match event.severity() {
        Severity::Debug => tracing::debug!("{event}"),
        Severity::Info => tracing::info!("{event}"),
        Severity::Warning => tracing::warn!("{event}"),
    }
}
