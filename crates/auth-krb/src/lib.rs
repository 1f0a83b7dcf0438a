//! Kerberos 5 authentication of Zephyr notices.
//!
//! Servers judge packets with a [`KerberosAcceptor`], clients prove theirs with the sessions of a [`KerberosInitiator`];
//! both speak the protocol of the C programs. libkrb5 does what needs tickets and keytabs, behind a small binding; what
//! comes from the network is decoded strictly in Rust before it gets there.
//!
//! * `apreq`, `authenticator`, `der`: that strict look
//! * `derivation`, `mac`, `checksum`, `decryption`, `session`: the session key at work
//! * `acceptor`, `keytab`, `known`, `enctype`: the server's side
//! * `service`, `channel`, `storage`: the server as a client of other servers, its connections with them, and the keys for
//!   what it keeps
//! * `ticket_search`: which ticket servers and clients use
//! * `initiator`, `gss`: the client's side
//! * `ownership`: whose files caches and keytabs are
//! * `binding`, `ticket`, `error`: libkrb5, what it hands out, and its errors

mod acceptor;
mod apreq;
mod authenticator;
mod binding;
mod channel;
mod checksum;
mod decryption;
mod der;
mod derivation;
mod enctype;
mod error;
mod gss;
mod initiator;
#[doc(hidden)]
pub mod internals;
mod keytab;
mod known;
mod mac;
mod ownership;
mod service;
mod session;
mod storage;
mod ticket;
mod ticket_search;

pub use acceptor::KerberosAcceptor;
pub use checksum::KeyError;
pub use enctype::{Enctype, UnknownEnctype};
pub use gss::{Credentials, credentials};
pub use initiator::KerberosInitiator;
pub use keytab::{DEFAULT_KEYTAB, keytab_warnings};
pub use service::KerberosService;
pub use session::{KeySession, TicketSession};

use zephyr_core::auth::AuthError;

/// The realm that the Kerberos configuration calls the default one.
///
/// # Errors
///
/// When there is none, or the configuration cannot be read.
pub fn default_realm() -> Result<String, AuthError> {
    let context = binding::Context::new().map_err(error::in_configuration)?;
    context.default_realm().map_err(error::ours)
}

/// The realms that the Kerberos configuration describes or maps hosts to, the default one included. Not among them are
/// realms that are only found by DNS.
///
/// # Errors
///
/// When the configuration cannot be read.
pub fn configured_realms() -> Result<Vec<String>, AuthError> {
    let context = binding::Context::new().map_err(error::in_configuration)?;
    let mut realms = context.configured_realms().map_err(error::ours)?;
    realms.extend(context.default_realm());
    Ok(realms.into_iter().collect())
}
