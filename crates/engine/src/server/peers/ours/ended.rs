//! What has ended here before all that its server had made until then was known here.
//!
//! A version vector says which changes are known; what of them is not there has ended. While a snapshot comes in, there are
//! changes that no vector covers yet, and another server may still be handing them on. If one of them ends meanwhile, that is
//! remembered until the vector covers it.

use crate::server::{
    Change, Gone,
    stamp::{Stamp, VersionVector},
    state::subscriptions::Destination,
};
use std::{collections::HashSet, net::SocketAddr, sync::Arc};

/// Maximum number of ended elements that are remembered. There are as many as end while snapshots come in.
const MAX_ENDED: usize = 1 << 18;

/// Something that a change has made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    /// A client.
    Client(SocketAddr),
    /// All subscriptions of a client that one change has made.
    Request(SocketAddr),
    /// One of them.
    Subscription(SocketAddr, Destination),
    /// A location.
    Location(Arc<[u8]>, SocketAddr),
    /// A subscription of another realm.
    OfRealm(Arc<[u8]>, Destination),
}

/// Elements that have ended, with the stamps of the changes that had made them.
#[derive(Debug, Default)]
pub(crate) struct Ended(HashSet<(Stamp, Element)>);

impl Ended {
    /// An element has ended; false when that is known, or too many have.
    pub(crate) fn insert(&mut self, stamp: Stamp, element: Element) -> bool {
        self.0.len() < MAX_ENDED && self.0.insert((stamp, element))
    }

    /// Whether an element has ended.
    pub(crate) fn contains(&self, stamp: Stamp, element: impl FnOnce() -> Element) -> bool {
        !self.0.is_empty() && self.0.contains(&(stamp, element()))
    }

    /// That they have ended, as changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        self.0.iter().map(|(stamp, element)| match element {
            Element::Client(client) | Element::Request(client) => {
                Change::ClientGone { client: *client, stamps: vec![*stamp], why: Gone::Ended }
            }
            Element::Subscription(client, destination) => {
                Change::Unsubscribed { client: *client, destinations: vec![destination.clone()], stamps: vec![*stamp] }
            }
            Element::Location(user, address) => {
                Change::LocationGone { user: user.clone(), address: *address, stamp: *stamp }
            }
            Element::OfRealm(realm, destination) => Change::RealmUnsubscribed {
                realm: realm.clone(),
                destinations: vec![destination.clone()],
                stamps: vec![*stamp],
            },
        })
    }

    /// What is known now is remembered no longer.
    pub(crate) fn known(&mut self, versions: &VersionVector) {
        self.0.retain(|&(stamp, _)| !versions.covers(stamp));
    }
}
