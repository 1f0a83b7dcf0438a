//! Interference: the same calm world twice, alone and with strangers who do what they can. What those who prove who they are
//! see and achieve must be the same.
//!
//! Strangers send from addresses of their own, and in the name of the hosts of others, at any moment: also just before a packet that
//! they see. One of them has tickets of his own. What nobody could tell from the truth is left out: packets with the very source
//! address and port of a host manager or a server that carry what the protocol does not prove (acknowledgements, BOOT and
//! FLUSH), and the very octets of a proven request that overtake it.

use super::{
    Options,
    invariants::Violation,
    node::{HOST_MANAGER_PORT, Role, SERVER_PORT},
    random::Random,
    scenario::Scenario,
    stranger::Seen,
    truth::Heading,
    world::{Datagram, Happening, World},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
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
use zephyr_engine::client::{OperationError, Outcome, Received};

/// All programs have started by then.
const BEGINNING: Duration = Duration::from_secs(12);
/// Between two orders of the programs, whose answers are there long before the next.
const PACE: Duration = Duration::from_millis(1500);
/// The user of the stranger with tickets.
const MALLORY: &str = "mallory";
/// Packets of a flood.
const FLOOD: usize = 100;

/// What a program of somebody who proves who he is has seen and achieved, in order.
pub type Experience = BTreeMap<String, Vec<String>>;

/// Something that strangers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A forged packet comes just before the genuine one whose uid, parts or authenticator it claims.
    Overtake,
    /// What was seen is sent again.
    Replay,
    /// The server is asked for things in others' names.
    ClaimNames,
    /// A reader gets more packets than he can remember.
    FloodReader,
    /// The server gets subscriptions from made-up addresses, and proofs that fail.
    FloodServer,
    /// Somebody with tickets takes others' addresses, and says much.
    OwnTickets,
    /// Readers get parts of notices that promise much and hold little.
    Promises,
    /// A host manager gets more than its queue holds.
    FloodHostManager,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Overtake,
        Self::Replay,
        Self::ClaimNames,
        Self::FloodReader,
        Self::FloodServer,
        Self::OwnTickets,
        Self::Promises,
        Self::FloodHostManager,
    ];
}

/// What the world needs to know of it.
#[derive(Debug)]
pub(super) struct Interference {
    /// What strangers do.
    deeds: Vec<Deed>,
    /// What programs order follows from this alone.
    workload: Random,
    /// What strangers do follows from this alone.
    random: Random,
    experience: Experience,
}

/// What programs see in the calm world of this seed, beside strangers who do this.
///
/// # Errors
///
/// When an invariant does not hold.
pub fn experience(seed: u64, deeds: &[Deed], options: Options) -> Result<(Experience, Vec<String>), Violation> {
    let mut random = Random::new(seed);
    let scenario = Scenario::calm(&mut random);
    let mut world = World::of(scenario, random, options);
    world.interference = Some(Interference {
        deeds: deeds.to_vec(),
        workload: Random::new(seed ^ 0x0057_04b1),
        random: Random::new(seed ^ 0x5742_4e6e),
        experience: Experience::default(),
    });
    world.plan_calm();
    world.run_until(world.scenario.active + Duration::from_secs(60))?;
    let experience = world.interference.take().map(|it| it.experience).unwrap_or_default();
    Ok((experience, world.trace.into_lines()))
}

impl World {
    /// Orders at fixed moments, one after the other, and strangers between.
    fn plan_calm(&mut self) {
        let clients: Vec<usize> =
            (0..self.nodes.len()).filter(|&node| matches!(self.nodes[node].role, Role::Client { .. })).collect();
        let end = self.scenario.active;
        let mut at = BEGINNING;
        while at < end {
            let Some(Interference { workload, random, deeds, .. }) = &mut self.interference else { return };
            let node = workload.pick(&clients).copied().unwrap_or_default();
            let attack = (!deeds.is_empty()).then(|| random.between(Duration::ZERO, PACE));
            self.later(at, Happening::PlannedOrder(node));
            if let Some(attack) = attack {
                self.later(at + attack, Happening::Interference);
            }
            at += PACE;
        }
    }

    /// A program orders what its own chance says, whatever else has been drawn.
    pub(super) fn planned_order(&mut self, node: usize) -> Result<(), Violation> {
        let Some(interference) = &mut self.interference else { return Ok(()) };
        std::mem::swap(&mut interference.workload, &mut self.random);
        let operation = self.operation(node);
        if let Some(interference) = &mut self.interference {
            std::mem::swap(&mut interference.workload, &mut self.random);
        }
        self.begin(node, operation)
    }

