//! The servers of a host manager: where each is, which is the current one, and which is the next (host manager, sections 2
//! and 6).

use super::lookup::{Located, Lookup, LookupAnswer};
use std::{
    collections::VecDeque,
    mem,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Maximum number of addresses of one server that are asked.
const MAX_ADDRESSES: usize = 8;
/// Maximum number of reasons to wait for one server of which is known that they were told: one for each address, and as
/// many again.
const MAX_TOLD: usize = 2 * MAX_ADDRESSES;

/// A server, and what is known of it at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What is looked up.
    host: Box<str>,
    port: u16,
    name: Box<str>,
    address: Option<SocketAddr>,
    /// All its addresses by the last look-ups, those that were known first in their old order; none, as long as it was
    /// not looked up.
    addresses: Vec<SocketAddr>,
    /// Where it is by the last look-up, when that was not taken over because the server still answered.
    newer: Option<SocketAddr>,
    /// This host's address towards it.
    local: Option<Ipv4Addr>,
    /// Why the last look-up found nothing.
    error: Option<Box<str>>,
    /// Why it was not sent what it was to be sent since it was last greeted.
    pub(super) unsent: Option<Box<str>>,
    /// A look-up is under way.
    asked: bool,
    /// It said, when it last answered a greeting, that it takes headers as long as a packet.
    pub(super) long_headers: bool,
    /// What was told of what it keeps the host manager waiting for: the last few.
    told: VecDeque<Waiting>,
}

impl Server {
    /// A server by its name, whose address must be looked up, or by its address.
    pub fn new(host: &str, port: u16) -> Self {
        let address = host.parse().ok().map(|address: Ipv4Addr| SocketAddr::from((address, port)));
        Self {
            host: host.into(),
            port,
            name: host.into(),
            address,
            addresses: Vec::new(),
            newer: None,
            local: None,
            error: None,
            unsent: None,
            asked: false,
            long_headers: false,
            told: VecDeque::new(),
        }
    }

    /// A server by its name, whose address is known. It is looked up again when nobody answers there.
    pub fn at(host: &str, address: SocketAddr) -> Self {
        Self { address: Some(address), ..Self::new(host, address.port()) }
    }

    /// Its name without a port, the full one once that is known: programs derive their realm from it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address and port, if they are known.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    pub(super) const fn local(&self) -> Option<Ipv4Addr> {
        self.local
    }

    /// Its address, when the last look-up found another one than is being used.
    pub(super) const fn newer(&self) -> Option<SocketAddr> {
        self.newer
    }

    /// Whether its name was looked up, and has no address until now.
    pub(super) const fn has_no_address(&self) -> bool {
        self.address.is_none() && self.error.is_some()
    }

    /// What it keeps the host manager waiting for, as long as it has not answered.
    pub(super) fn waiting(&self) -> Waiting {
        let name = self.name.clone();
        match (self.address, &self.unsent, &self.error) {
            (Some(address), Some(error), _) => Waiting::Way { name, address, error: error.clone() },
            (Some(address), None, _) => Waiting::Answer { name, address },
            (None, _, Some(error)) => Waiting::Name { name, error: error.clone() },
            (None, _, None) => Waiting::Lookup { name },
        }
    }

    /// Notes its addresses by a look-up. One that is among them stays the one to ask.
    fn found_at(&mut self, first: SocketAddr, others: &[SocketAddr]) {
        let found = [&[first], others].concat();
        self.addresses.retain(|known| found.contains(known));
        for address in found {
            if self.addresses.len() < MAX_ADDRESSES && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        let is_known = self.address.is_some_and(|address| self.addresses.contains(&address));
        self.newer = if is_known { None } else { self.addresses.first().copied() };
    }

    /// Takes the next of its addresses, as it does not answer at this one.
    fn take_next_address(&mut self) {
        let place = self.addresses.iter().position(|known| Some(*known) == self.address);
        let next = place.and_then(|place| self.addresses.get(place + 1)).or(self.addresses.first());
        self.address = next.copied().or(self.address);
    }

    fn move_on(&mut self) -> Option<Moved> {
        let to = self.newer.take()?;
        let from = self.address.replace(to);
        Some(Moved { from, to })
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port)
            || (self.address.is_some() && self.address == other.address)
    }

    /// The look-up of its name, unless one is under way.
    fn lookup(&mut self) -> Option<Lookup> {
        let wanted = !mem::replace(&mut self.asked, true);
        wanted.then(|| Lookup { host: self.host.clone(), port: self.port })
    }
}

