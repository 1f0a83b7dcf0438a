//! Log events of a client: each value is one line of a log.

use super::{Endpoint, Hidden};
use crate::host_manager::event::{self as host_manager, ServerChange};
use std::{fmt, net::SocketAddr};
use zephyr_core::{auth::AuthError, inbox::DropReason, kind::Kind, notice::ParseError, sanitize};

/// A log event. Texts from the network are octets, which `Display` escapes.
#[expect(missing_docs, reason = "the fields are what the line says")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The client has started: the host manager has answered.
    Started { server: String, endpoint: Endpoint },
    /// An invalid datagram was dropped.
    Malformed { from: SocketAddr, error: ParseError },
    /// A packet was dropped.
    Dropped { from: SocketAddr, reason: DropReason },
    /// An acknowledgement from another source than the host manager was ignored.
    StrayAcknowledgement { from: SocketAddr, kind: Kind },
    /// Too many packets wait for the user's credentials: one was not acknowledged, so that the server sends it again.
    TooManyUnverified { from: SocketAddr },
    /// Too many notices wait to be received: one is lost.
    NoticeLost,
    /// No session to verify a notice with could be obtained.
    NoSession { error: AuthError },
    /// The principal of the user's credentials could not be read.
    NoPrincipal { error: AuthError },
    /// A notice is sent without proof of origin, which the policy allows.
    Unproven { error: AuthError },
    /// The policy hides a notice.
    Hidden { class: Box<[u8]>, sender: Box<[u8]>, why: Hidden },
    /// The client has subscribed again with new tickets, or failed to.
    Resubscribed { error: Option<super::OperationError> },
    /// No host manager answers, and servers are spoken to directly.
    WithoutHostManager { host_manager: SocketAddr },
    /// The host manager answers again, and is used.
    WithHostManager { host_manager: SocketAddr },
    /// Another user's program, or nobody's any more, has answered as the host manager.
    StrangersHostManager { host_manager: SocketAddr },
    /// Without a host manager, a change of the server that is spoken to.
    Server(ServerChange),
    /// Without a host manager, what became of a packet to or from a server.
    Relay(host_manager::LogEvent),
    /// It is not known whether the server still knows the client.
    NotChecked { error: super::OperationError },
}

/// The severity of a log event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For debugging.
    Debug,
    /// For information.
    Info,
    /// A warning to the operator.
    Warning,
}

impl LogEvent {
    /// The severity.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::NoticeLost | Self::TooManyUnverified { .. } | Self::Resubscribed { error: Some(_) } => {
                Severity::Warning
            }
            Self::Unproven { .. }
            | Self::WithoutHostManager { .. }
            | Self::WithHostManager { .. }
            | Self::StrangersHostManager { .. }
            | Self::Server(_)
            | Self::Hidden { .. }
            | Self::Resubscribed { error: None } => Severity::Info,
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
                write!(f, "hid a notice of class {} from {}: {why}", sanitize::name(class), sanitize::name(sender))
            }
            Self::WithoutHostManager { host_manager } => {
                write!(f, "no host manager at {host_manager}: speaking to servers directly")
            }
            Self::StrangersHostManager { host_manager } => {
                write!(
                    f,
                    "what answers as the host manager at {host_manager} is another user's, or has ended: it is not used"
                )
            }
            Self::WithHostManager { host_manager } => write!(f, "the host manager at {host_manager} is used again"),
            Self::Server(change) => change.fmt(f),
            Self::Relay(event) => event.fmt(f),
            Self::NotChecked { error } => {
                write!(f, "it is not known whether the server still knows this client: {error}")
            }
            Self::Resubscribed { error: None } => f.write_str("subscribed with new tickets"),
            Self::Resubscribed { error: Some(error) } => write!(f, "cannot subscribe with new tickets: {error}"),
        }
    }
}
