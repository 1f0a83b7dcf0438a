//! What a C server's dump brings is merged with what is here.
//!
//! Its records say nothing of when they were made. What is new to us is taken, with stamps of ours, but for what has ended here
//! since the other last knew everything: of that it is told instead. And what the other has not is dropped if it must have known
//! it: if it was here when the other last knew everything, and the other has been running since,
//! which its dump itself shows (`witness`).

use super::{
    CPeer, Removed, SYNCED,
    dump::{HeardClient, Inventory, Phase, Role, Tells},
    records::Key,
    sessions::{RestoreJob, Restored},
    talk::{key_of, subscription, v4},
};
use crate::server::{
    Bounds, Change, Destination, Gone, Job, Located, LogEvent, Server,
    peers::stream::StreamId,
    realms::theirs::{Added, Room},
    request::Path,
    stamp::Stamp,
    state::{
        clients::{Client, ClientId, NewClient},
        locations::{Stored, Told},
    },
};
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};
use zephyr_core::{auth::Session, body::Place, time::Now};

/// Clients and locations taken in one step.
const CLIENTS_PER_STEP: usize = 256;
const LOCATIONS_PER_STEP: usize = 1024;

/// A merge that is under way.
#[derive(Debug)]
pub(super) struct Merge {
    stream: StreamId,
    /// The job whose result is waited for, and the clients that it is about.
    job: u64,
    step: Vec<HeardClient>,
    clients: VecDeque<HeardClient>,
    locations: VecDeque<Located>,
    realms: Vec<(Box<[u8]>, Vec<Destination>)>,
    has: Inventory,
    /// Up to which of our changes the other knew everything, and whether it has been running since.
    synced: u64,
    ran_on: bool,
    taken: usize,
}

impl Server {
    /// Begins to take what a C server has told.
    pub(super) fn c_merge(&mut self, now: Now, stream: StreamId) {
        let Some((place, exchange)) = self.c_peers.of_stream(stream) else { return };
        // What was kept of an earlier run says it, too.
        let name = self.c_peers.peers.get(place).map(|peer| peer.name.clone()).unwrap_or_default();
        let kept = self.c_kept(SYNCED, &name).unwrap_or_default();
        let witness = self.c_witness(&name);
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let Some(heard) = peer.exchanges.get_mut(exchange).map(|exchange| std::mem::take(&mut exchange.heard)) else {
            return;
        };
        peer.merge = Some(Merge {
            stream,
            job: 0,
            step: Vec::new(),
            has: Inventory::of(&heard),
            clients: heard.clients.into(),
            locations: heard.locations.into(),
            realms: heard.realms,
            synced: peer.synced.max(kept),
            ran_on: witness.is_some_and(|witness| heard.witnesses.iter().any(|told| witness.is(told))),
            taken: 0,
        });
        self.c_merge_on(now, place);
    }

    /// Begins the next step, or ends: the sessions of some clients are wanted, which is somebody else's work.
    fn c_merge_on(&mut self, now: Now, place: usize) {
        self.c_peers.last_restore += 1;
        let job = self.c_peers.last_restore;
        let Some(merge) = self.c_peers.peers.get_mut(place).and_then(|peer| peer.merge.as_mut()) else { return };
        if merge.clients.is_empty() && merge.locations.is_empty() {
            return self.c_merged(now, place);
        }
        merge.job = job;
        merge.step = merge.clients.drain(..merge.clients.len().min(CLIENTS_PER_STEP)).collect();
        let keys = merge.step.iter().filter_map(|client| match &client.key {
            Key::Session(key) => Some(key.clone()),
            Key::None | Key::Useless => None,
        });
        let keys = keys.collect();
        self.jobs.push_back(Job::Restore(RestoreJob { id: job, keys }));
    }