/// What a host manager without a server waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The first look-up of a server's name.
    Lookup {
        /// The name.
        name: Box<str>,
    },
    /// A server's name, which has no address until now, to get one.
    Name {
        /// The name.
        name: Box<str>,
        /// What the last look-up said.
        error: Box<str>,
    },
    /// A server's answer.
    Answer {
        /// Its name.
        name: Box<str>,
        /// Where it was asked.
        address: SocketAddr,
    },
    /// A way to a server, to which the system sends nothing at the moment.
    Way {
        /// Its name.
        name: Box<str>,
        /// Where it was to be asked.
        address: SocketAddr,
        /// What the system said.
        error: Box<str>,
    },
}

/// The current server is at another address than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// Where it was, if that was known.
    pub(super) from: Option<SocketAddr>,
    /// Where it is.
    pub(super) to: SocketAddr,
}

/// The servers of a host manager. The first is the primary.
#[derive(Debug)]
pub struct Servers {
    list: Vec<Server>,
    current: usize,
    /// Choices since the primary was last returned to.
    choices: u32,
    random: u64,
}

impl Servers {
    /// Choices away from the primary before it is tried again.
    const CHOICES_BEFORE_PRIMARY: u32 = 3;

    /// These servers, each once; `None` when there are none. `seed` decides which server follows a lost one.
    pub fn new(servers: Vec<Server>, seed: u64) -> Option<Self> {
        let mut list: Vec<Server> = Vec::new();
        for server in servers {
            if !list.iter().any(|known| known.is_same(&server)) {
                list.push(server);
            }
        }
        (!list.is_empty()).then_some(Self { list, current: 0, choices: 0, random: seed })
    }

    /// The server that is talked to.
    pub fn current(&self) -> &Server {
        #[expect(clippy::indexing_slicing, reason = "the list is never empty, and current is only set to places in it")]
        &self.list[self.current]
    }

    pub(super) fn current_mut(&mut self) -> &mut Server {
        #[expect(clippy::indexing_slicing, reason = "the list is never empty, and current is only set to places in it")]
        &mut self.list[self.current]
    }

