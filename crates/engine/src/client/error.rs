//! Errors of operations, with the texts of the C programs.

use zephyr_core::{auth::AuthError, fold::NameTooLong, notice::FormatError, policy::Refusal};

/// The reason why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The host manager has not acknowledged a packet within 10 s.
    #[error("Hostmanager not responding")]
    HostManagerSilent,
    /// The system cannot send to the host manager; with the system's error text.
    #[error("{0}")]
    CannotSend(String),
    /// The server has not answered in time.
    #[error("Connection timed out")]
    TimedOut,
    /// The server refused, without a reason.
    #[error("SERVNAK received")]
    Refused,
    /// The server refused because it could not verify the authentication.
    #[error("Server could not verify authentication")]
    Unverified,
    /// The server refused, with a reason.
    #[error("refused: {0}")]
    RefusedBecause(String),
    /// The domain's policy would refuse the notice, so it was not sent.
    #[error("not sent: {0}")]
    Policy(Refusal),
    /// The domain's policy demands proof of origin, and none can be made.
    #[error("{0}")]
    CannotProve(AuthError),
    /// The server does not know the location.
    #[error("Not logged-in")]
    NotLoggedIn,
    /// The folded form of a name, and of which, is longer than any packet: no server keeps it.
    #[error("not sent: the {0} is too long: {NameTooLong}")]
    NameTooLong(&'static str),
    /// A subscription that cannot be, and why.
    #[error("not sent: {0}")]
    InvalidSubscription(&'static str),
    /// A subscription too long for a packet of its own.
    #[error("Too many subscriptions to transmit")]
    SubscriptionTooLong,
    /// The body is longer than 400,000 octets, which no receiver accepts.
    #[error("Packet too long or buffer too small")]
    NoticeTooLarge,
    /// The server's answer is invalid.
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
    /// Advice to the user about how to fix it, where there is any.
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