    /// The sessions of some clients are there.
    pub(crate) fn c_restored(&mut self, now: Now, restored: Restored) {
        let is_of = |peer: &CPeer| peer.merge.as_ref().is_some_and(|merge| merge.job == restored.id);
        let Some(place) = self.c_peers.peers.iter().position(is_of) else { return };
        let Some(merge) = self.c_peers.peers.get_mut(place).and_then(|peer| peer.merge.as_mut()) else { return };
        let step = std::mem::take(&mut merge.step);
        let locations: Vec<Located> = merge.locations.drain(..merge.locations.len().min(LOCATIONS_PER_STEP)).collect();
        let synced = merge.synced;
        let mut sessions = restored.sessions.into_iter();
        let mut taken = 0;
        for client in step {
            let session = match &client.key {
                Key::Session(_) => sessions.next().flatten(),
                Key::None | Key::Useless => None,
            };
            taken += usize::from(self.c_take_client(now, place, client, session, synced));
        }
        for located in locations {
            taken += usize::from(self.c_take_location(now, place, located, synced));
        }
        if let Some(merge) = self.c_peers.peers.get_mut(place).and_then(|peer| peer.merge.as_mut()) {
            merge.taken += taken;
        }
        self.probe(now);
        self.c_merge_on(now, place);
    }

    /// Takes a client; true when that has changed anything.
    fn c_take_client(
        &mut self,
        now: Now,
        place: usize,
        heard: HeardClient,
        session: Option<Arc<dyn Session>>,
        synced: u64,
    ) -> bool {
        let HeardClient { principal, address, destinations, .. } = heard;
        if self.has_ended(place, &Removed::Client(address)) {
            self.c_kill_at(now, place, address);
            return false;
        }
        let (id, changed) = match self.c_client(now, address, &principal, session, synced) {
            Some(found) => found,
            None => return false,
        };
        let is_gone = |it: &&Destination| self.has_ended(place, &Removed::Subscription(address, (*it).clone()));
        let ended = destinations.iter().filter(is_gone).count();
        let wanted: Vec<Destination> = destinations.iter().filter(|it| !is_gone(it)).cloned().collect();
        if ended > 0 {
            // It forgets the client, and is told of it as it is.
            self.c_kill_at(now, place, address);
        }
        let Some(payer) = self.clients.get(id).map(Client::payer) else { return changed };
        let max = self.config.bounds.subscriptions_per_client;
        let held = self.clients.get(id).map_or(0, |client| client.subscriptions.len());
        let Some(owner) = self.clients.get(id).map(Client::owner) else { return changed };
        let mut added = Vec::new();
        for destination in wanted {
            if held + added.len() >= max {
                break;
            }
            added.extend(self.subscriptions.add(destination, id, &payer));
        }
        if added.is_empty() {
            return changed;
        }
        let stamp = self.changed(Change::Subscribed { client: address, owner, destinations: added.clone() });
        if let Some(client) = self.clients.get_mut(id) {
            client.add(added, stamp);
        }
        true
    }

    /// The client at an address, known here from now on; `None` when it is somebody else's, or cannot be known. Also whether it is
    /// known otherwise than before.
    fn c_client(
        &mut self,
        now: Now,
        address: SocketAddr,
        principal: &Arc<[u8]>,
        session: Option<Arc<dyn Session>>,
        synced: u64,
    ) -> Option<(ClientId, bool)> {
        if let Some(id) = self.clients.at(address)
            && let Some(client) = self.clients.get(id)
        {
            let is_own = client.principal == *principal;
            let is_proven = client.standing().is_proven();
            match session {
                // A key is not taken from anybody by a record without one, nor by an older one.
                None if is_own => return Some((id, false)),
                Some(_) if is_own && is_proven && client.stamp.time > synced => return Some((id, false)),
                Some(session) if is_own && is_proven => {
                    let is_same = client.session().and_then(|own| own.key()) == session.key();
                    if !is_same {
                        let (through, local) = (client.through, client.local());
                        self.clients.set_session(id, &session);
                        self.c_known(id, address, principal.clone(), Some(session), through, local);
                    }
                    return Some((id, !is_same));
                }
                Some(_) if !is_proven => {
                    self.remove_client(id, Gone::Ended);
                    return self.c_register(now, address, principal, session);
                }
                _ => {
                    let owner = client.principal.as_ref().into();
                    self.report(LogEvent::PortTaken {
                        opcode: zephyr_core::names::NEXT_CLIENT.into(),
                        sender: principal.as_ref().into(),
                        owner,
                        client: address,
                    });
                    return None;
                }
            }
        }
        self.c_register(now, address, principal, session)
    }

