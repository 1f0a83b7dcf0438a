//! Startup of a server, and its errors.

use super::own_host;
use crate::{problem::Problems, settings::Server};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};
use zephyr_config::system_text;
use zephyr_core::{
    auth::{Acceptor, AuthError},
    realm::Realms,
};
use zephyr_domain::{policy_file::PolicyFile, server_domain::ServerDomain};
use zephyr_engine::server::{Bounds, Config, Neighbours, ProbeSecret, acknowledgements_in_flight, acl::Rules};
use zephyr_net::services;

/// Errors of starting a server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Authentication cannot work.
    #[error("{error}{}", .error.advice().map(|advice| format!("\n{advice}")).unwrap_or_default())]
    Auth {
        /// The backend's error.
        #[from]
        error: AuthError,
    },
    /// The configuration files cannot be used.
    #[error("{0}")]
    Configuration(#[from] Problems),
    /// Metrics cannot be offered where the settings say.
    #[error("cannot offer metrics on {place}: {}", system_text(error))]
    Metrics {
        /// Where.
        place: String,
        /// The system's error message.
        error: io::Error,
    },
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {}", system_text(error))]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's error message.
        error: io::Error,
    },
    /// The system refuses something else.
    #[error("cannot start: {}", system_text(.0))]
    System(#[from] io::Error),
}

/// The address to listen on.
pub(super) fn listen_address(settings: &Server) -> SocketAddr {
    let usual = || (Ipv4Addr::UNSPECIFIED, services::port(services::ZEPHYR_CLT)).into();
    settings.listen.unwrap_or_else(usual)
}

/// The domain that is served.
pub(super) fn domain(settings: &Server, policies: &PolicyFile) -> Result<ServerDomain, AuthError> {
    ServerDomain::find(policies, settings.auth, settings.realm.as_deref())
}

/// The acceptor of the domain.
pub(super) fn acceptor(
    domain: &ServerDomain,
    settings: &Server,
    config_dir: &Path,
) -> Result<Arc<dyn Acceptor>, AuthError> {
    domain.acceptor(settings.keytab.clone().unwrap_or_else(|| config_dir.join("krb5.keytab")))
}

/// The configuration of the engine. `listening` is where the socket is bound.
pub(super) fn prepare(
    settings: &Server,
    domain: &ServerDomain,
    bounds: Bounds,
    rules: Arc<Rules>,
    listening: SocketAddr,
) -> Result<Config, StartError> {
    let own = own_host::find(settings, listening)?;
    Ok(Config {
        address: own.address,
        host: own.name,
        port: listening.port(),
        host_manager_port: services::port(services::ZEPHYR_HM),
        version: format!(
            "Zephyr Server {} (zephyr-rs)/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        realms: Realms::local_only(domain.realm.as_bytes()),
        policy: domain.domain.policy.clone(),
        rules,
        probe_secret: probe_secret()?,
        bounds,
        neighbours: Neighbours::default(),
        in_flight: acknowledgements_in_flight(settings.receive_buffer),
    })
}

/// A new secret for every run: nothing that was probed outlives the server.
fn probe_secret() -> io::Result<ProbeSecret> {
    let mut random = [0; 32];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| io::Error::other("the system has no random octets"))?;
    Ok(ProbeSecret::new(&random))
}
