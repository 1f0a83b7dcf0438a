//! What must hold of host managers: a dead server is left for another one, a healthy one is not, and in the end everybody is
//! at the best one.

use super::{
    invariants::{Incarnation, Invariant, Violation},
    mutant::Mutant,
    node::{Node, Role},
    recovery,
    world::{Happening, World},
};
use std::{net::SocketAddr, time::Duration};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
};
use zephyr_engine::{
    host_manager::event::{Boot, Event, ServerChange},
    machine::Transmit,
};

/// When a dead server must have been left at the latest, from when a packet for it came.
const MAX_FAILOVER: Duration = Duration::from_secs(25);
/// Timers that follow each other until a dead server is left: each driver may wake up late.
const TIMERS: u32 = 10;
/// How long after its last crash a server may still seem alive, or dead: packets are late.
const LATE: Duration = Duration::from_secs(5);
/// How long it takes until all is calm, once all is well.
const CALM: Duration = Duration::from_secs(240);
/// How long a server must have been running so that nobody has a reason to leave it.
const HEALTHY: Duration = Duration::from_secs(90);
/// How long it takes until everybody knows which servers are recorded.
const RECORDS: Duration = Duration::from_secs(240);

/// A packet that waits for a dead server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// The host manager.
    pub manager: Incarnation,
    /// The server that was dead when the packet came.
    server: Incarnation,
    since: Duration,
}

impl World {
    /// The server that a host manager is at, unless it looks for one.
    fn server_at(&self, manager: usize) -> Option<usize> {
        let name = self.nodes[manager].settled_at()?;
        self.nodes.iter().position(|node| node.name == name)
    }

    /// A packet comes to a host manager: when its server is dead, it must soon have found that out.
    pub(super) fn watch_failover(&mut self, manager: usize, from: SocketAddr, notice: &Notice<'_>) {
        let is_of_program = from.ip().is_loopback() && matches!(notice.kind, Kind::Acked | Kind::Unacked);
        if !is_of_program || self.nodes[manager].role != Role::HostManager || !self.seen_first(manager, notice) {
            return;
        }
        let Some(server) = self.server_at(manager).filter(|server| self.nodes[*server].process.is_none()) else {
            return;
        };
        let who = self.nodes[manager].incarnation(manager);
        let server = self.nodes[server].incarnation(server);
        let waiting = Waiting { manager: who, server, since: self.now };
        let lateness = self.scenario.driver.lateness * TIMERS;
        self.later(MAX_FAILOVER + lateness + LATE, Happening::MustHaveLeft(waiting));
    }

    /// A packet that comes again waits since it first came.
    fn seen_first(&self, manager: usize, notice: &Notice<'_>) -> bool {
        !self.checker.has_come(self.nodes[manager].incarnation(manager), notice)
    }

    /// The host manager must have left the server by now, unless that has started again, or somebody speaks in its name.
    pub(super) fn check_failover(&self, waiting: Waiting) -> Result<(), Violation> {
        let Waiting { manager, server, since } = waiting;
        let dead = &self.nodes[server.node];
        let is_dead = dead.process.is_none() && dead.starts == server.start;
        let host = &self.hosts[self.nodes[manager.node].host];
        let is_deceived = host.forged_at.is_some_and(|at| at + LATE >= since);
        if !self.runs(manager) || !is_dead || is_deceived || self.server_at(manager.node) != Some(server.node) {
            return Ok(());
        }
        let seen = format!("still at {}, which was dead when a packet came at {:.6} s", dead.name, since.as_secs_f64());
        self.checked(manager.node, Err((Invariant::Failover, seen)))
    }

    /// A host manager tells something.
    pub(super) fn host_manager_tells(&mut self, node: usize, event: &Event) -> Result<(), Violation> {
        self.tell(node, || format!("tells {event:?}"));
        match event {
            Event::Boot(boot) => self.nodes[node].begun = *boot == Boot::Acknowledged,
            Event::Server(ServerChange::Found { .. }) => self.nodes[node].found_at = self.now,
            Event::Server(ServerChange::Lost { old, .. }) => return self.check_left(node, old),
            _ => {}
        }
        Ok(())
    }

