//! What clients of ours want of other realms and have not got yet (server to server, sections 6.2 and 6.3).
//!
//! A subscription to notices of another realm is in force when the realm has granted it, and a realm grants only what it
//! was asked for. A wish that a realm refuses, or says nothing about, ends; one that reaches nobody waits until the realm
//! is there.

use crate::server::{
    origin::RealmId,
    state::{clients::ClientId, subscriptions::Destination},
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

/// A realm that has received a request grants it within this time.
const GRANT_TIMEOUT: Duration = Duration::from_secs(120);
/// Wishes of all clients.
const MAX_WISHES: usize = 65_536;
/// Wishes of one principal's clients.
const MAX_PER_PRINCIPAL: usize = 512;

/// The state of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Nobody was asked, or nobody answered.
    Waits,
    /// The realm is asked.
    Asked,
    /// The realm has received the request, and may grant it until then.
    Received(Duration),
}

/// What is to be asked of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// What a client wants.
    Wish(ClientId, Destination),
    /// What somebody here holds, and the realm may have forgotten.
    Held(Destination),
    /// That it ends what nobody here holds any more.
    End(Destination),
}

fn subtract_one<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The wishes of one client.
struct OfClient {
    principal: Arc<[u8]>,
    own: HashMap<Destination, Wish>,
}

/// The wishes of all clients.
#[derive(Default)]
pub(crate) struct Wishes {
    of_client: HashMap<ClientId, OfClient>,
    of_principal: HashMap<Arc<[u8]>, usize>,
    of_destination: HashMap<Destination, usize>,
    len: usize,
    expiring: VecDeque<(Duration, ClientId, Destination)>,
    /// What each realm is to be asked, in order.
    asks: HashMap<RealmId, VecDeque<Ask>>,
}

impl Wishes {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// A client wants something; false when there are too many wishes. A wish that is there stays as it is.
    pub(crate) fn add(&mut self, realm: RealmId, client: ClientId, principal: &Arc<[u8]>, what: Destination) -> bool {
        if self.get_mut(client, &what).is_some() {
            return true;
        }
        let is_new = self.insert(client, principal, &what, Wish::Waits);
        if is_new {
            self.asks.entry(realm).or_default().push_back(Ask::Wish(client, what));
        }
        is_new
    }

    /// Another server of ours has asked for what a client wants, which may be granted here. False when that is known, or there
    /// are too many wishes.
    pub(crate) fn asked_elsewhere(
        &mut self,
        now: Duration,
        client: ClientId,
        principal: &Arc<[u8]>,
        what: &Destination,
    ) -> bool {
        if self.get_mut(client, what).is_some() {
            return false;
        }
        let until = now + GRANT_TIMEOUT;
        let is_new = self.insert(client, principal, what, Wish::Received(until));
        if is_new {
            self.expiring.push_back((until, client, what.clone()));
        }
        is_new
    }

    /// Adds a wish that is new; false when there are too many.
    fn insert(&mut self, client: ClientId, principal: &Arc<[u8]>, what: &Destination, wish: Wish) -> bool {
        let of_principal = self.of_principal.get(principal).copied().unwrap_or(0);
        let fresh = || OfClient { principal: principal.clone(), own: HashMap::new() };
        let OfClient { own, .. } = self.of_client.entry(client).or_insert_with(fresh);
        if self.len >= MAX_WISHES || of_principal >= MAX_PER_PRINCIPAL {
            if own.is_empty() {
                self.of_client.remove(&client);
            }
            return false;
        }
        own.insert(what.clone(), wish);
        *self.of_principal.entry(principal.clone()).or_insert(0) += 1;
        *self.of_destination.entry(what.clone()).or_insert(0) += 1;
        self.len += 1;
        true
    }

    fn get_mut(&mut self, client: ClientId, what: &Destination) -> Option<&mut Wish> {
        self.of_client.get_mut(&client)?.own.get_mut(what)
    }

    /// The realm is asked now; false when the client does not want it any more, or it is asked already.
    pub(crate) fn asked(&mut self, client: ClientId, what: &Destination) -> bool {
        match self.get_mut(client, what) {
            Some(wish @ Wish::Waits) => {
                *wish = Wish::Asked;
                true
            }
            _ => false,
        }
    }

