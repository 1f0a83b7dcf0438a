//! All of a server's state as the changes that make it, and changes that come from elsewhere: from a disk after a restart, or
//! from another server of the domain.

use crate::server::{
    Bounds, Change, Changed, ClientOwner, Gone, Located, Server,
    log_event::LogEvent,
    origin::RealmId,
    peers::{ours::ended::Element, stream::StreamId},
    realms::theirs::{Asked, Held},
    request::Path,
    stamp::{Stamp, VersionVector},
    state::{
        self,
        clients::{Client, ClientId, NewClient},
        deliveries::MAX_RELEASED_AT_ONCE,
        locations::{Location, Stored},
        standing::Standing,
        subscriptions::Destination,
    },
};
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use zephyr_core::{auth::Session, body::Place, time::Now};

/// A client that another server knows is probed by that one for so long.
const PROBED_ELSEWHERE: Duration = Duration::from_secs(15);
/// Octets that a client has sent at least that was known before the start.
const KEPT_REQUEST: usize = 160;

/// Where changes come from that were not made just now and here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// They were kept of what this server itself has told. They are not told again.
    Kept,
    /// From another server of ours, by this stream. They are told on.
    Peer(StreamId),
}

impl Source {
    const fn stream(self) -> Option<StreamId> {
        match self {
            Self::Kept => None,
            Self::Peer(stream) => Some(stream),
        }
    }
}

/// A client as another server, or an earlier run of this one, knows it.
struct Known {
    address: SocketAddr,
    owner: ClientOwner,
    session: Option<Arc<dyn Session>>,
    path: Path,
}

