//! What other realms subscribed to here: notices to all, of which they get copies (server to server, section 6.1).

use crate::server::{origin::RealmId, stamp::Stamp, state::subscriptions::Destination};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};
use zephyr_core::{fold::FoldedName, names::ANY_INSTANCE};

/// Of those for whom a realm asked for the same, so many are known. One who may receive it is enough.
const MAX_ASKERS: usize = 8;

/// A subscription of a realm, which it may have asked for several times.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<Asked>);

/// That a realm asked for a subscription: for whom, and of which change that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// For whom the realm asked for it.
    pub(crate) asker: Arc<[u8]>,
    /// Of which change it is.
    pub(crate) stamp: Stamp,
}

impl Held {
    /// All that the realm has asked.
    pub(crate) fn asked(&self) -> &[Asked] {
        &self.0
    }
}

/// How much room one realm has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Subscriptions.
    pub(crate) count: usize,
    /// Octets of them.
    pub(crate) octets: usize,
}

/// The subscriptions of all realms.
#[derive(Default)]
pub(crate) struct RealmSubscriptions {
    of_realm: BTreeMap<RealmId, BTreeMap<Destination, Held>>,
    interested: HashMap<Destination, BTreeSet<RealmId>>,
    octets: HashMap<RealmId, usize>,
    len: usize,
}

/// What becomes of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is new, or somebody more wants it.
    Yes,
    /// It was there.
    Known,
    /// There is no room.
    Full,
}

impl RealmSubscriptions {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The number of subscriptions of a realm.
    pub(crate) fn count_of(&self, realm: RealmId) -> usize {
        self.of_realm.get(&realm).map_or(0, BTreeMap::len)
    }

    /// A realm subscribes for somebody.
    pub(crate) fn add(&mut self, realm: RealmId, destination: &Destination, asker: &Arc<[u8]>, room: Room) -> Added {
        let own = self.of_realm.entry(realm).or_default();
        if let Some(held) = own.get_mut(destination) {
            if held.0.iter().any(|asked| asked.asker == *asker) || held.0.len() >= MAX_ASKERS {
                return Added::Known;
            }
            held.0.push(Asked { asker: asker.clone(), stamp: Stamp::default() });
            return Added::Yes;
        }
        let octets = self.octets.entry(realm).or_insert(0);
        if own.len() >= room.count || *octets + destination.octets() > room.octets {
            return Added::Full;
        }
        let asked = Asked { asker: asker.clone(), stamp: Stamp::default() };
        self.insert(realm, destination, asked);
        Added::Yes
    }

    /// A realm has subscribed at another server, or before a start: what was there already is not measured. False when it is
    /// known.
    pub(crate) fn insert(&mut self, realm: RealmId, destination: &Destination, asked: Asked) -> bool {
        let own = self.of_realm.entry(realm).or_default();
        if let Some(held) = own.get_mut(destination) {
            let is_new = !held.0.contains(&asked);
            if is_new {
                held.0.push(asked);
            }
            return is_new;
        }
        own.insert(destination.clone(), Held(vec![asked]));
        *self.octets.entry(realm).or_insert(0) += destination.octets();
        self.interested.entry(destination.clone()).or_default().insert(realm);
        self.len += 1;
        true
    }

    /// The change that these new subscriptions are of.
    pub(crate) fn set_stamp(&mut self, realm: RealmId, destinations: &[Destination], stamp: Stamp) {
        let Some(own) = self.of_realm.get_mut(&realm) else { return };
        for destination in destinations {
            let new = own.get_mut(destination).into_iter().flat_map(|held| &mut held.0);
            new.filter(|asked| asked.stamp == Stamp::default()).for_each(|asked| asked.stamp = stamp);
        }
    }

    /// A subscription of a realm.
    pub(crate) fn get(&self, realm: RealmId, destination: &Destination) -> Option<&Held> {
        self.of_realm.get(&realm)?.get(destination)
    }

    /// Ends what of a subscription of a realm these changes have made; gives their stamps.
    pub(crate) fn remove(
        &mut self,
        realm: RealmId,
        destination: &Destination,
        is_meant: impl Fn(Stamp) -> bool,
    ) -> Vec<Stamp> {
        let Some(own) = self.of_realm.get_mut(&realm) else { return Vec::new() };
        let Some(held) = own.get_mut(destination) else { return Vec::new() };
        let gone: Vec<Stamp> = held.0.extract_if(.., |asked| is_meant(asked.stamp)).map(|asked| asked.stamp).collect();
        if !held.0.is_empty() {
            return gone;
        }
        own.remove(destination);
        if own.is_empty() {
            self.of_realm.remove(&realm);
        }
        if let Some(octets) = self.octets.get_mut(&realm) {
            *octets = octets.saturating_sub(destination.octets());
        }
        if let Some(interested) = self.interested.get_mut(destination) {
            interested.remove(&realm);
            if interested.is_empty() {
                self.interested.remove(destination);
            }
        }
        self.len -= 1;
        gone
    }

    /// All subscriptions.
    pub(crate) fn all(&self) -> impl Iterator<Item = (RealmId, &Destination, &Held)> {
        self.of_realm.iter().flat_map(|(&realm, own)| own.iter().map(move |(what, held)| (realm, what, held)))
    }

    /// The subscription that follows this one.
    pub(crate) fn next_after(&self, after: Option<&(RealmId, Destination)>) -> Option<(RealmId, &Destination, &Held)> {
        let of_same = after.and_then(|(realm, what)| {
            let range = (Bound::Excluded(what), Bound::Unbounded);
            let (what, held) = self.of_realm.get(realm)?.range::<Destination, _>(range).next()?;
            Some((*realm, what, held))
        });
        let realms = after.map_or(Bound::Unbounded, |&(realm, _)| Bound::Excluded(realm));
        let mut of_next = self.of_realm.range((realms, Bound::Unbounded));
        of_same
            .or_else(|| of_next.find_map(|(&realm, own)| own.first_key_value().map(|(what, held)| (realm, what, held))))
    }

    /// The subscriptions of a realm.
    pub(crate) fn of(&self, realm: RealmId) -> impl Iterator<Item = (&Destination, &Held)> {
        self.of_realm.get(&realm).into_iter().flatten()
    }

    /// The realms that get notices to all of this class and instance, each once.
    pub(crate) fn matching(&self, class: &FoldedName, instance: &FoldedName) -> Vec<RealmId> {
        if self.interested.is_empty() {
            return Vec::new();
        }
        let of = |instance: &[u8]| self.interested.get(&Destination::of_folded(class, instance, b""));
        let all: BTreeSet<RealmId> =
            [of(instance), of(ANY_INSTANCE)].into_iter().flatten().flatten().copied().collect();
        all.into_iter().collect()
    }
}