    fn c_register(
        &mut self,
        now: Now,
        address: SocketAddr,
        principal: &Arc<[u8]>,
        session: Option<Arc<dyn Session>>,
    ) -> Option<(ClientId, bool)> {
        // What nobody could prove to a reader is not for one here.
        if session.is_none() && self.config.policy.provable {
            return None;
        }
        if self.clients.len() >= self.config.bounds.clients {
            self.counters.clients_full += 1;
            self.report(LogEvent::Full { what: "clients", from: address });
            return None;
        }
        let through = SocketAddr::new(address.ip(), self.config.host_manager_port);
        let path = Path { from: through, local: None };
        let new = NewClient { address, principal, path, session: session.clone() };
        let id = self.clients.register(new, now.monotonic);
        // Whether anybody is there the C server has not asked.
        self.begin_probing(now, id);
        self.c_known(id, address, principal.clone(), session, through.port(), None);
        Some((id, true))
    }

    fn c_known(
        &mut self,
        id: ClientId,
        client: SocketAddr,
        principal: Arc<[u8]>,
        session: Option<Arc<dyn Session>>,
        through: u16,
        local: Option<std::net::IpAddr>,
    ) {
        let stamp = self.changed(Change::ClientKnown { client, principal, session, through, local });
        self.clients.set_stamp(id, stamp);
    }

    /// Takes a location; true when that has changed anything.
    fn c_take_location(&mut self, now: Now, place: usize, located: Located, synced: u64) -> bool {
        let Located { user, address, exposure, machine, time, tty, .. } = &located;
        if self.has_ended(place, &Removed::Location(user.clone(), *address)) {
            self.c_kill_at(now, place, *address);
            return false;
        }
        let known = self.locations.of(user).iter().find(|known| known.address == *address);
        let texts: [&[u8]; 3] = [machine, time, tty];
        if known.is_some_and(|known| known.stamp.time > synced || known.texts() == texts && known.exposure == *exposure)
        {
            return false;
        }
        let told =
            Told { user, address: *address, proven: true, exposure: *exposure, place: Place { machine, time, tty } };
        let bounds: Bounds = self.config.bounds;
        if self.locations.set(&told, Stamp::default(), &bounds) != Stored::Yes {
            self.counters.locations_full += 1;
            self.report(LogEvent::Full { what: "locations", from: *address });
            return false;
        }
        let stamp = self.changed(Change::Located(told.located()));
        self.locations.set_stamp(user, *address, stamp);
        true
    }

    /// Takes what another realm has subscribed to at a C server, which does not say for whom: it is what the realm's service may
    /// receive. Gives how much of it is new.
    fn c_take_realm(&mut self, name: &[u8], held: Vec<Destination>) -> usize {
        // One that is not known here is not told of anything.
        let Some(id) = self.realms.table.named(name) else { return 0 };
        let Some(realm) = self.realms.table.get(id) else { return 0 };
        let (name, asker): (_, Arc<[u8]>) = (realm.name.clone(), realm.service().into());
        let bounds = &self.config.bounds;
        let room = Room { count: bounds.subscriptions_per_realm, octets: bounds.subscription_octets_per_principal };
        let mut added = Vec::new();
        for destination in held {
            let is_known = self.realms.theirs.get(id, &destination).is_some();
            if !is_known && self.realms.theirs.add(id, &destination, &asker, room) == Added::Yes {
                added.push(destination);
            }
        }
        if added.is_empty() {
            return 0;
        }
        let count = added.len();
        let stamp = self.changed(Change::RealmSubscribed { realm: name, asker, destinations: added.clone() });
        self.realms.theirs.set_stamp(id, &added, stamp);
        self.end_forbidden_realm_subscriptions();
        count
    }