    /// Whether what a node's program sees is compared: its user can prove who he is.
    fn is_compared(&self, node: usize) -> bool {
        let Role::Client { user, .. } = self.nodes[node].role else { return false };
        self.domains[self.nodes[node].domain].users[user].has_password
    }

    fn note(&mut self, node: usize, line: impl FnOnce() -> String) {
        if self.interference.is_none() || !self.is_compared(node) {
            return;
        }
        let name = self.nodes[node].name.clone();
        if let Some(interference) = &mut self.interference {
            interference.experience.entry(name).or_default().push(line());
        }
    }

    /// A program has been shown a notice.
    pub(super) fn note_shown(&mut self, node: usize, received: &Received) {
        let notice = received.notice();
        if received.is_authentic() && !notice.sender.starts_with(MALLORY.as_bytes()) {
            self.note(node, || {
                let Notice { sender, class, instance, opcode, recipient, body, .. } = notice;
                let all = [sender, class, instance, opcode, recipient, body];
                all.map(|text| text.escape_ascii().to_string()).join(" / ")
            });
        }
    }

    /// An operation of a program has ended.
    pub(super) fn note_outcome(&mut self, node: usize, outcome: &Result<Outcome, OperationError>) {
        self.note(node, || match outcome {
            Ok(Outcome::Sent(receipt)) => format!("sent, delivered: {}", receipt.is_delivered()),
            Ok(Outcome::Subscriptions(list)) => format!("subscriptions: {list:?}"),
            Ok(Outcome::Locations(list)) => format!("locations: {list:?}"),
            Ok(Outcome::Known) => "known".to_owned(),
            Ok(Outcome::Unknown { .. }) => "unknown".to_owned(),
            Ok(Outcome::Done { .. }) => "done".to_owned(),
            Err(error) => format!("error: {error}"),
        });
    }

    /// A stranger sees a packet before it arrives, and is faster.
    pub(super) fn overtake(&mut self, from: SocketAddr, to: SocketAddr, payload: &Bytes) {
        let Some(Interference { deeds, random, .. }) = &mut self.interference else { return };
        if !deeds.contains(&Deed::Overtake) || !random.chance(500) || self.now < BEGINNING {
            return;
        }
        let what = random.below(5);
        let Ok(owned) = OwnedPacket::parse(payload.clone()) else { return };
        let packet = owned.packet();
        // Answers of servers prove nothing, so whoever sees them can give others; and whoever sees a probe can acknowledge it.
        let is_probe = packet.notice.opcode == names::PROBE;
        if packet.notice.kind.is_acknowledgement() || packet.claim.auth == 0 || is_probe {
            return;
        }
        let failing = Claim { auth: 1, authent_len: 0, authenticator: b"", checksum: b"Z0123456789abcdef" };
        let (notice, claim) = match what {
            0 => (Notice { body: b"\0overtaken", ..packet.notice }, Claim::NONE),
            1 => (Notice { body: b"\0overtaken", ..packet.notice }, failing),
            2 => (Notice { multinotice: b"0/5000", body: b"\0a part", ..packet.notice }, Claim::NONE),
            3 => (Notice { multinotice: b"1/400000", body: b"x", ..packet.notice }, failing),
            _ => (Notice { body: b"\0with his authenticator", ..packet.notice }, packet.claim),
        };
        let Ok(forged) = notice.write(&claim, Limits::WHOLE_PACKET) else { return };
        // To a reader in the server's name; to a server from an address of the stranger's own.
        let from = if to.port() == SERVER_PORT { self.stranger_address(1) } else { from };
        self.forge(from, to, &forged);
    }

    /// Strangers do something of their own.
    pub(super) fn interfere(&mut self) {
        let Some(Interference { deeds, random, .. }) = &mut self.interference else { return };
        match random.pick(deeds) {
            Some(Deed::Overtake) | None => {}
            Some(Deed::Replay) => self.replay_seen(),
            Some(Deed::ClaimNames) => self.claim_names(),
            Some(Deed::FloodReader) => self.flood_a_reader(),
            Some(Deed::FloodServer) => self.flood_the_server(),
            Some(Deed::OwnTickets) => self.speak_as_mallory(),
            Some(Deed::Promises) => self.promise_much(),
            Some(Deed::FloodHostManager) => self.flood_a_host_manager(),
        }
    }

