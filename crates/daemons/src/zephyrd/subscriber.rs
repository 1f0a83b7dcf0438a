//! Subscribers of server events.

use zephyr_engine::server::Event;

/// A subscriber of server events.
pub trait Subscriber {
    /// Handles an event.
    fn receive(&mut self, event: &Event);
}
