//! The servers of a host manager: which there are, which is the current one, and which is the next (host manager, sections 2
//! and 6). Those of the lowest priority come first, and among equals the weights decide (RFC 2782).

use super::{
    discovery::{Candidate, Discovered},
    lookup::{Located, Lookup, LookupAnswer},
    random::Random,
    returning::Probe,
    server::{Moved, Server, Waiting},
};
use std::{
    mem,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Maximum number of servers; of more that are discovered, the first ones of the source count.
const MAX_SERVERS: usize = 64;
/// Maximum number of look-ups under way: of those that hang, some may be of servers that are in the list no more.
const MAX_LOOKUPS: usize = 2 * MAX_SERVERS;
/// Choices away from the primary before it is tried again.
const CHOICES_BEFORE_PRIMARY: u32 = 3;
/// One choice in so many times the sum of all weights falls on a server without weight.
const UNWEIGHTED_ONE_IN: usize = 100;

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

    /// The current server does not answer where it was asked, or says that it goes: others come first, and it is at another
    /// of its addresses the next time.
    pub(super) fn blame_current(&mut self) {
        if let Some(current) = self.current_mut() {
            current.silent = true;
            current.take_next_address();
        }
    }

    /// Everything may be different now: those that did not answer may.
    pub(super) fn forgive_all(&mut self) {
        for server in &mut self.list {
            server.silent = false;
        }
    }

    /// What was answered to probes until now does not count.
    pub(super) fn forget_probes(&mut self) {
        for server in &mut self.list {
            server.probe = Probe::default();
        }
    }

    /// Chooses another server: the suggested one if it is in the list, now and then the primary, else one of those that were
    /// not silent the last time.
    pub(super) fn choose(&mut self, suggestion: Option<IpAddr>) {
        let is_suggested = |server: &Server| server.address().is_some_and(|address| Some(address.ip()) == suggestion);
        if let Some(place) = self.list.iter().position(is_suggested) {
            self.current = place;
            return;
        }
        let others = self.others();
        self.choices += 1;
        if self.choices > CHOICES_BEFORE_PRIMARY && !self.better().is_empty() {
            self.choices = 0;
            self.current = self.pick(&others).unwrap_or(self.current);
            return;
        }
        let is_heard = |place: &usize| self.list.get(*place).is_some_and(|server| !server.silent);
        let heard: Vec<usize> = others.iter().copied().filter(is_heard).collect();
        if heard.is_empty() {
            // A round is over, and another begins.
            for place in &others {
                if let Some(server) = self.list.get_mut(*place) {
                    server.silent = false;
                }
            }
        }
        self.current = self.pick(if heard.is_empty() { &others } else { &heard }).unwrap_or(self.current);
    }

    /// Chooses the first server whose address is known; whether there is one.
    pub(super) fn choose_known(&mut self) -> bool {
        let known: Vec<usize> = (0..self.list.len())
            .filter(|&place| self.list.get(place).is_some_and(|server| server.address().is_some()))
            .collect();
        let first = known.into_iter().min_by_key(|&place| self.rank(place));
        self.current = first.unwrap_or(self.current);
        first.is_some()
    }

    /// Chooses the server at this place.
    pub(super) fn choose_place(&mut self, place: usize) {
        if place < self.list.len() {
            (self.current, self.choices) = (place, 0);
        }
    }

    /// The places of the servers that are to be preferred to the current one, the best first.
    pub(super) fn better(&self) -> Vec<usize> {
        let current = self.rank(self.current);
        let mut better: Vec<usize> = self.others().into_iter().filter(|&place| self.rank(place) < current).collect();
        better.sort_by_key(|&place| (self.rank(place), place));
        better
    }

    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut Server> {
        self.list.get_mut(place)
    }

    pub(super) fn at(&self, place: usize) -> Option<&Server> {
        self.list.get(place)
    }

    /// How much a server is to be preferred, the lower the more: by its priority; and one that has no weight, while equals of
    /// it have, is being drained.
    pub(super) fn rank(&self, place: usize) -> Option<(u16, bool)> {
        let server = self.list.get(place)?;
        let is_equal = |other: &&Server| other.priority == server.priority;
        let is_drained = server.weight == 0 && self.list.iter().filter(is_equal).any(|other| other.weight > 0);
        Some((server.priority, is_drained))
    }

    /// The places of the other servers, from the current one on, without other names of it.
    fn others(&self) -> Vec<usize> {
        let Some(current) = self.current() else { return Vec::new() };
        let places = (1..self.list.len()).map(|step| (self.current + step) % self.list.len());
        places.filter(|&place| self.list.get(place).is_some_and(|server| !server.is_same(current))).collect()
    }

    /// One of those of the lowest priority among these, by their weights (RFC 2782).
    fn pick(&mut self, places: &[usize]) -> Option<usize> {
        let servers = || places.iter().filter_map(|&place| Some((place, self.list.get(place)?)));
        let first = servers().map(|(_, server)| server.priority).min()?;
        let equals: Vec<(usize, u16)> = servers()
            .filter(|(_, server)| server.priority == first)
            .map(|(place, server)| (place, server.weight))
            .collect();
        let unweighted: Vec<usize> =
            equals.iter().filter(|(_, weight)| *weight == 0).map(|&(place, _)| place).collect();
        let total: usize = equals.iter().map(|&(_, weight)| usize::from(weight)).sum();
        let point = self.random.below(total * UNWEIGHTED_ONE_IN + 1);
        if point == 0 && !unweighted.is_empty() {
            let step = self.random.below(unweighted.len());
            return unweighted.get(step).copied();
        }
        let mut point = point.div_ceil(UNWEIGHTED_ONE_IN);
        for &(place, weight) in &equals {
            let weight = usize::from(weight);
            if weight > 0 && point <= weight {
                return Some(place);
            }
            point = point.saturating_sub(weight);
        }
        equals.first().map(|&(place, _)| place)
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

    /// What is told of the list: its source, and which servers are how much to be preferred.
    fn summary(&self) -> (Option<Box<str>>, Vec<(Box<str>, u16, u16, u16)>) {
        let server = |server: &Server| (server.host.clone(), server.port, server.priority, server.weight);
        let mut list: Vec<_> = self.list.iter().map(server).collect();
        list.sort_unstable();
        (self.source.clone(), list)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn servers(count: u16) -> Servers {
        let server = |port| Server::at(&format!("s{port}"), SocketAddr::from(([10, 0, 0, 1], port)));
        Servers::new((1..=count).chain([1]).map(server).collect(), 7).expect("some")
    }

    fn port(servers: &Servers) -> u16 {
        servers.current().expect("some").port
    }

    #[test]
    fn one_server_follows_itself() {
        let mut one = servers(1);
        assert_eq!(one.len(), 1, "the same twice is one");
        for _ in 0..9 {
            one.blame_current();
            one.choose(None);
            assert_eq!(port(&one), 1);
        }
        assert!(Servers::new(Vec::new(), 0).is_none());
    }

    #[test]
    fn another_is_chosen_and_the_primary_returned_to() {
        for are_blamed in [true, false] {
            let mut three = servers(3);
            let mut away = 0;
            let mut seen = [false; 4];
            for _ in 0..50 {
                let before = port(&three);
                if are_blamed {
                    three.blame_current();
                }
                three.choose(None);
                let now = port(&three);
                assert_ne!(now, before);
                seen[usize::from(now)] = true;
                away = if now == 1 { 0 } else { away + 1 };
                assert!(away <= 4, "never long without the primary");
            }
            assert_eq!(seen[1..], [true; 3]);
        }
    }

    /// However many there are: the primary is tried now and then, and each other one some day.
    #[test]
    fn of_many_that_are_silent_each_is_tried() {
        let mut many = servers(20);
        let (mut away, mut seen) = (0, [false; 21]);
        for _ in 0..60 {
            many.blame_current();
            many.choose(None);
            seen[usize::from(port(&many))] = true;
            away = if port(&many) == 1 { 0 } else { away + 1 };
            assert!(away <= 4);
        }
        assert_eq!(seen[1..], [true; 20]);
    }

    #[test]
    fn a_suggestion_counts_only_when_it_is_in_the_list() {
        let at = |host: u8| Server::at(&format!("s{host}"), SocketAddr::from(([10, 0, 0, host], 2103)));
        let mut two = Servers::new(vec![at(1), at(2)], 0).expect("some");
        two.choose(Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(two.current().map(Server::name), Some("s1"), "even the current one");
        two.choose(Some(IpAddr::from([10, 0, 0, 9])));
        assert_eq!(two.current().map(Server::name), Some("s2"), "unknown: any other");
    }

    fn discovered(candidates: &[(u8, u16, u16)]) -> Discovered {
        let candidate = |&(host, priority, weight): &(u8, u16, u16)| Candidate {
            host: format!("10.0.0.{host}").into(),
            port: 2103,
            priority,
            weight,
        };
        Discovered { candidates: candidates.iter().map(candidate).collect(), source: "DNS".into(), valid_for: None }
    }

    /// How often each is the first one, of a thousand hosts.
    fn first_ones(candidates: &[(u8, u16, u16)]) -> BTreeMap<Box<str>, usize> {
        let mut counts = BTreeMap::new();
        for seed in 0..1000 {
            let mut servers = Servers::to_discover(seed);
            servers.replace(discovered(candidates));
            *counts.entry(servers.current().expect("some").host.clone()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn equals_share_by_weight() {
        let counts = first_ones(&[(9, 20, 100), (1, 10, 60), (2, 10, 20), (3, 10, 20), (4, 10, 0)]);
        assert!(counts.get("10.0.0.9").is_none(), "of a worse priority");
        for (host, about) in [("10.0.0.1", 600), ("10.0.0.2", 200), ("10.0.0.3", 200)] {
            assert!(counts[host].abs_diff(about) < 50, "{counts:?}");
        }
        assert!(counts.get("10.0.0.4").is_none_or(|&count| count < 5), "hardly ever: {counts:?}");
        let counts = first_ones(&[(1, 0, 0), (2, 0, 0), (3, 0, 0)]);
        assert!(counts.len() == 3 && counts.values().all(|&count| count.abs_diff(333) < 60), "{counts:?}");
        assert_eq!(first_ones(&[(1, 0, u16::MAX), (2, 0, u16::MAX)]).len(), 2);
    }

    #[test]
    fn the_better_ones_are_those_of_a_lower_priority_and_those_that_are_not_drained() {
        let mut servers = Servers::to_discover(1);
        servers.replace(discovered(&[(1, 10, 0), (2, 10, 5), (3, 20, 0), (4, 20, 0)]));
        let better = |servers: &mut Servers, place| {
            servers.choose_place(place);
            servers.better()
        };
        assert_eq!([0, 1, 2, 3].map(|place| better(&mut servers, place)), [vec![1], vec![], vec![1, 0], vec![1, 0]]);
    }

    #[test]
    fn what_is_known_of_a_server_that_stays_is_kept() {
        let mut servers = Servers::to_discover(1);
        assert!(servers.replace(discovered(&[(1, 0, 1), (2, 1, 1)])).is_news);
        assert_eq!(servers.current().map(Server::name), Some("10.0.0.1"));
        let lookup = servers.lookup().expect("none is under way");
        let address = SocketAddr::from(([10, 0, 0, 1], 2103));
        let found = Located { name: "one.example".into(), address, others: Vec::new(), local: None };
        servers.looked_up(lookup.answer(Ok(found)), false);
        let replaced = servers.replace(discovered(&[(2, 1, 1), (1, 0, 1)]));
        assert!(!replaced.is_news && replaced.left.is_none(), "in another order");
        assert_eq!(servers.current().map(Server::name), Some("one.example"));
        let replaced = servers.replace(discovered(&[(3, 5, 1), (1, 9, 1)]));
        assert!(replaced.is_news && replaced.left.is_none(), "it stays, though it is not the best one any more");
        assert_eq!((servers.current().map(Server::name), servers.better()), (Some("one.example"), vec![0]));
        let left = servers.replace(discovered(&[(3, 5, 1)])).left.expect("it is gone");
        assert_eq!((left.name(), servers.current().map(Server::name)), ("one.example", Some("10.0.0.3")));
    }

    /// A name service may say anything.
    #[test]
    fn many_servers_and_look_ups_that_hang_are_bounded() {
        let mut servers = Servers::to_discover(1);
        let mut asked = 0;
        for round in 0..10 {
            let candidate = |number| Candidate::listed(number, &format!("s{number}.r{round}.example"), 2103);
            let candidates = (0..10_000).map(candidate).collect();
            servers.replace(Discovered { candidates, source: "DNS".into(), valid_for: None });
            assert_eq!(servers.len(), MAX_SERVERS);
            asked += servers.lookups().len();
        }
        assert_eq!(asked, MAX_LOOKUPS);
    }
}
