//! Sending by programs that run for longer than the user's tickets may.

use zephyr_client::{Error, Message, OperationError, Receipt, Result, Zephyr};

/// Sends with proof of who the user is; without, where there is none to be had, as after the tickets have ended, and the domain's policy
/// does not ask for it.
///
/// # Errors
///
/// As [`Zephyr::send`].
pub async fn proven_if_possible(zephyr: &Zephyr, message: Message) -> Result<Receipt> {
    match zephyr.send(message.clone()).await {
        Err(Error::Operation(OperationError::Auth(_))) => zephyr.send(message.authenticated(false)).await,
        sent => sent,
    }
}
