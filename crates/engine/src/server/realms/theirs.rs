//! What other realms subscribed to here: notices to all, of which they get copies (server to server, section 6.1).

use crate::server::{origin::RealmId, stamp::Stamp, state::subscriptions::Destination};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use zephyr_core::{fold::FoldedName, names::ANY_INSTANCE};

/// Of those for whom a realm asked for the same, so many are known. One who may receive it is enough.
const MAX_ASKERS: usize = 8;

/// A subscription of a realm.
#[derive(Debug)]
pub(crate) struct Held {
    /// For whom the realm asked for it.
    pub(crate) askers: Vec<Arc<[u8]>>,
    /// Of which change it is.
    pub(crate) stamp: Stamp,
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
    of_realm: HashMap<RealmId, HashMap<Destination, Held>>,
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
        self.of_realm.get(&realm).map_or(0, HashMap::len)
    }

    /// A realm subscribes for somebody.
    pub(crate) fn add(&mut self, realm: RealmId, destination: &Destination, asker: &Arc<[u8]>, room: Room) -> Added {
        let own = self.of_realm.entry(realm).or_default();
        if let Some(held) = own.get_mut(destination) {
            if held.askers.contains(asker) || held.askers.len() >= MAX_ASKERS {
                return Added::Known;
            }
            held.askers.push(asker.clone());
            return Added::Yes;
        }
        let octets = self.octets.entry(realm).or_insert(0);
        if own.len() >= room.count || *octets + destination.octets() > room.octets {
            return Added::Full;
        }
        *octets += destination.octets();
        own.insert(destination.clone(), Held { askers: vec![asker.clone()], stamp: Stamp::default() });
        self.interested.entry(destination.clone()).or_default().insert(realm);
        self.len += 1;
        Added::Yes
    }

    /// The change that these subscriptions are of.
    pub(crate) fn set_stamp(&mut self, realm: RealmId, destinations: &[Destination], stamp: Stamp) {
        let Some(own) = self.of_realm.get_mut(&realm) else { return };
        for destination in destinations {
            if let Some(held) = own.get_mut(destination) {
                held.stamp = held.stamp.max(stamp);
            }
        }
    }

    /// A subscription of a realm.
    pub(crate) fn get(&self, realm: RealmId, destination: &Destination) -> Option<&Held> {
        self.of_realm.get(&realm)?.get(destination)
    }

    /// Ends a subscription of a realm; false when there was none.
    pub(crate) fn remove(&mut self, realm: RealmId, destination: &Destination) -> bool {
        let Some(own) = self.of_realm.get_mut(&realm) else { return false };
        if own.remove(destination).is_none() {
            return false;
        }
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
        true
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
