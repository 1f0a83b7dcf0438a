//! The sources that name servers, and how settings call them.

use std::{fmt, str::FromStr};

/// A source that names servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `servers` in section `zhm` of `zephyr.toml`.
    Settings,
    /// `zhm_args` in `/etc/default/zephyr-clients`, where Debian's package for the C programs has them.
    ClientsFile,
    /// The file `server.list` of the configuration folder, which a server of the domain has.
    ServerList,
    /// SRV records of DNS.
    Dns,
    /// Hesiod.
    Hesiod,
}

impl Source {
    /// All of them, in the order in which they are asked where the settings say nothing else.
    pub const ALL: [Self; 5] = [Self::Settings, Self::ClientsFile, Self::ServerList, Self::Dns, Self::Hesiod];

    /// The word that settings have for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::ClientsFile => "zhm_args",
            Self::ServerList => "server.list",
            Self::Dns => "dns",
            Self::Hesiod => "hesiod",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|source| source.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(|source| format!("{:?}", source.word()));
            format!("expected one of {}, not {text:?}", words.join(", "))
        })
    }
}