/// A list of subscriptions as another server, or an earlier run of this one, knows it.
struct Wanted {
    client: SocketAddr,
    owner: ClientOwner,
    destinations: Vec<Destination>,
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
        let theirs = self.realms.theirs.all();
        let realms = theirs.flat_map(|(realm, destination, held)| changes_of_realm(self, realm, destination, held));
        let versions = Changed { stamp: oldest, change: Change::VersionsKnown { versions: self.versions.clone() } };
        let used = self.used_authenticators();
        let ended = self.ours.ended.all().map(move |(made, element)| Changed {
            stamp: oldest,
            change: Change::Ended { made: *made, element: element.clone() },
        });
        hosts.chain(clients).chain(locations).chain(realms).chain(used).chain(ended).chain([versions])
    }

    /// Which changes are known here.
    pub const fn versions(&self) -> &VersionVector {
        &self.versions
    }

    /// Makes a change that was made elsewhere or earlier, as far as nothing later is known; true when it has changed anything.
    ///
    /// What has been there already is not measured against the bounds.
    pub fn apply(&mut self, now: Now, changed: Changed, source: Source) -> bool {
        self.now = now;
        let Changed { mut stamp, change } = changed;
        if source == Source::Kept && stamp.days_ahead(now.wall).is_some() {
            // Made by a clock that was wrong: no other server would take it.
            stamp = self.stamps.next(now);
            self.versions.raise(stamp);
        }
        self.stamps.saw(stamp);
        if self.is_old(stamp, &change, source) {
            return false;
        }
        let effect = match change.clone() {
            Change::ClientKnown { client: address, principal, session, through, local } => {
                let path = Path { from: SocketAddr::new(address.ip(), through), local };
                if source == Source::Kept {
                    // It has sent something before, so that one that is not confirmed can be sent a probe.
                    self.earn(address.ip(), KEPT_REQUEST);
                }
                let owner = ClientOwner { principal, proven: session.is_some() };
                let path = if source == Source::Kept { path } else { Path { local: None, ..path } };
                let (principal, known) = (owner.principal.clone(), session.clone());
                if self.apply_client(now, Known { address, owner, session, path }, stamp, source) {
                    let (session, local) = (known, path.local);
                    let known = Change::ClientKnown { client: address, principal, session, through, local };
                    Effect { here: Some(known), is_news: true }
                } else {
                    Effect::NONE
                }
            }
            Change::ClientConfirmed { client, owner } => {
                Effect::of(&change, self.apply_confirmation(now, client, &owner))
            }
            Change::Subscribed { client, owner, destinations } => {
                self.apply_subscriptions(Wanted { client, owner, destinations }, stamp, source)
            }
            Change::Unsubscribed { client, destinations, stamps } => self.apply_end(client, &destinations, &stamps),
            Change::ClientGone { client, stamps, why } => self.apply_client_end(now, client, &stamps, why, source),
            Change::Located(located) => Effect::of(&change, self.apply_location(&located, stamp, source)),
            Change::LocationGone { user, address, stamp } => self.apply_location_end(&user, address, stamp),
            Change::HostKnown { manager, local } => return self.apply_host(Path { from: manager, local }, source),
            Change::HostGone { manager } => return source == Source::Kept && self.hosts.leave(manager),
            Change::RealmSubscribed { realm, asker, destinations } => {
                self.apply_realm_subscriptions(&realm, &asker, destinations, stamp, source)
            }
            Change::RealmAsked { .. } if source == Source::Kept => Effect::NONE,
            Change::RealmAsked { client, owner, destinations } => {
                Effect::of(&change, self.asked_elsewhere(client, &owner, destinations))
            }
            Change::RealmUnsubscribed { realm, destinations, stamps } => {
                self.apply_realm_end(&realm, destinations, &stamps)
            }
            Change::Ended { made, element } => {
                if source == Source::Kept {
                    self.ours.ended.restore(made, element);
                }
                return false;
            }
            Change::VersionsKnown { versions } => {
                let days = versions.stamps().filter_map(|stamp| stamp.days_ahead(now.wall)).max();
                if let Some(days) = days {
                    self.report(LogEvent::KeptClockAhead { days });
                }
                let versions = versions.stamps().filter(|stamp| stamp.days_ahead(now.wall).is_none()).collect();
                self.learn_versions(&versions);
                return true;
            }
            Change::AuthenticatorUsed(used) => Effect::of(&change, self.apply_authenticator(now, &used, source)),
            Change::ProofsUndone { host } => Effect::of(&change, self.forget_packets_of(host)),
        };
        let applied = effect.here.is_some();
        if let Source::Peer(stream) = source {
            self.tell_on(Changed { stamp, change }, effect, stream);
        }
        // Not before that: who gets both must have what is there now before he is told that what was there before is gone.
        for change in std::mem::take(&mut self.ours.replaced) {
            if let Change::ClientGone { client, .. } = &change
                && let Some(client) = self.clients.at(*client).and_then(|id| self.clients.get(id))
                && let Some(known) = changes_of(client).into_iter().next()
            {
                self.ours.log(&known, None, self.told);
            }
            self.changed_unless_there(change);
        }
        applied
    }

    /// Tells that what one change had made has ended. To a C server, which knows no stamps, that means nothing while another change
    /// has made the same: it would forget what is still there.
    fn changed_unless_there(&mut self, change: Change) {
        let is_there = match &change {
            Change::ClientGone { client, .. } => self.clients.at(*client).is_some(),
            Change::Unsubscribed { client, destinations, .. } => self
                .clients
                .at(*client)
                .is_some_and(|id| destinations.iter().any(|it| self.subscriptions.contains(it, id))),
            Change::LocationGone { user, address, .. } => self.locations.stamp(user, *address).is_some(),
            _ => false,
        };
        match is_there {
            true => self.changed_for_ours(change),
            false => self.changed(change),
        };
    }

    /// Tells of a change that another server has told, as far as it has changed anything.
    fn tell_on(&mut self, changed: Changed, effect: Effect, from: StreamId) {
        if effect.is_news {
            self.ours.log(&changed, Some(from), self.told);
        }
        if let Some(change) = effect.here {
            self.c_peers.note(&change);
            self.tell(Changed { change, ..changed });
        }
    }

    /// Whether a change of another server is known already. What has no stamp of its own is looked at each time.
    fn is_old(&self, stamp: Stamp, change: &Change, source: Source) -> bool {
        let has_stamp = !matches!(
            change,
            Change::ClientConfirmed { .. } | Change::VersionsKnown { .. } | Change::AuthenticatorUsed { .. }
        );
        source != Source::Kept && has_stamp && self.versions.covers(stamp)
    }

    /// These changes are known, whether or not anything of them is left.
    pub(crate) fn learn_versions(&mut self, versions: &VersionVector) {
        versions.stamps().for_each(|stamp| self.stamps.saw(stamp));
        self.versions.merge(versions);
        self.ours.learned(&self.versions);
    }

    /// Whether the server at the other end did not know an element that has just lost its place to a later one: then it must be
    /// told that this one has ended, as it may have told others of it alone.
    fn is_news(&self, stamp: Stamp, source: Source) -> bool {
        source.stream().is_some_and(|stream| !self.ours.was_told(stream, stamp))
    }

    fn apply_client(&mut self, now: Now, known: Known, stamp: Stamp, source: Source) -> bool {
        let Known { address, owner, session, path } = known;
        if self.ours.has_ended(stamp, || Element::Client(address)) {
            // Whoever tells of it does not know that.
            self.end_elsewhere(address, stamp, source);
            return false;
        }
        let held = self.clients.at(address).and_then(|id| self.clients.get(id)).map(|client| client.stamp);
        if held != Some(stamp) && self.ours.is_behind_client(address, stamp) {
            self.end_elsewhere(address, stamp, source);
            return false;
        }
        if let Some(id) = self.clients.at(address)
            && let Some(client) = self.clients.get(id)
        {
            let (before, same) = (client.stamp, client.owner() == owner);
            if before == stamp {
                return false;
            }
            if (client.standing(), before) > (Standing::of(owner.proven), stamp) {
                self.end_elsewhere(address, stamp, source);
                return false;
            }
            if same {
                if let Some(session) = &session {
                    self.clients.set_session(id, session);
                }
                if let Some(client) = self.clients.get_mut(id) {
                    match source {
                        Source::Kept => client.subscribed(now.monotonic, path),
                        Source::Peer(_) => client.subscribed_elsewhere(path),
                    }
                }
                self.clients.set_stamp(id, stamp);
                if self.is_news(before, source) {
                    self.end_elsewhere(address, before, source);
                } else {
                    self.ours.ended(&self.versions, before, || Element::Client(address));
                }
                return true;
            }
            self.remove_client(id, Gone::Ended);
        }
        let new = NewClient { address, principal: &owner.principal, path, session };
        let id = self.clients.register(new, now.monotonic);
        self.clients.set_stamp(id, stamp);
        match source {
            Source::Kept => self.begin_probing(now, id),
            Source::Peer(_) => {
                if let Some(client) = self.clients.get_mut(id) {
                    client.not_heard_of();
                }
                // The server that it has subscribed at probes it; this one only if that one does not.
                self.begin_probing_after(now, id, PROBED_ELSEWHERE);
            }
        }
        true
    }

    /// What made a client elsewhere has lost its place, which others may not know.
    fn end_elsewhere(&mut self, client: SocketAddr, stamp: Stamp, source: Source) {
        if source != Source::Kept {
            self.ours.ended_client(&self.versions, client, &[stamp]);
            self.ours.replaced.push(Change::ClientGone { client, stamps: vec![stamp], why: Gone::Ended });
        }
    }

    fn apply_confirmation(&mut self, now: Now, address: SocketAddr, owner: &ClientOwner) -> bool {
        let Some(id) = self.clients.at(address) else { return false };
        if self.clients.get(id).is_none_or(|client| client.is_confirmed() || client.owner() != *owner) {
            return false;
        }
        self.confirmed(now, id);
        self.release(now, id, MAX_RELEASED_AT_ONCE);
        true
    }

    fn apply_subscriptions(&mut self, wanted: Wanted, stamp: Stamp, source: Source) -> Effect {
        let Wanted { client: address, owner, destinations } = wanted;
        let has_ended = |it: &Destination| {
            self.ours.has_ended(stamp, || Element::Request(address))
                || self.ours.has_ended(stamp, || Element::Subscription(address, it.clone()))
        };
        let (ended, destinations): (Vec<_>, Vec<_>) = destinations.into_iter().partition(has_ended);
        self.end_subscriptions_elsewhere(address, ended, vec![stamp], source);
        let of_owner = |&id: &ClientId| self.clients.get(id).is_some_and(|client| client.owner() == owner);
        let Some(id) = self.clients.at(address).filter(of_owner) else {
            // Of a client that has ended here: so have they.
            self.end_subscriptions_elsewhere(address, destinations, vec![stamp], source);
            return Effect::NONE;
        };
        let Some(client) = self.clients.get(id) else { return Effect::NONE };
        let payer = client.payer();
        let order: HashMap<Destination, usize> =
            destinations.iter().enumerate().map(|(place, it)| (it.clone(), place)).collect();
        let is_behind = self.ours.is_behind_client(address, stamp);
        let (known, mut new): (Vec<_>, Vec<_>) =
            destinations.into_iter().partition(|it| self.subscriptions.contains(it, id));
        let held: HashMap<&Destination, Stamp> = match known.is_empty() {
            true => HashMap::new(),
            false => client.subscriptions.iter().map(|held| (&held.destination, held.stamp)).collect(),
        };
        let mut late = if is_behind { std::mem::take(&mut new) } else { Vec::new() };
        let mut added: Vec<_> = new.into_iter().filter_map(|it| self.subscriptions.add(it, id, &payer)).collect();
        let (mut again, mut news) = (Vec::new(), Vec::new());
        for destination in known {
            match held.get(&destination) {
                Some(&before) if before != stamp && is_behind => late.push(destination),
                Some(&before) if before > stamp => late.push(destination),
                Some(&before) if before < stamp => {
                    if self.is_news(before, source) {
                        news.push((destination.clone(), before));
                    }
                    again.push(destination);
                }
                Some(_) | None => {}
            }
        }
        self.end_held(id, &again, |_| true);
        added.extend(again);
        for destination in &added {
            // Granted at another server, if it is another realm's.
            self.realms.wishes.end(id, destination);
        }
        added.sort_by_key(|it| order.get(it).copied());
        let here = (!added.is_empty()).then(|| added.clone());
        if let Some(client) = self.clients.get_mut(id) {
            client.add(added, stamp);
        }
        self.end_subscriptions_elsewhere(address, late, vec![stamp], source);
        for (destination, before) in news {
            self.end_subscriptions_elsewhere(address, vec![destination], vec![before], source);
        }
        let here = here.map(|destinations| Change::Subscribed { client: address, owner, destinations });
        Effect { is_news: here.is_some(), here }
    }

    /// Subscriptions that were made elsewhere have ended, which others may not know.
    fn end_subscriptions_elsewhere(
        &mut self,
        client: SocketAddr,
        destinations: Vec<Destination>,
        stamps: Vec<Stamp>,
        source: Source,
    ) {
        if destinations.is_empty() || source == Source::Kept {
            return;
        }
        self.remember_ended(client, &destinations, &stamps);
        self.ours.replaced.push(Change::Unsubscribed { client, destinations, stamps });
    }

    /// Remembers that subscriptions have ended, as long as it must be remembered; true when that is new.
    fn remember_ended(&mut self, client: SocketAddr, destinations: &[Destination], stamps: &[Stamp]) -> bool {
        let mut is_new = false;
        for &stamp in stamps {
            for destination in destinations {
                let element = || Element::Subscription(client, destination.clone());
                is_new |= self.ours.ended(&self.versions, stamp, element);
            }
        }
        is_new
    }

    fn apply_end(&mut self, address: SocketAddr, destinations: &[Destination], stamps: &[Stamp]) -> Effect {
        let is_news = self.remember_ended(address, destinations, stamps);
        let here = self.clients.at(address).and_then(|id| self.end_subscriptions(id, destinations, stamps));
        Effect { is_news: is_news || here.is_some(), here }
    }

    /// Ends those of a client's subscriptions to these destinations that changes with these stamps have made.
    pub(crate) fn end_subscriptions(
        &mut self,
        id: ClientId,
        destinations: &[Destination],
        stamps: &[Stamp],
    ) -> Option<Change> {
        let client = self.clients.get(id)?;
        let (payer, client) = (client.payer(), client.address());
        let (destinations, stamps) = self.end_held(id, destinations, |held| stamps.contains(&held));
        for destination in &destinations {
            self.subscriptions.remove(destination, id, &payer);
        }
        (!destinations.is_empty()).then_some(Change::Unsubscribed { client, destinations, stamps })
    }

    fn apply_client_end(
        &mut self,
        now: Now,
        address: SocketAddr,
        stamps: &[Stamp],
        why: Gone,
        source: Source,
    ) -> Effect {
        let is_news = self.ours.ended_client(&self.versions, address, stamps);
        let known = self.clients.at(address).and_then(|id| Some((id, self.clients.get(id)?)));
        let Some((id, client)) = known else { return Effect { is_news, here: None } };
        if !stamps.contains(&client.stamp) {
            // It has subscribed since. What it had before is gone.
            let here = self.end_subscriptions(id, &client.destinations(), stamps);
            return Effect { is_news: is_news || here.is_some(), here };
        }
        if source != Source::Kept && why == Gone::Silent && client.is_confirmed() && self.is_alive(id, now) {
            self.renew_client(id);
            return Effect { is_news, here: None };
        }
        // With what it has subscribed to and the other server did not know.
        let all = client.stamps();
        let has_more = source != Source::Kept && !all.iter().all(|stamp| stamps.contains(stamp));
        self.drop_client(id);
        self.clear_up();
        if has_more {
            self.ours.ended_client(&self.versions, address, &all);
            let change = Change::ClientGone { client: address, stamps: all.clone(), why: Gone::Ended };
            self.ours.replaced.push(change);
        }
        let here = Some(Change::ClientGone { client: address, stamps: stamps.to_vec(), why }).filter(|_| !has_more);
        Effect { is_news: true, here }
    }

    /// Another server has given up a client that this one has heard of: all of it is told anew.
    fn renew_client(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let (client_address, owner) = (client.address(), client.owner());
        let (session, through, local) = (client.session().cloned(), client.through, client.local());
        let principal = owner.principal.clone();
        let requests: Vec<Vec<Destination>> = std::mem::take(&mut client.subscriptions)
            .chunk_by(|one, other| one.stamp == other.stamp)
            .map(|request| request.iter().map(|held| held.destination.clone()).collect())
            .collect();
        let known = Change::ClientKnown { client: client_address, principal, session, through, local };
        let stamp = self.changed(known);
        self.clients.set_stamp(id, stamp);
        self.changed(Change::ClientConfirmed { client: client_address, owner: owner.clone() });
        for destinations in requests.into_iter().rev() {
            let (owner, again) = (owner.clone(), destinations.clone());
            let stamp = self.changed(Change::Subscribed { client: client_address, owner, destinations });
            if let Some(client) = self.clients.get_mut(id) {
                client.add(again, stamp);
            }
        }
        for (user, located) in self.locations.told_from(client_address) {
            let stamp = self.changed(Change::Located(located));
            self.locations.set_stamp(&user, client_address, stamp);
        }
    }

    /// Where there are other servers, a realm keeps what it has there also while it is not listed here, where it gets nothing:
    /// else they would take it for ended.
    fn apply_realm_subscriptions(
        &mut self,
        realm: &Arc<[u8]>,
        asker: &Arc<[u8]>,
        destinations: Vec<Destination>,
        stamp: Stamp,
        source: Source,
    ) -> Effect {
        let is_shared = source != Source::Kept || self.ours.is_wanted();
        let table = &mut self.realms.table;
        let id = if is_shared { table.number_of(realm) } else { table.named(realm) };
        let Some(id) = id else { return Effect::NONE };
        let mut added = Vec::new();
        for destination in destinations {
            let has_ended = self.ours.has_ended(stamp, || Element::OfRealm(realm.clone(), destination.clone()));
            let asked = Asked { asker: asker.clone(), stamp };
            if !has_ended && self.realms.theirs.insert(id, &destination, asked) {
                added.push(destination);
            }
        }
        let (realm, asker) = (realm.clone(), asker.clone());
        let here = (!added.is_empty()).then_some(Change::RealmSubscribed { realm, asker, destinations: added });
        Effect { is_news: here.is_some(), here }
    }

    fn apply_realm_end(&mut self, realm: &Arc<[u8]>, destinations: Vec<Destination>, stamps: &[Stamp]) -> Effect {
        let mut is_news = false;
        for &stamp in stamps {
            for destination in &destinations {
                let element = || Element::OfRealm(realm.clone(), destination.clone());
                is_news |= self.ours.ended(&self.versions, stamp, element);
            }
        }
        let id = self.realms.table.number_of(realm);
        let here = id.and_then(|id| self.take_realm_subscriptions(id, destinations, |it| stamps.contains(&it)));
        Effect { is_news: is_news || here.is_some(), here }
    }

    fn apply_location(&mut self, located: &Located, stamp: Stamp, source: Source) -> bool {
        let Located { user, address, exposure, proven, machine, time, tty } = located;
        if self.ours.has_ended(stamp, || Element::Location(user.clone(), *address)) {
            self.end_location_elsewhere(user, *address, stamp, source);
            return false;
        }
        let held = self.locations.stamp(user, *address);
        if held.is_none_or(|(held, _)| held != stamp) && self.ours.is_behind_location(*address, user, stamp) {
            self.end_location_elsewhere(user, *address, stamp, source);
            return false;
        }
        if let Some((known, known_proven)) = held {
            if known == stamp {
                return false;
            }
            if (known_proven, known) > (*proven, stamp) {
                self.end_location_elsewhere(user, *address, stamp, source);
                return false;
            }
            if self.is_news(known, source) {
                self.end_location_elsewhere(user, *address, known, source);
            } else {
                self.ours.ended(&self.versions, known, || Element::Location(user.clone(), *address));
            }
        }
        let place = Place { machine, time, tty };
        let told = state::locations::Told { user, address: *address, proven: *proven, exposure: *exposure, place };
        let unbounded = Bounds {
            locations: usize::MAX,
            locations_per_user: usize::MAX,
            locations_per_host: usize::MAX,
            ..self.config.bounds
        };
        self.locations.set(&told, stamp, &unbounded) == Stored::Yes
    }

    fn end_location_elsewhere(&mut self, user: &Arc<[u8]>, address: SocketAddr, stamp: Stamp, source: Source) {
        if source != Source::Kept {
            self.ours.ended(&self.versions, stamp, || Element::Location(user.clone(), address));
            self.ours.replaced.push(Change::LocationGone { user: user.clone(), address, stamp });
        }
    }

    fn apply_location_end(&mut self, user: &Arc<[u8]>, address: SocketAddr, stamp: Stamp) -> Effect {
        let is_news = self.ours.ended(&self.versions, stamp, || Element::Location(user.clone(), address));
        let is_it = self.locations.stamp(user, address).is_some_and(|(held, _)| held == stamp);
        let is_gone = is_it && self.locations.remove(user, address, true).is_ok();
        let here = is_gone.then(|| Change::LocationGone { user: user.clone(), address, stamp });
        Effect { is_news: is_news || is_gone, here }
    }

    /// A host's manager listens here, or talks to another server now.
    fn apply_host(&mut self, path: Path, source: Source) -> bool {
        match source {
            Source::Kept => {
                self.hosts.remember(path, true, self.config.bounds.hosts);
                true
            }
            Source::Peer(_) => {
                let gone = self.hosts.managers().find(|known| known.from.ip() == path.from.ip());
                gone.is_some_and(|gone| {
                    self.hosts.leave(gone.from);
                    self.host_left(gone.from);
                    true
                })
            }
        }
    }
}

