//! The greetings that servers may still answer. Only what answers one of them, or a packet of the queue, shows that a server
//! is there: who cannot see what this host sends cannot make it up, whatever address he sends from.

use std::{collections::VecDeque, net::SocketAddr};
use zephyr_core::uid::Uid;

/// Maximum number of greetings whose answers are waited for; an answer to an older one is none.
const MAX: usize = 16;

/// The last greetings that were not answered.
#[derive(Debug, Default)]
pub(super) struct Greetings(VecDeque<(SocketAddr, Uid)>);

impl Greetings {
    /// A server was greeted.
    pub(super) fn sent(&mut self, to: SocketAddr, uid: Uid) {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back((to, uid));
    }

    /// A server answers; whether it is a greeting that it answers.
    pub(super) fn answered(&mut self, from: SocketAddr, uid: Uid) -> bool {
        let place = self.0.iter().position(|sent| *sent == (from, uid));
        place.and_then(|place| self.0.remove(place)).is_some()
    }
}
