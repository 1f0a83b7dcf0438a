//! Receipts: the server's answers to notices, and the results of requests that follow from them.

use super::OperationError;
use zephyr_core::{body, kind::Kind, names, notice::Notice, sanitize};

/// The delivery status of a notice, by the server's acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// The notice was delivered to at least one client, or the request was carried out.
    Sent,
    /// Nobody subscribes to the notice.
    NobodyThere,
    /// The server refused the notice.
    Refused(NakReason),
    /// The server's acknowledgement has a text that the protocol does not define.
    Unknown(Vec<u8>),
    /// The host manager has accepted it, and no answer will come: for kinds that servers do not answer.
    Unanswered,
}

/// The reason of a SERVNAK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NakReason {
    /// None given.
    Unspecified,
    /// The sender is not authenticated, or not authorized.
    NotAuthorized,
    /// The object of the request, such as a location, does not exist.
    NotFound,
}

/// The server's answer to a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The delivery status.
    pub status: DeliveryStatus,
    /// The server's text, such as the reason for a refusal: at most 300 characters, none of them control characters. Servers
    /// in C send none.
    pub text: Option<String>,
}

impl Receipt {
    /// Reads a SERVACK or SERVNAK; `None` for other kinds.
    pub fn read(notice: &Notice<'_>) -> Option<Self> {
        let status = match (notice.kind, body::first_text(notice.body)) {
            (Kind::ServAck, names::SENT) => DeliveryStatus::Sent,
            (Kind::ServAck, names::LOST) => DeliveryStatus::NobodyThere,
            (Kind::ServAck, other) => DeliveryStatus::Unknown(other.to_vec()),
            (Kind::ServNak, names::LOST) => DeliveryStatus::Refused(NakReason::NotAuthorized),
            (Kind::ServNak, names::FAIL) => DeliveryStatus::Refused(NakReason::NotFound),
            (Kind::ServNak, _) => DeliveryStatus::Refused(NakReason::Unspecified),
            _ => return None,
        };
        Some(Self { status, text: second_text(notice.body) })
    }

    /// Whether the status is [`DeliveryStatus::Sent`].
    pub fn is_delivered(&self) -> bool {
        self.status == DeliveryStatus::Sent
    }
}

/// The result of a request to subscribe, which is answered `LOST` when the server has no room for all that is wanted.
pub(super) fn subscribe_result(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::NobodyThere => Err(OperationError::NoRoom(receipt.text)),
        _ => request_result(receipt),
    }
}

/// The result of a request to remove subscriptions, which is answered `LOST` when the server knows none of the client: then there is
/// nothing to remove, which is no error to C programs either.
pub(super) fn removal_result(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::NobodyThere => Ok(receipt.text),
        _ => request_result(receipt),
    }
}

/// The result of another request about subscriptions. Refusals have one error, whatever the reason; `LOST` comes from a server that
/// does not know the request.
pub(super) fn request_result(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::Sent => Ok(receipt.text),
        DeliveryStatus::Refused(_) => Err(refusal(receipt.text, OperationError::Refused)),
        DeliveryStatus::NobodyThere | DeliveryStatus::Unknown(_) | DeliveryStatus::Unanswered => {
            Err(OperationError::InvalidAnswer)
        }
    }
}

/// The result of a query for a user's locations, which is answered `LOST` where a realm cannot be asked.
pub(super) fn query_result(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt {
        Receipt { status: DeliveryStatus::NobodyThere, text: Some(text) } => Err(OperationError::RefusedBecause(text)),
        receipt => request_result(receipt),
    }
}

/// The result of a location change, which is also done when nobody is notified of it.
pub(super) fn location_result(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::Sent | DeliveryStatus::NobodyThere => Ok(receipt.text),
        DeliveryStatus::Refused(NakReason::NotAuthorized) => Err(refusal(receipt.text, OperationError::Unverified)),
        DeliveryStatus::Refused(NakReason::Unspecified) => Err(OperationError::Refused),
        DeliveryStatus::Refused(NakReason::NotFound) => Err(OperationError::NotLoggedIn),
        DeliveryStatus::Unknown(_) | DeliveryStatus::Unanswered => Err(OperationError::InvalidAnswer),
    }
}

/// The error for a refusal: the server's reason, if it gives one.
fn refusal(text: Option<String>, otherwise: OperationError) -> OperationError {
    text.map_or(otherwise, OperationError::RefusedBecause)
}

/// The second text of an answer's body, sanitized: nothing proves where it comes from.
fn second_text(body: &[u8]) -> Option<String> {
    const MAX_CHARACTERS: usize = 300;
    let text = String::from_utf8_lossy(body.split(|&octet| octet == 0).nth(1)?);
    let text: String = text.trim().chars().take(MAX_CHARACTERS).collect();
    (!text.is_empty()).then(|| sanitize::line(text.as_bytes()))
}
