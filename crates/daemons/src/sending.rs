//! Sending what an engine put out.

/// How far an outbox was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing is left.
    All,
    /// There is more to send.
    Some,
    /// The socket takes no more at the moment.
    Blocked,
}
