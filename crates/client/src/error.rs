//! What can go wrong for a client, in the words that users of the C programs know.

use std::io;
use zephyr_config::problem::Problems;
use zephyr_core::{auth::AuthError, notice::FormatError, policy::Refusal};

/// Why a client could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No acknowledgement from the host manager within its time.
    #[error("Hostmanager not responding")]
    HostManagerSilent,
    /// Nothing from the server within its time.
    #[error("Connection timed out")]
    TimedOut,
    /// The server refused, without a reason.
    #[error("SERVNAK received")]
    Refused,
    /// The server refused because it could not verify who asks.
    #[error("Server could not verify authentication")]
    Unverified,
    /// The server refused, and says why.
    #[error("refused: {0}")]
    RefusedBecause(String),
    /// The domain would refuse this, so it is not sent.
    #[error("not sent: {0}")]
    Policy(Refusal),
    /// The domain wants proof, and there can be none.
    #[error("{0}")]
    CannotProve(AuthError),
    /// The policy file is broken.
    #[error("{0}")]
    PolicyFile(Problems),
    /// The server has no such location.
    #[error("Not logged-in")]
    NotLoggedIn,
    /// A subscription too long for a packet of its own.
    #[error("Too many subscriptions to transmit")]
    SubscriptionTooLong,
    /// A body larger than any receiver accepts.
    #[error("Packet too long or buffer too small")]
    NoticeTooLarge,
    /// An answer that makes no sense.
    #[error("Internal error")]
    Nonsense,
    /// The proof of origin could not be made, or the notice could not be written.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The system refused.
    #[error("{}", system_words(.0))]
    Io(#[from] io::Error),
}

impl From<FormatError> for ClientError {
    fn from(error: FormatError) -> Self {
        Self::Auth(error.into())
    }
}

impl ClientError {
    /// What the user can do about it, if anybody knows.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::HostManagerSilent => {
                Some("Is zhm running on this machine? ZEPHYR_HM says where it is if not on port zephyr-hm.")
            }
            Self::Refused | Self::Unverified => Some(
                "The server did not accept the proof of who you are. Run klist to see your tickets, and kinit for new ones.",
            ),
            Self::CannotProve(AuthError::NoCredentials | AuthError::Expired) => {
                Some("Run kinit first: this domain takes nothing without proof of who you are.")
            }
            Self::Auth(error) | Self::CannotProve(error) => error.advice(),
            Self::PolicyFile(_) => {
                Some("Whoever looks after this machine must mend that: zephyrctl policy check FILE.")
            }
            _ => None,
        }
    }

    /// Whether long headers would help.
    pub(crate) const fn is_of_header_length(&self) -> bool {
        matches!(self, Self::Auth(AuthError::Format(FormatError::HeaderTooLong { .. })))
    }

    /// True when there was no room for what should be sent.
    pub(crate) const fn is_too_long(&self) -> bool {
        matches!(self, Self::Auth(AuthError::Format(FormatError::PacketTooLong { .. })))
    }
}

/// The system's words for an error, without its number.
pub fn system_words(error: &io::Error) -> String {
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
        assert_eq!(ClientError::from(io::Error::from_raw_os_error(2)).to_string(), "No such file or directory");
        assert_eq!(system_words(&io::Error::other("odd")), "odd");
    }
}
