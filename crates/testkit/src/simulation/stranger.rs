//! An attacker on the network, who observes, replays, modifies, forges and floods.
//!
//! He can say that he is at any address, and has tickets of his own in each domain. He does not know anybody's keys.

use super::{
    invariants::Violation,
    network::{Path, corrupted},
    node::{HOST_MANAGER_PORT, Role, SERVER_PORT},
    random::Random,
    world::{Happening, World},
};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    auth::{Direction, Session as _},
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, OwnedPacket},
    uid::Uid,
};

/// Packets that he keeps.
const MAX_SEEN: usize = 64;
/// Packets of a flood.
const FLOOD: usize = 200;

/// A packet that he has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Where it says it comes from.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its octets.
    pub payload: Bytes,
}

/// What the stranger knows.
#[derive(Debug, Default)]
pub(super) struct Stranger {
    /// His host.
    pub host: usize,
    seen: VecDeque<Seen>,
}

impl Stranger {
    /// A packet passes; he may see it.
    pub(super) fn sees(&mut self, from: SocketAddr, to: SocketAddr, payload: &Bytes, random: &mut Random) {
        if random.chance(300) {
            if self.seen.len() >= MAX_SEEN {
                // Some are kept for long.
                let place = random.below(MAX_SEEN);
                self.seen.remove(place);
            }
            self.seen.push_back(Seen { from, to, payload: payload.clone() });
        }
    }

    /// One of the packets that he has seen.
    pub(super) fn any(&self, random: Option<&mut Random>) -> Option<Seen> {
        self.pick(random?)
    }

    fn pick(&self, random: &mut Random) -> Option<Seen> {
        self.seen.get(random.below(self.seen.len())).cloned()
    }
}

impl World {
    /// The stranger does something.
    pub(super) fn attack(&mut self) -> Result<(), Violation> {
        match self.random.below(11) {
            0 | 1 => self.replay(),
            2 => self.tamper(),
            3 => self.forge_notice(),
            4 => self.forge_acknowledgement(),
            5 => self.forge_control(),
            6 => self.abuse_own_tickets(),
            7 => self.send_damaged(),
            8 | 9 => self.speak_as_server(),
            _ => self.flood(),
        }
        Ok(())
    }

    /// Sends a packet as from another's address, if there is a host to receive it.
    pub(super) fn forge(&mut self, from: SocketAddr, to: SocketAddr, payload: &Bytes) {
        let Some(target) = self.host_at(to) else { return };
        self.hosts[target].forged_at = Some(self.now);
        self.doubt(payload);
        self.trace.add(self.now, "stranger", || format!("as {from} to {to}: {}", super::trace::described(payload)));
        self.carry(Path { from: self.stranger.host, to: target }, from, to, payload);
    }

    fn own_address(&mut self) -> SocketAddr {
        let port = u16::try_from(30_000 + self.random.below(3)).unwrap_or(30_000);
        (self.hosts[self.stranger.host].address, port).into()
    }

    /// The address of any program.
    fn any_address(&mut self, is_wanted: impl Fn(Role) -> bool) -> SocketAddr {
        let wanted: Vec<usize> = (0..self.nodes.len()).filter(|&node| is_wanted(self.nodes[node].role)).collect();
        let node = &self.nodes[self.random.pick(&wanted).copied().unwrap_or(0)];
        (self.hosts[node.host].address, node.port).into()
    }

    /// Sends again what he saw: as it was, in his own name, or to somebody else; now, or much later.
    fn replay(&mut self) {
        let Some(Seen { from, to, payload }) = self.stranger.pick(&mut self.random) else { return };
        let from = if self.random.chance(300) { self.own_address() } else { from };
        let to = if self.random.chance(300) { self.any_address(|_| true) } else { to };
        self.forge(from, to, &payload);
    }

    fn send_damaged(&mut self) {
        let Some(Seen { from, to, payload }) = self.stranger.pick(&mut self.random) else { return };
        let payload = corrupted(&payload, &mut self.random);
        self.forge(from, to, &payload);
    }

