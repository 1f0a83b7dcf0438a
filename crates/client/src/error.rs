//! What can go wrong for a client, in the words that users of the C programs know.

use std::io;
use zephyr_config::problem::Problems;
use zephyr_core::auth::AuthError;
use zephyr_engine::client::OperationError;

/// What a call of this library brings.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a client could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It was not sent, not answered, or refused.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The policy file is broken.
    #[error("{0}")]
    PolicyFile(Problems),
    /// The system refused.
    #[error("{}", system_text(.0))]
    Io(#[from] io::Error),
    /// The client was closed, or has ended with an error that was told before.
    #[error("the Zephyr client was closed")]
    Closed,
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        Self::Operation(error.into())
    }
}

impl Error {
    /// What the user can do about it, if anybody knows.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Operation(error) => error.advice(),
            Self::PolicyFile(_) => {
                Some("Whoever looks after this machine must mend that: zephyrctl policy check FILE.")
            }
            Self::Io(_) | Self::Closed => None,
        }
    }
}

/// The system's text for an error, without its number.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_read_as_in_c() {
        assert_eq!(Error::from(io::Error::from_raw_os_error(2)).to_string(), "No such file or directory");
        assert_eq!(system_text(&io::Error::other("odd")), "odd");
    }
}