    /// The number of servers; several names of one are one.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        1 + self.others().len()
    }

    /// The number of addresses at which there may be a server: greetings of a whole round.
    pub(super) fn addresses(&self) -> usize {
        let others = self.others().into_iter().filter_map(|place| self.list.get(place));
        others.chain([self.current()]).map(|server| server.addresses.len().max(1)).sum()
    }

    /// The current server does not answer where it was asked: it is at another of its addresses the next time.
    pub(super) fn take_next_address(&mut self) {
        self.current_mut().take_next_address();
    }

    /// Whether one of them is at this address and port.
    pub fn is_server(&self, address: SocketAddr) -> bool {
        self.list.iter().any(|server| server.address == Some(address))
    }

    /// Chooses another server: the suggested one if it is in the list, now and then the primary, else any other.
    pub fn choose(&mut self, suggestion: Option<IpAddr>) {
        let is_suggested = |server: &Server| server.address.is_some_and(|address| Some(address.ip()) == suggestion);
        if let Some(place) = self.list.iter().position(is_suggested) {
            self.current = place;
            return;
        }
        self.choices += 1;
        if self.choices > Self::CHOICES_BEFORE_PRIMARY && self.current != 0 {
            self.current = 0;
            self.choices = 0;
            return;
        }
        let others = self.others();
        if !others.is_empty() {
            let step = self.below(others.len());
            self.current = others.get(step).copied().unwrap_or(0);
        }
    }

    /// Chooses the first server whose address is known; whether there is one.
    pub(super) fn choose_known(&mut self) -> bool {
        let known = self.list.iter().position(|server| server.address.is_some());
        self.current = known.unwrap_or(self.current);
        known.is_some()
    }

    /// The places of the other servers, from the current one on, without other names of it.
    fn others(&self) -> Vec<usize> {
        let current = self.current();
        let places = (1..self.list.len()).map(|step| (self.current + step) % self.list.len());
        places.filter(|&place| self.list.get(place).is_some_and(|server| !server.is_same(current))).collect()
    }

    /// The look-ups of all servers of which no address is known.
    pub(super) fn lookups(&mut self) -> impl Iterator<Item = Lookup> {
        self.list.iter_mut().filter(|server| server.address.is_none()).filter_map(Server::lookup)
    }

    /// The look-up of the current server, unless one is under way.
    pub(super) fn lookup(&mut self) -> Option<Lookup> {
        self.current_mut().lookup()
    }

    /// Notes the result of a look-up. What `stays` is the current server's address, as it answers there.
    pub(super) fn looked_up(&mut self, answer: LookupAnswer, stays: bool) -> Option<Moved> {
        let LookupAnswer { lookup, found } = answer;
        let is_asked = |server: &Server| server.host == lookup.host && server.port == lookup.port;
        let place = self.list.iter().position(is_asked)?;
        let is_current = place == self.current;
        let server = self.list.get_mut(place)?;
        server.asked = false;
        match found {
            Ok(Located { name, address, others, local }) => {
                (server.name, server.error) = (name, None);
                server.local = local.or(server.local);
                server.found_at(address, &others);
                if is_current && stays { None } else { server.move_on().filter(|_| is_current) }
            }
            Err(error) => {
                server.error = Some(error);
                None
            }
        }
    }

    /// Takes over where the current server is by its last look-up.
    pub(super) fn move_on(&mut self) -> Option<Moved> {
        self.current_mut().move_on()
    }

    /// What the current server keeps the host manager waiting for, unless that was told already.
    pub(super) fn tell_waiting(&mut self) -> Option<Waiting> {
        let server = self.current_mut();
        let waiting = server.waiting();
        if server.told.contains(&waiting) {
            return None;
        }
        if server.told.len() == MAX_TOLD {
            server.told.pop_front();
        }
        server.told.push_back(waiting.clone());
        Some(waiting)
    }

    /// There is a server: what others keep one waiting for is news again.
    pub(super) fn found(&mut self) {
        for server in &mut self.list {
            server.told.clear();
        }
    }

    /// A number below `end`, by a generator that need not be better than it is (splitmix64).
    fn below(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or(0) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: u16) -> Servers {
        let server = |port| Server::at(&format!("s{port}"), SocketAddr::from(([10, 0, 0, 1], port)));
        Servers::new((1..=count).chain([1]).map(server).collect(), 7).expect("some")
    }

    #[test]
    fn one_server_follows_itself() {
        let mut one = servers(1);
        assert_eq!(one.len(), 1, "the same twice is one");
        for _ in 0..9 {
            one.choose(None);
            assert_eq!(one.current().address.unwrap().port(), 1);
        }
        assert!(Servers::new(Vec::new(), 0).is_none());
    }

    #[test]
    fn another_is_chosen_and_the_primary_returned_to() {
        let mut three = servers(3);
        let mut away = 0;
        let mut seen = [false; 4];
        for _ in 0..50 {
            let before = three.current().address;
            three.choose(None);
            assert_ne!(three.current().address, before);
            seen[usize::from(three.current().address.unwrap().port())] = true;
            away = if three.current().address.unwrap().port() == 1 { 0 } else { away + 1 };
            assert!(away <= 4, "never long without the primary");
        }
        assert_eq!(seen[1..], [true; 3]);
    }

    #[test]
    fn a_suggestion_counts_only_when_it_is_in_the_list() {
        let at = |host: u8| Server::at(&format!("s{host}"), SocketAddr::from(([10, 0, 0, host], 2103)));
        let mut two = Servers::new(vec![at(1), at(2)], 0).expect("some");
        two.choose(Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(two.current(), &at(1), "even the current one");
        two.choose(Some(IpAddr::from([10, 0, 0, 9])));
        assert_eq!(two.current(), &at(2), "unknown: any other");
    }
}
