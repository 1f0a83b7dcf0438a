//! Settings of the metrics listener.

use std::{fmt, net::SocketAddr, path::PathBuf};
use zephyr_config::reader::Section;

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl std::str::FromStr for StreamAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => match text.parse() {
                Ok(address) => Ok(Self::Tcp(address)),
                Err(_) => Err(format!("expected ADDRESS:PORT or unix:/PATH, not {text:?}")),
            },
        }
    }
}

/// As in the settings.
impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Section `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// The address of the listener; `None`: no listener.
    pub listen: Option<StreamAddress>,
    /// Other hosts may read them too.
    pub allow_remote: bool,
}

impl Metrics {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>) {
        section.read("allow-remote", &mut self.allow_remote);
        let allow_remote = self.allow_remote;
        section.read_text("listen", &mut self.listen, |text| match text.parse()? {
            StreamAddress::Tcp(address) if !address.ip().is_loopback() && !allow_remote => {
                Err(format!("{address} can be reached from other hosts; set allow-remote = true if that is wanted"))
            }
            address => Ok(Some(address)),
        });
        section.finish();
    }
}
