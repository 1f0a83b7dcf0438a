//! The other realms that a server knows, their servers, and what is known of how they are.

use crate::server::{
    origin::{NeighbourRealm, RealmId, RealmServer},
    realms::outbox::Side,
};
use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Session},
    names,
    time::Now,
};

/// Other realms that are kept at most, those that are no longer listed included.
const MAX_REALMS: usize = 4096;
/// A session that ends so soon is replaced.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(300);
/// A session that does not come within this time is asked for again.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);

/// The state of another realm (server to server, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RealmState {
    /// No address of a server that we send to is known.
    New,
    /// It has not answered yet, or not lately.
    Tardy,
    /// It answers.
    Up,
    /// It has said that it has just started.
    Starting,
    /// It has not answered for as long as anything is repeated.
    Dead,
}

impl RealmState {
    /// The name in a server's status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "REALM_NEW",
            Self::Tardy => "REALM_TARDY",
            Self::Up => "REALM_UP",
            Self::Starting => "REALM_STARTING",
            Self::Dead => "REALM_DEAD",
        }
    }
}

impl fmt::Display for RealmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The session with the servers of a realm.
struct Ticket {
    session: Option<Arc<dyn Session>>,
    /// Whether one is asked for.
    is_asked: bool,
    /// When one may be asked for again, whatever has become of the last request.
    again: Duration,
    /// Why the last request brought none.
    refused: Option<AuthError>,
}

/// Another realm.
pub(crate) struct Realm {
    pub(crate) name: Arc<[u8]>,
    pub(crate) servers: Vec<RealmServer>,
    /// The addresses that we send to, in order.
    pub(crate) targets: Vec<SocketAddr>,
    /// Which of them is sent to first.
    pub(crate) current: usize,
    pub(crate) state: RealmState,
    /// When it last sent something that only it can have sent; before that, when we began to ask.
    pub(crate) heard: Duration,
    /// When it last showed that it began anew, or was there again.
    pub(crate) began: Duration,
    /// What we hold there must be asked for again as soon as it answers.
    pub(crate) forgot_us: bool,
    ticket: Ticket,
}

impl Realm {
    fn new(name: &[u8]) -> Self {
        Self {
            name: name.into(),
            servers: Vec::new(),
            targets: Vec::new(),
            current: 0,
            state: RealmState::New,
            heard: Duration::ZERO,
            began: Duration::ZERO,
            forgot_us: false,
            ticket: Ticket { session: None, is_asked: false, again: Duration::ZERO, refused: None },
        }
    }

    /// What matters of it for a proof.
    pub(crate) fn side(&self) -> Side {
        Side { is_up: self.state == RealmState::Up, began: self.began }
    }

    /// The principal of its servers.
    pub(crate) fn service(&self) -> Box<[u8]> {
        [names::SERVICE, b"@", &self.name].concat().into()
    }

    /// The session with it, if there is one now; and whether another one is to be asked for, which counts as done.
    pub(crate) fn session(&mut self, now: Now) -> (Option<Arc<dyn Session>>, bool) {
        let ends_within = |session: &dyn Session, time| session.ends().is_some_and(|end| end <= now.wall + time);
        let ticket = &mut self.ticket;
        let is_good = ticket.session.as_deref().is_some_and(|session| !ends_within(session, RENEWED_BEFORE_END));
        let ask = !is_good && now.monotonic >= ticket.again;
        if ask {
            (ticket.is_asked, ticket.again) = (true, now.monotonic + SESSION_TIMEOUT);
        }
        (ticket.session.clone().filter(|session| !ends_within(&**session, Duration::ZERO)), ask)
    }

    /// Whoever changed something may have seen to it that a session can be had: it is asked for at the next need. True when
    /// there is none and none is asked for.
    pub(crate) fn try_session_again(&mut self, now: Duration) -> bool {
        let ticket = &mut self.ticket;
        if ticket.is_asked {
            return false;
        }
        ticket.again = ticket.again.min(now);
        ticket.session.is_none()
    }

    /// A session has come, or none: then it may be asked for again at this moment.
    pub(crate) fn set_session(&mut self, session: Result<Arc<dyn Session>, AuthError>, again: Duration) {
        let ticket = &mut self.ticket;
        if std::mem::take(&mut ticket.is_asked) {
            ticket.again = again;
            match session {
                Ok(session) => (ticket.session, ticket.refused) = (Some(session), None),
                // The one before may be good for some minutes yet.
                Err(error) => ticket.refused = Some(error),
            }
        }
    }

