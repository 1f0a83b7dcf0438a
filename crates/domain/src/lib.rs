//! The domain that a program is in: its policy, and its authentication backend.
//!
//! This is the one place that knows every backend; programs name one with a [`Backend`], or let the domain's policy do
//! so, and get the traits of [`zephyr_core::auth`].
//!
//! * [`PROVIDERS`]: the table of backends
//! * [`policy_file`]: what each domain demands
//! * [`scope`]: what of that is not in force where a server runs
//! * [`client_domain`], [`server_domain`]: the domain that a client or server is in

#![forbid(unsafe_code)]

mod backend;
pub mod client_domain;
pub mod policy_file;
mod provider;
pub mod scope;
pub mod server_domain;

pub use backend::{Backend, UnknownBackend};
pub use provider::{AcceptorOptions, BackendSetting, InitiatorOptions, PROVIDERS, Provider};
pub use zephyr_auth_krb::{Enctype, UnknownEnctype};
