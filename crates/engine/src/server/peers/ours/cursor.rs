//! The place in the state up to which another server has been sent it: clients in the order of their addresses, then locations
//! in that of their addresses and users, then subscriptions of other realms, then used authenticators, then up to when those of a
//! principal are not all remembered.
//!
//! Nothing is copied, and what changes meanwhile is sent beside it: whatever the cursor has not come to yet is sent as it is then.

use super::wire::{self, Message, Part, write_change};
use crate::server::{
    Change, Changed, Server,
    limits::digest::Digest,
    origin::RealmId,
    snapshot::{change_of, changes_of, changes_of_realm},
    stamp::{ServerId, Stamp},
    state::subscriptions::Destination,
};
use std::{net::SocketAddr, sync::Arc, time::SystemTime};

/// How far a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Behind the client at this address.
    Clients(Option<SocketAddr>),
    /// Behind this location.
    Locations(Option<(SocketAddr, Arc<[u8]>)>),
    /// Behind this subscription of another realm.
    Realms(Option<(RealmId, Destination)>),
    /// Behind this authenticator.
    Authenticators(Option<(SystemTime, Digest)>),
    /// Behind the horizon of this principal.
    Horizons(Option<Arc<[u8]>>),
    /// There is no more.
    Done,
}

impl Cursor {
    /// A snapshot that begins.
    pub(super) const START: Self = Self::Clients(None);

    /// Appends what is next, and goes behind it.
    pub(super) fn step(self, server: &Server, out: &mut Vec<u8>) -> Self {
        match self {
            Self::Clients(after) => {
                let next = server.clients.next_after(after).and_then(|id| server.clients.get(id));
                let Some(client) = next else { return Self::Locations(None) };
                changes_of(client).iter().for_each(|changed| write_change(changed, Part::Snapshot, out));
                Self::Clients(Some(client.address()))
            }
            Self::Locations(after) => {
                let Some((user, location)) = server.locations.next_after(after.as_ref()) else {
                    return Self::Realms(None);
                };
                write_change(&change_of(user, location), Part::Snapshot, out);
                Self::Locations(Some((location.address, user.clone())))
            }
            Self::Realms(after) => {
                let Some((realm, destination, held)) = server.realms.theirs.next_after(after.as_ref()) else {
                    return Self::Authenticators(None);
                };
                let changes = changes_of_realm(server, realm, destination, held);
                changes.for_each(|changed| write_change(&changed, Part::Snapshot, out));
                Self::Realms(Some((realm, destination.clone())))
            }
            Self::Authenticators(after) => {
                let Some((place, used)) = server.replay_cache.next_after(after) else {
                    return Self::Horizons(None);
                };
                let oldest = Stamp { time: 0, server: ServerId::default() };
                let changed = Changed { stamp: oldest, change: Change::AuthenticatorUsed(used) };
                write_change(&changed, Part::Snapshot, out);
                Self::Authenticators(Some(place))
            }
            Self::Horizons(after) => {
                let Some(horizon) = server.replay_cache.next_horizon(after.as_deref()) else { return Self::Done };
                let place = horizon.principal.as_ref().into();
                wire::write(&Message::Horizon(horizon), out);
                Self::Horizons(Some(place))
            }
            Self::Done => Self::Done,
        }
    }
}
