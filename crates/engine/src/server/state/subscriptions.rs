//! Subscriptions, and the lookup of a notice's subscribers, whose cost does not depend on how many subscriptions there
//! are.

use crate::server::state::{
    clients::ClientId,
    standing::{ByStanding, Standing},
};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};
use zephyr_core::{
    fold::{FoldedName, fold},
    names::ANY_INSTANCE,
};

/// The destination of a subscription: a class and an instance in their folded form, and a recipient.
///
/// Kept as the three texts with a NUL between them, which is also how lists of subscriptions travel. Recipients are
/// equal when they differ in ASCII case alone; class and instance have no upper-case letters any more, so the whole is
/// compared that way.
#[derive(Clone)]
pub struct Destination(Arc<[u8]>);

impl Destination {
    /// The destination of these names, as anybody may spell them. No name holds a NUL.
    pub(crate) fn new(class: &[u8], instance: &[u8], recipient: &[u8]) -> Self {
        Self::of_folded(&fold(class), &fold(instance), recipient)
    }

    fn of_folded(class: &[u8], instance: &[u8], recipient: &[u8]) -> Self {
        Self([class, b"\0", instance, b"\0", recipient].concat().into())
    }

    /// Class, NUL, instance, NUL, recipient.
    pub(crate) fn text(&self) -> &[u8] {
        &self.0
    }

    /// The class, folded.
    pub fn class(&self) -> &[u8] {
        self.0.split(|&octet| octet == 0).next().unwrap_or_default()
    }

    /// The instance, folded.
    pub fn instance(&self) -> &[u8] {
        self.0.split(|&octet| octet == 0).nth(1).unwrap_or_default()
    }

    /// The recipient; empty for everybody.
    pub fn recipient(&self) -> &[u8] {
        self.0.splitn(3, |&octet| octet == 0).nth(2).unwrap_or_default()
    }

    /// Octets that one client's subscription to it takes, about.
    pub(crate) fn octets(&self) -> usize {
        64 + self.0.len()
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({})", self.0.escape_ascii())
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for piece in self.0.chunks(64) {
            let mut lower = [0; 64];
            if let Some(lower) = lower.get_mut(..piece.len()) {
                lower.copy_from_slice(piece);
                lower.make_ascii_lowercase();
                state.write(lower);
            }
        }
    }
}

/// The subscribers of one destination. Most things are wanted by one client, and a few by all.
enum Readers {
    One(ClientId),
    /// In order.
    Few(Vec<ClientId>),
    #[expect(clippy::box_collection, reason = "the others, of which there are many, are smaller this way")]
    Many(Box<BTreeSet<ClientId>>),
}

/// Readers that are kept in a plain list, where adding one moves the others.
const MAX_LIST_LEN: usize = 64;

impl Readers {
    fn contains(&self, client: ClientId) -> bool {
        match self {
            Self::One(only) => *only == client,
            Self::Few(few) => few.binary_search(&client).is_ok(),
            Self::Many(many) => many.contains(&client),
        }
    }

    fn insert(&mut self, client: ClientId) -> bool {
        match self {
            Self::One(only) if *only == client => false,
            Self::One(only) => {
                *self = Self::Few(vec![(*only).min(client), (*only).max(client)]);
                true
            }
            Self::Few(few) => match few.binary_search(&client) {
                Ok(_) => false,
                Err(_) if few.len() >= MAX_LIST_LEN => {
                    let mut many: BTreeSet<ClientId> = few.iter().copied().collect();
                    many.insert(client);
                    *self = Self::Many(Box::new(many));
                    true
                }
                Err(place) => {
                    few.insert(place, client);
                    true
                }
            },
            Self::Many(many) => many.insert(client),
        }
    }

    /// Removes a client that is there; true when none is left.
    fn remove(&mut self, client: ClientId) -> bool {
        match self {
            Self::One(_) => return true,
            Self::Few(few) => {
                few.retain(|reader| *reader != client);
                if let [only] = few.as_slice() {
                    *self = Self::One(*only);
                }
            }
            Self::Many(many) => {
                many.remove(&client);
                if many.len() <= MAX_LIST_LEN / 2 {
                    *self = Self::Few(many.iter().copied().collect());
                }
            }
        }
        false
    }

    fn list(&self, out: &mut Vec<ClientId>) {
        match self {
            Self::One(only) => out.push(*only),
            Self::Few(few) => out.extend(few),
            Self::Many(many) => out.extend(many.iter()),
        }
    }
}

/// Who is charged for a client's subscriptions: its host and its principal, proven or only claimed.
#[derive(Clone, Debug)]
pub(crate) struct Payer {
    pub(crate) host: IpAddr,
    pub(crate) principal: Arc<[u8]>,
    pub(crate) standing: Standing,
}

/// How much room some subscriptions take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) count: usize,
    pub(crate) octets: usize,
}

impl Usage {
    const fn add(&mut self, octets: usize) {
        self.count += 1;
        self.octets += octets;
    }

    const fn subtract(&mut self, octets: usize) {
        self.count = self.count.saturating_sub(1);
        self.octets = self.octets.saturating_sub(octets);
    }
}

fn subtract<K: Eq + Hash>(usages: &mut HashMap<K, Usage>, key: &K, octets: usize) {
    if let Some(usage) = usages.get_mut(key) {
        usage.subtract(octets);
        if usage.count == 0 {
            usages.remove(key);
        }
    }
}

