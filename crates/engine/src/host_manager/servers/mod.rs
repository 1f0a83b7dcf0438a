//! The servers of a host manager: which there are, which is the current one, and where each is (host manager, section 2).

mod choosing;
#[cfg(test)]
mod tests;

use super::{
    discovery::{Candidate, Discovered},
    lookup::{Located, Lookup, LookupAnswer},
    random::Random,
    returning::Probe,
    server::{Moved, Server, Waiting},
};
use std::{mem, net::SocketAddr, time::Duration};

/// Maximum number of servers; of more that are discovered, the first ones of the source count.
const MAX_SERVERS: usize = 64;
/// Maximum number of look-ups under way: of those that hang, some may be of servers that are in the list no more.
const MAX_LOOKUPS: usize = 2 * MAX_SERVERS;

/// The servers of a host manager: perhaps none, as long as none is discovered.
#[derive(Debug)]
pub struct Servers {
    list: Vec<Server>,
    current: usize,
    /// Choices since the primary was last returned to.
    choices: u32,
    /// Which source named them.
    source: Option<Box<str>>,
    /// Whether they are to be discovered.
    discovers: bool,
    /// Look-ups under way.
    asked: Vec<Lookup>,
    random: Random,
}

/// What is told of a list: its source, and which servers are how much to be preferred, whatever their order.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    source: Option<Box<str>>,
    list: Vec<Candidate>,
}

/// What another list has changed.
#[derive(Debug)]
pub(super) struct Replaced {
    /// Whether it is another one than before, apart from its order.
    pub(super) is_news: bool,
    /// The server that was talked to and is not in the list any more.
    pub(super) left: Option<Server>,
}

impl Servers {
    /// These servers, each once, and no others ever: the first is the primary, all others are equal. `None` when there are
    /// none. `seed` decides which server follows a lost one, and how much waits vary.
    pub fn new(servers: Vec<Server>, seed: u64) -> Option<Self> {
        let mut list: Vec<Server> = Vec::new();
        for server in servers {
            if !list.iter().any(|known| known.is_same(&server)) {
                let priority = u16::from(!list.is_empty());
                list.push(server.ranked(priority, 0));
            }
        }
        (!list.is_empty()).then(|| Self { list, discovers: false, ..Self::to_discover(seed) })
    }

    /// Servers that are to be discovered ([`Job::Discover`](super::Job::Discover)): none until then.
    pub const fn to_discover(seed: u64) -> Self {
        let random = Random::new(seed);
        Self { list: Vec::new(), current: 0, choices: 0, source: None, discovers: true, asked: Vec::new(), random }
    }

    /// Whether they are to be discovered.
    pub(super) const fn are_discovered(&self) -> bool {
        self.discovers
    }

