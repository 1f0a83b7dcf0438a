//! The shell and the streams to the realm's other servers.

use super::Shell;
use crate::zephyrd::{
    start,
    streams::{Limits, Options, Streams},
};
use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
};
use zephyr_core::auth::Service;
use zephyr_engine::{
    machine::Input,
    server::{Belief, Done, PeerKind, PeerServer},
};
use zephyr_net::clock::Clock;

/// Events of streams that are handled before the next turn.
const MAX_EVENTS_PER_TURN: usize = 64;

/// The streams of a server that others know by this address.
pub(super) fn of_server(service: Arc<dyn Service>, own: IpAddr, belief: Belief, clock: Clock) -> Streams {
    Streams::new(Options { service, belief, own, clock, limits: Limits::USUAL })
}

/// The address that others know a server by: the one that it listens at, or that its name stands for.
pub(super) fn own_address(listening: SocketAddr, named: IpAddr) -> IpAddr {
    if listening.ip().is_unspecified() { named } else { listening.ip() }
}

impl Shell {
    /// Hands the machine what has happened to streams, as much as a turn may handle.
    pub(super) fn hear_streams(&mut self) {
        for _ in 0..MAX_EVENTS_PER_TURN {
            let Some(event) = self.environment.streams.try_next() else { return };
            self.driver.handle(Input::Done(Done::Stream(event)));
        }
    }

    /// Lets the servers of ours connect, and nobody else.
    pub(super) fn admit(&mut self, peers: &[PeerServer], belief: Belief) {
        let ours = peers.iter().filter(|peer| peer.kind == PeerKind::Ours);
        let addresses: HashSet<IpAddr> = ours.clone().flat_map(|peer| &peer.addresses).map(SocketAddr::ip).collect();
        let is_wanted = ours.count() > 0;
        let streams = &mut self.environment.streams;
        streams.believe(belief);
        streams.set_peers(addresses);
        if is_wanted == streams.is_listening() {
            return;
        }
        let listening = is_wanted.then(|| TcpListener::bind(self.listening)).transpose();
        match listening {
            Ok(listener) => streams.listen(listener),
            Err(error) => tracing::error!("{}", start::no_servers(self.listening, error)),
        }
    }
}