    fn draw(&mut self, end: usize) -> usize {
        self.interference.as_mut().map_or(0, |it| it.random.below(end))
    }

    fn stranger_address(&mut self, ports: usize) -> SocketAddr {
        let port = 30_000 + u16::try_from(self.draw(ports)).unwrap_or(0);
        (self.hosts[self.stranger.host].address, port).into()
    }

    fn a_node(&mut self, is_wanted: impl Fn(Role) -> bool) -> usize {
        let wanted: Vec<usize> = (0..self.nodes.len()).filter(|&node| is_wanted(self.nodes[node].role)).collect();
        let place = self.draw(wanted.len());
        wanted.get(place).copied().unwrap_or(0)
    }

    fn a_client(&mut self) -> usize {
        self.a_node(|role| matches!(role, Role::Client { .. }))
    }

    /// The address and port of a node.
    pub(super) fn address_of(&self, node: usize) -> SocketAddr {
        (self.hosts[self.nodes[node].host].address, self.nodes[node].port).into()
    }

    fn server(&mut self) -> SocketAddr {
        let server = self.a_node(|role| role == Role::Server);
        self.address_of(server)
    }

    fn fresh_uid(&mut self) -> Uid {
        let micros = u32::try_from(self.draw(1_000_000)).unwrap_or(0);
        Uid { address: Ipv4Addr::new(10, 0, 0, 99), seconds: 1_800_000_000, micros }
    }

    /// Sends again what was seen: to whom it was for, to other readers, or to the server from his own address.
    fn replay_seen(&mut self) {
        for _ in 0..20 {
            let seen = self.stranger.any(self.interference.as_mut().map(|it| &mut it.random));
            let Some(Seen { from, to, payload }) = seen else { return };
            if to.port() == SERVER_PORT {
                let from = self.stranger_address(3);
                self.forge(from, to, &payload);
            } else if from.port() == SERVER_PORT && to.port() != HOST_MANAGER_PORT {
                let to = self.another_reader(to);
                self.forge(from, to, &payload);
            }
        }
    }

    /// A reader, or one of another user: programs of one user share a key, by the protocol.
    fn another_reader(&mut self, reader: SocketAddr) -> SocketAddr {
        let other = self.a_client();
        let known = (0..self.nodes.len()).find(|&node| self.address_of(node) == reader);
        match known {
            Some(known) if self.draw(2) == 0 && self.user_of(known) != self.user_of(other) => self.address_of(other),
            _ => reader,
        }
    }

