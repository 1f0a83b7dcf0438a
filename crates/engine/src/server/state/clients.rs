//! Clients: programs that receive notices (server behaviour, section 4.1).
//!
//! There may be many, so each takes as few octets as can be: no hash table has a place for it alone.

use crate::server::{
    ClientOwner,
    request::Path,
    stamp::Stamp,
    state::{
        standing::{ByStanding, Standing},
        subscriptions::{Destination, Payer, Subscription},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::{Bound, RangeInclusive},
    sync::Arc,
    time::Duration,
};
use zephyr_core::auth::{Identity, Session, Verdict};

/// The identifier of a client; never used twice, until four thousand million have come and gone.
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

/// An address of this host in sixteen octets: zeroes, which none is, when it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local([u8; 16]);

impl From<Option<IpAddr>> for Local {
    fn from(address: Option<IpAddr>) -> Self {
        Self(address.map_or([0; 16], |address| Address::from(SocketAddr::new(address, 0)).host))
    }
}

impl From<Local> for Option<IpAddr> {
    fn from(local: Local) -> Self {
        (local.0 != [0; 16]).then(|| Ipv6Addr::from(local.0).to_canonical())
    }
}

/// A client: an address and port, the principal whose program it is, and what it wants.
pub(crate) struct Client {
    number: u32,
    address: Address,
    /// The source port of its last subscription request: its host manager's, or its own.
    pub(crate) through: u16,
    /// The address of this host that this request came to: what is sent to the client goes from there.
    local: Local,
    /// It has not acknowledged what was sent to it twice or more often.
    pub(crate) silent: bool,
    /// It has acknowledged a packet that only who receives at its address can acknowledge.
    confirmed: bool,
    /// Its principal, from its first request on.
    pub(crate) principal: Arc<[u8]>,
    /// The key of its last subscription request; none when it is not proven. Which of both does not change.
    session: Option<Arc<dyn Session>>,
    /// Its subscriptions: newest request first, within one request as given.
    pub(crate) subscriptions: Vec<Subscription>,
    /// The stamp of its last subscription request.
    pub(crate) stamp: Stamp,
    /// When it last acknowledged something, or subscribed; in milliseconds.
    last_ack: u64,
}

impl Client {
    /// Source address of its requests, with the port that its requests name.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.into()
    }

    /// The address of this host that what is sent to it goes from, as far as is known.
    pub(crate) fn local(&self) -> Option<IpAddr> {
        self.local.into()
    }

    /// The key of its last subscription request; none when it is not proven.
    pub(crate) const fn session(&self) -> Option<&Arc<dyn Session>> {
        self.session.as_ref()
    }

    /// Whether it is proven whose it is.
    pub(crate) const fn standing(&self) -> Standing {
        Standing::of(self.session.is_some())
    }

    /// Whether it is known that somebody receives at its address.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Who is charged for its subscriptions.
    pub(crate) fn payer(&self) -> Payer {
        Payer { host: self.address().ip(), principal: self.principal.clone(), standing: self.standing() }
    }

    /// The verdict on its last subscription request.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.session {
            Some(_) => Verdict::Authentic(Identity::new(&self.principal)),
            None => Verdict::Unauthenticated,
        }
    }

    /// The time of its last acknowledgement or subscription request.
    pub(crate) fn last_ack(&self) -> Duration {
        Duration::from_millis(self.last_ack)
    }

    /// Remembers the time and the way of a subscription request, which shows as well as an acknowledgement that it is
    /// there.
    pub(crate) fn subscribed(&mut self, now: Duration, path: Path) {
        self.last_ack = milliseconds(now);
        self.through = path.from.port();
        self.local = path.local.into();
    }

    /// Remembers the way of a subscription request that another server got.
    pub(crate) fn subscribed_elsewhere(&mut self, path: Path) {
        self.through = path.from.port();
        self.local = path.local.into();
    }

    /// Nothing has come from it yet: another server knows it.
    pub(crate) const fn not_heard_of(&mut self) {
        self.last_ack = 0;
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> ClientOwner {
        ClientOwner { principal: self.principal.clone(), proven: self.standing().is_proven() }
    }

    /// The stamps of the changes that made it and its subscriptions, each once.
    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let requests = self.subscriptions.chunk_by(|one, other| one.stamp == other.stamp);
        let stamps = requests.filter_map(|request| request.first()).map(|held| held.stamp);
        [self.stamp].into_iter().chain(stamps).collect()
    }

    /// Remembers the time of an acknowledgement.
    pub(crate) fn acknowledged(&mut self, now: Duration) {
        self.last_ack = milliseconds(now);
        self.silent = false;
    }

    /// To what it is subscribed.
    pub(crate) fn destinations(&self) -> Vec<Destination> {
        self.subscriptions.iter().map(|held| held.destination.clone()).collect()
    }

    /// Adds new subscriptions, of the change with this stamp: before those of earlier changes.
    pub(crate) fn add(&mut self, destinations: Vec<Destination>, stamp: Stamp) {
        let place = self.subscriptions.partition_point(|held| held.stamp >= stamp);
        let added = destinations.into_iter().map(|destination| Subscription { destination, stamp });
        self.subscriptions.splice(place..place, added);
    }

    /// Takes ended subscriptions off its own list, as far as their stamps are meant, and gives them: with one look at the whole
    /// list, however many end.
    pub(crate) fn end(&mut self, ended: &[Destination], is_meant: impl Fn(Stamp) -> bool) -> Vec<Subscription> {
        let mut places: Vec<*const u8> = ended.iter().map(Destination::place).collect();
        places.sort_unstable();
        let is_listed =
            |held: &mut Subscription| places.binary_search(&held.destination.place()).is_ok() && is_meant(held.stamp);
        let mut gone: Vec<Subscription> = self.subscriptions.extract_if(.., is_listed).collect();
        if gone.len() < ended.len() && !self.subscriptions.is_empty() {
            // Whoever spells a recipient in his own way has a text of his own.
            let ended: HashSet<&Destination> = ended.iter().collect();
            let is_listed = |held: &mut Subscription| ended.contains(&held.destination) && is_meant(held.stamp);
            gone.extend(self.subscriptions.extract_if(.., is_listed));
        }
        gone
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All clients, indexed by address, host and principal.
#[derive(Default)]
pub(crate) struct Clients {
    places: Vec<Option<Client>>,
    free: Vec<u32>,
    by_address: BTreeMap<Address, ClientId>,
    by_principal: BTreeSet<(Arc<[u8]>, Standing, ClientId)>,
    per_host: HashMap<(IpAddr, Standing), usize>,
    counts: ByStanding<usize>,
    /// Those that are not confirmed, the oldest first.
    unconfirmed: ByStanding<BTreeSet<ClientId>>,
    unconfirmed_on: BTreeSet<(IpAddr, Standing, ClientId)>,
    last_number: u32,
}

/// Who a new client is.
pub(crate) struct NewClient<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) principal: &'a [u8],
    /// The way of its request.
    pub(crate) path: Path,
    /// Its key, when it is proven.
    pub(crate) session: Option<Arc<dyn Session>>,
}

