//! How much waits within a server.

use crate::server::Server;

/// How much waits within a server, beside what [`Gauges`](crate::server::Gauges) say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLengths {
    /// Packets that have come and are not looked at yet.
    pub ingress: usize,
    /// Packets whose origin is being verified, and those of the same sources behind them.
    pub verifications: usize,
    /// Packets to be sent.
    pub to_send: usize,
    /// Readers that notices on their way have still to reach.
    pub readers: usize,
    /// Packets to be sent again.
    pub repetitions: usize,
    /// Jobs that are not handed out yet.
    pub jobs: usize,
    /// Events that are not told yet.
    pub events: usize,
}

impl Server {
    /// How much waits in each queue.
    pub fn queue_lengths(&self) -> QueueLengths {
        QueueLengths {
            ingress: self.ingress.len(),
            verifications: self.verifications.len(),
            to_send: self.pacer.waiting(),
            readers: self.fan_outs.left(),
            repetitions: self.pacer.repetitions(),
            jobs: self.jobs.len(),
            events: self.events.len(),
        }
    }
}
