//! The watch for a server that had forgotten the client.

use crate::{SubscriptionEvent, driver::Request};
use std::future::pending;
use tokio::sync::mpsc;

/// A watch for a server that had forgotten the client; see
/// [`Zephyr::subscription_watch`](crate::Zephyr::subscription_watch).
pub struct SubscriptionWatch {
    events: mpsc::UnboundedReceiver<SubscriptionEvent>,
}

impl SubscriptionWatch {
    pub(crate) fn new(requests: &mpsc::UnboundedSender<Request>) -> Self {
        let (listener, events) = mpsc::unbounded_channel();
        // A client that has ended has no events.
        let _ = requests.send(Request::WatchSubscriptions(listener));
        Self { events }
    }

    /// Waits until the client has subscribed again, or failed to; for ever after the connection has ended. Cancel safe.
    pub async fn next(&mut self) -> SubscriptionEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => pending().await,
        }
    }
}