    /// A host manager has left a server without a better one: not a healthy one, when all is calm.
    fn check_left(&self, manager: usize, name: &str) -> Result<(), Violation> {
        let Some(server) = self.nodes.iter().position(|node| node.name == name) else { return Ok(()) };
        let Node { process, born, .. } = &self.nodes[server];
        let directory = &self.domains[self.nodes[manager].domain].directory;
        let is_calm = self.is_well && self.now > self.scenario.active + CALM;
        // It may have moved away while nobody had anything to say to it.
        let moved_at = self.hosts[self.nodes[server].host].moved_at;
        let is_there = moved_at.is_none_or(|moved| moved < self.nodes[manager].found_at);
        let is_healthy = process.is_some() && *born + HEALTHY < self.now && is_there;
        let is_taken_away = !directory.has(server) || directory.changed + RECORDS > self.now;
        if !is_calm || !is_healthy || (self.nodes[manager].discovers && is_taken_away) {
            return Ok(());
        }
        let seen = format!("{name} was left, though it has been there since {:.6} s", born.as_secs_f64());
        self.checked(manager, Err((Invariant::Steadiness, seen)))
    }

    /// All host managers are at the best of their servers. One that is too full to say how it is does not count as such.
    pub(super) fn check_best(&self) -> Result<(), Violation> {
        if self.scenario.cramped {
            return Ok(());
        }
        let managers = (0..self.nodes.len()).filter(|&node| self.nodes[node].role == Role::HostManager);
        for manager in managers.filter(|&node| self.nodes[node].process.is_some()) {
            let Node { discovers, first, domain, .. } = &self.nodes[manager];
            let best =
                if *discovers { self.domains[*domain].directory.best() } else { first.iter().copied().collect() };
            let server = self.server_at(manager);
            if server.is_none_or(|server| !best.contains(&server)) {
                let name = |node: usize| self.nodes[node].name.clone();
                let best: Vec<String> = best.into_iter().map(name).collect();
                let seen = format!("at {:?}, and the best one is {}", server.map(name), best.join(" or "));
                return self.checked(manager, Err((Invariant::BestServer, seen)));
            }
        }
        Ok(())
    }

    /// Whether the host manager of a node's host has had its server since programs subscribed for the last time.
    pub(super) fn is_steady(&self, node: usize) -> bool {
        let host = self.nodes[node].host;
        let manager = self.nodes.iter().find(|other| other.role == Role::HostManager && other.host == host);
        manager.is_some_and(|manager| {
            manager.settled_at().is_some() && manager.found_at < self.scenario.active + recovery::SUBSCRIBING
        })
    }

    /// A fault: the probes of better servers are not answered.
    pub(super) fn hides_status(&self, node: usize, notice: &Notice<'_>) -> bool {
        self.mutant == Some(Mutant::HidesStatus)
            && self.nodes[node].role == Role::HostManager
            && notice.class.eq_ignore_ascii_case(names::ZEPHYR_ADMIN)
            && notice.opcode == names::STATUS
    }

    /// A fault: dead servers answer greetings.
    pub(super) fn answers_for_the_dead(&mut self, node: usize, transmit: &Transmit) {
        let Some(host) = self.host_at(transmit.to) else { return };
        let is_dead = |server: &Node| server.role == Role::Server && server.host == host && server.process.is_none();
        if self.mutant != Some(Mutant::DeadAnswer)
            || self.nodes[node].role != Role::HostManager
            || !self.nodes.iter().any(is_dead)
        {
            return;
        }
        let Ok(packet) = Packet::parse(&transmit.payload) else { return };
        if packet.notice.instance != names::HM || packet.notice.opcode != names::ATTACH {
            return;
        }
        let answer = Notice { kind: Kind::ServAck, body: names::SENT, ..packet.notice };
        if let Ok(payload) = answer.write(&Claim::NONE, Limits::WHOLE_PACKET) {
            let to = self.address_of(node);
            let datagram = super::world::Datagram { from: transmit.to, host: self.nodes[node].host, to, payload };
            self.later(Duration::from_millis(1), Happening::Arrival(Box::new(datagram)));
        }
    }
}
