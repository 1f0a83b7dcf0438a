//! What is left in a file of all that a server tells: rows by what they are about, which end by the stamps that have made them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};
use zephyr_engine::server::{Change, Changed, Destination, Stamp};

/// A realm, a destination, who asks, and when.
type OfRealm = (Arc<[u8]>, Vec<u8>, Arc<[u8]>, Stamp);

/// The rows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    clients: BTreeMap<SocketAddr, (Arc<[u8]>, bool, Stamp)>,
    subscriptions: BTreeMap<(SocketAddr, Vec<u8>), Stamp>,
    locations: BTreeMap<(Arc<[u8]>, SocketAddr), Stamp>,
    /// Two servers may have been told of the same one.
    of_realms: BTreeSet<OfRealm>,
    confirmed: BTreeSet<SocketAddr>,
}

fn named(destination: &Destination) -> Vec<u8> {
    destination.text().to_ascii_lowercase()
}

impl Rows {
    /// What only these have, and what only the others have.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (own, others) = (self.lines(), other.lines());
        let only = |what: &str, one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
            one.difference(other).map(|line| format!("only {what}: {line}")).collect()
        };
        [only("in the file", &own, &others), only("known", &others, &own)].concat()
    }

    fn lines(&self) -> BTreeSet<String> {
        let text = String::from_utf8_lossy;
        let clients = self.clients.iter().map(|(client, (principal, proven, stamp))| {
            format!("client {client} {} proven={proven} {stamp:?}", text(principal))
        });
        let confirmed = self.confirmed.iter().map(|client| format!("confirmed {client}"));
        let subscriptions = self.subscriptions.iter();
        let subscriptions =
            subscriptions.map(|((client, name), stamp)| format!("{client} subscribes to {} {stamp:?}", text(name)));
        let locations = self.locations.iter();
        let locations = locations.map(|((user, at), stamp)| format!("{} at {at} {stamp:?}", text(user)));
        let of_realms = self.of_realms.iter().map(|(realm, name, asker, stamp)| {
            format!("{} of {} subscribes to {} {stamp:?}", text(asker), text(realm), text(name))
        });
        clients.chain(confirmed).chain(subscriptions).chain(locations).chain(of_realms).collect()
    }

    /// Those that these changes make.
    pub(crate) fn of(changes: &[Changed]) -> Self {
        let mut rows = Self::default();
        changes.iter().for_each(|changed| rows.write(changed));
        rows
    }

    /// Writes a change.
    pub(crate) fn write(&mut self, changed: &Changed) {
        let stamp = changed.stamp;
        match &changed.change {
            Change::ClientKnown { client, principal, session, .. } => {
                self.clients.insert(*client, (principal.clone(), session.is_some(), stamp));
            }
            Change::ClientConfirmed { client, .. } => {
                if self.clients.contains_key(client) {
                    self.confirmed.insert(*client);
                }
            }
            Change::Subscribed { client, destinations, .. } => {
                let rows = destinations.iter().map(|it| ((*client, named(it)), stamp));
                self.subscriptions.extend(rows);
            }
            Change::Unsubscribed { client, destinations, stamps } => {
                let names: Vec<Vec<u8>> = destinations.iter().map(named).collect();
                self.subscriptions
                    .retain(|(of, name), made| of != client || !names.contains(name) || !stamps.contains(made));
            }
            Change::ClientGone { client, stamps, .. } => {
                self.subscriptions.retain(|(of, _), made| of != client || !stamps.contains(made));
                if self.clients.get(client).is_some_and(|(.., made)| stamps.contains(made)) {
                    self.clients.remove(client);
                    self.confirmed.remove(client);
                    self.subscriptions.retain(|(of, _), _| of != client);
                }
            }
            Change::Located(it) => {
                self.locations.insert((it.user.clone(), it.address), stamp);
            }
            Change::LocationGone { user, address, stamp } => {
                let key = (user.clone(), *address);
                if self.locations.get(&key) == Some(stamp) {
                    self.locations.remove(&key);
                }
            }
            Change::RealmSubscribed { realm, asker, destinations } => {
                let rows = destinations.iter().map(|it| (realm.clone(), named(it), asker.clone(), stamp));
                self.of_realms.extend(rows);
            }
            Change::RealmUnsubscribed { realm, destinations, stamps } => {
                let names: Vec<Vec<u8>> = destinations.iter().map(named).collect();
                self.of_realms
                    .retain(|(of, name, _, made)| of != realm || !names.contains(name) || !stamps.contains(made));
            }
            Change::HostKnown { .. }
            | Change::HostGone { .. }
            | Change::Ended { .. }
            | Change::VersionsKnown { .. }
            | Change::AuthenticatorUsed(_)
            | Change::RealmAsked { .. }
            | Change::ProofsUndone { .. } => {}
        }
    }
}
