//! The nodes of a simulation: hosts and the programs on them.

use super::{
    auth::{Kdc, Ticket},
    clock::WallClock,
    directory::Directory,
    disk::Disk,
    invariants::Incarnation,
    process::Process,
    scenario::DomainPlan,
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use zephyr_engine::server::ServerId;

/// The port of all servers.
pub(super) const SERVER_PORT: u16 = 2103;
/// The port of all host managers.
pub(super) const HOST_MANAGER_PORT: u16 = 2104;

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    /// Its address on the network.
    pub address: Ipv4Addr,
    /// Its calendar.
    pub clock: WallClock,
    /// When it last got another address.
    pub moved_at: Option<Duration>,
    /// When somebody last sent something to it in another's name.
    pub forged_at: Option<Duration>,
}

impl Host {
    /// Another address of it, from which it sends only what is said to go from there.
    pub(super) const fn alias(&self) -> Ipv4Addr {
        let [network, site, _, number] = self.address.octets();
        Ipv4Addr::new(network, site, 1, number)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A server.
    Server,
    /// A host manager.
    HostManager,
    /// A program of this user of its domain.
    Client {
        /// Which user.
        user: usize,
        /// Whether it wants to see everything.
        raw: bool,
    },
}

/// A place where a program runs, or does not run at the moment.
pub(super) struct Node {
    /// Its name in traces.
    pub name: String,
    /// Its domain.
    pub domain: usize,
    /// Its host.
    pub host: usize,
    /// The port that it is on.
    pub port: u16,
    /// What it is.
    pub role: Role,
    /// The program, if it runs.
    pub process: Option<Process>,
    /// How often it was started.
    pub starts: u32,
    /// When it was started last.
    pub born: Duration,
    /// When its driver will wake up.
    pub timer: Option<Duration>,
    /// Its socket takes no more at the moment.
    pub blocked: bool,
    /// Jobs that are under way.
    pub jobs: usize,
    /// The second in which its driver woke up last, and how often.
    pub wakes: (u64, u32),
    /// The second in which it told of a change last, and of how many.
    pub changes: (u64, u32),
    /// Operations that it has begun.
    pub operations: u64,
    /// A server has acknowledged that its host has started, if it is a host manager.
    pub begun: bool,
    /// What is kept when it ends, if it is a server that keeps anything.
    pub disk: Option<Disk>,
    /// It crashes when it answers the next request that changes something, and is back after this long.
    pub dies_of_answer: Option<Duration>,
    /// Whether its servers are discovered, if it is a host manager.
    pub discovers: bool,
    /// The first of its servers, if it is a host manager whose servers are not discovered.
    pub first: Option<usize>,
    /// When its server first answered it, if it is a host manager.
    pub found_at: Duration,
    /// The identities of all of its runs whose state lives on, if it is a server.
    pub runs: Vec<ServerId>,
}

impl Node {
    /// A node that does not run yet.
    pub(super) const fn new(name: String, domain: usize, host: usize, port: u16, role: Role) -> Self {
        Self {
            name,
            domain,
            host,
            port,
            role,
            process: None,
            starts: 0,
            born: Duration::ZERO,
            timer: None,
            blocked: false,
            jobs: 0,
            wakes: (0, 0),
            changes: (0, 0),
            operations: 0,
            begun: false,
            disk: None,
            dies_of_answer: None,
            discovers: false,
            first: None,
            found_at: Duration::ZERO,
            runs: Vec::new(),
        }
    }

    /// The program that runs there, among all that ran there.
    pub(super) const fn incarnation(&self, node: usize) -> Incarnation {
        Incarnation { node, start: self.starts }
    }

    /// The server's name at which a host manager is, if it is one that has found one.
    pub(super) fn settled_at(&self) -> Option<&str> {
        match &self.process {
            Some(Process::HostManager(machine)) if !machine.is_looking() => Some(machine.server_name()),
            _ => None,
        }
    }
}

/// A user, and the tickets that there are at the moment.
#[derive(Debug)]
pub(super) struct User {
    /// The name with its realm.
    pub principal: String,
    /// The tickets.
    pub ticket: Option<Arc<Ticket>>,
    /// Whether there ever are any.
    pub has_password: bool,
}

/// A domain.
pub(super) struct Domain {
    /// Its realm.
    pub realm: String,
    /// Who gives tickets.
    pub kdc: Kdc,
    /// The users.
    pub users: Vec<User>,
    /// The nodes that are its servers.
    pub servers: Vec<usize>,
    /// What name services say of its servers.
    pub directory: Directory,
    /// What was planned.
    pub plan: DomainPlan,
}
