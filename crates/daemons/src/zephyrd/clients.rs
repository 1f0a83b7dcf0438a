//! The programs that receive notices (server behaviour, section 4.1).

use super::subscriptions::Destination;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::auth::Session;

/// Which client; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ClientId(u64);

/// One receiving program: an address and port, the principal whose program it is, and what it wants.
pub(super) struct Client {
    /// Source address of its requests, with the port that its requests name.
    pub(super) address: SocketAddr,
    /// Who it belongs to, from its first request on.
    pub(super) principal: Arc<[u8]>,
    /// The key of its last subscription request; none when that was not proven.
    pub(super) session: Option<Arc<dyn Session>>,
    /// What it wants: newest request first, within one request as given.
    pub(super) subscriptions: Vec<Destination>,
    /// When it last acknowledged something, or began.
    pub(super) last_ack: Duration,
}

/// All clients, findable by address, host and principal.
#[derive(Default)]
pub(super) struct Clients {
    clients: HashMap<ClientId, Client>,
    by_address: BTreeMap<SocketAddr, ClientId>,
    by_principal: BTreeSet<(Arc<[u8]>, ClientId)>,
    per_host: HashMap<IpAddr, usize>,
    last_id: u64,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// How many clients a host has.
    pub(super) fn count_of_host(&self, host: IpAddr) -> usize {
        self.per_host.get(&host).copied().unwrap_or(0)
    }

    /// The client at this address and port.
    pub(super) fn at(&self, address: SocketAddr) -> Option<ClientId> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    /// A new client without subscriptions. There must be none at its address.
    pub(super) fn register(&mut self, address: SocketAddr, principal: &[u8], now: Duration) -> ClientId {
        self.last_id += 1;
        let id = ClientId(self.last_id);
        let principal: Arc<[u8]> = principal.into();
        self.by_address.insert(address, id);
        *self.per_host.entry(address.ip()).or_insert(0) += 1;
        self.by_principal.insert((principal.clone(), id));
        let client = Client { address, principal, session: None, subscriptions: Vec::new(), last_ack: now };
        self.clients.insert(id, client);
        id
    }

    /// Forgets a client, and gives back what it was.
    pub(super) fn remove(&mut self, id: ClientId) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        self.by_address.remove(&client.address);
        if let Some(count) = self.per_host.get_mut(&client.address.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&client.address.ip());
            }
        }
        self.by_principal.remove(&(client.principal.clone(), id));
        Some(client)
    }

    /// The clients of one host.
    pub(super) fn of_host(&self, host: IpAddr) -> impl Iterator<Item = ClientId> {
        let ports = SocketAddr::new(host, 0)..=SocketAddr::new(host, u16::MAX);
        self.by_address.range(ports).map(|(_, &id)| id)
    }

    /// The clients of one principal.
    pub(super) fn of_principal(&self, principal: &[u8]) -> impl Iterator<Item = ClientId> {
        let principal: Arc<[u8]> = principal.into();
        let all = (principal.clone(), ClientId(0))..=(principal, ClientId(u64::MAX));
        self.by_principal.range(all).map(|&(_, id)| id)
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
        assert_eq!(clients.of_host(at(1, 0).ip()).collect::<Vec<_>>(), [a, b]);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [a, c]);
        clients.remove(a);
        assert_eq!(clients.at(at(1, 7)), None);
        assert_eq!(clients.of_principal(b"alice@R").collect::<Vec<_>>(), [c]);
        assert_eq!(clients.len(), 3);
        assert_eq!([1, 2, 3].map(|host| clients.count_of_host(at(host, 0).ip())), [1, 2, 0]);
    }
}
