//! The disk of a server: takes what the server tells, in order and in batches, and has after a crash what was stored until then.

use super::mutant::Mutant;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::auth::Session;
use zephyr_core::time::Now;
use zephyr_engine::server::{
    Change, ChangeSource, Changed, ClientOwner, Destination, Element, Horizon, KeptDelivery, Located, Server, ServerId,
    Stamp, UsedAuthenticator, VersionVector,
};

/// What may have been used after the last moment of which it is known that a server ran that did not end in order.
const UNKNOWN_AFTER_HEARTBEAT: Duration = Duration::from_secs(2);

/// A disk.
#[derive(Default)]
pub(super) struct Disk {
    /// Which run of its server writes to it.
    run: ServerId,
    tables: Tables,
    waiting: VecDeque<Changed>,
    /// Those of them that are being written.
    pub writing: usize,
    /// Changes that this run of the server has told.
    told: u64,
    /// When it was last written to.
    heartbeat: Option<SystemTime>,
    /// What was written when the server ended in order.
    rest: Option<Rest>,
}

/// What is only kept when a server ends in order.
struct Rest {
    horizons: Vec<Horizon>,
    deliveries: Vec<KeptDelivery>,
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
    ended: Vec<(Stamp, Element)>,
    authenticators: BTreeMap<[u8; 16], (UsedAuthenticator, Stamp)>,
}

impl Disk {
    /// Takes a change; true when it is the first that waits.
    pub(super) fn take(&mut self, changed: Changed) -> bool {
        self.told += 1;
        self.waiting.push_back(changed);
        self.writing == 0
    }

    /// Begins to write what waits; gives how many of all changes of this run will be stored then.
    pub(super) fn begin(&mut self) -> u64 {
        self.writing = self.waiting.len();
        self.told
    }

    /// What was being written is stored; gives how many of all changes of this run are.
    pub(super) fn stored(&mut self, now: Now, mutant: Option<Mutant>) -> u64 {
        self.heartbeat = Some(now.wall);
        for changed in self.waiting.drain(..std::mem::take(&mut self.writing)) {
            // What a server changes itself it knows.
            if changed.stamp.server == self.run {
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

    /// The server ends in order.
    pub(super) fn ends(&mut self, server: &Server, now: Now, mutant: Option<Mutant>) {
        self.begin();
        self.stored(now, mutant);
        self.rest = Some(Rest { horizons: server.horizons(), deliveries: server.deliveries(now) });
    }

    /// The server is gone, and what was not stored is lost. It was last written down at this moment that it runs.
    pub(super) fn crashed(&mut self, heartbeat: SystemTime) {
        self.waiting.clear();
        (self.writing, self.told) = (0, 0);
        self.heartbeat = Some(heartbeat);
    }

    /// Makes the state again in a new server.
    pub(super) fn restore(&mut self, server: &mut Server, now: Now) {
        self.run = server.config().id;
        let Some(heartbeat) = self.heartbeat else { return };
        let rest = self.rest.take();
        // What was used while the clock was fast proves nothing now that it is right.
        let unknown_until = (heartbeat + UNKNOWN_AFTER_HEARTBEAT).min(now.wall);
        server.remember_since(if rest.is_some() { UNIX_EPOCH } else { unknown_until });
        rest.iter().flat_map(|rest| &rest.horizons).for_each(|horizon| server.restore_horizon(horizon));
        for changed in self.tables.load() {
            server.apply(now, changed, ChangeSource::Kept);
        }
        for delivery in rest.into_iter().flat_map(|rest| rest.deliveries) {
            server.restore_delivery(now, delivery);
        }
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
            Change::ClientConfirmed { client, .. } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.is_confirmed = true;
                }
            }
            Change::Subscribed { client, destinations, .. } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    client.subscriptions.retain(|(held, _)| !destinations.contains(held));
                    client.subscriptions.extend(destinations.into_iter().map(|it| (it, stamp)));
                }
            }
            Change::Unsubscribed { .. } | Change::ClientGone { .. } if mutant == Some(Mutant::DiskKeepsWhatEnded) => {}
            Change::Unsubscribed { client, destinations, stamps } => {
                if let Some(client) = self.clients.get_mut(&client) {
                    let has_ended =
                        |held: &Destination, stamp: &Stamp| destinations.contains(held) && stamps.contains(stamp);
                    client.subscriptions.retain(|(held, stamp)| !has_ended(held, stamp));
                }
            }
            Change::ClientGone { client, stamps, .. } => {
                if self.clients.get(&client).is_some_and(|client| stamps.contains(&client.stamp)) {
                    self.clients.remove(&client);
                } else if let Some(client) = self.clients.get_mut(&client) {
                    client.subscriptions.retain(|(_, stamp)| !stamps.contains(stamp));
                }
            }
            Change::Located(located) => {
                self.locations.insert((located.user.clone(), located.address), (located, stamp));
            }
            Change::LocationGone { user, address, stamp } => {
                let place = (user, address);
                if self.locations.get(&place).is_some_and(|(_, of)| *of == stamp) {
                    self.locations.remove(&place);
                }
            }
            Change::HostKnown { manager, local } => {
                self.hosts.insert(manager, (local, stamp));
            }
            Change::HostGone { manager } => {
                self.hosts.remove(&manager);
            }
            // No realm here knows another.
            Change::RealmSubscribed { .. } | Change::RealmUnsubscribed { .. } => {}
            Change::VersionsKnown { .. } if mutant == Some(Mutant::DiskForgetsVersions) => {}
            Change::VersionsKnown { versions } => {
                self.versions.merge(&versions);
                self.ended.retain(|&(made, _)| !versions.covers(made));
            }
            Change::Ended { made, element } => self.ended.push((made, element)),
            Change::AuthenticatorUsed(used) => {
                self.authenticators.insert(used.authenticator, (used, stamp));
            }
            Change::ProofsUndone { host } => {
                let of_host = self.authenticators.values_mut().map(|(used, _)| used);
                of_host.filter(|used| used.of_host && used.sender.ip() == host).for_each(|used| used.undone = true);
            }
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
        let mut authenticators: Vec<_> = self.authenticators.values().collect();
        authenticators.sort_by_key(|(_, stamp)| *stamp);
        let authenticators = authenticators
            .into_iter()
            .map(|(used, stamp)| Changed { stamp: *stamp, change: Change::AuthenticatorUsed(used.clone()) });
        let ended = self.ended.iter().cloned();
        let ended =
            ended.map(|(made, element)| Changed { stamp: Stamp::default(), change: Change::Ended { made, element } });
        let versions =
            Changed { stamp: Stamp::default(), change: Change::VersionsKnown { versions: self.versions.clone() } };
        hosts.chain(clients).chain(locations).chain(authenticators).chain(ended).chain([versions]).collect()
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
        let owner = ClientOwner { principal: self.principal.clone(), proven: self.session.is_some() };
        let mut changes = vec![Changed { stamp, change: known }];
        if self.is_confirmed {
            changes.push(Changed { stamp, change: Change::ClientConfirmed { client, owner: owner.clone() } });
        }
        let requests = self.subscriptions.chunk_by(|one, other| one.1 == other.1);
        changes.extend(requests.filter_map(|request| {
            let destinations = request.iter().map(|(destination, _)| destination.clone()).collect();
            Some(Changed {
                stamp: request.first()?.1,
                change: Change::Subscribed { client, owner: owner.clone(), destinations },
            })
        }));
        changes
    }
}
