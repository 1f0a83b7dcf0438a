//! A bounded queue of received notices.

use super::Received;
use std::collections::VecDeque;
use zephyr_core::{limits::MAX_QUEUED, policy::Policy};

/// A queue of received notices in order of arrival, bounded to [`MAX_QUEUED`] octets of memory.
#[derive(Debug, Default)]
pub struct Backlog {
    queue: VecDeque<Box<Received>>,
    octets: usize,
}

/// There was too little room: a notice is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogFull;

impl Backlog {
    /// Adds a notice at the end. An authentic one takes the room of others if it must.
    ///
    /// # Errors
    ///
    /// When there is too little room: this notice is lost, or the latest of those that are not authentic.
    pub fn push(&mut self, received: Box<Received>) -> Result<(), BacklogFull> {
        let octets = received.memory_size();
        let is_full = self.octets + octets > MAX_QUEUED;
        while self.octets + octets > MAX_QUEUED {
            let latest = self.queue.iter().rposition(|other| received.is_authentic() && !other.is_authentic());
            let lost = latest.and_then(|latest| self.queue.remove(latest)).ok_or(BacklogFull)?;
            self.octets = self.octets.saturating_sub(lost.memory_size());
        }
        self.octets += octets;
        self.queue.push_back(received);
        if is_full { Err(BacklogFull) } else { Ok(()) }
    }

    /// Removes the oldest notice.
    pub fn pop(&mut self) -> Option<Box<Received>> {
        let received = self.queue.pop_front()?;
        self.octets = self.octets.saturating_sub(received.memory_size());
        Some(received)
    }

    /// The number of notices.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are no notices.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Applies a new policy of the domain of `realm` to the notices in the queue.
    pub fn enforce(&mut self, policy: &Policy, realm: &str) {
        for received in &mut self.queue {
            received.enforce(policy, realm);
        }
    }
}
