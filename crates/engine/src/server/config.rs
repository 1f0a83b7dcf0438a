//! Configuration of a server, and commands to it.

use crate::server::{
    acl::Rules,
    confirmation::ProbeSecret,
    held_answers::{KeeperId, Presence},
    limits::bounds::Bounds,
    origin::{Belief, NeighbourRealm, Neighbours, PeerServer},
    stamp::ServerId,
};
use std::{net::Ipv4Addr, sync::Arc};
use zephyr_core::{policy::Policy, realm::Realms};

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity of its state.
    pub id: ServerId,
    /// Its host name, the sender of its own notices.
    pub host: String,
    /// Its address, for uids and for those who ask.
    pub address: Ipv4Addr,
    /// The port it listens on.
    pub port: u16,
    /// The port of host managers. Who sends from there speaks for all programs of the host, and who sends from another one
    /// only for those that have subscribed through it.
    pub host_manager_port: u16,
    /// The program and version that it tells those who ask.
    pub version: String,
    /// Its realm.
    pub realms: Realms,
    /// The servers beside it.
    pub neighbours: Neighbours,
    /// The policy of its domain.
    pub policy: Policy,
    /// The access control rules, and the default subscriptions.
    pub rules: Arc<Rules>,
    /// What it makes the uids of probes with.
    pub probe_secret: ProbeSecret,
    /// The bounds of its state.
    pub bounds: Bounds,
    /// The number of acknowledgements it can receive at once: so many deliveries are in flight at most. See
    /// [`acknowledgements_in_flight`](crate::server::acknowledgements_in_flight).
    pub in_flight: usize,
}

/// A command to a running server.
#[derive(Clone, Debug)]
pub enum Command {
    /// Other rules from now on, also for those who subscribed under the old ones.
    Reload(Arc<Rules>),
    /// Another policy from now on, also for those who subscribed under the old one.
    Enforce(Box<Policy>),
    /// Both at once: what clients subscribed to is looked through only once.
    Renew {
        /// As for `Reload`.
        rules: Arc<Rules>,
        /// As for `Enforce`.
        policy: Box<Policy>,
    },
    /// Other bounds from now on. What is there already stays.
    Rebound(Box<Bounds>),
    /// Other servers of the realm from now on, or at other addresses.
    Peers {
        /// They.
        peers: Vec<PeerServer>,
        /// What is believed of them.
        believe: Belief,
    },
    /// These are all other realms from now on, with the addresses of their servers as far as they are known: after a
    /// reload, and whenever addresses are found.
    Realms(Vec<NeighbourRealm>),
    /// A keeper has so many of all changes that were [told](crate::server::Server::told).
    Stored {
        /// Who.
        keeper: KeeperId,
        /// How many.
        up_to: u64,
    },
    /// Somebody keeps what is told from now on, or does so no longer.
    Keeper {
        /// Who.
        keeper: KeeperId,
        /// Which of both.
        presence: Presence,
    },
    /// All host managers are asked to go to another server, and so are those that come: this one goes on until it is told to end.
    Drain,
    /// Host managers may come again.
    EndDrain,
    /// The server is about to end: tell the host managers. Notices under way are handed to all of their readers.
    Shutdown,
}