impl Clients {
    pub(crate) fn len(&self) -> usize {
        self.by_address.len()
    }

    /// The number of clients of this standing.
    pub(crate) const fn count(&self, standing: Standing) -> usize {
        *self.counts.of(standing)
    }

    /// The number of clients that are not confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.unconfirmed.of(Standing::Unproven).len() + self.unconfirmed.of(Standing::Proven).len()
    }

    /// The number of clients of a host.
    pub(crate) fn count_of_host(&self, host: IpAddr, standing: Standing) -> usize {
        self.per_host.get(&(host, standing)).copied().unwrap_or(0)
    }

    /// The client that has been unconfirmed for longest, but for this one.
    pub(crate) fn oldest_unconfirmed(&self, standing: Standing, but: Option<ClientId>) -> Option<ClientId> {
        self.unconfirmed.of(standing).iter().copied().find(|&id| Some(id) != but)
    }

    /// The client of a host that has been unconfirmed for longest, but for this one.
    pub(crate) fn oldest_unconfirmed_on(
        &self,
        host: IpAddr,
        standing: Standing,
        but: Option<ClientId>,
    ) -> Option<ClientId> {
        let all = (host, standing, ClientId::FIRST)..=(host, standing, ClientId::LAST);
        self.unconfirmed_on.range(all).map(|&(_, _, id)| id).find(|&id| Some(id) != but)
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

    /// A new client without subscriptions, which is not confirmed. There must be none at its address.
    pub(crate) fn register(&mut self, new: NewClient<'_>, now: Duration) -> ClientId {
        let NewClient { address, principal, path, session } = new;
        self.last_number = self.last_number.wrapping_add(1);
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let id = ClientId { number: self.last_number, place };
        let client = Client {
            number: id.number,
            address: address.into(),
            through: path.from.port(),
            local: path.local.into(),
            silent: false,
            confirmed: false,
            principal: self.shared(principal),
            session,
            subscriptions: Vec::new(),
            stamp: Stamp::default(),
            last_ack: milliseconds(now),
        };
        let (host, standing) = (address.ip(), client.standing());
        self.by_address.insert(address.into(), id);
        *self.per_host.entry((host, standing)).or_insert(0) += 1;
        *self.counts.of_mut(standing) += 1;
        self.by_principal.insert((client.principal.clone(), standing, id));
        self.unconfirmed.of_mut(standing).insert(id);
        self.unconfirmed_on.insert((host, standing, id));
        if let Some(empty) = self.places.get_mut(place as usize) {
            *empty = Some(client);
        }
        id
    }

    /// Somebody receives at a client's address.
    pub(crate) fn confirm(&mut self, id: ClientId) {
        let Some(client) = self.get_mut(id) else { return };
        client.confirmed = true;
        let (host, standing) = (client.address().ip(), client.standing());
        self.no_longer_unconfirmed(id, host, standing);
    }

    fn no_longer_unconfirmed(&mut self, id: ClientId, host: IpAddr, standing: Standing) {
        self.unconfirmed.of_mut(standing).remove(&id);
        self.unconfirmed_on.remove(&(host, standing, id));
    }

    /// All clients of one principal share its text.
    fn shared(&self, principal: &[u8]) -> Arc<[u8]> {
        let known = self.of_principal(principal).next().and_then(|id| self.get(id));
        known.map_or_else(|| principal.into(), |client| client.principal.clone())
    }

    /// The key of a proven client's last subscription request.
    pub(crate) fn set_session(&mut self, id: ClientId, session: &Arc<dyn Session>) {
        if let Some(client) = self.get_mut(id)
            && client.session.is_some()
        {
            client.session = Some(session.clone());
        }
    }

    /// The stamp of a client's last subscription request.
    pub(crate) fn set_stamp(&mut self, id: ClientId, stamp: Stamp) {
        if let Some(client) = self.get_mut(id) {
            client.stamp = stamp;
        }
    }

    /// Forgets a client, and gives back what it was.
    pub(crate) fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.get(id)?;
        let client = self.places.get_mut(id.place as usize)?.take()?;
        self.free.push(id.place);
        self.by_address.remove(&client.address);
        let (host, standing) = (client.address().ip(), client.standing());
        if let Some(count) = self.per_host.get_mut(&(host, standing)) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&(host, standing));
            }
        }
        *self.counts.of_mut(standing) -= 1;
        self.by_principal.remove(&(client.principal.clone(), standing, id));
        self.no_longer_unconfirmed(id, host, standing);
        Some(client)
    }

    /// All clients, in the order of their addresses.
    pub(crate) fn by_address(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        self.by_address.values().filter_map(|&id| Some((id, self.get(id)?)))
    }

    /// The client whose address follows this one, or the first, in the order of their addresses.
    pub(crate) fn next_after(&self, address: Option<SocketAddr>) -> Option<ClientId> {
        let first: Bound<Address> = address.map_or(Bound::Unbounded, |address| Bound::Excluded(address.into()));
        self.by_address.range((first, Bound::Unbounded)).next().map(|(_, &id)| id)
    }

    /// The clients behind this address, in the order of their addresses.
    pub(crate) fn after(&self, address: Option<SocketAddr>) -> impl Iterator<Item = &Client> {
        let first = address.map_or(Bound::Unbounded, |address| Bound::Excluded(Address::from(address)));
        self.by_address.range((first, Bound::Unbounded)).filter_map(|(_, &id)| self.get(id))
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
        self.in_names(principal, Standing::Unproven..=Standing::Proven)
    }

    /// The clients that have proven that they are this principal's, or those that only say so.
    pub(crate) fn in_name(&self, principal: &[u8], standing: Standing) -> impl Iterator<Item = ClientId> {
        self.in_names(principal, standing..=standing)
    }

    fn in_names(&self, principal: &[u8], standings: RangeInclusive<Standing>) -> impl Iterator<Item = ClientId> {
        let principal: Arc<[u8]> = principal.into();
        let first = (principal.clone(), *standings.start(), ClientId::FIRST);
        let all = first..=(principal, *standings.end(), ClientId::LAST);
        self.by_principal.range(all).map(|&(_, _, id)| id)
    }
}

