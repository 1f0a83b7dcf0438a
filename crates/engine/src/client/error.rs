//! Why an operation fails, in the words that users of the C programs know.

use zephyr_core::{auth::AuthError, notice::FormatError, policy::Refusal};

/// Why a client could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// No acknowledgement from the host manager within its time.
    #[error("Hostmanager not responding")]
    HostManagerSilent,
    /// The system does not send to the host manager, in its words.
    #[error("{0}")]
    CannotSend(String),
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
    InvalidAnswer,
    /// The proof of origin could not be made, or the notice could not be written.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

impl From<FormatError> for OperationError {
    fn from(error: FormatError) -> Self {
        Self::Auth(error.into())
    }
}

impl OperationError {
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
            _ => None,
        }
    }
}
