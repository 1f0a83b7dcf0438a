//! All of a server's state as the changes that make it, and changes that come from elsewhere: from a disk after a restart, or
//! from another server of the domain.

use crate::server::{
    Bounds, Change, Changed, Located, Server,
    realms::theirs::{Added, Room},
    request::Path,
    stamp::{Stamp, VersionVector},
    state::{
        clients::{Client, NewClient},
        locations::{Location, Stored, Told},
        subscriptions::Destination,
    },
};
use std::{net::SocketAddr, sync::Arc};
use zephyr_core::{auth::Session, body::Place, time::Now};

/// Octets that a client has sent at least that was known before the start.
const KEPT_REQUEST: usize = 160;

/// Where changes come from that were not made just now and here.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// They were kept of what this server itself has told. They are not told again.
    Kept,
    /// From another server of the domain, which knows so much: it can have removed nothing else. They are told on.
    Peer(&'a VersionVector),
}

/// A client as another server, or an earlier run of this one, knows it.
struct Known {
    address: SocketAddr,
    principal: Arc<[u8]>,
    session: Option<Arc<dyn Session>>,
    path: Path,
}

impl Server {
    /// All of the state, as changes that make it. The last says which changes it has in it: nobody may take that for true before
    /// he has all of the others.
    pub fn snapshot(&self) -> impl Iterator<Item = Changed> {
        let oldest = Stamp { time: 0, server: self.config.id };
        let hosts = self.hosts.managers().map(move |path| Changed {
            stamp: oldest,
            change: Change::HostKnown { manager: path.from, local: path.local },
        });
        let clients = self.clients.by_address().flat_map(|(_, client)| changes_of(client));
        // The newest is the first, and what is added later is put before it.
        let locations = self.locations.lists().flat_map(|(user, list)| list.iter().rev().map(|it| change_of(user, it)));
        let realms = self.realms.table.listed().flat_map(|(id, realm)| {
            self.realms.theirs.of(id).flat_map(|(destination, held)| {
                held.askers.iter().map(|asker| Changed {
                    stamp: held.stamp,
                    change: Change::RealmSubscribed {
                        realm: realm.name.clone(),
                        asker: asker.clone(),
                        destinations: vec![destination.clone()],
                    },
                })
            })
        });
        let versions = Changed { stamp: oldest, change: Change::VersionsKnown { versions: self.versions.clone() } };
        let used = self.used_authenticators();
        hosts.chain(clients).chain(locations).chain(realms).chain(used).chain([versions])
    }

    /// Which changes are known here.
    pub const fn versions(&self) -> &VersionVector {
        &self.versions
    }

    /// Makes a change that was made elsewhere or earlier, as far as nothing later is known; true when it has changed anything.
    ///
    /// What has been there already is not measured against the bounds.
    pub fn apply(&mut self, now: Now, changed: Changed, source: Source<'_>) -> bool {
        self.now = now;
        let Changed { stamp, change } = changed;
        self.stamps.saw(stamp);
        let is_known = |of: Stamp| match source {
            Source::Kept => true,
            Source::Peer(versions) => versions.covers(of),
        };
        let applied = match change.clone() {
            Change::ClientKnown { client: address, principal, session, through, local } => {
                let path = Path { from: SocketAddr::new(address.ip(), through), local };
                if let Source::Kept = source {
                    // It has sent something before, so that one that is not confirmed can be sent a probe.
                    self.earn(address.ip(), KEPT_REQUEST);
                }
                self.apply_client(now, Known { address, principal, session, path }, stamp)
            }
            Change::ClientConfirmed { client } => self.apply_confirmation(now, client),
            Change::Subscribed { client, destinations } => self.apply_subscriptions(client, destinations, stamp),
            Change::Unsubscribed { client, destinations } => self.apply_end(client, &destinations, is_known),
            Change::ClientGone { client } => {
                let id =
                    self.clients.at(client).filter(|&id| self.clients.get(id).is_some_and(|it| is_known(it.stamp)));
                // Without telling it twice: what is told of it is told below.
                id.is_some_and(|id| self.drop_client(id).is_some())
            }
            Change::Located(located) => self.apply_location(&located, stamp),
            Change::LocationGone { user, address } => {
                let is_concerned = self.locations.stamp(&user, address).is_some_and(is_known);
                is_concerned && self.locations.remove(&user, address, true).is_ok()
            }
            Change::HostKnown { manager, local } => {
                self.hosts.remember(Path { from: manager, local }, true, self.config.bounds.hosts);
                true
            }
            Change::HostGone { manager } => self.hosts.leave(manager),
            Change::RealmSubscribed { realm, asker, destinations } => {
                self.apply_realm_subscriptions(&realm, &asker, &destinations, stamp)
            }
            Change::RealmUnsubscribed { realm, destinations } => self.apply_realm_end(&realm, &destinations, is_known),
            Change::VersionsKnown { versions } => {
                versions.stamps().for_each(|stamp| self.stamps.saw(stamp));
                self.versions.merge(&versions);
                true
            }
            Change::AuthenticatorUsed(used) => self.apply_authenticator(now, &used, source),
            Change::ProofsUndone { host } => {
                self.forget_packets_of(host);
                true
            }
        };
        if let (Source::Peer(_), true) = (source, applied) {
            self.c_peers.note(&change);
            self.tell(Changed { stamp, change });
        }
        applied
    }

