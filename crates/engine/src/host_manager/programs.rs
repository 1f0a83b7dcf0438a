//! Packets from programs of this host (host manager, section 8).

use super::{
    HostManager, Job, Received,
    event::LogEvent,
    owner::{Full, Owner, OwnerAnswer, Program},
    queue::{MAX_PACKETS, Room},
    reachability::Change,
};
use crate::acknowledgement::acknowledgement;
use std::time::Duration;
use zephyr_core::{kind::Kind, names, notice::Notice, time::Now};

/// Minimum time between two orders of programs for a flush or for another server. Root's are not counted.
const MIN_ORDER_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of packets that wait for the socket to take them while packets of programs are taken. A whole queue
/// that goes to a new server is no reason to take none: acknowledgements and answers have room beside it.
const MAX_UNSENT: usize = MAX_PACKETS + MAX_PACKETS / 2;

impl HostManager {
    /// A packet of a program has come: it is handled as soon as it is known whose program it is.
    pub(super) fn receive_from_program(&mut self, received: Received) {
        self.statistics.client_packets += 1;
        let from = received.from;
        if self.outputs.transmits.len() >= MAX_UNSENT {
            return self.outputs.tell(LogEvent::QueueFull { from });
        }
        match self.unowned.add(received) {
            Ok(query) => self.outputs.jobs.extend(query.map(Job::Owner)),
            Err(Full) => self.outputs.tell(LogEvent::QueueFull { from }),
        }
    }

    /// It is known whose the packets from an address are that have come until now.
    pub(super) fn handle_owner(&mut self, now: Now, OwnerAnswer { query, owner }: OwnerAnswer) {
        let program = Program { owner, address: query.program };
        while let Some(received) = self.unowned.take(query) {
            let notice = received.packet.notice();
            if notice.kind == Kind::HmCtl {
                self.handle_order(now, program.owner, notice.opcode);
            } else {
                self.handle_packet(now, program, received);
            }
        }
        self.outputs.jobs.extend(self.unowned.next_query(query.program).map(Job::Owner));
    }

    fn handle_packet(&mut self, now: Now, program: Program, received: Received) {
        let Received { from, packet, .. } = &received;
        let from = *from;
        let notice = packet.notice();
        let known = self.queue.contains(program, notice.uid);
        if !known && !self.make_room(program, &notice) {
            // Not acknowledged: the program learns that it was not taken.
            return self.outputs.tell(LogEvent::QueueFull { from });
        }
        if self.reachability.deactivated {
            // The greeting must come first; were it repeated later, it would flush what this packet asks for.
            self.reachability.looking = true;
            self.queue.stop();
            self.greet(now);
        }
        self.users.add(program.owner);
        if notice.kind.wants_hmack() {
            self.acknowledge(&received);
        }
        let server = self.server_address().filter(|_| !self.reachability.looking);
        if let Some(server) = server {
            self.outputs.send(server, packet.octets().clone());
        }
        if !known {
            self.queue.add(now.monotonic, program, received, server.is_some());
        }
    }

    fn handle_order(&mut self, now: Now, owner: Owner, opcode: &[u8]) {
        match opcode {
            names::FLUSH if self.refuse_flush => self.outputs.tell(LogEvent::FlushRefused),
            names::FLUSH | names::NEWSERV if !owner.is_root() && !self.users.are_only(owner) => {
                self.outputs.tell(LogEvent::NotYours { opcode: opcode.into(), owner });
            }
            names::FLUSH | names::NEWSERV if !self.may_order(now, owner) => {
                self.outputs.tell(LogEvent::TooManyRequests { opcode: opcode.into() });
            }
            names::FLUSH => self.flush(now),
            names::NEWSERV => self.change_server(now, Change::Ordered),
            opcode => self.outputs.tell(LogEvent::BadRequest { opcode: opcode.into() }),
        }
    }

    /// Whether a program may order a flush or another server now. Each keeps everybody's notices back for a moment.
    fn may_order(&mut self, now: Now, owner: Owner) -> bool {
        let last = self.ordered.filter(|_| !owner.is_root());
        let may = last.is_none_or(|last| now.monotonic.saturating_sub(last) >= MIN_ORDER_INTERVAL);
        if may && !owner.is_root() {
            self.ordered = Some(now.monotonic);
        }
        may
    }

    /// Whether the queue has room for a packet of this program, perhaps in place of another.
    fn make_room(&mut self, program: Program, notice: &Notice<'_>) -> bool {
        match self.queue.make_room(self.reachability.last_received, program, notice.uid) {
            Room::Free => true,
            Room::Made(dropped) => {
                self.tell_expired(&dropped);
                true
            }
            Room::None => false,
        }
    }

    fn acknowledge(&mut self, received: &Received) {
        let (client, packet) = (received.from, received.packet.packet());
        let port = if packet.notice.port == 0 { client.port() } else { packet.notice.port };
        let answer = Notice { kind: Kind::HmAck, port, body: b"", ..packet.notice };
        if let Some(answer) = acknowledgement(&answer, &packet.claim) {
            self.outputs.send_from(received.local, client, answer);
        }
    }
}
