//! Other realms: their servers, what they are told, and what they say (server to server, sections 5 to 8).
//!
//! `table` is who they are and how they are. `outgoing` hands notices off, which wait in the `outbox` until a server of
//! the realm [answers](answers); `asking` asks for what our clients want there, of which `wishes` keeps account. What comes
//! from them is looked at by `incoming`, `control` and `locating`; `theirs` is what they subscribed to here.

mod answers;
mod asking;
mod control;
mod incoming;
mod locating;
pub(crate) mod outbox;
mod outgoing;
pub(crate) mod table;
pub(crate) mod theirs;
mod view;
mod wishes;

pub use table::RealmState;
pub use view::RealmView;

use crate::server::{
    Server,
    log_event::LogEvent,
    origin::{NeighbourRealm, RealmId},
    realms::{locating::Questions, outbox::Outbox, table::Table, theirs::RealmSubscriptions, wishes::Wishes},
    state::subscriptions::Destination,
};
use std::{fmt, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Session},
    realm::Realms,
    time::Now,
};

/// What a server knows of other realms.
#[derive(Default)]
pub(crate) struct OtherRealms {
    pub(crate) table: Table,
    pub(crate) outbox: Outbox,
    pub(crate) theirs: RealmSubscriptions,
    pub(crate) wishes: Wishes,
    pub(crate) questions: Questions,
    /// Realms that can be reached since just now.
    pub(crate) found: Vec<RealmId>,
}

impl OtherRealms {
    /// When something is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let all = [self.outbox.next_due(), self.wishes.next_expiry(), self.questions.next_expiry()];
        all.into_iter().flatten().min()
    }
}

impl Server {
    /// These are all other realms from now on.
    pub(crate) fn set_realms(&mut self, now: Now, list: Vec<NeighbourRealm>) {
        let updated = self.realms.table.update(now.monotonic, &list);
        let mut realms = Realms::local_only(self.config.realms.local());
        self.realms.table.listed().for_each(|(_, realm)| realms.add(&realm.name));
        self.config.realms = realms;
        self.config.neighbours.realms = list;
        for id in updated.gone {
            self.forget_realm(id);
        }
        self.realms.found.extend(updated.found);
        self.try_sessions_again(now);
    }

    /// Sessions that could not be had are asked for now, where something waits for them.
    pub(crate) fn try_sessions_again(&mut self, now: Now) {
        let all: Vec<RealmId> = self.realms.table.listed().map(|(id, _)| id).collect();
        for id in all {
            if self.realms.table.get_mut(id).is_some_and(|realm| realm.try_session_again(now.monotonic)) {
                self.wake_packets_to(id, now.monotonic);
            }
        }
    }

    /// A server of a realm can be reached: it hears that we are here, and is asked for what is held here.
    fn begin_with_realm(&mut self, now: Now, id: RealmId) {
        let Some(realm) = self.realms.table.get(id) else { return };
        let (name, state) = (realm.name.as_ref().into(), realm.state);
        self.report(LogEvent::RealmState { realm: name, state });
        self.greet_realm(now, id);
        self.ask_again(now, id);
        self.wake_packets_to(id, now.monotonic);
    }

    fn forget_realm(&mut self, id: RealmId) {
        self.end_all_to(id);
        let held: Vec<Destination> = self.realms.theirs.of(id).map(|(destination, _)| destination.clone()).collect();
        self.end_realm_subscriptions(id, held);
        if let Some(realm) = self.realms.table.get(id) {
            let recipient = [b"@", &realm.name[..]].concat();
            self.realms.wishes.forget_realm(id, &recipient);
        }
    }
}

/// A job about another realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealmJob {
    /// A session of this realm's service with the servers of the realm of this name.
    Session(Arc<[u8]>),
}

/// The result of a [`RealmJob`].
#[derive(Clone)]
pub enum RealmDone {
    /// Of [`RealmJob::Session`].
    Session {
        /// The realm's name, as it was asked for.
        realm: Arc<[u8]>,
        /// The session; an error when there is none now. The server asks again.
        result: Result<Arc<dyn Session>, AuthError>,
    },
}

impl fmt::Debug for RealmDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are not for anybody's eyes.
        let Self::Session { realm, result } = self;
        write!(f, "Session({}, {:?})", realm.escape_ascii(), result.as_ref().map(|_| ()))
    }
}