    fn has_ended(&self, place: usize, what: &Removed) -> bool {
        self.c_peers.peers.get(place).is_some_and(|peer| peer.removed.contains(what))
    }

    /// Everything is taken: what the other has not, and must have known, has ended there.
    fn c_merged(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let Some(mut merge) = peer.merge.take() else { return };
        // Once: what it is told from now on it may be slow to know.
        let is_first = !peer.heard_all;
        let name = peer.name.clone();
        let realms = std::mem::take(&mut merge.realms);
        for (realm, held) in realms {
            merge.taken += self.c_take_realm(&realm, held);
        }
        let dropped = if merge.ran_on && is_first { self.c_drop_ended(&merge) } else { 0 };
        self.report(LogEvent::DumpTaken { name, taken: merge.taken, dropped });
        let Some((_, exchange)) = self.c_peers.of_stream(merge.stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        peer.heard_all = true;
        let forgets = !peer.kills.is_empty();
        let Some(exchange) = peer.exchanges.get_mut(exchange) else { return };
        match exchange.role {
            Role::Listener => self.c_finish(now, merge.stream),
            Role::Getter => {
                if forgets {
                    exchange.tells = Tells::Nothing;
                }
                exchange.went_on(now.monotonic);
                exchange.phase = exchange.telling();
                debug_assert!(matches!(exchange.phase, Phase::Telling(_)), "it is told now");
                self.c_tell(now, merge.stream);
            }
        }
    }

    /// Drops what a C server must have known and has not; gives how much that is. What it could not be told of, or would not tell of,
    /// says nothing.
    fn c_drop_ended(&mut self, merge: &Merge) -> usize {
        let Merge { has, synced, .. } = merge;
        let (mut clients, mut ended) = (Vec::new(), Vec::new());
        for (id, client) in self.clients.by_address() {
            let address = client.address();
            let is_tellable = v4(address).is_some() && key_of(client).is_some() && !client.subscriptions.is_empty();
            if !is_tellable || client.stamp.time > *synced {
                continue;
            }
            let is_old = |stamp: Stamp| stamp.time <= *synced;
            if !has.clients.contains(&address) {
                if client.subscriptions.iter().all(|held| is_old(held.stamp)) {
                    clients.push(id);
                }
                continue;
            }
            let missing = client.subscriptions.iter().filter(|held| {
                let has_it = has.subscriptions.contains(&(address, held.destination.clone()));
                !has_it && is_old(held.stamp) && subscription(held.destination.text()).is_some()
            });
            let missing: Vec<Destination> = missing.map(|held| held.destination.clone()).collect();
            if !missing.is_empty() {
                ended.push((id, address, missing));
            }
        }
        let mut locations = Vec::new();
        for (user, list) in self.locations.lists_after(None) {
            let gone = list.iter().filter(|it| it.is_proven() && it.stamp.time <= *synced && v4(it.address).is_some());
            let gone = gone.filter(|it| !has.locations.contains(&(user.clone(), it.address)));
            locations.extend(gone.map(|it| (user.clone(), it.address)));
        }
        let dropped = clients.len() + ended.len() + locations.len();
        for id in clients {
            self.take_client(id, Gone::Ended);
        }
        self.clear_up();
        for (id, address, destinations) in ended {
            self.c_unsubscribe(id, address, destinations);
        }
        let gone = locations.iter().filter_map(|(user, address)| self.locations.remove(user, *address, true).ok());
        let gone = gone.collect();
        self.locations_gone(gone);
        dropped
    }

    fn c_unsubscribe(&mut self, id: ClientId, client: SocketAddr, destinations: Vec<Destination>) {
        let Some(payer) = self.clients.get(id).map(Client::payer) else { return };
        for destination in &destinations {
            self.subscriptions.remove(destination, id, &payer);
        }
        let (destinations, stamps) = self.end_held(id, &destinations, |_| true);
        self.changed(Change::Unsubscribed { client, destinations, stamps });
    }
}