    /// The realm has received the request.
    pub(crate) fn received(&mut self, now: Duration, client: ClientId, what: &Destination) {
        if let Some(wish) = self.get_mut(client, what) {
            *wish = Wish::Received(now + GRANT_TIMEOUT);
            self.expiring.push_back((now + GRANT_TIMEOUT, client, what.clone()));
        }
    }

    /// Nobody answers the request: it waits until the realm is there.
    pub(crate) fn not_answered(&mut self, client: ClientId, what: &Destination) {
        if let Some(wish) = self.get_mut(client, what) {
            *wish = Wish::Waits;
        }
    }

    /// Whether the realm was asked for it, and may grant it.
    pub(crate) fn may_be_granted(&self, client: ClientId, what: &Destination) -> bool {
        let wish = self.of_client.get(&client).and_then(|of| of.own.get(what));
        matches!(wish, Some(Wish::Asked | Wish::Received(_)))
    }

    /// A wish is granted, refused, or not wanted any more.
    pub(crate) fn end(&mut self, client: ClientId, what: &Destination) -> bool {
        let Some(OfClient { principal, own }) = self.of_client.get_mut(&client) else { return false };
        let Some(wish) = own.remove(what) else { return false };
        let principal = principal.clone();
        if own.is_empty() {
            self.of_client.remove(&client);
        }
        subtract_one(&mut self.of_principal, &principal);
        subtract_one(&mut self.of_destination, what);
        self.len -= 1;
        wish != Wish::Waits
    }

    /// The wishes of a client that is gone: those that a realm was asked for.
    pub(crate) fn forget_client(&mut self, client: ClientId) -> Vec<Destination> {
        let Some(OfClient { own, .. }) = self.of_client.get(&client) else { return Vec::new() };
        let all: Vec<Destination> = own.keys().cloned().collect();
        all.into_iter().filter(|what| self.end(client, what)).collect()
    }

    /// Whether any client wants this.
    pub(crate) fn contain(&self, what: &Destination) -> bool {
        self.of_destination.contains_key(what)
    }

    /// Wishes that were not granted in time end.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((until, _, _)) = self.expiring.front()
            && *until <= now
            && let Some((until, client, what)) = self.expiring.pop_front()
        {
            if self.get_mut(client, &what).is_some_and(|wish| *wish == Wish::Received(until)) {
                self.end(client, &what);
            }
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.expiring.front().map(|&(until, _, _)| until)
    }

    /// What is to be asked of a realm next.
    pub(crate) fn next_ask(&mut self, realm: RealmId) -> Option<Ask> {
        let asks = self.asks.get_mut(&realm)?;
        let next = asks.pop_front();
        if asks.is_empty() {
            self.asks.remove(&realm);
        }
        next
    }

    /// Something more is to be asked of a realm.
    pub(crate) fn ask(&mut self, realm: RealmId, ask: Ask) {
        self.asks.entry(realm).or_default().push_back(ask);
    }

    /// Everything is to be asked of a realm anew: what is `held`, and the wishes of `recipient`, its name after an `@`.
    pub(crate) fn ask_all(&mut self, realm: RealmId, recipient: &[u8], held: Vec<Destination>) {
        let is_end = |ask: &Ask| matches!(ask, Ask::End(_));
        let mut asks: VecDeque<Ask> = self.asks.remove(&realm).unwrap_or_default();
        asks.retain(is_end);
        asks.extend(held.into_iter().map(Ask::Held));
        for (&client, OfClient { own, .. }) in &self.of_client {
            let waits = own.iter().filter(|(what, wish)| what.recipient() == recipient && **wish == Wish::Waits);
            let mut waits: Vec<&Destination> = waits.map(|(what, _)| what).collect();
            waits.sort_unstable_by(|a, b| a.text().cmp(b.text()));
            asks.extend(waits.into_iter().map(|what| Ask::Wish(client, what.clone())));
        }
        if !asks.is_empty() {
            self.asks.insert(realm, asks);
        }
    }

    /// A realm is not asked any more, and what clients want of it ends.
    pub(crate) fn forget_realm(&mut self, realm: RealmId, recipient: &[u8]) {
        self.asks.remove(&realm);
        let all: BTreeSet<ClientId> = self.of_client.keys().copied().collect();
        for client in all {
            let Some(OfClient { own, .. }) = self.of_client.get(&client) else { continue };
            let ended: Vec<Destination> = own.keys().filter(|what| what.recipient() == recipient).cloned().collect();
            for what in ended {
                self.end(client, &what);
            }
        }
    }
}
