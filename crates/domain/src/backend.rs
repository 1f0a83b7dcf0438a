//! The backends, by name.

use std::{fmt, str::FromStr};

/// How a domain proves who sent what. Written `kerberos` or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// With Kerberos 5, as the C programs do.
    #[default]
    Kerberos,
    /// Not at all: nothing is ever authentic.
    None,
}

/// A word that names no backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown authentication backend {0:?}: it must be kerberos or none")]
pub struct UnknownBackend(pub String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(word: &str) -> Result<Self, UnknownBackend> {
        match word {
            "kerberos" => Ok(Self::Kerberos),
            "none" => Ok(Self::None),
            other => Err(UnknownBackend(other.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kerberos => "kerberos",
            Self::None => "none",
        })
    }
}
