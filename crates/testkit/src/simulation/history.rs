//! What servers have changed, and what of that must be there in the end.
//!
//! Servers that know each other are a group; any other server is one of its own. Every change that a server makes is written
//! down here: what has begun with which stamp, and what of that has ended. What the servers of a group know in the end, by
//! their version vectors, decides what they must have.

use super::{
    invariants::{Checked, Incarnation, Invariant},
    trace::beginning,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    hash::Hash,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Notice, Packet},
    uid::Uid,
};
use zephyr_engine::server::{Change, Changed, Destination, Gone, Server, ServerId, Stamp, VersionVector};

/// Something that servers know.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Element {
    Client(SocketAddr),
    Subscription(SocketAddr, Destination),
    Location(Arc<[u8]>, SocketAddr),
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => write!(f, "client {client}"),
            Self::Subscription(client, destination) => write!(f, "subscription of {client} to {destination:?}"),
            Self::Location(user, address) => write!(f, "location of {} at {address}", beginning(user)),
        }
    }
}

impl Element {
    const fn place(&self) -> SocketAddr {
        match self {
            Self::Client(client) | Self::Subscription(client, _) | Self::Location(_, client) => *client,
        }
    }
}

/// Whether an end counts only if no other server may still have what has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainly {
    Yes,
    No,
}

/// What a server knows: each element with its stamp, and what is said of it.
type Present = HashMap<Element, (Stamp, String)>;

/// An end of an element.
struct End {
    stamp: Stamp,
    at: Duration,
    /// Of which changes it was.
    of: Vec<Stamp>,
    /// Another server may have it still.
    is_doubtful: bool,
}

/// What the servers of a group have changed.
#[derive(Default)]
struct Group {
    begun: HashMap<Element, Vec<Stamp>>,
    ended: HashMap<Element, Vec<End>>,
    /// Changes whose requests were answered.
    answered: Vec<Stamp>,
    /// Servers whose state was lost.
    lost: HashSet<ServerId>,
}

/// A request that is to change something.
struct Request {
    client: SocketAddr,
    /// The last change that was made because of it.
    changed: Option<Stamp>,
    is_answered: bool,
}

/// What all servers have changed.
#[derive(Default)]
pub(super) struct History {
    /// By a number that all servers of a group have.
    groups: BTreeMap<usize, Group>,
    requests: HashMap<(Incarnation, Uid), Request>,
    /// The request that is being handled.
    cause: Option<(Incarnation, Uid)>,
}

/// A running server, as it is looked at in the end.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub node: usize,
    pub server: &'a Server,
}

impl History {
    /// A packet comes to a server.
    pub(super) fn came(&mut self, who: Incarnation, from: SocketAddr, packet: &Packet<'_>) {
        let Notice { kind, class, port, uid, .. } = packet.notice;
        let changes = class.eq_ignore_ascii_case(names::ZEPHYR_CTL) || class.eq_ignore_ascii_case(names::LOGIN);
        self.cause = (changes && !kind.is_acknowledgement()).then_some((who, uid));
        if let Some(cause) = self.cause {
            let client = SocketAddr::new(from.ip(), port);
            self.requests.entry(cause).or_insert(Request { client, changed: None, is_answered: false });
        }
    }

    /// A server goes on with this request.
    pub(super) fn goes_on(&mut self, cause: Option<(Incarnation, Uid)>) {
        self.cause = cause;
    }

    /// Whether a client has ended at a server of this group since then.
    pub(super) fn client_ended_since(&self, group: usize, client: SocketAddr, since: Duration) -> bool {
        let ended = self.groups.get(&group).and_then(|group| group.ended.get(&Element::Client(client)));
        ended.is_some_and(|ends| ends.iter().any(|end| end.at >= since))
    }