/// Which of two addresses comes first among the clients.
pub(crate) fn in_order(one: SocketAddr, other: SocketAddr) -> bool {
    Address::from(one) < Address::from(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(clients: &mut Clients, address: SocketAddr, principal: &[u8]) -> ClientId {
        clients.register(
            NewClient { address, principal, path: Path { from: address, local: None }, session: None },
            Duration::ZERO,
        )
    }

    #[test]
    fn the_oldest_unconfirmed_client_is_known() {
        let mut clients = Clients::default();
        let at = |host: u8, port| SocketAddr::from(([10, 0, 0, host], port));
        let ids = [at(1, 1), at(2, 2), at(1, 3)].map(|address| known(&mut clients, address, b"alice@R"));
        let host = at(1, 0).ip();
        assert_eq!(clients.oldest_unconfirmed(Standing::Unproven, None), Some(ids[0]));
        assert_eq!(clients.oldest_unconfirmed(Standing::Proven, None), None);
        assert_eq!(clients.oldest_unconfirmed_on(host, Standing::Unproven, Some(ids[0])), Some(ids[2]));
        clients.confirm(ids[0]);
        assert_eq!(clients.oldest_unconfirmed(Standing::Unproven, None), Some(ids[1]));
        assert_eq!(clients.oldest_unconfirmed_on(host, Standing::Unproven, None), Some(ids[2]));
        clients.remove(ids[1]);
        assert_eq!((clients.unconfirmed(), clients.count(Standing::Unproven)), (1, 2));
    }

    #[test]
    fn found_by_address_host_and_principal() {
        let mut clients = Clients::default();
        let at = |host: u8, port| SocketAddr::from(([10, 0, 0, host], port));
        let a = known(&mut clients, at(1, 7), b"alice@R");
        let b = known(&mut clients, at(1, 65535), b"bob@R");
        let c = known(&mut clients, at(2, 1), b"alice@R");
        let _ = known(&mut clients, at(2, 2), b"alice@RR");
        assert_eq!(clients.at(at(1, 7)), Some(a));
        assert_eq!(clients.get(a).map(Client::address), Some(at(1, 7)));
        assert_eq!(clients.of_host(at(1, 0).ip()).collect::<Vec<_>>(), [a, b]);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [a, c]);
        clients.remove(a);
        assert_eq!(clients.at(at(1, 7)), None);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [c]);
        assert_eq!(clients.len(), 3);
        assert_eq!([1, 2, 3].map(|host| clients.count_of_host(at(host, 0).ip(), Standing::Unproven)), [1, 2, 0]);
    }

    #[test]
    fn who_takes_anothers_place_is_not_taken_for_him() {
        let mut clients = Clients::default();
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let first = known(&mut clients, at(1), b"alice@R");
        clients.remove(first);
        let second = known(&mut clients, at(2), b"bob@R");
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
