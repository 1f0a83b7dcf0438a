//! The other servers of the domain.

pub mod c;
pub mod ours;
pub mod stream;

use crate::server::{PeerKind, PeerServer, PeerView, Server};
use std::net::SocketAddr;
use zephyr_core::time::Now;

impl Server {
    /// The other servers of the realm, in the order of the configuration.
    pub fn peers(&self, now: Now) -> Vec<PeerView> {
        let view = |server: &PeerServer| match server.kind {
            PeerKind::C => self.view_of_c_peer(now, server),
            PeerKind::Ours => self.view_of_our_peer(now, server),
        };
        self.config.neighbours.peers.iter().filter_map(view).collect()
    }

    /// Another server of the realm that is there, for those who leave this one.
    pub fn living_peer(&self) -> Option<SocketAddr> {
        let living = self.peers(self.now).into_iter().filter(|peer| peer.state == "up");
        living.filter_map(|peer| peer.addresses.first().copied()).next()
    }
}