    /// A server tells of a change.
    pub(super) fn changed(&mut self, group: usize, now: Duration, server: &Server, changed: &Changed) {
        let stamp = changed.stamp;
        if stamp.server != server.config().id {
            return;
        }
        let elements = elements_of(&changed.change);
        let place = elements.first().map(Element::place);
        let request = self.cause.and_then(|cause| self.requests.get_mut(&cause));
        if let Some(request) = request.filter(|request| Some(request.client) == place) {
            request.changed = Some(stamp);
        }
        let group = self.groups.entry(group).or_default();
        let ended = match &changed.change {
            Change::Unsubscribed { stamps, .. } => Some((stamps.clone(), false)),
            Change::ClientGone { stamps, why, .. } => Some((stamps.clone(), *why == Gone::Silent)),
            Change::LocationGone { stamp, .. } => Some((vec![*stamp], false)),
            _ => None,
        };
        for element in elements {
            match &ended {
                Some((of, is_doubtful)) => {
                    let end = End { stamp, at: now, of: of.clone(), is_doubtful: *is_doubtful };
                    group.ended.entry(element).or_default().push(end);
                }
                None => group.begun.entry(element).or_default().push(stamp),
            }
        }
    }

    /// A server sends a packet; true when it is the first answer to a request that has changed something.
    pub(super) fn sent(&mut self, group: usize, who: Incarnation, payload: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(payload) else { return false };
        let Notice { kind, uid, body, .. } = packet.notice;
        if kind != Kind::ServAck || !body.starts_with(names::SENT) {
            return false;
        }
        let request = self.requests.get_mut(&(who, uid)).filter(|request| !request.is_answered);
        let Some(request) = request else { return false };
        request.is_answered = true;
        self.groups.entry(group).or_default().answered.extend(request.changed);
        request.changed.is_some()
    }

    /// The state of a server is lost.
    pub(super) fn lost(&mut self, group: usize, runs: Vec<ServerId>) {
        self.groups.entry(group).or_default().lost.extend(runs);
    }

    /// Whether a server that has started again has what it must have by what it knows, and knows what it has answered.
    pub(super) fn check_restored(&self, group: usize, server: &Server, runs: &[ServerId]) -> Checked {
        let Some(history) = self.groups.get(&group) else { return Ok(()) };
        let known = server.versions();
        let is_own = |stamp: &Stamp| runs.contains(&stamp.server);
        if let Some(stamp) = history.answered.iter().find(|it| is_own(it) && !known.covers(**it)) {
            return Err((Invariant::NoLoss, format!("it has answered, and does not know any more: {stamp:?}")));
        }
        history.check(&present(server), known)
    }

