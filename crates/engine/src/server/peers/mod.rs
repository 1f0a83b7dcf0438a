//! The other servers of the domain.

pub mod c;
pub mod ours;
pub mod stream;

use crate::server::{PeerKind, PeerServer, PeerView, Server};
use zephyr_core::time::Now;

impl Server {
    /// The other servers of the realm, in the order of the configuration.
    pub fn peers(&self, now: Now) -> Vec<PeerView> {
        let view = |server: &PeerServer| match server.kind {
            PeerKind::C => self.view_of_c_peer(now, server),
            PeerKind::Ours => None,
        };
        self.config.neighbours.peers.iter().filter_map(view).collect()
    }
}
