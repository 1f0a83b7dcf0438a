//! Host managers: class HM_CTL, and class ZEPHYR_CTL with instance HM (server behaviour, section 5).
//!
//! Nothing here is proven. A host is the address that a packet comes from, so a host manager speaks for its own host
//! and for no other. And as any program of the host can send such notices, one that comes from another port than host
//! managers have ends nothing but what came through that port.

use crate::server::{
    Belief, Change, Gone, Server,
    acl_check::shown_class,
    limits::rate_limit::Rate,
    log_event::LogEvent,
    reply::Reply,
    request::{Path, Request},
    state::{
        clients::{Client, ClientId},
        hosts::Remembered,
        locations::GoneLocation,
    },
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice},
    time::Now,
};

/// Period of the rate limit of host managers, in seconds.
const PERIOD_SECONDS: usize = 10;

impl Server {
    /// Handles a notice from a host manager.
    pub(crate) fn hm_ctl(&mut self, request: &mut Request<'_>) {
        if request.notice.kind != Kind::HmCtl {
            let class = shown_class(request.notice.class, request.notice.class.len());
            request.message = Some(format!("only host managers may send this to class {class}"));
            self.reply(request, Reply::Denied);
            return;
        }
        match request.notice.opcode {
            names::FLUSH => {
                if self.may_flush(request) {
                    self.flush_host(request.now, request.from);
                } else {
                    self.drop_flood(request.from);
                }
            }
            names::BOOT => {
                if self.may_flush(request) {
                    self.flush_host(request.now, request.from);
                } else if self.is_usual(request.from) && self.holds_of(request.from.ip()) {
                    // Not answered: it would go on with what was there before.
                    self.drop_flood(request.from);
                    return;
                }
                let begins = self.is_usual(request.from) || !self.hosts.is_manager(self.usual(request.from));
                self.remember_host(request.path(), begins);
                self.reply(request, Reply::SentWithLongHeaders);
                self.send_on(request);
            }
            // Always answered, or a program's flood could keep its host's manager from being answered.
            names::ATTACH => {
                // A program that speaks for itself was there first: the host manager's place is the usual one.
                let begins = self.is_usual(request.from);
                self.remember_host(request.path(), begins);
                self.reply(request, Reply::SentWithLongHeaders);
                self.send_on(request);
            }
            names::DETACH => {
                if self.hosts.leave(request.from) {
                    self.host_left(request.from);
                }
            }
            opcode => {
                self.report(LogEvent::UnknownOpcode { class: "hm", opcode: opcode.into(), from: request.from });
            }
        }
    }

    /// Handles a notice from a host manager that talks to another server, which has forwarded it: from now on it is that
    /// server's to tell it that it ends.
    pub(crate) fn hm_ctl_elsewhere(&mut self, request: &mut Request<'_>) {
        match request.notice.opcode {
            names::FLUSH | names::BOOT if !self.may_flush(request) => self.drop_flood(request.from),
            names::FLUSH | names::BOOT if self.config.neighbours.believe == Belief::Addresses => {
                self.flush_host(request.now, request.from);
            }
            // Only the other server's address shows it, so whoever is there may say so himself.
            names::FLUSH | names::BOOT => self.doubt_host(request.now, request.from),
            names::ATTACH => {}
            opcode => self.report(LogEvent::UnknownOpcode { class: "hm", opcode: opcode.into(), from: request.from }),
        }
        if self.hosts.leave(request.from) {
            self.changed(Change::HostGone { manager: request.from });
        }
    }

    /// Where the host manager of the host of `from` usually is.
    const fn usual(&self, from: SocketAddr) -> SocketAddr {
        SocketAddr::new(from.ip(), self.config.host_manager_port)
    }

    fn is_usual(&self, from: SocketAddr) -> bool {
        from == self.usual(from)
    }

    /// Whether this manager has not flushed too often.
    fn may_flush(&mut self, request: &Request<'_>) -> bool {
        let bounds = &self.config.bounds;
        let rate = Rate {
            per_second: bounds.host_flushes.div_ceil(PERIOD_SECONDS),
            burst: bounds.host_flushes,
            sources: bounds.hosts,
        };
        self.host_flushes.spend(request.now.monotonic, request.from, 1, &rate)
    }

    fn drop_flood(&mut self, manager: SocketAddr) {
        self.counters.host_floods += 1;
        self.report(LogEvent::Full { what: "host manager requests", from: manager });
    }

    /// Whether a flush of this host would end anything.
    fn holds_of(&self, host: IpAddr) -> bool {
        self.clients.of_host(host).next().is_some() || self.locations.holds_of_host(host)
    }

    fn remember_host(&mut self, path: Path, begins: bool) {
        let Remembered { manager, given_up } = self.hosts.remember(path, begins, self.config.bounds.hosts);
        if let Some(given_up) = given_up {
            self.counters.hosts_full += 1;
            self.changed(Change::HostGone { manager: given_up });
            self.report(LogEvent::Full { what: "hosts", from: given_up });
        }
        self.changed(Change::HostKnown { manager, local: path.local });
    }

