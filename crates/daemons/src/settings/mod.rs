//! The settings of both daemons, in `zephyr.toml` of the configuration folder.
//!
//! The file is optional and so is every setting; the command line overrules it. A setting that does not exist is an error,
//! because a misspelt limit is no limit. The shipped example names every setting with its default.
//!
//! Each program reads its own sections, [`ServerSettings`] or [`HostManagerSettings`], and does not look into those of the
//! other: a mistake there does not keep it from its work. A section that neither has is an error for both. [`check`] reads
//! everything.

mod file;
mod host_manager;
mod log;
mod metrics;
mod peers;
mod server;
mod values;

pub use file::{LoadedSettings, check};
pub use host_manager::{HostManager, HostManagerSettings};
pub use log::{Facility, Log, LogTarget};
pub use metrics::{Metrics, StreamAddress};
pub use peers::Peers;
pub(crate) use server::WholeSections;
pub use server::{Control, Server, ServerSettings, State};
pub(crate) use values::{listen_address, name};
pub use zephyr_discovery::ServerName;

/// The file's name in the configuration folder.
pub const FILE_NAME: &str = "zephyr.toml";

#[cfg(test)]
mod tests;