    fn apply_client(&mut self, now: Now, known: Known, stamp: Stamp) -> bool {
        let Known { address, principal, session, path } = known;
        if let Some(id) = self.clients.at(address)
            && let Some(client) = self.clients.get(id)
        {
            if client.stamp >= stamp {
                return false;
            }
            let is_same = client.principal == principal && client.session().is_some() == session.is_some();
            if is_same {
                if let Some(session) = &session {
                    self.clients.set_session(id, session);
                }
                if let Some(client) = self.clients.get_mut(id) {
                    client.subscribed(now.monotonic, path);
                }
                self.clients.set_stamp(id, stamp);
                return true;
            }
            self.remove_client(id);
        }
        let id = self.clients.register(NewClient { address, principal: &principal, path, session }, now.monotonic);
        self.clients.set_stamp(id, stamp);
        self.begin_probing(now, id);
        true
    }

    fn apply_confirmation(&mut self, now: Now, address: SocketAddr) -> bool {
        let Some(id) = self.clients.at(address) else { return false };
        if self.clients.get(id).is_none_or(Client::is_confirmed) {
            return false;
        }
        self.confirmed(now, id);
        true
    }

    fn apply_subscriptions(&mut self, address: SocketAddr, destinations: Vec<Destination>, stamp: Stamp) -> bool {
        let Some(id) = self.clients.at(address) else { return false };
        let Some(payer) = self.clients.get(id).map(Client::payer) else { return false };
        let wanted = destinations.into_iter();
        let added: Vec<_> = wanted.filter_map(|destination| self.subscriptions.add(destination, id, &payer)).collect();
        let Some(client) = self.clients.get_mut(id).filter(|_| !added.is_empty()) else { return false };
        client.add(added, stamp);
        true
    }

    fn apply_end(
        &mut self,
        address: SocketAddr,
        destinations: &[Destination],
        is_known: impl Fn(Stamp) -> bool,
    ) -> bool {
        let Some(id) = self.clients.at(address) else { return false };
        let Some(client) = self.clients.get(id) else { return false };
        let payer = client.payer();
        let is_concerned = |it: &Destination| {
            let held = client.subscriptions.iter().find(|held| held.destination == *it);
            held.is_some_and(|held| is_known(held.stamp))
        };
        let ended: Vec<Destination> = destinations.iter().filter(|it| is_concerned(it)).cloned().collect();
        for destination in &ended {
            self.subscriptions.remove(destination, id, &payer);
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.end(&ended);
        }
        !ended.is_empty()
    }

    /// Of a realm that is listed: others get nothing.
    fn apply_realm_subscriptions(
        &mut self,
        realm: &[u8],
        asker: &Arc<[u8]>,
        destinations: &[Destination],
        stamp: Stamp,
    ) -> bool {
        let Some(realm) = self.realms.table.named(realm) else { return false };
        let room = Room { count: usize::MAX, octets: usize::MAX };
        let theirs = &mut self.realms.theirs;
        let added = destinations.iter().filter(|it| theirs.add(realm, it, asker, room) == Added::Yes).count();
        theirs.set_stamp(realm, destinations, stamp);
        added > 0
    }

    fn apply_realm_end(
        &mut self,
        realm: &[u8],
        destinations: &[Destination],
        is_known: impl Fn(Stamp) -> bool,
    ) -> bool {
        let Some(realm) = self.realms.table.named(realm) else { return false };
        let theirs = &mut self.realms.theirs;
        let mut ended = false;
        for destination in destinations {
            if theirs.get(realm, destination).is_some_and(|held| is_known(held.stamp)) {
                ended |= theirs.remove(realm, destination);
            }
        }
        ended
    }

    fn apply_location(&mut self, located: &Located, stamp: Stamp) -> bool {
        let Located { user, address, exposure, proven, machine, time, tty } = located;
        if self.locations.stamp(user, *address).is_some_and(|known| known >= stamp) {
            return false;
        }
        let place = Place { machine, time, tty };
        let told = Told { user, address: *address, proven: *proven, exposure: *exposure, place };
        let unbounded = Bounds {
            locations: usize::MAX,
            locations_per_user: usize::MAX,
            locations_per_host: usize::MAX,
            ..self.config.bounds
        };
        let stored = self.locations.set(&told, stamp, &unbounded);
        stored == Stored::Yes
    }
}

/// The changes that make a client.
fn changes_of(client: &Client) -> Vec<Changed> {
    let (address, stamp) = (client.address(), client.stamp);
    let known = Change::ClientKnown {
        client: address,
        principal: client.principal.clone(),
        session: client.session().cloned(),
        through: client.through,
        local: client.local(),
    };
    let mut changes = vec![Changed { stamp, change: known }];
    if client.is_confirmed() {
        changes.push(Changed { stamp, change: Change::ClientConfirmed { client: address } });
    }
    // The newest are the first, and what is added later is put before them.
    let requests = client.subscriptions.chunk_by(|one, other| one.stamp == other.stamp);
    changes.extend(requests.rev().filter_map(|request| {
        let destinations = request.iter().map(|held| held.destination.clone()).collect();
        let stamp = request.first()?.stamp;
        Some(Changed { stamp, change: Change::Subscribed { client: address, destinations } })
    }));
    changes
}

fn change_of(user: &Arc<[u8]>, location: &Location) -> Changed {
    let [machine, time, tty] = location.texts().map(Into::into);
    let (address, exposure, proven) = (location.address, location.exposure, location.is_proven());
    let located = Located { user: user.clone(), address, exposure, proven, machine, time, tty };
    Changed { stamp: location.stamp, change: Change::Located(located) }
}
