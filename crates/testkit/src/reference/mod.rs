//! The reference implementation: Debian's C programs on a private network of one machine, for interoperation tests.

mod availability;
mod host;
mod lab;
mod lan;
mod namespace;
mod syslog;

pub use availability::{available, is_skipped, or_skip};
pub use host::Host;
pub use lab::{HOST_MANAGER_PORT, Lab, LabOptions, SERVER_PORT};
pub use lan::Lan;
pub use namespace::Namespace;

use anyhow::{Context, Result};
use std::path::Path;
use syslog::Syslog;

/// Makes new namespaces one machine, whose files are in `folder`: its name, and addresses for its loopback interface. The
/// folder must hold its hosts file and server.list.
fn furnish(folder: &Path, host: &str, addresses: &str) -> Result<(Namespace, Syslog)> {
    let syslog = Syslog::listen(&folder.join("syslog.socket"))?;
    let namespace = Namespace::new(folder)?;
    let lab = folder.display().to_string();
    let environment = [("LAB", lab.as_str()), ("HOST", host), ("ADDRESSES", addresses)];
    namespace.script(include_str!("setup.sh"), &environment).context("cannot furnish the machine")?;
    Ok((namespace, syslog))
}
