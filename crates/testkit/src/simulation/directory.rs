//! What name services say about which servers a domain has: an operator's records, with priorities and weights, which change.

use super::{node::SERVER_PORT, random::Random, world::World};
use std::time::Duration;
use zephyr_engine::host_manager::{Candidate, Discovered, NotFound};

/// Of a thousand discoveries that go well, so many find no records, as an operator has just taken them away.
const EMPTY: u16 = 30;

/// A server as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Its node.
    server: usize,
    priority: u16,
    weight: u16,
}

/// The records of a domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    entries: Vec<Entry>,
    /// How long an answer holds; `None`: the records are a file, which does not change.
    valid_for: Option<Duration>,
    /// When they were changed last.
    pub changed: Duration,
}

impl Directory {
    /// Records of these servers.
    pub(super) fn new(servers: &[usize], random: &mut Random) -> Self {
        let seconds = random.one_of(None, [Some(0), Some(20), Some(60), Some(120)]);
        let mut directory = Self { valid_for: seconds.map(Duration::from_secs), ..Self::default() };
        directory.record(servers, random);
        directory
    }

    /// Whether they may change.
    pub(super) const fn may_change(&self) -> bool {
        self.valid_for.is_some()
    }

    /// Records these servers, with other priorities and weights.
    fn record(&mut self, servers: &[usize], random: &mut Random) {
        let entry = |&server: &usize| Entry {
            server,
            priority: random.one_of(0, [0, 0, 10, 20]),
            weight: random.one_of(0, [0, 1, 10, 100]),
        };
        self.entries = servers.iter().map(entry).collect();
    }

    /// The servers that come before all others: of the lowest priority those that are not being drained.
    pub(super) fn best(&self) -> Vec<usize> {
        let lowest = self.entries.iter().map(|entry| entry.priority).min();
        let first: Vec<&Entry> = self.entries.iter().filter(|entry| Some(entry.priority) == lowest).collect();
        let has_weights = first.iter().any(|entry| entry.weight > 0);
        first.into_iter().filter(|entry| entry.weight > 0 || !has_weights).map(|entry| entry.server).collect()
    }

    /// Whether this server is recorded.
    pub(super) fn has(&self, server: usize) -> bool {
        self.entries.iter().any(|entry| entry.server == server)
    }
}

impl World {
    /// An operator changes a domain's records: some of its servers, or all of them.
    pub(super) fn change_directory(&mut self, domain: usize) {
        let servers = self.domains[domain].servers.clone();
        let random = &mut self.name_service;
        let all = self.is_well || random.chance(400);
        let mut some: Vec<usize> = servers.iter().copied().filter(|_| all || random.chance(600)).collect();
        if some.is_empty() {
            some.extend(random.pick(&servers).copied());
        }
        let directory = &mut self.domains[domain].directory;
        directory.record(&some, random);
        directory.changed = self.now;
        let directory = directory.clone();
        self.trace.add(self.now, "world", || format!("domain {domain} has the records {directory:?}"));
    }

    /// A host manager asks which servers there are.
    pub(super) fn discover(&mut self, node: usize) -> Result<Discovered, NotFound> {
        let fails = !self.is_well && self.name_service.chance(self.scenario.driver.failed_jobs);
        let is_empty = !self.is_well && self.name_service.chance(EMPTY);
        let Directory { entries, valid_for, .. } = &self.domains[self.nodes[node].domain].directory;
        let candidate = |entry: &Entry| Candidate {
            host: self.nodes[entry.server].name.as_str().into(),
            port: SERVER_PORT,
            priority: entry.priority,
            weight: entry.weight,
        };
        let candidates = entries.iter().map(candidate).collect();
        let found = match (fails, is_empty) {
            (true, _) => Err(NotFound::NoAnswer("out of order".into())),
            (false, true) => Err(NotFound::NoServer("no records".into())),
            (false, false) => Ok(Discovered { candidates, source: "records".into(), valid_for: *valid_for }),
        };
        self.tell(node, || format!("has discovered {found:?}"));
        found
    }
}
