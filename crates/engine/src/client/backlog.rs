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

/// The queue has no room for another notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogFull;

impl Backlog {
    /// Adds a notice at the end.
    ///
    /// # Errors
    ///
    /// When there is no room: the notice is lost.
    pub fn push(&mut self, received: Box<Received>) -> Result<(), BacklogFull> {
        let octets = received.memory_size();
        if self.octets + octets > MAX_QUEUED {
            return Err(BacklogFull);
        }
        self.octets += octets;
        self.queue.push_back(received);
        Ok(())
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
