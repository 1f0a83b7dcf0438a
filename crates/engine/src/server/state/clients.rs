//! The programs that receive notices (server behaviour, section 4.1).
//!
//! There may be many, so each takes as few octets as can be: no hash table has a place for it alone.

use crate::server::state::subscriptions::Destination;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};
use zephyr_core::auth::{Identity, Session, Verdict};

/// Which client; never used twice, until four thousand million have come and gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientId {
    /// Clients that came later have a higher one.
    number: u32,
    place: u32,
}

impl ClientId {
    const FIRST: Self = Self { number: 0, place: 0 };
    const LAST: Self = Self { number: u32::MAX, place: u32::MAX };
}

/// An address and port in eighteen octets, where [`SocketAddr`] takes thirty-two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    host: [u8; 16],
    port: [u8; 2],
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(host) => host.to_ipv6_mapped(),
            IpAddr::V6(host) => host,
        };
        Self { host: host.octets(), port: address.port().to_be_bytes() }
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        Self::new(Ipv6Addr::from(address.host).to_canonical(), u16::from_be_bytes(address.port))
    }
}

/// One receiving program: an address and port, the principal whose program it is, and what it wants.
pub(crate) struct Client {
    number: u32,
    address: Address,
    /// It has not acknowledged what was sent to it twice or more often.
    pub(crate) silent: bool,
    /// Who it belongs to, from its first request on.
    pub(crate) principal: Arc<[u8]>,
    /// The key of its last subscription request; none when that was not proven.
    pub(crate) session: Option<Arc<dyn Session>>,
    /// What it wants: newest request first, within one request as given.
    pub(crate) subscriptions: Vec<Destination>,
    /// When it last acknowledged something, or subscribed; in milliseconds.
    last_ack: u64,
}

