//! Errors of the library, with the texts of the C programs.

use std::{borrow::Cow, io, net::SocketAddr};
use zephyr_config::problem::Problems;
pub use zephyr_config::system_text;
use zephyr_core::auth::AuthError;
use zephyr_engine::client::OperationError;

/// The result of a call of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the library. `Display` gives a message for users; [`Error::advice`] what they can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operation failed: something was not sent, not answered, or refused.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// The policy file is invalid.
    #[error("{0}")]
    PolicyFile(Problems),
    /// The policy file that `ZEPHYR_POLICY` names is invalid.
    #[error("{0}")]
    ChosenPolicyFile(Problems),
    /// An error of the system.
    #[error("{}", system_text(.0))]
    Io(#[from] io::Error),
    /// The connection was closed, or has ended with an error that was reported before; or the operation is not known.
    #[error("the Zephyr client was closed")]
    Closed,
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        Self::Operation(error.into())
    }
}

impl Error {
    /// The message about what failed. `context` says what that was, as C programs do: "while sending notice to bob". It stands
    /// after a reason that is theirs or the system's; one that is a clause of its own goes after it, as in "sending notice to bob
    /// failed: nobody may send here".
    pub fn describe(&self, context: &str) -> String {
        match self {
            Self::Operation(error) => error.describe(context),
            Self::Io(error) if error.raw_os_error().is_some() => format!("{self} {context}"),
            Self::PolicyFile(_) | Self::ChosenPolicyFile(_) | Self::Io(_) | Self::Closed => {
                format!("{} failed: {self}", context.strip_prefix("while ").unwrap_or(context))
            }
        }
    }

    /// Advice to the user about how to fix it, where there is any.
    pub fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Operation(error) => error.advice(),
            Self::PolicyFile(_) => {
                Some("Whoever looks after this machine must mend that: zephyrctl policy check FILE.".into())
            }
            Self::ChosenPolicyFile(_) => Some(
                "The variable ZEPHYR_POLICY names that file: mend the file (zephyrctl policy check FILE), or unset the variable."
                    .into(),
            ),
            Self::Io(_) | Self::Closed => None,
        }
    }
}

/// The error of a client that cannot have its address.
pub(crate) fn cannot_bind(local: SocketAddr, error: io::Error) -> io::Error {
    if local.ip().is_unspecified() {
        return error;
    }
    io::Error::new(error.kind(), format!("cannot receive at {}: {}", local.ip(), system_text(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_read_as_in_c() {
        assert_eq!(Error::from(io::Error::from_raw_os_error(2)).to_string(), "No such file or directory");
    }

    #[test]
    fn whose_text_it_is_says_where_it_goes() {
        let describe = |error: io::Error| Error::from(error).describe("while initializing");
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(describe(missing), "No such file or directory while initializing");
        let elsewhere = cannot_bind(([9, 9, 9, 9], 0).into(), io::Error::from_raw_os_error(99));
        assert_eq!(
            describe(elsewhere),
            "initializing failed: cannot receive at 9.9.9.9: Cannot assign requested address"
        );
        let wrong = io::Error::other("ZEPHYR_CHECK=often: expected a number of seconds");
        assert_eq!(describe(wrong), "initializing failed: ZEPHYR_CHECK=often: expected a number of seconds");
    }
}
