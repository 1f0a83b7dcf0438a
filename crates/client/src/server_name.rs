//! Names of servers, as programs and the environment give them.

use std::{error, fmt, str::FromStr};
use zephyr_engine::host_manager::{Candidate, Discovered};
use zephyr_net::services;

/// What the client says of where it has its servers from, when the program has named them.
const SOURCE: &str = "this program or ZEPHYR_SERVERS";

/// A server: its host's name or address, and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerName {
    /// The host's name, or its IPv4 address as text.
    pub host: Box<str>,
    /// The server's UDP port.
    pub port: u16,
}

/// A text that names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidServerName;

impl error::Error for InvalidServerName {}

impl fmt::Display for InvalidServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected HOST or HOST:PORT for each server")
    }
}

impl FromStr for ServerName {
    type Err = InvalidServerName;

    /// Parses `HOST` or `HOST:PORT`; the default is the port of the service `zephyr-clt`.
    fn from_str(text: &str) -> Result<Self, InvalidServerName> {
        let (host, port) = match text.trim().rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or(InvalidServerName)?),
            None => (text.trim(), services::port(services::ZEPHYR_CLT)),
        };
        let is_name =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if is_name { Ok(Self { host: host.into(), port }) } else { Err(InvalidServerName) }
    }
}

/// `HOST:PORT`.
impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// These servers, as if they had been discovered: the first is the primary, the others are equal. `None` without any.
pub(crate) fn given(servers: &[ServerName]) -> Option<Discovered> {
    let candidate = |(place, server): (usize, &ServerName)| Candidate {
        host: server.host.clone(),
        port: server.port,
        priority: u16::from(place > 0),
        weight: 1,
    };
    let candidates: Vec<Candidate> = servers.iter().enumerate().map(candidate).collect();
    (!candidates.is_empty()).then(|| Discovered { candidates, source: SOURCE.into(), valid_for: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ports() {
        let parsed = |text: &str| text.parse::<ServerName>().map(|server| (server.host.into_string(), server.port));
        assert_eq!(parsed(" zsrv.example "), Ok(("zsrv.example".to_owned(), services::port(services::ZEPHYR_CLT))));
        assert_eq!(parsed("127.0.0.9:5000"), Ok(("127.0.0.9".to_owned(), 5000)));
        for invalid in ["", ":5", "a:", "a:0", "a:70000", "a b", "::1", "a\u{1b}"] {
            assert_eq!(parsed(invalid), Err(InvalidServerName), "{invalid:?}");
        }
    }

    #[test]
    fn the_first_is_the_primary() {
        let servers: Vec<ServerName> = ["a", "b", "c"].iter().map(|text| text.parse().unwrap()).collect();
        let found = given(&servers).unwrap();
        assert_eq!(found.candidates.iter().map(|candidate| candidate.priority).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!(given(&[]), None);
    }
}
