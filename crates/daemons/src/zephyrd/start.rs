//! What a server needs before it can begin, and what can be missing.

use super::{
    defaults::{Defaults, DefaultsError},
    engine::{Bounds, Config},
    options::Options,
};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use zephyr_auth::{AcceptorOptions, Backend};
use zephyr_core::{
    auth::{Acceptor, AuthError},
    policy::Policy,
    realm::Realms,
};
use zephyr_net::{address, host, services};

/// Why a server does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Authentication cannot work.
    #[error("{error}{}", .error.advice().map(|advice| format!("\n{advice}")).unwrap_or_default())]
    Auth {
        /// What the backend says.
        #[from]
        error: AuthError,
    },
    /// A configuration file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The default subscriptions make no sense.
    #[error("{path}: {error}")]
    Defaults {
        /// Which file.
        path: PathBuf,
        /// Which line, and why.
        error: DefaultsError,
    },
    /// The socket cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The system refuses something else.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Where to listen.
pub(super) fn listen_address(options: &Options) -> SocketAddr {
    let usual = || (Ipv4Addr::UNSPECIFIED, services::port(services::ZEPHYR_CLT)).into();
    options.listen.unwrap_or_else(usual)
}

/// The default subscriptions of this configuration folder. None are there when there is no such file.
pub(super) fn read_defaults(config_dir: &Path) -> Result<Defaults, StartError> {
    let path = config_dir.join("default.subscriptions");
    match fs::read(&path) {
        Ok(file) => Defaults::read(&file).map_err(|error| StartError::Defaults { path, error }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Defaults::default()),
        Err(error) => Err(StartError::File { path, error }),
    }
}

/// What the engine is told, and who judges for it. `listening` is where the socket is bound.
pub(super) fn prepare(options: &Options, listening: SocketAddr) -> Result<(Config, Arc<dyn Acceptor>), StartError> {
    let realm = match &options.realm {
        Some(realm) => realm.clone(),
        None => zephyr_auth::default_realm(options.auth)?,
    };
    let keytab = options.keytab.clone().unwrap_or_else(|| options.config_dir.join("krb5.keytab"));
    let acceptor = zephyr_auth::acceptor(
        options.auth,
        AcceptorOptions { realm: Some(realm.clone()), keytab: Some(keytab), ..AcceptorOptions::default() },
    )?;
    let name = match &options.hostname {
        Some(name) => name.clone(),
        None => {
            let own = host::own_name()?;
            host::canonical_name(&own).unwrap_or(own)
        }
    };
    let config = Config {
        address: own_address(listening, &name),
        host: name,
        port: listening.port(),
        version: format!(
            "Zephyr Server {} (zephyr-rs)/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        realms: Realms::local_only(realm.as_bytes()),
        policy: match options.auth {
            Backend::Kerberos => Policy::KERBEROS,
            Backend::None => Policy::OPEN,
        },
        defaults: read_defaults(&options.config_dir)?,
        bounds: Bounds::default(),
    };
    Ok((config, acceptor))
}

fn own_address(listening: SocketAddr, name: &str) -> Ipv4Addr {
    match listening.ip() {
        IpAddr::V4(address) if !address.is_unspecified() => address,
        _ => match address::resolve(name, listening.port()) {
            Ok(address) => *address.ip(),
            Err(error) => {
                tracing::warn!("this host's name {name} has no IPv4 address ({error}); clients are told 0.0.0.0");
                Ipv4Addr::UNSPECIFIED
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_subscriptions_of_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read_defaults(folder.path()).expect("none is fine").len(), 0);
        let file = folder.path().join("default.subscriptions");
        fs::write(&file, "message,personal,%me%\n").expect("written");
        assert_eq!(read_defaults(folder.path()).expect("good").len(), 1);
        fs::write(&file, "message,personal,%me%\noops\n").expect("written");
        let error = read_defaults(folder.path()).expect_err("bad").to_string();
        assert_eq!(error, format!("{}: line 2: 1 fields, expected class,instance,recipient", file.display()));
    }
}
