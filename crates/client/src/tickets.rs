//! Watching the user's tickets while a program runs.

use crate::renewal::{Event, Renewal};
use std::sync::Arc;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};
use zephyr_core::auth::{Initiator, Session};
use zephyr_net::clock::Clock;

/// A watch over the tickets of a client that has subscribed; see [`Client::tickets`](crate::Client::tickets).
pub struct Tickets {
    initiator: Arc<dyn Initiator>,
    realm: String,
    clock: Clock,
    renewal: Renewal,
    /// A look that is under way. It may ask the KDC and take a while, so it has a thread of its own.
    looking: Option<JoinHandle<Option<Arc<dyn Session>>>>,
}

impl Tickets {
    pub(crate) fn new(initiator: Arc<dyn Initiator>, realm: String, clock: Clock) -> Self {
        let session = initiator.session(&realm).ok();
        let renewal = Renewal::new(clock.now(), session);
        Self { initiator, realm, clock, renewal, looking: None }
    }

    /// The next thing to do or to say. Can be dropped while it waits, and called again.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.looking.is_none() {
                sleep_until(Instant::from_std(self.clock.instant(self.renewal.next_look()))).await;
            }
            let looking = self.looking.get_or_insert_with(|| {
                let (initiator, realm) = (Arc::clone(&self.initiator), self.realm.clone());
                spawn_blocking(move || initiator.session(&realm).ok())
            });
            let found = looking.await.ok().flatten();
            self.looking = None;
            if let Some(event) = self.renewal.look(self.clock.now(), found) {
                return event;
            }
        }
    }

    /// Takes it that subscribing with new tickets has failed: in a while they are news again.
    pub fn failed(&mut self) {
        self.renewal.failed(self.clock.now());
    }
}
