//! Hosts, and the addresses of their host managers.

use crate::server::request::Path;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Hosts whose manager talks to this server, with the manager's port.
#[derive(Default)]
pub(crate) struct Hosts {
    known: BTreeMap<IpAddr, Known>,
    /// The hosts by when they last sent something; before them those that may all be made up.
    by_turn: BTreeMap<(bool, u64), IpAddr>,
    last_turn: u64,
}

struct Known {
    port: u16,
    /// The address of this host that its manager uses.
    local: Option<IpAddr>,
    /// Whether a program of the host has shown that it receives there, and when the host last sent something.
    turn: (bool, u64),
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

    /// Remembers a host, in the place of the one silent longest when too many are known: of one that nothing shows to be
    /// there, if there is such a host.
    ///
    /// Any program of a host can call itself the manager, so the port that is known stays, and the address that its
    /// manager uses, unless the host `begins` anew.
    pub(crate) fn remember(&mut self, path: Path, begins: bool, max: usize) -> Remembered {
        let manager = path.from;
        let confirmed = self.known.get(&manager.ip()).is_some_and(|known| known.turn.0);
        let before = self.forget(manager.ip()).filter(|known| !begins && known.port != manager.port());
        let (port, local) = before.map_or((manager.port(), path.local), |known| (known.port, known.local));
        let silent = if self.known.len() >= max { self.by_turn.first_key_value().map(|(_, &host)| host) } else { None };
        let given_up = silent.and_then(|host| Some(SocketAddr::new(host, self.forget(host)?.port)));
        self.last_turn += 1;
        let turn = (confirmed, self.last_turn);
        self.by_turn.insert(turn, manager.ip());
        self.known.insert(manager.ip(), Known { port, local, turn });
        Remembered { manager: SocketAddr::new(manager.ip(), port), given_up }
    }

    /// A program of a host has shown that it receives there, so the host is not made up.
    pub(crate) fn confirm(&mut self, host: IpAddr) {
        if let Some(known) = self.known.get_mut(&host) {
            self.by_turn.remove(&known.turn);
            known.turn.0 = true;
            self.by_turn.insert(known.turn, host);
        }
    }

    /// Whether this is the known manager of its host.
    pub(crate) fn is_manager(&self, manager: SocketAddr) -> bool {
        self.known.get(&manager.ip()).is_some_and(|known| known.port == manager.port())
    }

    /// The manager leaves; another program of its host cannot say so. True when it was known.
    pub(crate) fn leave(&mut self, manager: SocketAddr) -> bool {
        let known = self.is_manager(manager);
        if known {
            self.forget(manager.ip());
        }
        known
    }

    fn forget(&mut self, host: IpAddr) -> Option<Known> {
        let known = self.known.remove(&host)?;
        self.by_turn.remove(&known.turn);
        Some(known)
    }

    /// The managers, and which address of this host each of them uses.
    pub(crate) fn managers(&self) -> impl Iterator<Item = Path> {
        self.known.iter().map(|(&host, known)| Path { from: SocketAddr::new(host, known.port), local: known.local })
    }
}
