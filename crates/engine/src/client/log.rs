//! What a client has to say to whoever looks for a fault: each value is one line of a log.

use super::{Endpoint, Hidden};
use std::{fmt, net::SocketAddr};
use zephyr_core::{auth::AuthError, inbox::DropReason, kind::Kind, notice::ParseError};

/// Something worth a line. Texts from the net are octets and are escaped when shown.
#[expect(missing_docs, reason = "the fields are what the line says")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The host manager has answered for the first time.
    Started { server: String, endpoint: Endpoint },
    /// A datagram that is no packet.
    Malformed { from: SocketAddr, error: ParseError },
    /// A packet that is not delivered.
    Dropped { from: SocketAddr, reason: DropReason },
    /// An acknowledgement that does not come from the host manager.
    StrayAcknowledgement { from: SocketAddr, kind: Kind },
    /// Too many packets wait for the user's credentials. One more is not acknowledged, so it will come again.
    TooManyUnverified { from: SocketAddr },
    /// Too many notices wait to be taken: one is lost.
    NoticeLost,
    /// There is no session to verify a notice with.
    NoSession { error: AuthError },
    /// It is not known whose credentials there are.
    NoPrincipal { error: AuthError },
    /// Something goes without proof, which the domain takes.
    Unproven { error: AuthError },
    /// A notice is hidden by the domain's policy.
    Hidden { class: Box<[u8]>, sender: Box<[u8]>, why: Hidden },
    /// It was subscribed again with new tickets, or not.
    Resubscribed { error: Option<super::OperationError> },
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Only when somebody looks for a fault.
    Debug,
    /// Now and then.
    Info,
    /// Somebody should know.
    Warning,
}

impl LogEvent {
    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::NoticeLost | Self::TooManyUnverified { .. } | Self::Resubscribed { error: Some(_) } => {
                Severity::Warning
            }
            Self::Unproven { .. } | Self::Hidden { .. } | Self::Resubscribed { error: None } => Severity::Info,
            _ => Severity::Debug,
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { server, endpoint } => {
                write!(f, "the host manager has answered: server {server:?}, {endpoint:?}")
            }
            Self::Malformed { from, error } => write!(f, "dropped a datagram from {from}: {error}"),
            Self::Dropped { from, reason } => write!(f, "dropped a packet from {from}: {reason}"),
            Self::StrayAcknowledgement { from, kind } => {
                write!(f, "ignored a stranger's acknowledgement: {kind} from {from}")
            }
            Self::TooManyUnverified { from } => {
                write!(f, "too many packets wait for credentials: one from {from} must come again")
            }
            Self::NoticeLost => f.write_str("too many notices wait to be received: one is lost"),
            Self::NoSession { error } => write!(f, "no session to check a notice with: {error}"),
            Self::NoPrincipal { error } => write!(f, "cannot read whose credentials there are: {error}"),
            Self::Unproven { error } => write!(f, "going without proof, which the domain takes: {error}"),
            Self::Hidden { class, sender, why } => {
                write!(f, "hid a notice of class {} from {}: {why}", class.escape_ascii(), sender.escape_ascii())
            }
            Self::Resubscribed { error: None } => f.write_str("subscribed with new tickets"),
            Self::Resubscribed { error: Some(error) } => write!(f, "cannot subscribe with new tickets: {error}"),
        }
    }
}
