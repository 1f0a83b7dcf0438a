//! Packets from the server (host manager, section 7).

use super::{
    HostManager, Received,
    event::{Boot, Event, LogEvent, ServerChange},
};
use std::net::IpAddr;
use zephyr_core::{kind::Kind, limits::Limits, names, notice::Notice, time::Now};

impl HostManager {
    pub(super) fn receive_from_server(&mut self, now: Now, received: &Received) {
        let from = received.from;
        if Some(from) != self.server_address() {
            return self.outputs.tell(LogEvent::NotTheServer { from });
        }
        self.statistics.server_packets += 1;
        let packet = received.packet.packet();
        let notice = &packet.notice;
        match (notice.kind, notice.opcode) {
            (Kind::HmCtl, names::SHUTDOWN) => {
                self.handle_farewell(now, from, suggestion(notice.body));
            }
            (Kind::HmCtl, names::PING) => self.answer_ping(received),
            (Kind::HmCtl, opcode) => self.outputs.tell(LogEvent::BadControl { opcode: opcode.into() }),
            _ if self.handle_answer(received, notice) => self.note_answer(now),
            _ => self.outputs.tell(LogEvent::NotInQueue { from }),
        }
    }

    /// The current server has answered something that it was sent, so it is there. Nothing else shows that: its address alone
    /// can be forged.
    fn note_answer(&mut self, now: Now) {
        let check = self.reachability.answered(now.monotonic);
        if let Some(server) = self.servers.current_mut() {
            server.unsent = None;
        }
        if self.reachability.looking {
            self.resume(now);
        } else if check.is_some_and(|check| check.resends) {
            self.send_queue(now);
        }
    }

    fn answer_ping(&mut self, received: &Received) {
        let packet = received.packet.packet();
        let pong = Notice { kind: Kind::HmAck, ..packet.notice };
        if let Ok(pong) = pong.write(&packet.claim.echoed(), Limits::WHOLE_PACKET) {
            self.outputs.send_from(received.local, received.from, pong);
        }
    }

    /// Handles what may be an answer; whether something waits for it.
    fn handle_answer(&mut self, received: &Received, notice: &Notice<'_>) -> bool {
        // First by the queue: programs use the greetings' opcodes as they like.
        if let Some(entry) = self.queue.answered(notice) {
            if entry.kind == Kind::Acked {
                self.outputs.send_from(entry.local, entry.client(), received.packet.octets().clone());
            }
            return true;
        }
        if !self.greetings.answered(received.from, notice.uid) {
            return false;
        }
        let mut fields = notice.body.split(|&octet| octet == 0);
        if let Some(server) = self.servers.current_mut() {
            server.long_headers = fields.any(|field| field == names::LONG_HEADERS);
        }
        if notice.opcode == names::BOOT {
            self.outputs.tell(Event::Boot(Boot::Acknowledged));
        }
        true
    }

    /// The current server answers: it gets what was kept for it.
    fn resume(&mut self, now: Now) {
        let Some(server) = self.servers.current() else { return };
        self.reachability.looking = false;
        self.outputs.tell(ServerChange::Found { name: server.name().into() });
        self.servers.found();
        self.discovering.found();
        self.returning.found();
        self.plan_return(now);
        self.send_queue(now);
    }

    /// Sends the current server all that is queued.
    fn send_queue(&mut self, now: Now) {
        let Some(address) = self.server_address() else { return };
        for packet in self.queue.restart(now.monotonic) {
            self.outputs.send(address, packet);
        }
    }
}

/// The server that a dying one names in its farewell.
fn suggestion(body: &[u8]) -> Option<IpAddr> {
    let text = body.split(|&octet| octet == 0).next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}
