//! Who is interested in what. Finding out who gets a notice costs the same however many subscriptions there are.

use super::clients::ClientId;
use std::{
    collections::{BTreeSet, HashMap},
    hash::{Hash, Hasher},
    sync::Arc,
};
use zephyr_core::{fold::fold, words::ANY_INSTANCE};

/// What one can subscribe to: a class and an instance in their folded form, and a recipient.
///
/// Kept as the three texts with a NUL between them, which is also how lists of subscriptions travel. Recipients are equal
/// when they differ in ASCII case alone; class and instance have no upper-case letters any more, so the whole is compared
/// that way.
#[derive(Clone, Debug)]
pub(super) struct Destination(Arc<[u8]>);

impl Destination {
    /// The destination of these names, as anybody may spell them. No name holds a NUL.
    pub(super) fn new(class: &[u8], instance: &[u8], recipient: &[u8]) -> Self {
        Self([&fold(class), &b"\0"[..], &fold(instance), b"\0", recipient].concat().into())
    }

    /// Class, NUL, instance, NUL, recipient.
    pub(super) fn text(&self) -> &[u8] {
        &self.0
    }

    /// Octets that one client's subscription to it takes, about.
    fn octets(&self) -> usize {
        64 + self.0.len()
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
        state.write(&self.0.to_ascii_lowercase());
    }
}

/// The subscriptions of all clients, by destination.
#[derive(Default)]
pub(super) struct Subscriptions {
    interested: HashMap<Destination, BTreeSet<ClientId>>,
    count: usize,
    octets: usize,
}

impl Subscriptions {
    /// Subscribes a client. Gives the destination for the client's own list, or `None` when it was subscribed already.
    pub(super) fn add(&mut self, destination: Destination, client: ClientId) -> Option<Destination> {
        // All who want the same share one text.
        let shared = match self.interested.get_key_value(&destination) {
            Some((known, _)) => known.clone(),
            None => destination,
        };
        if !self.interested.entry(shared.clone()).or_default().insert(client) {
            return None;
        }
        self.count += 1;
        self.octets += shared.octets();
        Some(shared)
    }

    /// Ends a client's subscription; false when there was none.
    pub(super) fn remove(&mut self, destination: &Destination, client: ClientId) -> bool {
        let Some(clients) = self.interested.get_mut(destination) else { return false };
        if !clients.remove(&client) {
            return false;
        }
        if clients.is_empty() {
            self.interested.remove(destination);
        }
        self.count -= 1;
        self.octets -= destination.octets();
        true
    }

    /// Every client, once each, that wants notices of this class, instance and recipient.
    pub(super) fn matching(&self, class: &[u8], instance: &[u8], recipient: &[u8]) -> Vec<ClientId> {
        let interested = |instance| self.interested.get(&Destination::new(class, instance, recipient));
        let mut clients: Vec<ClientId> = interested(instance).into_iter().flatten().copied().collect();
        if let Some(any) = interested(ANY_INSTANCE) {
            clients.extend(any);
            clients.sort_unstable();
            clients.dedup();
        }
        clients
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }
}