    /// The server that is talked to, or is to be; `None` while none is known.
    pub fn current(&self) -> Option<&Server> {
        self.list.get(self.current)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Server> {
        self.list.get_mut(self.current)
    }

    /// Which source named them, for people to read; `None` where nobody had to ask.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The servers, in the source's order.
    pub fn iter(&self) -> impl Iterator<Item = &Server> {
        self.list.iter()
    }

    /// The number of servers; several names of one are one.
    pub fn len(&self) -> usize {
        usize::from(!self.is_empty()) + self.others().len()
    }

    /// Whether none is known.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of addresses at which there may be a server: greetings of a whole round.
    pub(super) fn addresses(&self) -> usize {
        let others = self.others().into_iter().filter_map(|place| self.list.get(place));
        others.chain(self.current()).map(Server::addresses).sum::<usize>().max(1)
    }

    /// A wait that is a little shorter or longer than this one.
    pub(super) fn jittered(&mut self, wait: Duration) -> Duration {
        self.random.jittered(wait)
    }

    /// Whether one of them is at this address and port.
    pub fn is_server(&self, address: SocketAddr) -> bool {
        self.list.iter().any(|server| server.address() == Some(address))
    }

    /// What was answered to probes until now does not count.
    pub(super) fn forget_probes(&mut self) {
        for server in &mut self.list {
            server.probe = Probe::default();
        }
    }

    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut Server> {
        self.list.get_mut(place)
    }

    pub(super) fn at(&self, place: usize) -> Option<&Server> {
        self.list.get(place)
    }

    /// Takes over the servers that were discovered in place of those that were known. What is known of one that stays is
    /// kept. When the current one is not among them, the first by priority and weight is the current one.
    pub(super) fn replace(&mut self, found: Discovered) -> Replaced {
        let before = self.summary();
        let mut old: Vec<Option<Server>> = mem::take(&mut self.list).into_iter().map(Some).collect();
        let mut current = None;
        for Candidate { host, port, priority, weight } in found.candidates {
            let new = Server::new(&host, port).ranked(priority, weight);
            if self.list.len() == MAX_SERVERS || self.list.iter().any(|known| known.is_same(&new)) {
                continue;
            }
            let is_named = |known: &Server| known.is_named(&host, port);
            let place = old.iter().position(|known| known.as_ref().is_some_and(is_named));
            let place =
                place.or_else(|| old.iter().position(|known| known.as_ref().is_some_and(|known| known.is_same(&new))));
            let known = place.and_then(|place| old.get_mut(place)?.take());
            if place.is_some() && place == Some(self.current) {
                current = Some(self.list.len());
            }
            self.list.push(match known {
                Some(known) => known.renamed(host, port).ranked(priority, weight),
                None => new,
            });
        }
        let left = if current.is_none() { old.get_mut(self.current).and_then(Option::take) } else { None };
        self.source = Some(found.source);
        self.choices = 0;
        self.current = current.or_else(|| self.pick(&(0..self.list.len()).collect::<Vec<_>>())).unwrap_or(0);
        Replaced { is_news: before != self.summary(), left }
    }

    fn summary(&self) -> Summary {
        let rank = |server: &Server| Candidate {
            host: server.host.clone(),
            port: server.port,
            priority: server.priority,
            weight: server.weight,
        };
        let mut list: Vec<Candidate> = self.list.iter().map(rank).collect();
        list.sort_unstable_by(|one, other| (&one.host, one.port).cmp(&(&other.host, other.port)));
        Summary { source: self.source.clone(), list }
    }

    /// The look-ups of all servers of which no address is known.
    pub(super) fn lookups(&mut self) -> Vec<Lookup> {
        let unknown = self.list.iter().filter(|server| server.address().is_none()).map(Server::lookup);
        let unknown: Vec<Lookup> = unknown.collect();
        unknown.into_iter().filter_map(|lookup| self.ask(lookup)).collect()
    }

    /// The look-up of the server at this place, unless one is under way.
    pub(super) fn lookup_of(&mut self, place: usize) -> Option<Lookup> {
        let lookup = self.list.get(place)?.lookup();
        self.ask(lookup)
    }

    /// The look-up of the current server, unless one is under way.
    pub(super) fn lookup(&mut self) -> Option<Lookup> {
        self.lookup_of(self.current)
    }

    fn ask(&mut self, lookup: Lookup) -> Option<Lookup> {
        if self.asked.len() >= MAX_LOOKUPS || self.asked.contains(&lookup) {
            return None;
        }
        self.asked.push(lookup.clone());
        Some(lookup)
    }

    /// Notes the result of a look-up. What `stays` is the current server's address, as it answers there.
    pub(super) fn looked_up(&mut self, answer: LookupAnswer, stays: bool) -> Option<Moved> {
        let LookupAnswer { lookup, found } = answer;
        self.asked.retain(|asked| *asked != lookup);
        let place = self.list.iter().position(|server| server.is_named(&lookup.host, lookup.port))?;
        let is_current = place == self.current;
        let server = self.list.get_mut(place)?;
        match found {
            Ok(Located { name, address, others, local }) => {
                server.located(name, &[&[address], &others[..]].concat(), local);
                if is_current && stays { None } else { server.move_on().filter(|_| is_current) }
            }
            Err(error) => {
                server.not_located(error);
                None
            }
        }
    }

    /// Takes over where the current server is by its last look-up.
    pub(super) fn move_on(&mut self) -> Option<Moved> {
        self.current_mut()?.move_on()
    }

    /// What the current server keeps the host manager waiting for, unless that was told already.
    pub(super) fn tell_waiting(&mut self) -> Option<Waiting> {
        self.current_mut()?.tell_waiting()
    }

    /// The current server answers: what others keep one waiting for is news again.
    pub(super) fn found(&mut self) {
        for server in &mut self.list {
            server.forget_told();
        }
        if let Some(current) = self.current_mut() {
            current.silent = false;
        }
    }
}
