//! Those whom a server's events concern.

use zephyr_engine::server::Event;

/// Somebody who listens to what a server tells.
pub trait Subscriber {
    /// Takes an event.
    fn receive(&mut self, event: &Event);
}