    /// Changes what a packet says, and leaves its proof as it is.
    fn tamper(&mut self) {
        let Some(Seen { from, to, payload }) = self.stranger.pick(&mut self.random) else { return };
        let Ok(owned) = OwnedPacket::parse(payload) else { return };
        let packet = owned.packet();
        let mut notice = packet.notice;
        let sender = self.somebody();
        match self.random.below(7) {
            0 => notice.body = b"\0something else",
            1 => notice.class = b"help",
            2 => notice.sender = sender.as_bytes(),
            3 => notice.opcode = b"PING",
            4 => notice.uid.micros ^= 1,
            5 => notice.multinotice = b"",
            _ => notice.kind = self.random.one_of(Kind::Acked, [Kind::Unsafe, Kind::Unacked, Kind::ClientAck]),
        }
        let claim = packet.claim;
        if let Ok(payload) = notice.write(&claim, Limits::WHOLE_PACKET) {
            self.forge(from, to, &payload);
        }
    }

    fn somebody(&mut self) -> String {
        let domain = self.random.below(self.domains.len());
        let users = &self.domains[domain].users;
        self.random.pick(users).map(|user| user.principal.clone()).unwrap_or_default()
    }

    fn new_uid(&mut self) -> Uid {
        let micros = u32::try_from(self.random.below(1_000_000)).unwrap_or(0);
        Uid { address: Ipv4Addr::new(10, 0, 0, 99), seconds: 1_800_000_000, micros }
    }

    /// Makes up a notice of somebody, as from a server to a client, or as from a host manager to a server.
    fn forge_notice(&mut self) {
        let sender = self.somebody();
        let uid = self.new_uid();
        let text = format!("somebody\0forged {}", self.random.number());
        let kind = self.random.one_of(Kind::Acked, [Kind::Unsafe, Kind::Unacked]);
        let (class, instance) = (b"MESSAGE", b"PERSONAL");
        let mut notice = Notice { kind, uid, multiuid: uid, class, instance, ..Notice::EMPTY };
        (notice.sender, notice.body) = (sender.as_bytes(), text.as_bytes());
        // A part of a long one, of which the rest never comes.
        if self.random.chance(300) {
            notice.multinotice = b"0/200000";
        }
        let claim = Claim { auth: 1, authent_len: 0, authenticator: b"", checksum: b"Z0123456789abcdef" };
        let claim = if self.random.chance(700) { claim } else { Claim::NONE };
        let Ok(payload) = notice.write(&claim, Limits::WHOLE_PACKET) else { return };
        let (from, to) = if self.random.chance(700) {
            let server = self.any_address(|role| role == Role::Server);
            (server, self.any_address(|role| matches!(role, Role::Client { .. })))
        } else {
            let manager = self.any_address(|role| role == Role::HostManager);
            (manager, self.any_address(|role| role == Role::Server))
        };
        self.forge(from, to, &payload);
    }

    /// Acknowledges, in another's name, what he saw.
    fn forge_acknowledgement(&mut self) {
        let Some(Seen { from, to, payload }) = self.stranger.pick(&mut self.random) else { return };
        let Ok(owned) = OwnedPacket::parse(payload) else { return };
        let kind = self.random.one_of(Kind::ServAck, [Kind::ServNak, Kind::HmAck, Kind::ClientAck]);
        let body: &[u8] = self.random.one_of(b"SENT\0", [b"LOST\0", b"FAIL\0"]);
        let answer = Notice { kind, body, ..owned.notice() };
        if let Ok(payload) = answer.write(&Claim::NONE, Limits::WHOLE_PACKET) {
            self.forge(to, from, &payload);
        }
    }

