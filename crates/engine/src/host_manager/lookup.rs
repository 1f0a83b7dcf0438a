//! Look-ups of servers' names, done by the driver: they may take long, fail now and work later, or never end.

use std::net::{Ipv4Addr, SocketAddr};

/// A job: to find the address of a server. At most one is under way for each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The server's name, or its address as text, which needs no name service.
    pub host: Box<str>,
    /// The server's port.
    pub port: u16,
}

impl Lookup {
    /// The result of the job.
    pub const fn answer(self, found: Result<Located, Box<str>>) -> LookupAnswer {
        LookupAnswer { lookup: self, found }
    }
}

/// The result of a [`Lookup`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupAnswer {
    /// What was asked.
    pub lookup: Lookup,
    /// Where the server is; or why nobody knows, for people to read.
    pub found: Result<Located, Box<str>>,
}

/// What is known of a server whose name was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its full name: programs derive their realm from it.
    pub name: Box<str>,
    /// Its address and port.
    pub address: SocketAddr,
    /// Its further addresses, each with the port: the next one is asked when one does not answer.
    pub others: Vec<SocketAddr>,
    /// This host's address towards it; `None` when there is no way to it at the moment.
    pub local: Option<Ipv4Addr>,
}