/// What has come of a change that another server has told.
struct Effect {
    /// What has changed here.
    here: Option<Change>,
    /// Whether others are to be told what the other server has told.
    is_news: bool,
}

impl Effect {
    const NONE: Self = Self { here: None, is_news: false };

    fn of(change: &Change, applied: bool) -> Self {
        Self { here: applied.then(|| change.clone()), is_news: applied }
    }
}

/// The changes that make a client.
pub(crate) fn changes_of(client: &Client) -> Vec<Changed> {
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
        changes.push(Changed { stamp, change: Change::ClientConfirmed { client: address, owner: client.owner() } });
    }
    // The newest are the first, and what is added later is put before them.
    let requests = client.subscriptions.chunk_by(|one, other| one.stamp == other.stamp);
    changes.extend(requests.rev().filter_map(|request| {
        let destinations = request.iter().map(|held| held.destination.clone()).collect();
        let stamp = request.first()?.stamp;
        Some(Changed { stamp, change: Change::Subscribed { client: address, owner: client.owner(), destinations } })
    }));
    changes
}

/// The change that makes a location.
pub(crate) fn change_of(user: &Arc<[u8]>, location: &Location) -> Changed {
    Changed { stamp: location.stamp, change: Change::Located(location.located(user)) }
}

/// The changes that make a subscription of another realm.
pub(crate) fn changes_of_realm<'a>(
    server: &Server,
    realm: RealmId,
    destination: &'a Destination,
    held: &'a Held,
) -> impl Iterator<Item = Changed> + use<'a> {
    let name = server.realms.table.get(realm).map(|known| known.name.clone());
    name.into_iter().flat_map(move |name| {
        held.asked().iter().map(move |asked| Changed {
            stamp: asked.stamp,
            change: Change::RealmSubscribed {
                realm: name.clone(),
                asker: asked.asker.clone(),
                destinations: vec![destination.clone()],
            },
        })
    })
}
