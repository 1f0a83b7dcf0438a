//! Events of a host manager: changes, and lines of the log.

use super::{Owner, Waiting};
use crate::level::Level;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{kind::Kind, notice::ParseError, sanitize};

/// An event of a host manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another server is talked to, or one answers.
    Server(ServerChange),
    /// The server has, or no longer has, the host's beginning.
    Boot(Boot),
    /// No source names a server, which is the first that was heard of the discovery: most likely nobody has named one yet.
    NoServer {
        /// What was asked, and what was not found.
        reason: Box<str>,
    },
    /// A line of the log.
    Log(LogEvent),
}

/// Whether a server knows that the host has started, and so has nothing from before. What is told must be kept for the next
/// host manager on this host: see [`Config::attach`](super::Config::attach).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// A server has acknowledged it.
    Acknowledged,
    /// The host was flushed, and is to begin anew.
    Due,
}

/// A change of a server's reachability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerChange {
    /// The server that answered until now does not, or goes; another is tried.
    Lost {
        /// The server that was talked to.
        old: Box<str>,
        /// The server that is tried.
        new: Box<str>,
    },
    /// A server answers.
    Found {
        /// Which one.
        name: Box<str>,
    },
    /// Another list of servers was discovered than was known.
    Discovered {
        /// Which source named them.
        source: Box<str>,
        /// Their names, in the source's order.
        servers: Vec<Box<str>>,
    },
    /// A better server answers again, and is returned to.
    Returning {
        /// The server that was talked to.
        old: Box<str>,
        /// The better one.
        new: Box<str>,
    },
    /// A server's name has another address than before.
    Moved {
        /// Which one.
        name: Box<str>,
        /// The new address.
        address: SocketAddr,
    },
    /// No server answers yet. It is told once of each server that is waited for, until one answers.
    Waiting(Waiting),
}

/// An event for the log. Texts from the net are octets and are escaped when shown.
#[expect(missing_docs, reason = "the fields are what the line says")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A datagram that is no notice.
    Malformed { from: SocketAddr, error: ParseError },
    /// A packet of a kind that this source does not send.
    UnknownKind { kind: Kind, from: SocketAddr },
    /// A notice of a program of another host, or of one that asks at an address that is not taken for this host's.
    NotFromHere { from: SocketAddr, asked: IpAddr },
    /// An answer, or an order, from somebody who is not the current server.
    NotTheServer { from: SocketAddr },
    /// An answer to something that is not in the queue: it was answered or dropped before.
    NotInQueue { from: SocketAddr },
    /// An order of the server that is none.
    BadControl { opcode: Box<[u8]> },
    /// A server says that it goes, right after one said so; it is told once.
    TooManyFarewells { from: SocketAddr },
    /// A request of a program that is none.
    BadRequest { opcode: Box<[u8]> },
    /// A program asks to flush the host, and may not.
    FlushRefused,
    /// A program asks to flush the host or for another server, which concerns programs of others than its owner.
    NotYours { opcode: Box<[u8]>, owner: Owner },
    /// A program orders a flush or a change of server right after another was ordered.
    TooManyRequests { opcode: Box<[u8]> },
    /// The queue is full, and a packet was not taken: nobody has more in it than its owner.
    QueueFull { from: SocketAddr },
    /// The server never answered a packet, which is dropped.
    Expired { class: Box<[u8]>, opcode: Box<[u8]> },
    /// Servers were not discovered anew; those that are known stay.
    NotDiscovered { reason: Box<str> },
}

impl LogEvent {
    /// The severity of the event.
    pub const fn level(&self) -> Level {
        match self {
            Self::Malformed { .. } => Level::Warning,
            Self::NotInQueue { .. } => Level::Debug,
            _ => Level::Info,
        }
    }
}

impl From<ServerChange> for Event {
    fn from(change: ServerChange) -> Self {
        Self::Server(change)
    }
}

impl From<LogEvent> for Event {
    fn from(event: LogEvent) -> Self {
        Self::Log(event)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery { reason: None } => f.write_str("finding servers"),
            Self::Discovery { reason: Some(reason) } => write!(f, "finding servers: {reason}"),
            Self::Lookup { name } => write!(f, "looking up {name}"),
            Self::Name { name, error } => write!(f, "looking up {name}: {error}"),
            Self::Answer { name, address } => write!(f, "waiting for an answer of {name} ({address})"),
            Self::Way { name, address, error } => write!(f, "cannot send to {name} ({address}): {error}"),
        }
    }
}

impl fmt::Display for ServerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { old, new } => write!(f, "Server {old} went down, finding new server: asking {new}"),
            Self::Found { name } => write!(f, "Server {name} answers"),
            Self::Discovered { source, servers } => write!(f, "servers by {source}: {}", servers.join(", ")),
            Self::Returning { old, new } => write!(f, "Server {new} answers again, returning to it from {old}"),
            Self::Moved { name, address } => write!(f, "Server {name} has another address: {address}"),
            Self::Waiting(Waiting::Name { name, error }) => {
                write!(f, "Unknown server name: {name} ({error}); it will be looked up until it is known")
            }
            Self::Waiting(waiting) => write!(f, "No server answers yet: {waiting}"),
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = sanitize::name;
        match self {
            Self::Malformed { from, error } => write!(f, "bad notice parse ({from}): {error}"),
            Self::UnknownKind { kind, from } => write!(f, "Unknown notice type: {} from {from}", kind.number()),
            Self::NotFromHere { from, asked } => {
                write!(f, "Notice from {from} is not taken: only programs of this machine may ask, at {asked}")
            }
            Self::NotTheServer { from } => write!(f, "Bad notice from port {} ({from} is not the server)", from.port()),
            Self::NotInQueue { from } => write!(f, "Hey! This packet isn't in my queue! ({from})"),
            Self::BadControl { opcode } => write!(f, "Bad control message: {}", text(opcode)),
            Self::TooManyFarewells { from } => write!(f, "too many servers go down, {from} is not believed at once"),
            Self::BadRequest { opcode } => write!(f, "Bad control notice from client: {}", text(opcode)),
            Self::FlushRefused => f.write_str("Client requested hm flush (rejected)"),
            Self::NotYours { opcode, owner: Owner::User(user) } => {
                write!(f, "refused {} of user {user}: it concerns programs of others", text(opcode))
            }
            Self::NotYours { opcode, owner: Owner::Unknown } => {
                write!(f, "refused {}: nobody knows whose program asks", text(opcode))
            }
            Self::TooManyRequests { opcode } => write!(f, "too many requests of programs, refused {}", text(opcode)),
            Self::QueueFull { from } => write!(f, "queue full, a packet from {from} not taken"),
            Self::Expired { class, opcode } => {
                write!(f, "no answer to a notice of class {} opcode {}, dropped", text(class), text(opcode))
            }
            Self::NotDiscovered { reason } => write!(f, "finding servers: {reason}; those that are known stay"),
        }
    }
}
