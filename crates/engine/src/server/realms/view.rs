//! Other realms, as operators see them.

use crate::server::{Server, origin::RealmServer, realms::table::RealmState};
use std::{net::SocketAddr, time::Duration};
use zephyr_core::{auth::AuthError, time::Now};

/// Another realm, as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct RealmView<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// How it is.
    pub state: RealmState,
    /// Its servers.
    pub servers: &'a [RealmServer],
    /// The address that it is sent to first.
    pub current: Option<SocketAddr>,
    /// How long ago it last answered, or was first asked.
    pub silent: Duration,
    /// Why nothing can be sent there with proof: there is no session, and this is what the last attempt to get one brought.
    pub no_session: Option<&'a AuthError>,
    /// Packets on their way to it.
    pub pending: usize,
    /// Its subscriptions here.
    pub subscriptions: usize,
}

impl Server {
    /// The other realms, in the order of their list.
    pub fn other_realms(&self, now: Now) -> impl Iterator<Item = RealmView<'_>> {
        self.realms.table.listed().map(move |(id, realm)| RealmView {
            name: &realm.name,
            state: realm.state,
            servers: &realm.servers,
            current: realm.target(realm.current),
            silent: now.monotonic.saturating_sub(realm.heard),
            no_session: realm.no_session(now),
            pending: self.realms.outbox.count_of(id),
            subscriptions: self.realms.theirs.count_of(id),
        })
    }
}
