//! What becomes of a server's changes: its disk, and its streams to the other servers of its domain.

use super::{
    history::Member,
    invariants::{Incarnation, Invariant, Violation},
    mutant::Mutant,
    node::{Domain, Node, Role, SERVER_PORT},
    process::{Process, Stimulus},
    streams::{Callee, Consequence, Party, Step, Surroundings},
    world::{Happening, World},
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use zephyr_engine::server::{
    Changed, Command, KeeperId,
    peers::stream::{StreamEvent, StreamOrder},
};

/// How long a disk takes at most to store what it has.
const MAX_DISK_MILLIS: u64 = 50;
/// How many times slower disks are where each run of a server has the identity of the first: only what was not stored shows that.
const SLOW_DISK: u64 = 20;
/// Changes that a server tells of in a second at most: all of a snapshot may come at once.
const MAX_CHANGES_PER_SECOND: u32 = 3000;
/// How far apart the clocks of two servers may be that prove themselves to each other, in seconds.
const CLOCK_SKEW: u64 = 300;

impl World {
    /// A server's change goes to its disk.
    pub(super) fn keep(&mut self, node: usize, changed: &Changed) -> Result<(), Violation> {
        self.checker.numbers.changes += 1;
        if let Some(Process::Server(server)) = &self.nodes[node].process {
            self.history.changed(self.group_of(node), self.now, server, changed);
        }
        let is_first = self.nodes[node].disk.as_mut().is_some_and(|disk| disk.take(changed.clone()));
        if is_first {
            self.begin_to_store(node);
        }
        let second = self.now.as_secs();
        let changes = &mut self.nodes[node].changes;
        *changes = (second, if changes.0 == second { changes.1 + 1 } else { 1 });
        if changes.1 > MAX_CHANGES_PER_SECOND {
            return self.checked(node, Err((Invariant::Timers, "tells of changes again and again".to_owned())));
        }
        Ok(())
    }

    fn begin_to_store(&mut self, node: usize) {
        let Some(disk) = &mut self.nodes[node].disk else { return };
        let up_to = disk.begin();
        let who = self.nodes[node].incarnation(node);
        let slower = if self.mutant == Some(Mutant::KeepsIdentity) { SLOW_DISK } else { 1 };
        let delay = self.random.millis(1, MAX_DISK_MILLIS * slower);
        self.later(delay, Happening::Stored(who));
        if self.mutant == Some(Mutant::DiskLies) {
            self.later(Duration::ZERO, Happening::ToldStored(who, up_to));
        }
    }

    /// A server's disk has stored what it was writing.
    pub(super) fn stored(&mut self, node: usize) -> Result<(), Violation> {
        let (mutant, now) = (self.mutant, self.now_of(node));
        let Some(disk) = &mut self.nodes[node].disk else { return Ok(()) };
        let stored = disk.stored(now, mutant);
        if disk.is_behind() {
            self.begin_to_store(node);
        }
        self.told_stored(node, stored)
    }

    /// A server hears what its disk has stored.
    pub(super) fn told_stored(&mut self, node: usize, up_to: u64) -> Result<(), Violation> {
        self.tell(node, || format!("has stored {up_to} changes"));
        self.give(node, Stimulus::Server(Command::Stored { keeper: KeeperId::Disk, up_to }))
    }

    /// A server ends in order, and keeps what it has.
    pub(super) fn end_in_order(&mut self, node: usize) {
        let (now, mutant) = (self.now_of(node), self.mutant);
        let Node { process, disk, .. } = &mut self.nodes[node];
        if let (Some(Process::Server(server)), Some(disk)) = (process, disk) {
            disk.ends(server, now, mutant);
        }
    }

    /// A server wants something of a stream.
    pub(super) fn order_stream(&mut self, node: usize, order: StreamOrder) {
        self.tell(node, || format!("orders {}", order_in_words(&order)));
        let who = self.nodes[node].incarnation(node);
        let party = self.party(node);
        let callee = match &order {
            StreamOrder::Connect { to, .. } => self.callee(node, *to),
            _ => Callee::Nobody,
        };
        self.with_streams(|streams, world| match order {
            StreamOrder::Connect { stream, .. } => streams.connect(party, stream, callee, world),
            StreamOrder::Offer { stream, to } => streams.offer(party, stream, to, world.random),
            StreamOrder::Send { stream, record } => streams.send(who, stream, record, world),
            StreamOrder::Close { stream } => streams.close(who, stream, world),
        });
    }

    fn party(&self, node: usize) -> Party {
        let host = self.nodes[node].host;
        Party { who: self.nodes[node].incarnation(node), host, address: self.hosts[host].address.into() }
    }

    /// Whom a server reaches at an address. Only servers of its own domain that know it take the connection: nobody else could
    /// prove that he is one.
    fn callee(&self, caller: usize, to: SocketAddr) -> Callee {
        let Some(host) = self.host_at(to) else { return Callee::NoHost };
        let address = self.party(caller).address;
        if to.port() != SERVER_PORT {
            return self.streams.offer_at(host, to.port(), address);
        }
        let listens = |node: &usize| {
            let node = &self.nodes[*node];
            node.role == Role::Server && node.host == host && node.process.is_some()
        };
        match (0..self.nodes.len()).find(listens) {
            Some(node) if self.believes(node, caller) => Callee::Listener(self.party(node)),
            _ => Callee::Nobody,
        }
    }

    /// Whether a server takes another one for one of its domain.
    fn believes(&self, node: usize, caller: usize) -> bool {
        let (here, there) = (&self.nodes[node], &self.nodes[caller]);
        let [one, other] = [here.host, there.host].map(|host| self.hosts[host].clock.offset);
        here.domain == there.domain
            && here.host != there.host
            && self.domains[here.domain].plan.neighbours
            && one.abs_diff(other) <= CLOCK_SKEW
    }

    fn with_streams(&mut self, does: impl FnOnce(&mut super::streams::Streams, &mut Surroundings<'_>)) {
        let Self { streams, network, random, now, is_well, mutant, .. } = self;
        let loses_records = *mutant == Some(Mutant::LosesRecords) && !*is_well;
        does(streams, &mut Surroundings { now: *now, network, random, is_well: *is_well, loses_records });
        while let Some(consequence) = self.streams.next() {
            match consequence {
                Consequence::Later(delay, step) => self.later(delay, Happening::Stream(step)),
                Consequence::Told(who, event) => self.later(Duration::ZERO, Happening::StreamTold(who, event)),
            }
        }
    }

    /// Something happens to a stream.
    pub(super) fn stream_happens(&mut self, step: Step) {
        self.with_streams(|streams, world| streams.happens(step, world));
    }

    /// A server hears of its stream.
    pub(super) fn hears_of_stream(&mut self, node: usize, event: StreamEvent) -> Result<(), Violation> {
        self.tell(node, || format!("hears {}", event_in_words(&event)));
        self.give(node, Stimulus::Stream(event))
    }

    /// A stream of a server breaks.
    pub(super) fn break_stream(&mut self, node: usize) {
        self.with_streams(|streams, world| streams.break_one(node, world));
    }

    /// A process is gone, and what its disk has not stored.
    pub(super) fn leave(&mut self, who: Incarnation) {
        self.with_streams(|streams, world| streams.crashed(who, world));
        let heartbeat = self.now_of(who.node).wall - self.random.millis(0, 1000);
        match &mut self.nodes[who.node].disk {
            Some(disk) => disk.crashed(heartbeat),
            None => self.state_is_lost(who.node),
        }
    }

    /// What a server knew is lost.
    fn state_is_lost(&mut self, node: usize) {
        let runs = std::mem::take(&mut self.nodes[node].runs);
        self.history.lost(self.group_of(node), runs);
    }

    /// A number that all servers have that know each other.
    pub(super) fn group_of(&self, node: usize) -> usize {
        let Domain { plan, servers, .. } = &self.domains[self.nodes[node].domain];
        if plan.neighbours { servers[0] } else { node }
    }

    /// Servers have what they must have, and those that know each other agree.
    pub(super) fn check_servers(&self) -> Result<(), Violation> {
        let mut groups: BTreeMap<usize, Vec<Member<'_>>> = BTreeMap::new();
        for (node, it) in self.nodes.iter().enumerate() {
            if let Some(Process::Server(server)) = &it.process {
                groups.entry(self.group_of(node)).or_default().push(Member { node, server });
            }
        }
        groups.iter().try_for_each(|(&group, members)| match self.history.check(group, members) {
            Ok(()) => Ok(()),
            Err((node, checked)) => self.checked(node, checked),
        })
    }

    /// A server's disk is lost.
    pub(super) fn lose_disk(&mut self, node: usize) {
        self.tell(node, || "has lost its disk".to_owned());
        self.state_is_lost(node);
        self.nodes[node].disk = None;
    }
}

fn order_in_words(order: &StreamOrder) -> String {
    match order {
        StreamOrder::Send { stream, record } => format!("{} octets on stream {:x}", record.len(), stream.0),
        other => format!("{other:?}"),
    }
}

fn event_in_words(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Record { stream, record } => format!("{} octets on stream {:x}", record.len(), stream.0),
        other => format!("{other:?}"),
    }
}
