//! What clients and host managers say is handed on to C servers as they said it, and what those hand on is handled as if it had
//! come here (server to server, section 4).

use super::{Liveness, RETELL_SOON, forwards::Concerned};
use crate::server::{
    Change, Changed, Event, LogEvent, PeerKind, Server,
    intake::Arrival,
    origin::{Origin, PeerId},
    reply::Reply,
    request::{Path, Request},
    server_class::ServerClass,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::{names, time::Now};

impl Server {
    /// Whether a request was forwarded by a C server.
    pub(crate) fn is_of_c_peer(&self, request: &Request<'_>) -> bool {
        matches!(request.origin, Origin::Peer(peer) if self.config.neighbours.kind(peer) == Some(PeerKind::C))
    }

    /// Handles a request that a C server has sent, or somebody from its address. It is answered there, and with an
    /// acknowledgement whatever becomes of it: C servers repeat for ever what is refused.
    pub(crate) fn c_request(&mut self, request: &mut Request<'_>, peer: PeerId) {
        let from = request.reply_to.from;
        self.counters.from_peers += 1;
        let Some(place) = self.c_peers.at(from) else { return };
        if let Some(peer) = self.c_peers.peers.get_mut(place) {
            (peer.last_from, peer.local) = (Some(from), request.reply_to.local);
        }
        debug_assert_eq!(request.origin, Origin::Peer(peer), "it is decided by the same addresses");
        let is_for_hosts = request.notice.instance.eq_ignore_ascii_case(names::HM);
        match ServerClass::of(&request.names.class) {
            Some(ServerClass::ZephyrAdmin) => self.c_admin_request(request, place),
            Some(ServerClass::HmCtl) => self.c_forwarded(request, place, Self::hm_ctl_elsewhere),
            Some(ServerClass::ZephyrCtl) if is_for_hosts => self.c_forwarded(request, place, Self::hm_ctl_elsewhere),
            Some(ServerClass::ZephyrCtl) => self.c_forwarded(request, place, Self::zephyr_ctl),
            Some(ServerClass::Login) => self.c_forwarded(request, place, Self::login),
            Some(ServerClass::UserLocate) | None => {
                self.report(LogEvent::PeerNotice { class: request.notice.class.into(), from });
                self.reply(request, Reply::Sent);
            }
        }
    }

    /// Handles what was forwarded: it is of the program at the address in its uid and the port that it names.
    fn c_forwarded(&mut self, request: &mut Request<'_>, place: usize, handle: fn(&mut Self, &mut Request<'_>)) {
        let told = self.events.len();
        let uid = request.notice.uid;
        let is_of_host = ServerClass::of(&request.names.class) == Some(ServerClass::HmCtl)
            || request.notice.instance.eq_ignore_ascii_case(names::HM);
        let port = if is_of_host { request.notice.port } else { self.config.host_manager_port };
        request.speak_for(SocketAddr::new(IpAddr::V4(uid.address), port));
        handle(self, request);
        if request.answered.is_none() {
            self.reply(request, Reply::Sent);
        }
        self.c_end_again(request, place, told);
    }

    /// What a client ended before we told its server everything, that server had back from us, and waits in vain to hear of it:
    /// it forgets the client, and is told of it as it is.
    fn c_end_again(&mut self, request: &Request<'_>, place: usize, told: usize) {
        let Some(peer) = self.c_peers.peers.get(place) else { return };
        let uid = request.notice.uid;
        let made = Duration::from_secs(uid.seconds.into()) + Duration::from_micros(uid.micros.into());
        if peer.told_at.is_none_or(|at| at <= made) {
            return;
        }
        let changes = self.events.iter().skip(told).filter_map(|event| match event {
            Event::Changed(Changed { change, .. }) => Some(change),
            _ => None,
        });
        let clients: BTreeSet<SocketAddr> = changes
            .filter_map(|change| match change {
                Change::ClientGone { client, .. } | Change::Unsubscribed { client, .. } => Some(*client),
                Change::LocationGone { address, .. } => Some(*address),
                _ => None,
            })
            .collect();
        for &client in &clients {
            self.c_kill_at(request.now, place, client);
        }
        if let Some(peer) = self.c_peers.peers.get_mut(place)
            && !clients.is_empty()
        {
            peer.offer_due.get_or_insert(request.now.monotonic + RETELL_SOON);
        }
    }

    /// Hands on what somebody has told this server, if it has changed anything: told are the changes since there were so many
    /// events.
    pub(crate) fn c_forward(&mut self, now: Now, arrival: &Arrival, request: &Request<'_>, told: usize) {
        if self.c_peers.peers.is_empty() || matches!(request.origin, Origin::Peer(_)) {
            return;
        }
        let changes = self.events.iter().skip(told).filter_map(|event| match event {
            Event::Changed(Changed { change, .. }) => Some(change),
            _ => None,
        });
        let mut gone = BTreeSet::new();
        let mut changed = false;
        for change in changes {
            changed = true;
            if let Change::ClientGone { client, .. } | Change::Unsubscribed { client, .. } = change {
                gone.insert(*client);
            }
        }
        if !is_forwarded(request, changed) {
            return;
        }
        let notice = arrival.packet.notice();
        let observed = request.from.ip();
        // Who says of all clients of a person that they end need not be anywhere.
        let is_anywhere = notice.opcode == names::FLUSHSUBS && request.origin == Origin::Client;
        let concerned = match request.origin {
            Origin::HostManager => Concerned::Host(observed),
            Origin::Realm(_) => Concerned::Host(observed),
            _ if is_anywhere => Concerned::Host(observed),
            _ => Concerned::Client(request.client_address()),
        };
        let is_carried = is_anywhere || IpAddr::V4(notice.uid.address) == observed;
        for place in 0..self.c_peers.peers.len() {
            let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
            if peer.hello.state() == Liveness::Dead {
                continue;
            }
            if is_carried && peer.forwards.push(now.monotonic, notice.uid, concerned, arrival.packet.octets().clone()) {
                self.counters.forwarded += 1;
                self.c_pump(now, place);
                continue;
            }
            // A C server takes the address in the uid for the client's, where nobody or somebody else may be. So it is told by a dump,
            // after it has forgotten what has ended.
            peer.lacks_something(now.monotonic);
            for client in &gone {
                self.c_kill_at(now, place, *client);
            }
        }
    }

    /// Sends what can be sent now.
    pub(crate) fn c_pump(&mut self, now: Now, place: usize) {
        loop {
            let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
            let is_there = peer.hello.state() != Liveness::Dead;
            let kill = if is_there { peer.kills.next(now.monotonic) } else { None };
            let takes = peer.takes_forwards();
            let Some(packet) = kill.or_else(|| takes.then(|| peer.forwards.next(now.monotonic)).flatten()) else {
                return;
            };
            self.c_send(place, packet);
        }
    }

    /// Whether what was forwarded to other servers still waits to be acknowledged.
    pub fn awaits_peers(&self) -> bool {
        self.c_peers.awaits()
    }

    /// This server ends: C servers are told once they have acknowledged what was forwarded, or after a while.
    pub(crate) fn c_leave(&mut self, now: Now) {
        for place in 0..self.c_peers.peers.len() {
            self.c_note_synced(now, place);
            self.c_keep_synced(place);
        }
        if self.awaits_peers() {
            self.c_peers.leaving = Some(now.monotonic + super::LEAVING_TIMEOUT);
        } else {
            self.c_goodbye(now);
        }
    }

    pub(super) fn c_goodbye(&mut self, now: Now) {
        self.c_peers.leaving = None;
        for place in 0..self.c_peers.peers.len() {
            self.c_send_admin(now, place, names::GOODBYE, b"", &[]);
        }
    }

    /// Whether this server has ended, as far as C servers are concerned.
    pub fn has_left(&self) -> bool {
        self.c_peers.leaving.is_none()
    }
}

