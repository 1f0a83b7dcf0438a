//! Hosts, and where their managers listen.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Hosts whose manager talks to this server, with the manager's port.
#[derive(Default)]
pub(crate) struct Hosts {
    known: BTreeMap<IpAddr, Known>,
    /// The hosts by when they were last heard.
    by_turn: BTreeMap<u64, IpAddr>,
    last_turn: u64,
}

struct Known {
    port: u16,
    turn: u64,
}

/// A host that is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Where its manager listens, as far as is known.
    pub(crate) manager: SocketAddr,
    /// The manager of the host that was forgotten for it.
    pub(crate) given_up: Option<SocketAddr>,
}

impl Hosts {
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Remembers a host, in the place of the one silent longest when too many are known.
    ///
    /// Any program of a host can call itself the manager, so the port that is known stays, unless the host `begins` anew.
    pub(crate) fn remember(&mut self, manager: SocketAddr, begins: bool, most: usize) -> Remembered {
        let before = self.forget(manager.ip());
        let port = before.filter(|_| !begins).unwrap_or(manager.port());
        let silent =
            if self.known.len() >= most { self.by_turn.first_key_value().map(|(_, &host)| host) } else { None };
        let given_up = silent.and_then(|host| Some(SocketAddr::new(host, self.forget(host)?)));
        self.last_turn += 1;
        self.by_turn.insert(self.last_turn, manager.ip());
        self.known.insert(manager.ip(), Known { port, turn: self.last_turn });
        Remembered { manager: SocketAddr::new(manager.ip(), port), given_up }
    }

    /// The manager leaves; another program of its host cannot say so. True when it was known.
    pub(crate) fn leave(&mut self, manager: SocketAddr) -> bool {
        let known = self.known.get(&manager.ip()).is_some_and(|known| known.port == manager.port());
        if known {
            self.forget(manager.ip());
        }
        known
    }

    fn forget(&mut self, host: IpAddr) -> Option<u16> {
        let known = self.known.remove(&host)?;
        self.by_turn.remove(&known.turn);
        Some(known.port)
    }

    pub(crate) fn managers(&self) -> impl Iterator<Item = SocketAddr> {
        self.known.iter().map(|(&host, known)| SocketAddr::new(host, known.port))
    }
}
