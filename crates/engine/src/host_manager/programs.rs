//! Packets from programs of this host (host manager, section 8).

use super::{HostManager, Received, event::LogEvent};
use crate::acknowledgement::acknowledgement;
use std::{net::SocketAddr, time::Duration};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Notice, Packet},
    time::Now,
};

/// Minimum time between two orders of programs for a flush or for another server.
const MIN_ORDER_INTERVAL: Duration = Duration::from_secs(5);

impl HostManager {
    pub(super) fn receive_from_program(&mut self, now: Now, received: Received) {
        self.statistics.client_packets += 1;
        let Received { from, packet } = received;
        let notice = packet.notice();
        if notice.kind == Kind::HmCtl {
            return self.handle_order(now, notice.opcode);
        }
        let known = self.queue.contains(&notice.uid);
        if !known && !self.make_room(from) {
            // Not acknowledged: the program learns that it was not taken.
            return self.outputs.tell(LogEvent::QueueFull { from });
        }
        if self.reachability.deactivated {
            // The greeting must come first; were it repeated later, it would flush what this packet asks for.
            self.reachability.looking = true;
            self.queue.stop();
            self.greet(now);
        }
        if notice.kind.wants_hmack() {
            self.acknowledge(from, &packet.packet());
        }
        let sent = !self.reachability.looking;
        if sent {
            self.outputs.send(self.servers.current().address, packet.octets().clone());
        }
        if !known {
            self.queue.add(now.monotonic, from, packet, sent);
        }
    }

    fn handle_order(&mut self, now: Now, opcode: &[u8]) {
        match opcode {
            names::FLUSH if self.refuse_flush => self.outputs.tell(LogEvent::FlushRefused),
            names::FLUSH | names::NEWSERV if !self.may_order(now) => {
                self.outputs.tell(LogEvent::TooManyRequests { opcode: opcode.into() });
            }
            names::FLUSH => self.flush(now),
            names::NEWSERV => self.change_server(now, None),
            opcode => self.outputs.tell(LogEvent::BadRequest { opcode: opcode.into() }),
        }
    }

    /// Whether a program may order a flush or another server now. Each keeps everybody's notices back for a moment.
    fn may_order(&mut self, now: Now) -> bool {
        let may = self.ordered.is_none_or(|last| now.monotonic.saturating_sub(last) >= MIN_ORDER_INTERVAL);
        if may {
            self.ordered = Some(now.monotonic);
        }
        may
    }

    /// Whether the queue has room for a packet of this program, perhaps in place of one that the server has passed
    /// over.
    fn make_room(&mut self, client: SocketAddr) -> bool {
        if !self.queue.is_full_for(client) {
            return true;
        }
        let dropped = self.queue.make_room(self.reachability.last_received, client);
        if let Some(packet) = &dropped {
            self.tell_expired(packet);
        }
        dropped.is_some()
    }

    fn acknowledge(&mut self, client: SocketAddr, packet: &Packet<'_>) {
        let port = if packet.notice.port == 0 { client.port() } else { packet.notice.port };
        let answer = Notice { kind: Kind::HmAck, port, body: b"", ..packet.notice };
        if let Some(answer) = acknowledgement(&answer, &packet.claim) {
            self.outputs.send(client, answer);
        }
    }
}