impl Client {
    /// Source address of its requests, with the port that its requests name.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.into()
    }

    /// What is known of it from its last subscription request.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.session {
            Some(_) => Verdict::Authentic(Identity::new(&self.principal)),
            None => Verdict::Unauthenticated,
        }
    }

    /// When it last acknowledged something, or subscribed.
    pub(crate) fn last_ack(&self) -> Duration {
        Duration::from_millis(self.last_ack)
    }

    /// It has subscribed, which shows as well as an acknowledgement that it is there.
    pub(crate) fn subscribed(&mut self, now: Duration) {
        self.last_ack = milliseconds(now);
    }

    /// It has acknowledged something.
    pub(crate) fn acknowledged(&mut self, now: Duration) {
        self.last_ack = milliseconds(now);
        self.silent = false;
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All clients, findable by address, host and principal.
#[derive(Default)]
pub(crate) struct Clients {
    places: Vec<Option<Client>>,
    free: Vec<u32>,
    by_address: BTreeMap<Address, ClientId>,
    /// With whether that is proven.
    by_principal: BTreeSet<(Arc<[u8]>, bool, ClientId)>,
    per_host: HashMap<IpAddr, usize>,
    last_number: u32,
}

impl Clients {
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// How many clients a host has.
    pub(crate) fn count_of_host(&self, host: IpAddr) -> usize {
        self.per_host.get(&host).copied().unwrap_or(0)
    }

    /// The client at this address and port.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<ClientId> {
        self.by_address.get(&address.into()).copied()
    }

    pub(crate) fn get(&self, id: ClientId) -> Option<&Client> {
        self.places.get(id.place as usize)?.as_ref().filter(|client| client.number == id.number)
    }

    pub(crate) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.places.get_mut(id.place as usize)?.as_mut().filter(|client| client.number == id.number)
    }

    /// A new client without subscriptions and without proof. There must be none at its address.
    pub(crate) fn register(&mut self, address: SocketAddr, principal: &[u8], now: Duration) -> ClientId {
        self.last_number = self.last_number.wrapping_add(1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let id = ClientId { number: self.last_number, place };
        let principal = self.shared(principal);
        self.by_address.insert(address.into(), id);
        *self.per_host.entry(address.ip()).or_insert(0) += 1;
        self.by_principal.insert((principal.clone(), false, id));
        let client = Client {
            number: id.number,
            address: address.into(),
            silent: false,
            principal,
            session: None,
            subscriptions: Vec::new(),
            last_ack: milliseconds(now),
        };
        if let Some(empty) = self.places.get_mut(place as usize) {
            *empty = Some(client);
        }
        id
    }

    /// All clients of one principal share its text.
    fn shared(&self, principal: &[u8]) -> Arc<[u8]> {
        let known = self.of_principal(principal).next().and_then(|id| self.get(id));
        known.map_or_else(|| principal.into(), |client| client.principal.clone())
    }

    /// The key of a client's last subscription request.
    pub(crate) fn set_session(&mut self, id: ClientId, session: Option<Arc<dyn Session>>) {
        let Some(client) = self.get_mut(id) else { return };
        let (before, after) = (client.session.is_some(), session.is_some());
        client.session = session;
        if before != after {
            let principal = client.principal.clone();
            self.by_principal.remove(&(principal.clone(), before, id));
            self.by_principal.insert((principal, after, id));
        }
    }

    /// Forgets a client, and gives back what it was.
    pub(crate) fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.get(id)?;
        let client = self.places.get_mut(id.place as usize)?.take()?;
        self.free.push(id.place);
        self.by_address.remove(&client.address);
        let host = client.address().ip();
        if let Some(count) = self.per_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&host);
            }
        }
        self.by_principal.remove(&(client.principal.clone(), client.session.is_some(), id));
        Some(client)
    }

    /// All clients, in the order of their addresses.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.by_address.values().filter_map(|&id| Some((id, self.get(id)?)))
    }

    /// All clients.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ClientId> {
        self.by_address.values().copied()
    }

    /// The clients of one host.
    pub(crate) fn of_host(&self, host: IpAddr) -> impl Iterator<Item = ClientId> {
        let ports = Address::from(SocketAddr::new(host, 0))..=Address::from(SocketAddr::new(host, u16::MAX));
        self.by_address.range(ports).map(|(_, &id)| id)
    }

    /// The clients of one principal.
    pub(crate) fn of_principal(&self, principal: &[u8]) -> impl Iterator<Item = ClientId> {
        self.in_names(principal, false..=true)
    }

    /// The clients that have proven that they are this principal's, or those that only say so.
    pub(crate) fn in_name(&self, principal: &[u8], proven: bool) -> impl Iterator<Item = ClientId> {
        self.in_names(principal, proven..=proven)
    }

    fn in_names(&self, principal: &[u8], proven: RangeInclusive<bool>) -> impl Iterator<Item = ClientId> {
        let principal: Arc<[u8]> = principal.into();
        let all = (principal.clone(), *proven.start(), ClientId::FIRST)..=(principal, *proven.end(), ClientId::LAST);
        self.by_principal.range(all).map(|&(_, _, id)| id)
    }

    /// How many subscriptions all these clients have. Looks at every one of them.
    pub(crate) fn subscriptions_of_principal(&self, principal: &[u8], proven: bool) -> usize {
        self.in_name(principal, proven).filter_map(|id| self.get(id)).map(|client| client.subscriptions.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_by_address_host_and_principal() {
        let mut clients = Clients::default();
        let at = |host: u8, port| SocketAddr::from(([10, 0, 0, host], port));
        let a = clients.register(at(1, 7), b"alice@R", Duration::ZERO);
        let b = clients.register(at(1, 65535), b"bob@R", Duration::ZERO);
        let c = clients.register(at(2, 1), b"alice@R", Duration::ZERO);
        let _ = clients.register(at(2, 2), b"alice@RR", Duration::ZERO);
        assert_eq!(clients.at(at(1, 7)), Some(a));
        assert_eq!(clients.get(a).map(Client::address), Some(at(1, 7)));
        assert_eq!(clients.of_host(at(1, 0).ip()).collect::<Vec<_>>(), [a, b]);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [a, c]);
        clients.remove(a);
        assert_eq!(clients.at(at(1, 7)), None);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [c]);
        assert_eq!(clients.len(), 3);
        assert_eq!([1, 2, 3].map(|host| clients.count_of_host(at(host, 0).ip())), [1, 2, 0]);
    }

    #[test]
    fn who_takes_anothers_place_is_not_taken_for_him() {
        let mut clients = Clients::default();
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let first = clients.register(at(1), b"alice@R", Duration::ZERO);
        clients.remove(first);
        let second = clients.register(at(2), b"bob@R", Duration::ZERO);
        assert_eq!(first.place, second.place);
        assert!(clients.get(first).is_none() && clients.remove(first).is_none());
        assert_eq!(clients.get(second).map(|client| &*client.principal), Some(&b"bob@R"[..]));
    }

    #[test]
    fn addresses_of_both_kinds_come_back() {
        for text in ["10.1.2.3:65535", "[2001:db8::1]:2104", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(SocketAddr::from(Address::from(address)), address);
        }
    }
}
