//! Subscribers of server events.

use zephyr_engine::server::Event;

/// A subscriber of server events.
pub trait Subscriber {
    /// Takes an event.
    fn receive(&mut self, event: &Event);
}
