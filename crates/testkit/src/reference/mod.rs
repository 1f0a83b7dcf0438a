//! The reference: Debian's C programs on a private one-machine network, to be mixed with ours.

mod availability;
mod lab;
mod namespace;
mod syslog;

pub use availability::{available, or_skip};
pub use lab::{HOST_MANAGER_PORT, Lab, LabOptions, SERVER_PORT};
pub use namespace::Namespace;