/// The subscriptions of all clients, by destination.
#[derive(Default)]
pub(crate) struct Subscriptions {
    interested: HashMap<Destination, Readers>,
    per_host: HashMap<(IpAddr, Standing), Usage>,
    per_principal: HashMap<(Arc<[u8]>, Standing), Usage>,
    usage: ByStanding<Usage>,
}

impl Subscriptions {
    /// Subscribes a client. Gives the destination for the client's own list, or `None` when it was subscribed already.
    pub(crate) fn add(&mut self, destination: Destination, client: ClientId, payer: &Payer) -> Option<Destination> {
        // All who want the same, and spell it so, share one text.
        let shared = match self.interested.get_key_value(&destination) {
            Some((known, _)) if known.text() == destination.text() => known.clone(),
            _ => destination,
        };
        match self.interested.get_mut(&shared) {
            Some(readers) => {
                if !readers.insert(client) {
                    return None;
                }
            }
            None => {
                self.interested.insert(shared.clone(), Readers::One(client));
            }
        }
        let octets = shared.octets();
        self.usage.of_mut(payer.standing).add(octets);
        self.per_host.entry((payer.host, payer.standing)).or_default().add(octets);
        self.per_principal.entry((payer.principal.clone(), payer.standing)).or_default().add(octets);
        Some(shared)
    }

    /// Ends a subscription of a client; false when there was none.
    pub(crate) fn remove(&mut self, destination: &Destination, client: ClientId, payer: &Payer) -> bool {
        let Some(readers) = self.interested.get_mut(destination) else { return false };
        if !readers.contains(client) {
            return false;
        }
        if readers.remove(client) {
            self.interested.remove(destination);
        }
        let octets = destination.octets();
        self.usage.of_mut(payer.standing).subtract(octets);
        subtract(&mut self.per_host, &(payer.host, payer.standing), octets);
        subtract(&mut self.per_principal, &(payer.principal.clone(), payer.standing), octets);
        true
    }

    /// Every client, once each, that wants notices of this class, instance and recipient.
    pub(crate) fn matching(&self, class: &FoldedName, instance: &FoldedName, recipient: &[u8]) -> Vec<ClientId> {
        let mut clients = Vec::new();
        for instance in [&**instance, ANY_INSTANCE] {
            if let Some(readers) = self.interested.get(&Destination::of_folded(class, instance, recipient)) {
                readers.list(&mut clients);
            }
        }
        clients.sort_unstable();
        clients.dedup();
        clients
    }

    pub(crate) const fn len(&self) -> usize {
        self.usage.of(Standing::Unproven).count + self.usage.of(Standing::Proven).count
    }

    pub(crate) const fn octets(&self) -> usize {
        self.usage.of(Standing::Unproven).octets + self.usage.of(Standing::Proven).octets
    }

    /// What all clients of this standing take.
    pub(crate) const fn usage(&self, standing: Standing) -> Usage {
        *self.usage.of(standing)
    }

    /// What the clients of this host and standing take.
    pub(crate) fn usage_of_host(&self, payer: &Payer) -> Usage {
        self.per_host.get(&(payer.host, payer.standing)).copied().unwrap_or_default()
    }

    /// What the clients of this principal and standing take.
    pub(crate) fn usage_of_principal(&self, payer: &Payer) -> Usage {
        self.per_principal.get(&(payer.principal.clone(), payer.standing)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::state::clients::{Clients, NewClient};
    use std::{net::SocketAddr, time::Duration};

    #[test]
    fn few_and_many_readers_are_all_found_and_all_leave() {
        let host = IpAddr::from([10, 0, 0, 1]);
        let mut clients = Clients::default();
        let mut register = |port| {
            let new = NewClient { address: SocketAddr::new(host, port), principal: b"alice@R", session: None };
            clients.register(new, Duration::ZERO)
        };
        let ids: Vec<ClientId> = (1..=200).map(&mut register).collect();
        let payer = Payer { host, principal: b"alice@R"[..].into(), standing: Standing::Unproven };
        let mut subscriptions = Subscriptions::default();
        let class = || Destination::new(b"c", b"*", b"");
        // Neither in order nor in reverse.
        let shuffled: Vec<ClientId> = (0..200).map(|step| ids[step * 77 % 200]).collect();
        for (index, &id) in shuffled.iter().enumerate() {
            assert!(subscriptions.add(class(), id, &payer).is_some());
            assert!(subscriptions.add(class(), id, &payer).is_none(), "it is subscribed already");
            let mut expected = shuffled[..=index].to_vec();
            expected.sort_unstable();
            assert_eq!(subscriptions.matching(&FoldedName::new(b"C"), &FoldedName::new(b"x"), b""), expected);
        }
        assert_eq!((subscriptions.len(), subscriptions.usage_of_host(&payer).count), (200, 200));
        for (index, &id) in shuffled.iter().enumerate() {
            assert!(subscriptions.remove(&class(), id, &payer));
            assert!(!subscriptions.remove(&class(), id, &payer), "it is gone");
            assert_eq!(subscriptions.matching(&FoldedName::new(b"c"), &FoldedName::new(b"x"), b"").len(), 199 - index);
        }
        assert_eq!((subscriptions.len(), subscriptions.octets()), (0, 0));
        assert!(subscriptions.per_host.is_empty() && subscriptions.per_principal.is_empty());
        assert!(subscriptions.interested.is_empty());
    }
}