    /// Whether the servers of a group have what they must have, and agree. Otherwise: who has not.
    pub(super) fn check(&self, group: usize, members: &[Member<'_>]) -> Result<(), (usize, Checked)> {
        let Some(history) = self.groups.get(&group) else { return Ok(()) };
        let mut known = VersionVector::default();
        members.iter().for_each(|member| known.merge(member.server.versions()));
        let failed = |node, invariant, seen| Err((node, Err((invariant, seen))));
        let mut first: Option<(Member<'_>, Present)> = None;
        for &member in members {
            let present = present(member.server);
            if let Err((invariant, seen)) = history.check(&present, &known) {
                return failed(member.node, invariant, seen);
            }
            match &first {
                None => first = Some((member, present)),
                Some((other, expected)) => {
                    if let Some(difference) = difference(expected, &present) {
                        let name = &other.server.config().host;
                        return failed(member.node, Invariant::Agreement, format!("other than {name}: {difference}"));
                    }
                }
            }
        }
        let forgotten = history.answered.iter().find(|it| !known.covers(**it) && !history.lost.contains(&it.server));
        match (forgotten, members.first()) {
            (Some(stamp), Some(member)) => {
                let seen = format!("answered, and no longer known to anybody: {stamp:?}");
                failed(member.node, Invariant::NoLoss, seen)
            }
            _ => Ok(()),
        }
    }
}

impl Group {
    /// Whether somebody ended an element that had this stamp then, of which something is known.
    fn is_ended(&self, element: &Element, stamp: Stamp, known: &VersionVector, certainly: Certainly) -> bool {
        let client = match element {
            Element::Subscription(client, _) => Some(Element::Client(*client)),
            Element::Client(_) | Element::Location(..) => None,
        };
        let ends = [Some(element), client.as_ref()].into_iter().flatten().filter_map(|it| self.ended.get(it)).flatten();
        ends.into_iter().any(|end| {
            end.of.contains(&stamp) && known.covers(end.stamp) && (certainly == Certainly::No || !end.is_doubtful)
        })
    }

    /// Whether what is there is what must be, where so much is known.
    fn check(&self, present: &Present, known: &VersionVector) -> Checked {
        if let Some(seen) = self.returned(present, known) {
            return Err((Invariant::NoReturn, seen));
        }
        self.missing(present, known).map_or(Ok(()), |seen| Err((Invariant::NoLoss, seen)))
    }

    /// What is there although it has ended.
    fn returned(&self, present: &Present, known: &VersionVector) -> Option<String> {
        let is_ended = |element, stamp| self.is_ended(element, stamp, known, Certainly::Yes);
        let returned = present.iter().filter(|(element, (stamp, _))| is_ended(element, *stamp));
        returned.map(|(element, (stamp, _))| format!("it has ended, and is there: {element:?}, {stamp:?}")).min()
    }

    /// What is not there although it has begun, which is known, and not ended.
    fn missing(&self, present: &Present, known: &VersionVector) -> Option<String> {
        let absent = self.begun.iter().filter(|(element, _)| !present.contains_key(element));
        // The last has taken the place of those before it.
        let last = |stamps: &Vec<Stamp>| stamps.iter().copied().filter(|stamp| known.covers(*stamp)).max();
        let missing = absent.filter_map(|(element, stamps)| Some((element, last(stamps)?)));
        let missing = missing.filter(|&(element, stamp)| !self.is_ended(element, stamp, known, Certainly::No));
        missing.map(|(element, stamp)| format!("it is known, has not ended, and is gone: {element:?}, {stamp:?}")).min()
    }
}

/// What a server knows.
fn present(server: &Server) -> Present {
    let mut present = HashMap::new();
    for Changed { stamp, change } in server.snapshot() {
        let content = match &change {
            Change::ClientKnown { principal, session, .. } => {
                format!("{}, proven: {}", beginning(principal), session.is_some())
            }
            Change::Located(located) => format!("{located:?}"),
            _ => String::new(),
        };
        for element in elements_of(&change) {
            present.insert(element, (stamp, content.clone()));
        }
    }
    present
}

/// What differs.
fn difference<C: PartialEq + fmt::Debug>(
    expected: &HashMap<Element, C>,
    present: &HashMap<Element, C>,
) -> Option<String> {
    let other = expected.iter().filter(|(element, content)| present.get(element) != Some(content));
    let other = other.map(|(element, content)| format!("{element:?}: {:?}, not {content:?}", present.get(element)));
    let more = present.iter().filter(|(element, _)| !expected.contains_key(element));
    other.chain(more.map(|(element, content)| format!("{element:?}: {content:?}, not there"))).min()
}

/// What a change begins or ends.
fn elements_of(change: &Change) -> Vec<Element> {
    let subscriptions = |client: SocketAddr, destinations: &[Destination]| {
        destinations.iter().map(|it| Element::Subscription(client, it.clone())).collect()
    };
    match change {
        Change::ClientKnown { client, .. } | Change::ClientGone { client, .. } => vec![Element::Client(*client)],
        Change::Subscribed { client, destinations, .. } | Change::Unsubscribed { client, destinations, .. } => {
            subscriptions(*client, destinations)
        }
        Change::Located(located) => vec![Element::Location(located.user.clone(), located.address)],
        Change::LocationGone { user, address, .. } => vec![Element::Location(user.clone(), *address)],
        _ => Vec::new(),
    }
}
