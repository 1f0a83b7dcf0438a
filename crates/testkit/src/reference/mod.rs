//! The reference implementation: Debian's C programs on a private network of one machine, for interoperation tests.

mod availability;
mod lab;
mod namespace;
mod syslog;

pub use availability::{available, or_skip};
pub use lab::{HOST_MANAGER_PORT, Lab, LabOptions, SERVER_PORT};
pub use namespace::Namespace;