    /// Speaks as a server to a host manager, or as a host manager to a server.
    fn forge_control(&mut self) {
        let uid = self.new_uid();
        let notice = Notice { kind: Kind::HmCtl, uid, multiuid: uid, ..Notice::EMPTY };
        let server = self.any_address(|role| role == Role::Server);
        let manager = self.any_address(|role| role == Role::HostManager);
        let (notice, from, to) = if self.random.chance(500) {
            let opcode = self.random.one_of(names::SHUTDOWN, [names::PING, b"WHAT", b""]);
            (Notice { class: names::HM_CTL, instance: names::SERVER, opcode, ..notice }, server, manager)
        } else {
            let opcode = self.random.one_of(names::BOOT, [names::FLUSH, names::ATTACH, names::DETACH, b"WHAT"]);
            (Notice { class: names::ZEPHYR_CTL, instance: names::HM, opcode, ..notice }, manager, server)
        };
        if let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) {
            self.forge(from, to, &payload);
        }
    }

    /// Speaks to a server as another one of its domain: what such servers say to each other, or a copy of what he saw.
    fn speak_as_server(&mut self) {
        let servers = &self.domains[self.random.below(self.domains.len())].servers;
        let [from, to] = [(); 2].map(|()| self.random.pick(servers).copied().unwrap_or_default());
        let [from, to] = [from, to].map(|node| self.address_of(node));
        if self.random.chance(300) {
            if let Some(Seen { payload, .. }) = self.stranger.pick(&mut self.random) {
                self.forge(from, to, &payload);
            }
            return;
        }
        let uid = self.new_uid();
        let client = self.any_address(|role| matches!(role, Role::Client { .. }));
        let opcode: &[u8] =
            self.random.one_of(b"HELLO", [b"IHEARDYOU", b"GOODBYE", b"KILL_CLIENT", b"DUMP_AVAIL", b"NEXT_CLIENT"]);
        let body = match opcode {
            b"KILL_CLIENT" => format!("{}\0{}\0", client.ip(), client.port()),
            b"DUMP_AVAIL" => format!("{}\0{}\0", from.ip(), 20_000 + self.random.below(3)),
            _ => String::new(),
        };
        let notice = Notice { kind: Kind::Acked, uid, multiuid: uid, class: names::ZEPHYR_ADMIN, ..Notice::EMPTY };
        let instance: &[u8] = if opcode == b"DUMP_AVAIL" { b"1.2" } else { b"" };
        let notice = Notice { opcode, instance, body: body.as_bytes(), port: SERVER_PORT, ..notice };
        if let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) {
            self.forge(from, to, &payload);
        }
    }

    /// Proves with his own tickets what he says in the name of another.
    fn abuse_own_tickets(&mut self) {
        let number = self.random.below(self.domains.len());
        let now = self.right_time();
        let domain = &mut self.domains[number];
        let realm = domain.realm.clone();
        let ticket = domain.kdc.ticket(format!("mallory@{realm}").as_bytes(), now.wall + Duration::from_secs(3600));
        let server = self.nodes[self.domains[number].servers[0]].host;
        let to = (self.hosts[server].address, SERVER_PORT).into();
        let sender = self.somebody();
        let uid = self.new_uid();
        let body = b"somebody\0by mallory";
        let notice = Notice { kind: Kind::Acked, uid, multiuid: uid, class: b"news", instance: b"x", ..Notice::EMPTY };
        let notice = Notice { sender: sender.as_bytes(), body, port: 30_000, ..notice };
        let Ok(payload) = ticket.seal(&notice, Direction::ToServer, Limits::WHOLE_PACKET, now) else { return };
        let from = self.own_address();
        self.forge(from, to, &payload);
    }

    /// Sends many packets at once to one program.
    fn flood(&mut self) {
        let to = self.any_address(|_| true);
        let seen = self.stranger.pick(&mut self.random);
        let what = self.random.below(4);
        for _ in 0..self.random.below(FLOOD) {
            let uid = self.new_uid();
            let sender = self.somebody();
            let kind = if what == 0 { Kind::Acked } else { Kind::Unacked };
            let notice = Notice { kind, uid, multiuid: uid, class: b"news", instance: b"flood", ..Notice::EMPTY };
            let notice = Notice { sender: sender.as_bytes(), body: b"\0flood", ..notice };
            let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zabc", checksum: b"Zsum" };
            let payload = match (what, &seen) {
                (0, _) => notice.write(&Claim::NONE, Limits::WHOLE_PACKET).ok(),
                (1, _) => notice.write(&claim, Limits::WHOLE_PACKET).ok(),
                (2, Some(seen)) => Some(seen.payload.clone()),
                _ => Some(Bytes::from_static(b"ZEPH0.2\0rubbish")),
            };
            let from = self.own_address();
            let target = self.host_at(to);
            if let (Some(payload), Some(target)) = (payload, target) {
                self.carry(Path { from: self.stranger.host, to: target }, from, to, &payload);
            }
        }
        // The programs of a host are reached through its host manager, too: from a program of that very host.
        if let Some(host) = self.host_at(to)
            && self.random.chance(300)
        {
            self.flood_locally(host);
        }
    }

    /// A program of a host gives its host manager more than it can send.
    fn flood_locally(&mut self, host: usize) {
        for _ in 0..self.random.below(FLOOD) {
            let uid = self.new_uid();
            let notice = Notice { kind: Kind::Unacked, uid, multiuid: uid, class: b"news", ..Notice::EMPTY };
            let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) else { return };
            let from = (Ipv4Addr::LOCALHOST, 40_000).into();
            let to = (Ipv4Addr::LOCALHOST, HOST_MANAGER_PORT).into();
            let datagram = super::world::Datagram { from, host, to, payload };
            self.later(Duration::from_micros(20), Happening::Arrival(Box::new(datagram)));
        }
    }
}
