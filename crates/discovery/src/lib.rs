//! Discovery of servers: finds which servers a domain has, by settings, files, DNS (SRV records, RFC 2782) and Hesiod
//! (host manager, section 2).
//!
//! A [`Discovery`] is what is asked, in which order. [`Discovery::discover`] asks until one source names servers, and ends within
//! [`TIMEOUT`] whatever the network does; it blocks, so whoever has a loop calls it on a thread. Files are read and name
//! servers found anew with each call, as a machine that roams gets others.
//!
//! What a name service says is not proven. A server that is found by it has to prove itself like any other.

#![forbid(unsafe_code)]

mod candidates;
pub mod clients_file;
mod discovery;
pub mod dns;
pub mod hesiod;
#[cfg(test)]
mod scripted;
pub mod server_list;
mod server_name;
mod settings;
mod source;
mod srv;
mod survey;
mod system;

pub use discovery::Discovery;
pub use server_name::ServerName;
pub use settings::Settings;
pub use source::Source;
pub use survey::{Answer, Survey, Testimony};
use system::System;

use std::time::Duration;

/// Servers of one answer at most; those of the worst priority are left out.
pub const MAX_CANDIDATES: usize = 16;
/// How long a discovery may take altogether.
pub const TIMEOUT: Duration = Duration::from_secs(10);
