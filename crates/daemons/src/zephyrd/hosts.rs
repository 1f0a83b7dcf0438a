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
pub(super) struct Hosts {
    known: BTreeMap<IpAddr, Known>,
    /// The hosts by when they were last heard.
    by_turn: BTreeMap<u64, IpAddr>,
    last_turn: u64,
}

struct Known {
    port: u16,
    turn: u64,
}

impl Hosts {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Remembers a host, in the place of the one silent longest when too many are known; that one is given back.
    ///
    /// Any program of a host can call itself the manager, so the port that is known stays, unless the host `begins` anew.
    fn remember(&mut self, manager: SocketAddr, begins: bool, most: usize) -> Option<SocketAddr> {
        let before = self.forget(manager.ip());
        let port = before.filter(|_| !begins).unwrap_or(manager.port());
        let silent =
            if self.known.len() >= most { self.by_turn.first_key_value().map(|(_, &host)| host) } else { None };
        let given_up = silent.and_then(|host| Some(SocketAddr::new(host, self.forget(host)?)));
        self.last_turn += 1;
        self.by_turn.insert(self.last_turn, manager.ip());
        self.known.insert(manager.ip(), Known { port, turn: self.last_turn });
        given_up
    }

    /// The manager leaves; another program of its host cannot say so.
    fn leave(&mut self, manager: SocketAddr) {
        if self.known.get(&manager.ip()).is_some_and(|known| known.port == manager.port()) {
            self.forget(manager.ip());
        }
    }

    fn forget(&mut self, host: IpAddr) -> Option<u16> {
        let known = self.known.remove(&host)?;
        self.by_turn.remove(&known.turn);
        Some(known.port)
    }

    fn managers(&self) -> impl Iterator<Item = SocketAddr> {
        self.known.iter().map(|(&host, known)| SocketAddr::new(host, known.port))
    }
}

impl Engine {
    /// A notice from a host manager.
    pub(super) fn host_control(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        if request.notice.kind != Kind::HmCtl {
            self.reply(request, Answer::Denied, out);
            return;
        }
        match request.notice.opcode {
            words::FLUSH => {
                if self.may_flush(request) {
                    self.flush_host(request.from, out);
                } else {
                    self.drop_flood(request.from, out);
                }
            }
            words::BOOT => {
                if self.may_flush(request) {
                    self.flush_host(request.from, out);
                } else if self.holds_of(request.from.ip()) {
                    // Not answered: it would go on with what was there before.
                    self.drop_flood(request.from, out);
                    return;
                }
                self.remember_host(request.from, true, out);
                self.reply(request, Answer::SentWithLongHeaders, out);
            }
            // Always answered, or a program's flood could keep its host's manager from being heard.
            words::ATTACH => {
                self.remember_host(request.from, false, out);
                self.reply(request, Answer::SentWithLongHeaders, out);
            }
            words::DETACH => self.hosts.leave(request.from),
            opcode => {
                out.report(Event::UnknownOpcode { class: "hm", opcode: opcode.into(), from: request.from });
            }
        }
    }

    /// Whether this host has not been flushed too often.
    fn may_flush(&mut self, request: &Request<'_>) -> bool {
        let bounds = &self.config.bounds;
        let rate = Rate {
            per_second: bounds.host_requests.div_ceil(PERIOD),
            burst: bounds.host_requests,
            sources: bounds.hosts,
        };
        self.host_requests.spend(request.now.monotonic, request.from.ip(), 1, &rate)
    }

    fn drop_flood(&mut self, manager: SocketAddr, out: &mut Outbox) {
        self.counters.host_floods += 1;
        out.report(Event::Full { what: "host manager requests", from: manager });
    }

    /// Whether a flush of this host would end anything.
    fn holds_of(&self, host: IpAddr) -> bool {
        self.clients.count_of_host(host) > 0 || self.locations.count_of_host(host) > 0
    }

    fn remember_host(&mut self, manager: SocketAddr, begins: bool, out: &mut Outbox) {
        if let Some(given_up) = self.hosts.remember(manager, begins, self.config.bounds.hosts) {
            self.counters.hosts_full += 1;
            out.report(Event::Full { what: "hosts", from: given_up });
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
