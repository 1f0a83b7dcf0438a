//! The origin of a packet, decided once when it comes in.

use crate::server::peers::ours::SessionMaker;
use std::net::SocketAddr;
use zephyr_core::{fold::FoldedName, names, notice::Notice};

/// Another server of the same realm: its place in [`Neighbours::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerId(pub usize);

/// Another realm with servers of its own. It keeps its number for as long as the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RealmId(pub usize);

/// The origin of a packet. Handlers go by this and by the notice's class.
///
/// The address that a packet comes from proves nothing: whatever an origin may do beyond others must be proven as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A program of a user, directly or through its host manager.
    Client,
    /// A host manager that speaks for itself.
    HostManager,
    /// Another server of this realm.
    Peer(PeerId),
    /// A server of another realm.
    Realm(RealmId),
}

/// Another server of this realm, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerServer {
    /// Its name in the configuration. Lists that follow each other know it by that again.
    pub name: Box<str>,
    /// Which program it is.
    pub kind: PeerKind,
    /// Where it is, the preferred address first; none while its name has no address.
    pub addresses: Vec<SocketAddr>,
}

/// Which program another server of this realm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// This one.
    Ours,
    /// The C program, with its own protocol.
    C,
}

/// What is believed of other servers of this realm beyond what they prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Belief {
    /// Nothing, but for what the protocol of C programs cannot do without.
    #[default]
    Proven,
    /// What comes from their addresses.
    Addresses,
}

/// The other servers that this server knows.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// The other servers of this realm.
    pub peers: Vec<PeerServer>,
    /// What is believed of them.
    pub believe: Belief,
    /// Makes sessions of the keys that other servers of ours hand on.
    pub sessions: SessionMaker,
    /// Other realms.
    pub realms: Vec<NeighbourRealm>,
}

/// Another realm, and its servers in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourRealm {
    /// Its name, in full.
    pub name: Box<[u8]>,
    /// Its servers.
    pub servers: Vec<RealmServer>,
}

/// A server of another realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmServer {
    /// Its host name, for people.
    pub name: String,
    /// Where it listens, and where it sends from. Empty as long as nobody knows.
    pub addresses: Vec<SocketAddr>,
    /// Whether we send to it. From one to which we do not we receive all the same: `/host` in a realm list.
    pub sends: bool,
}

impl Neighbours {
    /// The other server of this realm that sends from this address.
    pub(crate) fn peer_at(&self, from: SocketAddr) -> Option<PeerId> {
        self.peers.iter().position(|peer| peer.addresses.contains(&from)).map(PeerId)
    }

    /// The origin of a notice of this class from this address and port, which is no other realm's.
    pub(crate) fn origin_of(&self, from: SocketAddr, notice: &Notice<'_>, class: &FoldedName) -> Origin {
        if let Some(peer) = self.peer_at(from) {
            return Origin::Peer(peer);
        }
        let for_hosts = class.is(names::ZEPHYR_CTL) && notice.instance.eq_ignore_ascii_case(names::HM);
        if class.is(names::HM_CTL) || for_hosts { Origin::HostManager } else { Origin::Client }
    }

    /// Which program a peer is.
    pub(crate) fn kind(&self, peer: PeerId) -> Option<PeerKind> {
        self.peers.get(peer.0).map(|peer| peer.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_servers_are_told_by_their_addresses_and_host_managers_by_what_they_say() {
        let at = |host: u8, port| SocketAddr::from(([10, 0, 0, host], port));
        let peer = |addresses| PeerServer { name: "z".into(), kind: PeerKind::Ours, addresses };
        let neighbours = Neighbours {
            peers: vec![peer(vec![at(1, 2103)]), peer(vec![at(3, 2103), at(2, 2103)])],
            believe: Belief::Proven,
            sessions: SessionMaker::default(),
            realms: Vec::new(),
        };
        let origin = |from, class: &'static [u8], instance: &'static [u8]| {
            let notice = Notice { class, instance, ..Notice::EMPTY };
            neighbours.origin_of(from, &notice, &FoldedName::new(class))
        };
        assert_eq!(origin(at(2, 2103), b"MESSAGE", b"x"), Origin::Peer(PeerId(1)));
        assert_eq!(origin(at(2, 2104), b"MESSAGE", b"x"), Origin::Client, "another program of that host");
        assert_eq!(origin(at(7, 2104), b"Hm_Ctl", b"x"), Origin::HostManager);
        assert_eq!(origin(at(7, 2104), b"zephyr_ctl", b"hm"), Origin::HostManager);
        assert_eq!(origin(at(7, 2104), b"ZEPHYR_CTL", b"CLIENT"), Origin::Client);
    }
}
