//! Errors of the port file, which name it, and whose it is.

use crate::system_text;
use nix::unistd::{Uid, User};
use std::{fmt, io, path::PathBuf};

/// The owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u32);

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match User::from_uid(Uid::from_raw(self.0)).ok().flatten() {
            Some(user) => write!(f, "{} (uid {})", user.name, self.0),
            None => write!(f, "uid {}", self.0),
        }
    }
}

/// Why a port file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Somebody else has made it.
    #[error("{} belongs to {owner}, so it says nothing", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Who has.
        owner: Owner,
    },
    /// It is a link, a pipe, or a device.
    #[error("{} is no file, so it says nothing", .0.display())]
    NoFile(PathBuf),
    /// It has no port.
    #[error("{} has no port", .0.display())]
    NoPort(PathBuf),
    /// An error of the system, such as that there is no such file.
    #[error("{}: {}", path.display(), system_text(error))]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}

/// Why a port file cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The user's windowgram client whose port it has runs.
    #[error("{} is that of a windowgram client that runs, on port {port}", path.display())]
    Runs {
        /// The file.
        path: PathBuf,
        /// The client's port.
        port: u16,
    },
    /// There is something of the user's that no windowgram client has left.
    #[error("{} is no file with a port, so it is left alone", .0.display())]
    NotAPortFile(PathBuf),
    /// Somebody else has made one.
    #[error("{} belongs to {owner}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Who has.
        owner: Owner,
    },
    /// An error of the system.
    #[error("{}: {}", path.display(), system_text(error))]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}
