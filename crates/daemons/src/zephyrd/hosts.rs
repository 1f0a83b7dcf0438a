//! Host managers: class HM_CTL, and class ZEPHYR_CTL with instance HM (server behaviour, section 5).
//!
//! Nothing here is proven. A host is the address that a packet comes from, so a host manager speaks for its own host and
//! for no other.

use super::{
    engine::{Engine, Outbox},
    event::Event,
    quota::Rate,
    reply::{Answer, Request},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice},
    time::Now,
    words,
};

/// Seconds in which a host's manager may make as many requests as the bounds say.
const PERIOD: usize = 10;

/// Hosts whose manager talks to this server, with the manager's port.
#[derive(Default)]
pub(super) struct Hosts(BTreeMap<IpAddr, u16>);

impl Hosts {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Remembers a host; false when too many are known.
    fn remember(&mut self, manager: SocketAddr, most: usize) -> bool {
        let has_room = self.0.len() < most || self.0.contains_key(&manager.ip());
        if has_room {
            self.0.insert(manager.ip(), manager.port());
        }
        has_room
    }

    fn forget(&mut self, host: IpAddr) {
        self.0.remove(&host);
    }

    fn managers(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(&host, &port)| SocketAddr::new(host, port))
    }
}

impl Engine {
    /// A notice from a host manager.
    pub(super) fn host_control(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        if request.notice.kind != Kind::HmCtl {
            self.reply(request, Answer::Denied, out);
            return;
        }
        let bounds = &self.config.bounds;
        let rate = Rate {
            per_second: bounds.host_requests.div_ceil(PERIOD),
            burst: bounds.host_requests,
            sources: bounds.hosts,
        };
        if !self.host_requests.spend(request.now.monotonic, request.from.ip(), 1, &rate) {
            self.counters.host_floods += 1;
            out.report(Event::Full { what: "host manager requests", from: request.from });
            return;
        }
        match request.notice.opcode {
            words::FLUSH => self.flush_host(request.from, out),
            words::BOOT => {
                self.flush_host(request.from, out);
                self.remember_host(request.from, out);
                self.reply(request, Answer::SentWithLongHeaders, out);
            }
            words::ATTACH => {
                self.remember_host(request.from, out);
                self.reply(request, Answer::SentWithLongHeaders, out);
            }
            words::DETACH => self.hosts.forget(request.from.ip()),
            opcode => {
                out.report(Event::UnknownOpcode { class: "hm", opcode: opcode.into(), from: request.from });
            }
        }
    }

    /// A host that is not remembered is served all the same, only not told when the server ends.
    fn remember_host(&mut self, manager: SocketAddr, out: &mut Outbox) {
        if !self.hosts.remember(manager, self.config.bounds.hosts) {
            self.counters.hosts_full += 1;
            out.report(Event::Full { what: "hosts", from: manager });
        }
    }

    fn flush_host(&mut self, manager: SocketAddr, out: &mut Outbox) {
        let clients: Vec<_> = self.clients.of_host(manager.ip()).collect();
        self.counters.host_flushes += 1;
        out.report(Event::HostFlushed { host: manager, clients: clients.len() });
        for id in clients {
            self.remove_client(id);
        }
        self.locations.remove_host(manager.ip());
        self.forget_packets_of(manager.ip());
    }

    /// Tells every known host manager that this server goes. There is no other server to name.
    pub(super) fn say_goodbye_to_hosts(&mut self, now: Now, out: &mut Outbox) {
        let recipient = [b"hm@", self.config.realms.local()].concat();
        for manager in self.hosts.managers() {
            let uid = self.uids.next(&now);
            let notice = Notice {
                kind: Kind::HmCtl,
                uid,
                multiuid: uid,
                port: manager.port(),
                class: words::HM_CTL,
                instance: words::SERVER,
                opcode: words::SHUTDOWN,
                sender: words::SERVER,
                recipient: &recipient,
                multinotice: b"0/0",
                address: self.config.address.into(),
                ..Notice::EMPTY
            };
            match notice.write(&Claim::NONE, Limits::COMPATIBLE) {
                Ok(packet) => out.send(manager, packet),
                Err(error) => out.report(Event::NotWritten { client: manager, reason: error.to_string() }),
            }
        }
    }
}
