//! The lengths of a client's queues.

use super::Client;

/// The lengths of a client's queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// Operations in progress.
    pub operations: usize,
    /// Received notices that are not reported yet.
    pub arrived: usize,
    /// Packets that wait for a lookup of the user's credentials.
    pub unverified: usize,
    /// Octets that incomplete notices hold.
    pub incomplete_octets: usize,
    /// Packets that are remembered to detect duplicates.
    pub remembered: usize,
    /// Packets to be sent.
    pub transmits: usize,
    /// Events that are not reported yet.
    pub events: usize,
}

impl Client {
    /// The lengths of the queues.
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
