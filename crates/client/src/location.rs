//! The location of the user: host and terminal.

use crate::localtime;
use nix::unistd::ttyname;
use std::{io::stdin, time::SystemTime};
use zephyr_core::exposure::Exposure;
use zephyr_engine::client::{LocationChange, Operation};
use zephyr_net::host;

/// A location of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The host's fully qualified name.
    pub host: String,
    /// The terminal or display.
    pub tty: String,
}

impl Location {
    /// The location on this host, at the terminal `tty`; `None`: this process's terminal. May block on the name service.
    pub fn here(tty: Option<&str>) -> Self {
        let name = host::own_name().unwrap_or_default();
        let terminal = || Some(ttyname(stdin()).ok()?.strip_prefix("/dev").ok()?.to_str()?.to_owned());
        Self {
            host: host::canonical_name(&name).unwrap_or(name),
            tty: tty.map(str::to_owned).or_else(terminal).unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// The operation that sets this location, or unsets it without an exposure.
    pub(crate) fn change(&self, exposure: Option<Exposure>) -> Operation {
        Operation::ChangeLocation(LocationChange {
            exposure,
            host: self.host.clone(),
            tty: self.tty.clone(),
            time: localtime::ctime(SystemTime::now()),
            port: None,
        })
    }
}