/// Whether C servers forward such a request, when it did what it was to do.
fn is_forwarded(request: &Request<'_>, changed: bool) -> bool {
    let done = changed || request.answered == Some(Reply::Sent);
    let opcode = request.notice.opcode;
    if request.origin == Origin::HostManager {
        let greets = request.answered == Some(Reply::SentWithLongHeaders);
        return (opcode == names::BOOT || opcode == names::ATTACH) && greets || opcode == names::FLUSH && changed;
    }
    match ServerClass::of(&request.names.class) {
        // What a realm asks for, gives back or grants.
        Some(ServerClass::ZephyrCtl) if matches!(request.origin, Origin::Realm(_)) => changed,
        Some(ServerClass::ZephyrCtl) => {
            let subscriptions: [&[u8]; 5] =
                [names::SUBSCRIBE, names::SUBSCRIBE_NODEFS, names::UNSUBSCRIBE, names::CLEARSUB, names::FLUSHSUBS];
            done && subscriptions.contains(&opcode)
        }
        Some(ServerClass::Login) => changed && !matches!(request.origin, Origin::Realm(_)),
        _ => false,
    }
}

impl Request<'_> {
    /// The request is of somebody else than who has sent the packet: of the program behind this host manager.
    fn speak_for(&mut self, from: SocketAddr) {
        let Path { from: sent_from, .. } = self.reply_to;
        debug_assert_ne!(sent_from, from, "servers are no host managers");
        self.from = from;
        // At which of our addresses it would have come is not known.
        self.local = None;
    }
}
