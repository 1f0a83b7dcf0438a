//! Discovery of servers, done by the driver: which there are, as the command line, files or a name service say.

use std::time::Duration;

/// A server that was discovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, which is looked up; or its address as text.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Its rank: lower ones are tried first (RFC 2782).
    pub priority: u16,
    /// Its share among those of the same priority (RFC 2782).
    pub weight: u16,
}

/// The servers that there are, by one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// At least one, in the source's order.
    pub candidates: Vec<Candidate>,
    /// Which source said so, for people to read: `zephyr.toml`, `DNS (_zephyr-clt._udp.example.org)`.
    pub source: Box<str>,
    /// How long that holds; `None` as long as nobody asks for another look.
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
