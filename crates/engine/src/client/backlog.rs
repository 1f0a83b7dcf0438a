//! Notices that have come and wait to be taken.

use super::Received;
use std::collections::VecDeque;
use zephyr_core::{limits::MAX_QUEUED, policy::Policy};

/// Received notices in the order of their coming, with a bound on the memory that they take: [`MAX_QUEUED`] octets.
#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<Box<Received>>,
    octets: usize,
}

/// There is no room for one more notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BacklogFull;

impl Backlog {
    /// Adds a notice.
    ///
    /// # Errors
    ///
    /// When there is no room: the notice is lost.
    pub fn push(&mut self, received: Box<Received>) -> Result<(), BacklogFull> {
        let octets = received.octets();
        if self.octets + octets > MAX_QUEUED {
            return Err(BacklogFull);
        }
        self.octets += octets;
        self.waiting.push_back(received);
        Ok(())
    }

    /// Takes the oldest notice.
    pub fn pop(&mut self) -> Option<Box<Received>> {
        let received = self.waiting.pop_front()?;
        self.octets = self.octets.saturating_sub(received.octets());
        Some(received)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The domain of `realm` demands something else by now, also of what waits.
    pub fn enforce(&mut self, policy: &Policy, realm: &str) {
        for received in &mut self.waiting {
            received.enforce(policy, realm);
        }
    }
}
