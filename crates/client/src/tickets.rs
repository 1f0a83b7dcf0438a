//! Watching the user's tickets while a program runs.

use crate::{TicketEvent, driver::Order};
use std::future::pending;
use tokio::sync::mpsc;

/// A watch over the tickets of a client that has subscribed; see [`Zephyr::tickets`](crate::Zephyr::tickets).
pub struct Tickets {
    events: mpsc::UnboundedReceiver<TicketEvent>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Tickets {
    pub(crate) fn new(orders: mpsc::UnboundedSender<Order>) -> Self {
        let (listener, events) = mpsc::unbounded_channel();
        // A client that has ended has no news of tickets.
        let _ = orders.send(Order::WatchTickets(listener));
        Self { events, orders }
    }

    /// The next thing to do or to say. Can be dropped while it waits, and called again.
    pub async fn next(&mut self) -> TicketEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => pending().await,
        }
    }

    /// Takes it that subscribing with new tickets has failed: in a while they are news again.
    pub fn failed(&mut self) {
        let _ = self.orders.send(Order::TicketsFailed);
    }
}
