//! Discovery of servers, done by the driver: which there are, as the command line, files or a name service say.

use std::{fmt, time::Duration};

/// A server that was discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, which is looked up; or its address as text.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Its rank: lower ones are tried first (RFC 2782).
    pub priority: u16,
    /// Its share among those of the same priority (RFC 2782): of 0, next to nothing as long as others have more.
    pub weight: u16,
}

impl Candidate {
    /// The server at this place of a list that has no priorities: the first is the primary, all others are equal (host
    /// manager, section 2).
    pub fn listed(place: usize, host: &str, port: u16) -> Self {
        Self { host: host.into(), port, priority: u16::from(place > 0), weight: 0 }
    }
}

/// The servers that there are, by one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// At least one, in the source's order. Of a source without priorities they are [`Candidate::listed`].
    pub candidates: Vec<Candidate>,
    /// Which source said so, for people to read: `zephyr.toml`, `DNS (_zephyr-clt._udp.example.org)`.
    pub source: Box<str>,
    /// How long that holds, as the source says: a host manager takes it for 30 seconds at least, and for a day at most. `None` as
    /// long as nobody asks for another look.
    pub valid_for: Option<Duration>,
}

/// Why no server was discovered, with a text for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// All sources were asked, and none names a server.
    NoServer(Box<str>),
    /// A source could not be asked, or did not answer: it may name servers later.
    NoAnswer(Box<str>),
}

impl NotFound {
    /// The text for people to read.
    pub fn reason(&self) -> &str {
        match self {
            Self::NoServer(reason) | Self::NoAnswer(reason) => reason,
        }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