    /// The clients of a manager's host: those that came through its port, and the others.
    fn clients_of(&self, manager: SocketAddr) -> (Vec<ClientId>, Vec<ClientId>) {
        let came_through = |client: &Client| client.through == manager.port();
        let of_host = self.clients.of_host(manager.ip());
        of_host.partition(|&id| self.clients.get(id).is_some_and(came_through))
    }

    /// Asks the clients of a host whether they are there.
    fn doubt_host(&mut self, now: Now, manager: SocketAddr) {
        let (own, others) = self.clients_of(manager);
        let others = if self.is_usual(manager) { others } else { Vec::new() };
        for id in own.into_iter().chain(others) {
            self.doubt(now, id);
        }
    }

    /// Ends what came through a manager. Where it is the one at the usual port, its host may have begun anew: clients that
    /// came another way are asked, and locations without a client go, unless nobody came through it.
    fn flush_host(&mut self, now: Now, manager: SocketAddr) {
        let is_usual = self.is_usual(manager);
        let (own, others) = self.clients_of(manager);
        self.counters.host_flushes += 1;
        self.report(LogEvent::HostFlushed { host: manager, clients: own.len() });
        let is_whole = is_usual && (others.is_empty() || !own.is_empty());
        let gone = if is_whole { self.locations_of_host(manager.ip(), &others) } else { self.locations_of(&own) };
        self.locations_gone(gone);
        if (is_whole || !own.is_empty()) && self.forget_packets_of(manager.ip()) {
            self.changed(Change::ProofsUndone { host: manager.ip() });
        }
        for id in own {
            self.take_client(id, Gone::Ended);
        }
        if is_usual {
            others.into_iter().for_each(|id| self.doubt(now, id));
        }
        self.clear_up();
    }

    /// Takes the locations of a host off the table, but for those at the addresses of these clients.
    fn locations_of_host(&mut self, host: IpAddr, spared: &[ClientId]) -> Vec<GoneLocation> {
        let spared = spared.iter().filter_map(|&id| self.clients.get(id)).map(Client::address);
        let spared: BTreeSet<SocketAddr> = spared.collect();
        self.locations.remove_host(host, |address| !spared.contains(&address))
    }

    /// Takes the locations at the addresses of these clients off the table.
    fn locations_of(&mut self, clients: &[ClientId]) -> Vec<GoneLocation> {
        let addresses = clients.iter().filter_map(|&id| self.clients.get(id)).map(Client::address);
        addresses.flat_map(|address| self.locations.remove_address(address, true)).collect()
    }

    /// Asks all host managers to go to another server, and from now on those that come. This one goes on with what comes.
    pub(crate) fn drain(&mut self, now: Now) {
        self.is_draining = true;
        self.say_goodbye_to_hosts(now);
        self.tell_if_drained();
    }

    /// Whether host managers are asked to go to another server.
    pub const fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// A host's manager does not talk to this server any longer.
    pub(crate) fn host_left(&mut self, manager: SocketAddr) {
        self.changed(Change::HostGone { manager });
        self.tell_if_drained();
    }

    fn tell_if_drained(&mut self) {
        if self.is_draining && self.hosts.len() == 0 {
            self.report(LogEvent::Drained);
        }
    }

    /// While this server takes no hosts, a manager that comes is answered, and asked to go to another server that is there.
    fn send_on(&mut self, request: &mut Request<'_>) {
        // Any program can send what made this: not more often than it may flush.
        if !self.is_draining || self.living_peer().is_none() || !self.may_flush(request) {
            return;
        }
        request.behind = self.goodbye(request.now, request.from);
    }

    /// Sends every known host manager a SHUTDOWN, as this server ends or wants to.
    pub(crate) fn say_goodbye_to_hosts(&mut self, now: Now) {
        let managers: Vec<Path> = self.hosts.managers().collect();
        for path in managers {
            if let Some(packet) = self.goodbye(now, path.from) {
                self.send(path.back(packet));
            }
        }
    }

    /// A SHUTDOWN for a host manager, which names another server that is there.
    fn goodbye(&mut self, now: Now, manager: SocketAddr) -> Option<Bytes> {
        let recipient = [b"hm@", self.config.realms.local()].concat();
        let body = self.living_peer().map(|address| format!("{}\0", address.ip())).unwrap_or_default();
        let uid = self.uids.next(&now);
        let notice = Notice {
            kind: Kind::HmCtl,
            uid,
            multiuid: uid,
            port: manager.port(),
            class: names::HM_CTL,
            instance: names::SERVER,
            opcode: names::SHUTDOWN,
            sender: names::SERVER,
            recipient: &recipient,
            multinotice: b"0/0",
            body: body.as_bytes(),
            address: self.config.address.into(),
            ..Notice::EMPTY
        };
        match notice.write(&Claim::NONE, Limits::COMPATIBLE) {
            Ok(packet) => Some(packet),
            Err(error) => {
                self.report(LogEvent::NotWritten { client: manager, reason: error.to_string() });
                None
            }
        }
    }
}