    /// Asks the server for things in another's name without proof: also from his host.
    fn claim_names(&mut self) {
        let server = self.server();
        for _ in 0..20 {
            let victim = self.a_client();
            let (address, sender) = (self.address_of(victim), self.principal_of(victim).to_owned());
            let opcode = [names::SUBSCRIBE, names::UNSUBSCRIBE, names::CLEARSUB, names::FLUSHSUBS, names::GIMME];
            let opcode = opcode.get(self.draw(opcode.len())).copied().unwrap_or(names::SUBSCRIBE);
            let uid = self.fresh_uid();
            // A reader more of what others say would show in what they are told of it.
            let body: &[u8] = match opcode {
                names::FLUSHSUBS => b"",
                names::SUBSCRIBE => b"strange\0*\0\0",
                _ => b"news\0*\0\0MESSAGE\0*\0\0",
            };
            let notice =
                Notice { kind: Kind::Acked, uid, multiuid: uid, class: names::ZEPHYR_CTL, opcode, ..Notice::EMPTY };
            let notice = Notice { instance: names::CLIENT, sender: sender.as_bytes(), body, ..notice };
            let notice = Notice { port: address.port(), ..notice };
            let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) else { return };
            let own = self.stranger_address(3);
            // From the victim's host, by a program beside his: no host manager, and not his own port.
            let from = if self.draw(2) == 0 { own } else { SocketAddr::new(address.ip(), 40_001) };
            self.forge(from, server, &payload);
        }
    }

    /// PINGs, which nobody sees, in any number.
    fn flood_a_reader(&mut self) {
        let (reader, server) = (self.a_client(), self.server());
        let to = self.address_of(reader);
        let sender = self.principal_of(reader).to_owned();
        for _ in 0..FLOOD {
            let uid = self.fresh_uid();
            let notice = Notice { kind: Kind::Unacked, uid, multiuid: uid, class: names::MESSAGE, ..Notice::EMPTY };
            let notice = Notice { instance: b"PERSONAL", opcode: b"PING", sender: sender.as_bytes(), ..notice };
            if let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) {
                self.forge(server, to, &payload);
            }
        }
    }

    /// Subscriptions without proof from made-up addresses, and proofs that fail.
    fn flood_the_server(&mut self) {
        let server = self.server();
        let claim = Claim { auth: 1, authent_len: 3, authenticator: b"Zabc", checksum: b"Zsum" };
        let is_proof = self.draw(2) == 0;
        for number in 0..FLOOD {
            let uid = self.fresh_uid();
            let sender = format!("nobody{number}@NOWHERE");
            let notice = Notice { kind: Kind::Acked, uid, multiuid: uid, class: names::ZEPHYR_CTL, ..Notice::EMPTY };
            let notice =
                Notice { instance: names::CLIENT, opcode: names::SUBSCRIBE, sender: sender.as_bytes(), ..notice };
            let host = u8::try_from(number % 5).unwrap_or(0);
            let port = 20_000 + u16::try_from(number).unwrap_or(0);
            let notice = Notice { body: b"strange\0*\0\0", port, ..notice };
            let claim = if is_proof { claim } else { Claim::NONE };
            let Ok(payload) = notice.write(&claim, Limits::WHOLE_PACKET) else { return };
            let from = if is_proof { self.stranger_address(1) } else { (Ipv4Addr::new(10, 9, 0, host), port).into() };
            self.forge(from, server, &payload);
        }
    }

    /// A stranger with tickets of his own: subscribes what is not his, and says much.
    fn speak_as_mallory(&mut self) {
        let (server, now) = (self.server(), self.right_time());
        let domain = &mut self.domains[0];
        let sender = format!("{MALLORY}@{}", domain.realm);
        let ticket = domain.kdc.ticket(sender.as_bytes(), now.wall + Duration::from_secs(3600));
        let victim = self.a_client();
        let target = self.address_of(victim);
        for number in 0..30 {
            let uid = self.fresh_uid();
            let notice = Notice { kind: Kind::Acked, uid, multiuid: uid, sender: sender.as_bytes(), ..Notice::EMPTY };
            let (notice, from) = if number == 0 {
                let notice =
                    Notice { class: names::ZEPHYR_CTL, instance: names::CLIENT, opcode: names::SUBSCRIBE, ..notice };
                let notice = Notice { body: b"strange\0*\0\0", port: target.port(), ..notice };
                (notice, SocketAddr::new(target.ip(), 40_001))
            } else {
                (
                    Notice { class: b"strange", instance: b"x", body: b"\0from mallory", ..notice },
                    self.stranger_address(1),
                )
            };
            self.checker.truth.say(Heading::of(&notice), notice.body);
            let Ok(payload) = ticket.seal(&notice, Direction::ToServer, Limits::WHOLE_PACKET, now) else { return };
            self.forge(from, server, &payload);
        }
    }

    /// Parts of notices that promise much and hold little.
    fn promise_much(&mut self) {
        let (reader, server) = (self.a_client(), self.server());
        let to = self.address_of(reader);
        for _ in 0..6 {
            let uid = self.fresh_uid();
            let notice =
                Notice { kind: Kind::Acked, uid, multiuid: uid, class: b"news", instance: b"x", ..Notice::EMPTY };
            let notice = Notice { multinotice: b"0/400000", body: b"x", sender: b"nobody@NOWHERE", ..notice };
            if let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) {
                self.forge(server, to, &payload);
            }
        }
    }

    /// A program of somebody's host gives its host manager more than its share.
    fn flood_a_host_manager(&mut self) {
        let manager = self.a_node(|role| role == Role::HostManager);
        let host = self.nodes[manager].host;
        let admin = self.draw(2) == 0;
        for _ in 0..FLOOD {
            let uid = self.fresh_uid();
            let notice = Notice { kind: Kind::Unacked, uid, multiuid: uid, class: b"strange", ..Notice::EMPTY };
            let status = Notice { class: names::ZEPHYR_ADMIN, opcode: b"STATUS", ..notice };
            let notice = if admin { status } else { notice };
            let Ok(payload) = notice.write(&Claim::NONE, Limits::WHOLE_PACKET) else { return };
            let from = (Ipv4Addr::LOCALHOST, 40_000).into();
            let to = (Ipv4Addr::LOCALHOST, HOST_MANAGER_PORT).into();
            self.later(Duration::from_micros(20), Happening::Arrival(Box::new(Datagram { from, host, to, payload })));
        }
    }
}
