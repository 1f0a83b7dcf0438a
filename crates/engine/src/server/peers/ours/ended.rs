//! What has ended here before all that its server had made until then was known here.
//!
//! A version vector says which changes are known; what of them is not there has ended. While a snapshot comes in, there are
//! changes that no vector covers yet, and another server may still be handing them on. If one of them ends meanwhile, that is
//! remembered until the vector covers it. Whoever keeps the state keeps that as well ([`Change::Ended`]): a server that is killed
//! before it could tell anybody would take it from another one again.

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
pub enum Element {
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
pub(crate) struct Ended {
    all: HashSet<(Stamp, Element)>,
    /// Those that were not told to whoever keeps the state.
    untold: Vec<(Stamp, Element)>,
}

impl Ended {
    /// An element has ended; false when that is known, or too many have.
    pub(crate) fn insert(&mut self, stamp: Stamp, element: Element) -> bool {
        let is_new = self.all.len() < MAX_ENDED && self.all.insert((stamp, element.clone()));
        if is_new {
            self.untold.push((stamp, element));
        }
        is_new
    }

    /// An element has ended, as was kept.
    pub(crate) fn restore(&mut self, stamp: Stamp, element: Element) {
        if self.all.len() < MAX_ENDED {
            self.all.insert((stamp, element));
        }
    }

    /// Those that were not told yet to whoever keeps the state.
    pub(crate) fn take_untold(&mut self) -> Vec<(Stamp, Element)> {
        std::mem::take(&mut self.untold)
    }

    /// Whether there are such.
    pub(crate) const fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(Stamp, Element)> {
        self.all.iter()
    }

    /// Whether an element has ended.
    pub(crate) fn contains(&self, stamp: Stamp, element: impl FnOnce() -> Element) -> bool {
        !self.all.is_empty() && self.all.contains(&(stamp, element()))
    }

    /// That they have ended, as changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        self.all.iter().map(|(stamp, element)| match element {
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
        self.all.retain(|&(stamp, _)| !versions.covers(stamp));
    }
}
