//! Subscriptions, and the lookup of a notice's subscribers, whose cost does not depend on how many subscriptions there
//! are.

use crate::server::{
    stamp::Stamp,
    state::{
        clients::ClientId,
        standing::{ByStanding, Standing},
    },
};
use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};
use zephyr_core::{
    fold::{FoldedName, NameTooLong},
    limits::MAX_PACKET,
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
    ///
    /// # Errors
    ///
    /// When the folded class or instance is longer than any packet.
    pub(crate) fn new(class: &[u8], instance: &[u8], recipient: &[u8]) -> Result<Self, NameTooLong> {
        let mut text = Vec::with_capacity(class.len() + instance.len() + recipient.len() + 2);
        FoldedName::append(class, &mut text)?;
        text.push(0);
        FoldedName::append(instance, &mut text)?;
        text.push(0);
        text.extend_from_slice(recipient);
        Ok(Self(text.into()))
    }

    /// The destination with this [text](Self::text), which was made by a server; `None` when it is none. No text is longer than
    /// that of a destination made of names can be.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let of_names = text.iter().filter(|&&octet| octet == 0).count() == 2;
        (of_names && text.len() <= 3 * MAX_PACKET).then(|| Self(text.into()))
    }

    /// The destination of a class and an instance that are folded already.
    pub(crate) fn of_folded(class: &[u8], instance: &[u8], recipient: &[u8]) -> Self {
        Self([class, b"\0", instance, b"\0", recipient].concat().into())
    }

    /// Class, NUL, instance, NUL, recipient.
    pub fn text(&self) -> &[u8] {
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

    /// Where its text is: the same for all who are subscribed to it.
    pub(crate) fn place(&self) -> *const u8 {
        self.0.as_ptr()
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

impl Ord for Destination {
    fn cmp(&self, other: &Self) -> Ordering {
        let folded = |text: &Self| text.0.iter().map(u8::to_ascii_lowercase).collect::<Vec<u8>>();
        match self.0.eq_ignore_ascii_case(&other.0) {
            true => Ordering::Equal,
            false => folded(self).cmp(&folded(other)),
        }
    }
}

impl PartialOrd for Destination {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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

/// A subscription, as its client has it.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// To what.
    pub(crate) destination: Destination,
    /// Of which change.
    pub(crate) stamp: Stamp,
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

    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    fn list(&self, out: &mut Vec<ClientId>) {
        match self {
            Self::One(only) => out.push(*only),
            Self::Few(few) => out.extend(few),
            Self::Many(many) => out.extend(many.iter()),
        }
    }
}

/// Subscriptions of clients that are gone, ended in one go: nobody waits because somebody else had many.
const MAX_ENDED_PER_STEP: usize = 64;

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

    const fn subtract(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.octets = self.octets.saturating_sub(other.octets);
    }
}

fn subtract<K: Eq + Hash>(usages: &mut HashMap<K, Usage>, key: &K, less: Usage) {
    if let Some(usage) = usages.get_mut(key) {
        usage.subtract(less);
        if usage.count == 0 {
            usages.remove(key);
        }
    }
}

/// The subscriptions of all clients, by destination.
#[derive(Default)]
pub(crate) struct Subscriptions {
    /// Among them readers that are gone, as long as something is `ending`.
    interested: HashMap<Destination, Readers>,
    /// What clients that are gone were subscribed to, as far as they are still listed there.
    ending: VecDeque<(ClientId, Vec<Destination>)>,
    /// The destinations whose recipient is a realm.
    of_realms: HashSet<Destination>,
    /// Those of them that have lost their last subscriber since somebody last looked.
    orphans: Vec<Destination>,
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
                if shared.recipient().starts_with(b"@") {
                    self.of_realms.insert(shared.clone());
                }
            }
        }
        let octets = shared.octets();
        self.usage.of_mut(payer.standing).add(octets);
        self.per_host.entry((payer.host, payer.standing)).or_default().add(octets);
        self.per_principal.entry((payer.principal.clone(), payer.standing)).or_default().add(octets);
        Some(shared)
    }

    /// Whether a client is subscribed to a destination.
    pub(crate) fn contains(&self, destination: &Destination, client: ClientId) -> bool {
        self.interested.get(destination).is_some_and(|readers| readers.contains(client))
    }

    /// The destination as most of those hold it who are subscribed to it.
    pub(crate) fn shared(&self, destination: &Destination) -> Option<Destination> {
        self.interested.get_key_value(destination).map(|(shared, _)| shared.clone())
    }

    /// Ends a subscription of a client; false when there was none.
    pub(crate) fn remove(&mut self, destination: &Destination, client: ClientId, payer: &Payer) -> bool {
        let Some(readers) = self.interested.get_mut(destination) else { return false };
        if !readers.contains(client) {
            return false;
        }
        self.unlist(destination, client);
        self.uncount(std::slice::from_ref(destination), payer);
        true
    }

    /// Ends the subscriptions of a client of a host that is gone. They count no longer, and are
    /// [ended bit by bit](Self::end_some).
    pub(crate) fn leave(&mut self, client: ClientId, destinations: Vec<Destination>, payer: &Payer) {
        self.uncount(&destinations, payer);
        if !destinations.is_empty() {
            self.ending.push_back((client, destinations));
        }
    }

    /// Ends some subscriptions of clients that are gone; true when there are more.
    pub(crate) fn end_some(&mut self) -> bool {
        for _ in 0..MAX_ENDED_PER_STEP {
            let Some((client, destinations)) = self.ending.front_mut() else { break };
            match (*client, destinations.pop()) {
                (client, Some(destination)) => self.unlist(&destination, client),
                (_, None) => {
                    self.ending.pop_front();
                }
            }
        }
        !self.ending.is_empty()
    }

    /// Whether [`matching`](Self::matching) may give clients that are gone.
    pub(crate) fn lists_gone_clients(&self) -> bool {
        !self.ending.is_empty()
    }

    fn unlist(&mut self, destination: &Destination, client: ClientId) {
        if self.interested.get_mut(destination).is_some_and(|readers| readers.remove(client)) {
            self.interested.remove(destination);
            if self.of_realms.remove(destination) {
                self.orphans.push(destination.clone());
            }
        }
    }

    /// The destinations of this recipient, a realm after an `@`, that somebody is subscribed to, in order.
    pub(crate) fn of_realm(&self, recipient: &[u8]) -> Vec<Destination> {
        let all = self.of_realms.iter().filter(|destination| destination.recipient() == recipient);
        let mut all: Vec<Destination> = all.cloned().collect();
        all.sort_unstable_by(|one, other| one.text().cmp(other.text()));
        all
    }

    /// The destinations whose recipient is a realm and that have lost their last subscriber since this was last asked.
    pub(crate) fn take_orphans(&mut self) -> Vec<Destination> {
        std::mem::take(&mut self.orphans)
    }

    /// Whether anybody is subscribed to a destination.
    pub(crate) fn is_held(&self, destination: &Destination) -> bool {
        self.interested.contains_key(destination)
    }

    /// Those who are subscribed to a destination; among them may be some that are gone.
    pub(crate) fn readers_of(&self, destination: &Destination) -> Vec<ClientId> {
        let mut readers = Vec::new();
        if let Some(all) = self.interested.get(destination) {
            all.list(&mut readers);
        }
        readers
    }

    fn uncount(&mut self, destinations: &[Destination], payer: &Payer) {
        let usage = Usage { count: destinations.len(), octets: destinations.iter().map(Destination::octets).sum() };
        self.usage.of_mut(payer.standing).subtract(usage);
        subtract(&mut self.per_host, &(payer.host, payer.standing), usage);
        subtract(&mut self.per_principal, &(payer.principal.clone(), payer.standing), usage);
    }

    /// Every client, once each, that wants notices of this class, instance and recipient. They are listed only if
    /// `may_be` says so of how many there are at least: that is known before.
    pub(crate) fn matching(
        &self,
        class: &FoldedName,
        instance: &FoldedName,
        recipient: &[u8],
        may_be: impl FnOnce(usize) -> bool,
    ) -> Option<Vec<ClientId>> {
        let of = |instance: &[u8]| self.interested.get(&Destination::of_folded(class, instance, recipient));
        let readers = [of(instance), of(ANY_INSTANCE)].into_iter().flatten();
        if !may_be(readers.clone().map(Readers::len).max().unwrap_or(0)) {
            return None;
        }
        let mut clients = Vec::new();
        readers.for_each(|readers| readers.list(&mut clients));
        clients.sort_unstable();
        clients.dedup();
        Some(clients)
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
    use crate::server::{
        request::Path,
        state::clients::{Clients, NewClient},
    };
    use std::{net::SocketAddr, time::Duration};

    fn matching(subscriptions: &Subscriptions, class: &FoldedName) -> Vec<ClientId> {
        subscriptions.matching(class, &FoldedName::new(b"x"), b"", |_| true).unwrap_or_default()
    }

    #[test]
    fn few_and_many_readers_are_all_found_and_all_leave() {
        let host = IpAddr::from([10, 0, 0, 1]);
        let mut clients = Clients::default();
        let mut register = |port| {
            let path = Path { from: SocketAddr::new(host, port), local: None };
            let new = NewClient { address: path.from, principal: b"alice@R", path, session: None };
            clients.register(new, Duration::ZERO)
        };
        let ids: Vec<ClientId> = (1..=200).map(&mut register).collect();
        let payer = Payer { host, principal: b"alice@R"[..].into(), standing: Standing::Unproven };
        let mut subscriptions = Subscriptions::default();
        let class = || Destination::of_folded(b"c", b"*", b"");
        // Neither in order nor in reverse.
        let shuffled: Vec<ClientId> = (0..200).map(|step| ids[step * 77 % 200]).collect();
        for (index, &id) in shuffled.iter().enumerate() {
            assert!(subscriptions.add(class(), id, &payer).is_some());
            assert!(subscriptions.add(class(), id, &payer).is_none(), "it is subscribed already");
            let mut expected = shuffled[..=index].to_vec();
            expected.sort_unstable();
            assert_eq!(matching(&subscriptions, &FoldedName::new(b"C")), expected);
        }
        assert_eq!((subscriptions.len(), subscriptions.usage_of_host(&payer).count), (200, 200));
        for (index, &id) in shuffled.iter().enumerate() {
            assert!(subscriptions.remove(&class(), id, &payer));
            assert!(!subscriptions.remove(&class(), id, &payer), "it is gone");
            assert_eq!(matching(&subscriptions, &FoldedName::new(b"c")).len(), 199 - index);
        }
        assert_eq!((subscriptions.len(), subscriptions.octets()), (0, 0));
        assert!(subscriptions.per_host.is_empty() && subscriptions.per_principal.is_empty());
        assert!(subscriptions.interested.is_empty());
    }

    #[test]
    fn who_is_gone_counts_no_longer_and_leaves_bit_by_bit() {
        let host = IpAddr::from([10, 0, 0, 1]);
        let mut clients = Clients::default();
        let [one, other] = [1, 2].map(|port| {
            let path = Path { from: SocketAddr::new(host, port), local: None };
            let new = NewClient { address: path.from, principal: b"a", path, session: None };
            clients.register(new, Duration::ZERO)
        });
        let payer = Payer { host, principal: b"a"[..].into(), standing: Standing::Unproven };
        let mut subscriptions = Subscriptions::default();
        let class = |number: usize| Destination::of_folded(number.to_string().as_bytes(), b"*", b"");
        let held = (0..150).filter_map(|number| subscriptions.add(class(number), one, &payer)).collect();
        subscriptions.add(class(0), other, &payer);
        subscriptions.leave(one, held, &payer);
        assert_eq!((subscriptions.len(), subscriptions.usage_of_host(&payer).count), (1, 1));
        assert_eq!(subscriptions.octets(), class(0).octets());
        let steps = std::iter::from_fn(|| subscriptions.end_some().then_some(())).count();
        assert_eq!((steps, subscriptions.lists_gone_clients()), (2, false), "the third was the last");
        assert_eq!(matching(&subscriptions, &FoldedName::new(b"0")), [other]);
        assert_eq!(subscriptions.interested.len(), 1);
    }
}
