//! The disk of a server: takes what the server tells, in order and in batches, and has after a crash what was stored until then.

use super::mutant::Mutant;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::auth::Session;
use zephyr_engine::server::{Change, Changed, Destination, Located, ServerId, Stamp, VersionVector};

/// A disk.
#[derive(Default)]
pub(super) struct Disk {
    /// Whose state it has.
    pub id: ServerId,
    tables: Tables,
    waiting: VecDeque<Changed>,
    /// Those of them that are being written.
    pub writing: usize,
    /// Changes that this run of the server has told.
    pub told: u64,
}

/// A client as it is kept.
struct Client {
    stamp: Stamp,
    principal: Arc<[u8]>,
    session: Option<Arc<dyn Session>>,
    through: u16,
    local: Option<IpAddr>,
    is_confirmed: bool,
    subscriptions: Vec<(Destination, Stamp)>,
}

/// What is left of all changes.
#[derive(Default)]
struct Tables {
    hosts: BTreeMap<SocketAddr, (Option<IpAddr>, Stamp)>,
    clients: BTreeMap<SocketAddr, Client>,
    locations: BTreeMap<(Arc<[u8]>, SocketAddr), (Located, Stamp)>,
    versions: VersionVector,
    /// Which are as they were told.
    others: Vec<Changed>,
}

impl Disk {
    /// An empty one.
    pub(super) fn new(id: ServerId) -> Self {
        Self { id, ..Self::default() }
    }

    /// Takes a change; true when it is the first that waits.
    pub(super) fn take(&mut self, changed: Changed) -> bool {
        self.told += 1;
        self.waiting.push_back(changed);
        self.writing == 0
    }

    /// Begins to write what waits.
    pub(super) fn begin(&mut self) {
        self.writing = self.waiting.len();
    }

    /// What was being written is stored; gives how many of all changes of this run are.
    pub(super) fn stored(&mut self, mutant: Option<Mutant>) -> u64 {
        for changed in self.waiting.drain(..std::mem::take(&mut self.writing)) {
            // What a server changes itself it knows.
            if changed.stamp.server == self.id {
                self.tables.versions.raise(changed.stamp);
            }
            self.tables.write(changed, mutant);
        }
        self.told - self.waiting.len() as u64
    }

    /// Whether anything waits to be written.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The server is gone, and what was not stored is lost.
    pub(super) fn crashed(&mut self) {
        self.waiting.clear();
        (self.writing, self.told) = (0, 0);
    }

    /// The changes that make the state again.
    pub(super) fn load(&self) -> Vec<Changed> {
        self.tables.load()
    }
}

impl Tables {
    fn write(&mut self, changed: Changed, mutant: Option<Mutant>) {
        let Changed { stamp, change } = changed;
        match change {
            Change::ClientKnown { client, principal, session, through, local } => {
                let known = self.clients.remove(&client);
                let (is_confirmed, subscriptions) =
                    known.map(|known| (known.is_confirmed, known.subscriptions)).unwrap_or_default();
                let row = Client { stamp, principal, session, through, local, is_confirmed, subscriptions };
                self.clients.insert(client, row);
            }
            Change::ClientConfirmed { client } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.is_confirmed = true;
                }
            }
            Change::Subscribed { client, destinations } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.subscriptions.retain(|(held, _)| !destinations.contains(held));
                    client.subscriptions.extend(destinations.into_iter().map(|it| (it, stamp)));
                }
            }
            Change::Unsubscribed { .. } | Change::ClientGone { .. } if mutant == Some(Mutant::DiskKeepsWhatEnded) => {}
            Change::Unsubscribed { client, destinations } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.subscriptions.retain(|(held, _)| !destinations.contains(held));
                }
            }
            Change::ClientGone { client } => {
                self.clients.remove(&client);
            }
            Change::Located(located) => {
                self.locations.insert((located.user.clone(), located.address), (located, stamp));
            }
            Change::LocationGone { user, address } => {
                self.locations.remove(&(user, address));
            }
            Change::HostKnown { manager, local } => {
                self.hosts.insert(manager, (local, stamp));
            }
            Change::HostGone { manager } => {
                self.hosts.remove(&manager);
            }
            Change::VersionsKnown { versions } => self.versions.merge(&versions),
            other => self.others.push(Changed { stamp, change: other }),
        }
    }

    fn load(&self) -> Vec<Changed> {
        let hosts = self
            .hosts
            .iter()
            .map(|(&manager, &(local, stamp))| Changed { stamp, change: Change::HostKnown { manager, local } });
        let clients = self.clients.iter().flat_map(|(&client, row)| row.load(client));
        let mut locations: Vec<_> = self.locations.values().collect();
        locations.sort_by(|(one, stamp), (other, later)| (&one.user, stamp).cmp(&(&other.user, later)));
        let locations = locations
            .into_iter()
            .map(|(located, stamp)| Changed { stamp: *stamp, change: Change::Located(located.clone()) });
        let versions =
            Changed { stamp: Stamp::default(), change: Change::VersionsKnown { versions: self.versions.clone() } };
        hosts.chain(clients).chain(locations).chain(self.others.iter().cloned()).chain([versions]).collect()
    }
}

impl Client {
    fn load(&self, client: SocketAddr) -> Vec<Changed> {
        let stamp = self.stamp;
        let known = Change::ClientKnown {
            client,
            principal: self.principal.clone(),
            session: self.session.clone(),
            through: self.through,
            local: self.local,
        };
        let mut changes = vec![Changed { stamp, change: known }];
        if self.is_confirmed {
            changes.push(Changed { stamp, change: Change::ClientConfirmed { client } });
        }
        let requests = self.subscriptions.chunk_by(|one, other| one.1 == other.1);
        changes.extend(requests.filter_map(|request| {
            let destinations = request.iter().map(|(destination, _)| destination.clone()).collect();
            Some(Changed { stamp: request.first()?.1, change: Change::Subscribed { client, destinations } })
        }));
        changes
    }
}
