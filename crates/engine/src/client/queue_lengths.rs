//! How much waits within a client.

use super::Client;

/// How much waits within a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// Operations under way.
    pub operations: usize,
    /// Notices that have come and were not told yet.
    pub arrived: usize,
    /// Packets that wait for a look at the user's credentials.
    pub unverified: usize,
    /// Octets that incomplete notices may come to hold.
    pub incomplete_octets: usize,
    /// Packets that are remembered, so that none is shown twice.
    pub remembered: usize,
    /// Packets to be sent.
    pub transmits: usize,
    /// Events that are not told yet.
    pub events: usize,
}

impl Client {
    /// How much waits in each queue.
    pub fn queue_lengths(&self) -> QueueLengths {
        QueueLengths {
            operations: self.operations.len(),
            arrived: self.shared.arrived.len(),
            unverified: self.receiver.unverified(),
            incomplete_octets: self.receiver.inbox().incomplete_octets(),
            remembered: self.receiver.inbox().remembered(),
            transmits: self.shared.transmits.len(),
            events: self.shared.events.len(),
        }
    }
}
