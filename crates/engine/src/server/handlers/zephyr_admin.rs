//! Class ZEPHYR_ADMIN, from senders that are no servers (server behaviour, section 10).

use crate::server::{
    Server,
    log_event::LogEvent,
    reply::{Asker, Reply},
    request::Request,
};
use zephyr_core::{kind::Kind, names, notice::Notice, sanitize};

/// Realms of which the status tells: it is one packet.
const MAX_REALMS: usize = 8;

impl Server {
    /// Handles a notice of class ZEPHYR_ADMIN.
    pub(crate) fn zephyr_admin(&mut self, request: &mut Request<'_>) {
        let opcode = request.notice.opcode;
        if matches!(opcode, names::HELLO | names::IHEARDYOU) {
            self.ours_speaks_as_c(request.now, request.from);
        }
        if opcode != names::STATUS {
            self.report(LogEvent::UnknownOpcode { class: "admin", opcode: opcode.into(), from: request.from });
            // A host manager that gets no answer would take the server for dead.
            self.reply(request, Reply::Lost);
            return;
        }
        if request.notice.kind != Kind::Unsafe {
            // Its host manager waits for that, and keeps it from sending what others want.
            self.reply(request, Reply::Sent);
        }
        let mut lines = vec![
            self.config.version.clone(),
            format!("{} pkts", self.counters.received),
            format!("{} seconds operational", request.now.monotonic.saturating_sub(self.started).as_secs()),
            format!("{}/SERV_UP", self.config.address),
        ];
        for (_, realm) in self.realms.table.listed().take(MAX_REALMS) {
            let address = realm.target(realm.current).map_or_else(|| "0.0.0.0".to_owned(), |it| it.ip().to_string());
            lines.push(format!("{}({address})/{}", sanitize::name(&realm.name), realm.state));
        }
        let body: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\0"]).flatten().copied().collect();
        let uid = self.uids.next(&request.now);
        let host = self.config.host.clone();
        let notice = Notice {
            kind: Kind::Unsafe,
            uid,
            multiuid: uid,
            port: self.config.port,
            class: names::ZEPHYR_ADMIN,
            opcode: names::STATUS,
            sender: host.as_bytes(),
            address: self.config.address.into(),
            body: &body,
            ..Notice::EMPTY
        };
        let packets = self.packets_of(request.now, request.from, notice);
        let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
        let (principal, standing) = (request.principal().into(), request.standing());
        let asker = Asker { to: request.from, local: request.local, principal, standing };
        if let Some(stranger) = self.stranger(request.from.ip(), octets) {
            self.send_packets(request.now, &asker, packets, stranger);
        }
    }
}
