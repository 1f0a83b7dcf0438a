//! Streams between servers of a domain, as the machine sees them: proven at both ends, and made of records.
//!
//! Connecting, listening, proving and sealing is the driver's: all of that may take long. A stream is [open](StreamEvent::Open)
//! only when the other end has proven that it is the service of this realm.

use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Maximum octets of a record: those of a packet, as C servers have it (server to server, section 3.2).
pub const MAX_RECORD: usize = 1024;

/// A stream. The machine numbers those that it wants, the driver those that others open: their highest bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The first of those that others open.
    pub const FIRST_OF_OTHERS: Self = Self(1 << 63);
}

/// The numbers of the streams that the machine wants.
#[derive(Debug, Default)]
pub(crate) struct StreamNumbers(u64);

impl StreamNumbers {
    /// The next one.
    pub(crate) const fn next(&mut self) -> StreamId {
        self.0 += 1;
        StreamId(self.0)
    }
}

/// What is to be done with a stream. One that is not known is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamOrder {
    /// To connect.
    Connect {
        /// The stream that comes of it.
        stream: StreamId,
        /// Where to.
        to: SocketAddr,
    },
    /// To wait for one connection of a host, at a port of its own, for [`OFFER_SECONDS`].
    Offer {
        /// The stream that comes of it.
        stream: StreamId,
        /// The host.
        to: IpAddr,
    },
    /// To send a record of at most [`MAX_RECORD`] octets, after those before it.
    Send {
        /// On which stream.
        stream: StreamId,
        /// The record.
        record: Bytes,
    },
    /// To close a stream, once what was to be sent is sent. Nothing more is told of it.
    Close {
        /// Which one.
        stream: StreamId,
    },
}

impl StreamEvent {
    /// Which stream it is about.
    pub const fn stream(&self) -> StreamId {
        match self {
            Self::Offered { stream, .. }
            | Self::Open { stream }
            | Self::Accepted { stream, .. }
            | Self::Record { stream, .. }
            | Self::Drained { stream, .. }
            | Self::Closed { stream, .. } => *stream,
        }
    }
}

/// How long an offer waits for who it is made to, in seconds (server to server, section 3.1).
pub const OFFER_SECONDS: u64 = 20;

/// What has happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// An offer waits at this port.
    Offered {
        /// The stream that will come of it.
        stream: StreamId,
        /// The port.
        port: u16,
    },
    /// The other end has proven itself. Where both are servers of ours, the one that connected has to send the first record.
    Open {
        /// Which stream.
        stream: StreamId,
    },
    /// Another server has connected, and proven itself, which its first record was part of: that is told next.
    Accepted {
        /// The stream.
        stream: StreamId,
        /// The other server's address.
        from: IpAddr,
    },
    /// A record has come.
    Record {
        /// On which stream.
        stream: StreamId,
        /// The record.
        record: Bytes,
    },
    /// So many octets of records were handed to the system.
    Drained {
        /// Of which stream.
        stream: StreamId,
        /// How many.
        octets: usize,
    },
    /// It is closed, or has never come to be open.
    Closed {
        /// Which stream.
        stream: StreamId,
        /// Why, for the log.
        why: String,
    },
}
