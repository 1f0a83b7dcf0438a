//! Selection of the current server and of the next (host manager, sections 2 and 6).

use std::net::{IpAddr, SocketAddr};

/// The name and address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name without a port: programs derive their realm from it.
    pub name: Box<str>,
    /// Its address and port.
    pub address: SocketAddr,
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

    /// These servers, each address once; `None` when there are none. `seed` decides which server follows a lost one.
    pub fn new(servers: Vec<Server>, seed: u64) -> Option<Self> {
        let mut list: Vec<Server> = Vec::new();
        for server in servers {
            if list.iter().all(|known| known.address != server.address) {
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

    /// The number of servers.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether one of them is at this address and port.
    pub fn is_server(&self, address: SocketAddr) -> bool {
        self.list.iter().any(|server| server.address == address)
    }

    /// Chooses another server: the suggested one if it is in the list, now and then the primary, else any other.
    pub fn choose(&mut self, suggestion: Option<IpAddr>) {
        let suggested = suggestion.and_then(|host| self.list.iter().position(|server| server.address.ip() == host));
        if let Some(place) = suggested {
            self.current = place;
            return;
        }
        self.choices += 1;
        if self.choices > Self::CHOICES_BEFORE_PRIMARY && self.current != 0 {
            self.current = 0;
            self.choices = 0;
        } else if let Some(others @ 1..) = self.list.len().checked_sub(1) {
            let step = 1 + self.below(others);
            self.current = (self.current + step) % self.list.len();
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
        let server =
            |port| Server { name: format!("s{port}").into(), address: SocketAddr::from(([10, 0, 0, 1], port)) };
        Servers::new((1..=count).chain([1]).map(server).collect(), 7).expect("some")
    }

    #[test]
    fn one_server_follows_itself() {
        let mut one = servers(1);
        assert_eq!(one.len(), 1, "the same twice is one");
        for _ in 0..9 {
            one.choose(None);
            assert_eq!(one.current().address.port(), 1);
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
            seen[usize::from(three.current().address.port())] = true;
            away = if three.current().address.port() == 1 { 0 } else { away + 1 };
            assert!(away <= 4, "never long without the primary");
        }
        assert_eq!(seen[1..], [true; 3]);
    }

    #[test]
    fn a_suggestion_counts_only_when_it_is_in_the_list() {
        let at = |host: u8| Server { name: "s".into(), address: SocketAddr::from(([10, 0, 0, host], 2103)) };
        let mut two = Servers::new(vec![at(1), at(2)], 0).expect("some");
        two.choose(Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(two.current(), &at(1), "even the current one");
        two.choose(Some(IpAddr::from([10, 0, 0, 9])));
        assert_eq!(two.current(), &at(2), "unknown: any other");
    }
}
