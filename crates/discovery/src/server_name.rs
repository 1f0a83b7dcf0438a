//! Names of servers, as options, settings and lists give them.

use std::{fmt, num::NonZeroU16, str::FromStr};

/// Longest name of a host, in octets (RFC 1035).
const MAX_HOST: usize = 253;

/// A server by its name or IPv4 address, perhaps with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerName {
    /// The name or address.
    pub host: String,
    /// The port; `None`: the usual one.
    pub port: Option<u16>,
}

impl FromStr for ServerName {
    type Err = String;

    /// Whether there is such a host, is no question of syntax.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("expected HOST or HOST:PORT, not {text:?}");
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<NonZeroU16>().map_err(|_| invalid())?.get())),
            None => (text, None),
        };
        let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_');
        let is_host =
            (1..=MAX_HOST).contains(&host.len()) && host.chars().all(is_plain) && !host.starts_with(['-', '.']);
        if is_host { Ok(Self { host: host.to_owned(), port }) } else { Err(invalid()) }
    }
}

impl ServerName {
    /// Whether both are the same name; names of hosts differ not only in case.
    pub fn is(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_or_without_a_port() {
        let server = |host: &str, port| Ok(ServerName { host: host.to_owned(), port });
        for (text, expected) in [
            ("zephyr.example.edu", server("zephyr.example.edu", None)),
            ("zephyr_2:2203", server("zephyr_2", Some(2203))),
            ("10.0.0.1:1", server("10.0.0.1", Some(1))),
        ] {
            assert_eq!(text.parse(), expected);
            assert_eq!(expected.unwrap().to_string(), text);
        }
        let long = "a".repeat(254);
        for text in [
            "",
            ":2103",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "a:-1",
            "a:+1x",
            "::1",
            "[::1]:2103",
            "a b",
            "a\n",
            "-a",
            ".",
            "é",
            &long,
        ] {
            assert!(text.parse::<ServerName>().is_err_and(|error| error.starts_with("expected HOST")), "{text:?}");
        }
    }
}