    /// Why nothing that is proven can be sent there now, if the last request for a session brought none.
    pub(crate) fn no_session(&self, now: Now) -> Option<&AuthError> {
        let has_ended = |session: &Arc<dyn Session>| session.ends().is_some_and(|end| end <= now.wall);
        self.ticket.refused.as_ref().filter(|_| self.ticket.session.as_ref().is_none_or(has_ended))
    }

    /// The address with this number among those that we send to, counted round.
    pub(crate) fn target(&self, number: usize) -> Option<SocketAddr> {
        self.targets.get(number.checked_rem(self.targets.len())?).copied()
    }

    /// The place of an address among those that we send to.
    pub(crate) fn place_of(&self, address: SocketAddr) -> Option<usize> {
        self.targets.iter().position(|&target| target == address)
    }

    /// Nobody answers at the address of this number: if it is the current one, the next is from now on.
    pub(crate) fn fail_over(&mut self, number: usize) -> usize {
        let Some(next) = (number + 1).checked_rem(self.targets.len()) else { return 0 };
        if self.current == number {
            self.current = next;
        }
        next
    }
}

/// What an update of the list has changed.
#[derive(Default)]
pub(crate) struct Updated {
    /// Realms whose first address became known.
    pub(crate) found: Vec<RealmId>,
    /// Realms that are listed no longer.
    pub(crate) gone: Vec<RealmId>,
}

/// All other realms. A realm keeps its number for as long as the server runs.
#[derive(Default)]
pub(crate) struct Table {
    realms: Vec<Realm>,
    by_name: HashMap<Arc<[u8]>, RealmId>,
    by_address: HashMap<SocketAddr, RealmId>,
    /// Those that are listed, in the order of the list.
    listed: Vec<RealmId>,
}

impl Table {
    /// These are the realms from now on.
    pub(crate) fn update(&mut self, now: Duration, list: &[NeighbourRealm]) -> Updated {
        let before = std::mem::take(&mut self.listed);
        self.by_address.clear();
        let mut updated = Updated::default();
        for neighbour in list {
            let Some(id) = self.number_of(&neighbour.name) else { continue };
            if self.listed.contains(&id) {
                continue;
            }
            self.listed.push(id);
            for &address in neighbour.servers.iter().flat_map(|server| &server.addresses) {
                // Who is listed first speaks at an address.
                self.by_address.entry(address).or_insert(id);
            }
            let Some(realm) = self.realms.get_mut(id.0) else { continue };
            let current = realm.target(realm.current);
            realm.servers.clone_from(&neighbour.servers);
            let sent_to = neighbour.servers.iter().filter(|server| server.sends);
            realm.targets = sent_to.flat_map(|server| server.addresses.iter().copied()).collect();
            realm.current = current.and_then(|current| realm.place_of(current)).unwrap_or(0);
            match (realm.state, realm.targets.is_empty()) {
                (RealmState::New, false) => {
                    (realm.state, realm.heard) = (RealmState::Tardy, now);
                    updated.found.push(id);
                }
                (_, true) => realm.state = RealmState::New,
                (_, false) => {}
            }
        }
        updated.gone = before.into_iter().filter(|id| !self.listed.contains(id)).collect();
        for id in &updated.gone {
            if let Some(realm) = self.realms.get_mut(id.0) {
                *realm = Realm { name: realm.name.clone(), ..Realm::new(b"") };
            }
        }
        updated
    }

    /// The number of a realm, whether or not it is listed; none when too many are known.
    pub(crate) fn number_of(&mut self, name: &[u8]) -> Option<RealmId> {
        if let Some(&id) = self.by_name.get(name) {
            return Some(id);
        }
        if self.realms.len() >= MAX_REALMS {
            return None;
        }
        let (id, realm) = (RealmId(self.realms.len()), Realm::new(name));
        self.by_name.insert(realm.name.clone(), id);
        self.realms.push(realm);
        Some(id)
    }

    /// The realm whose server sends from this address.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<RealmId> {
        self.by_address.get(&address).copied()
    }

    /// Whether a realm is listed.
    pub(crate) fn is_listed(&self, id: RealmId) -> bool {
        self.listed.contains(&id)
    }

    /// The listed realm of this name, as it is spelled there.
    pub(crate) fn named(&self, name: &[u8]) -> Option<RealmId> {
        self.by_name.get(name).copied().filter(|id| self.listed.contains(id))
    }

    pub(crate) fn get(&self, id: RealmId) -> Option<&Realm> {
        self.realms.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: RealmId) -> Option<&mut Realm> {
        self.realms.get_mut(id.0)
    }

    /// The listed realms, in the order of the list.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (RealmId, &Realm)> {
        self.listed.iter().filter_map(|&id| Some((id, self.get(id)?)))
    }
}
