//! The watch over the user's tickets while a program runs.

use crate::{TicketEvent, driver::Request};
use std::future::pending;
use tokio::sync::mpsc;

/// A watch over the user's tickets, for programs that renew their subscriptions themselves; see
/// [`Zephyr::tickets`](crate::Zephyr::tickets).
pub struct Tickets {
    events: mpsc::UnboundedReceiver<TicketEvent>,
    requests: mpsc::UnboundedSender<Request>,
}

impl Tickets {
    pub(crate) fn new(requests: mpsc::UnboundedSender<Request>) -> Self {
        let (listener, events) = mpsc::unbounded_channel();
        // A client that has ended has no events.
        let _ = requests.send(Request::WatchTickets(listener));
        Self { events, requests }
    }

    /// Waits for the next change of the tickets; for ever after the connection has ended. Cancel safe.
    pub async fn next(&mut self) -> TicketEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => pending().await,
        }
    }

    /// Reports that subscribing with new tickets has failed: [`Tickets::next`] gives them again in 10 s.
    pub fn failed(&mut self) {
        let _ = self.requests.send(Request::TicketsFailed);
    }
}
