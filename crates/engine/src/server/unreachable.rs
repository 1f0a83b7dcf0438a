//! Clients whose ports nobody listens at any more: known to be gone as soon as the network says so.
//!
//! A program that was killed acknowledges nothing, and without more it would be sent notices for minutes, which nobody gets.
//! But its host says with every packet that its port is closed. As anybody can forge that, the client is then sent a probe, and
//! ends when the error comes that quotes it ([`Checks`](crate::server::state::checks::Checks)). Hosts that quote less than that
//! change nothing.
//!
//! Once one client of a host is known to be gone, those that acknowledge nothing there are probed as well: a host that loses
//! many at once says it of few of them.

use crate::{
    machine::Transmit,
    server::{
        Gone, Server,
        confirmation::MAX_PROBES_AT_ONCE,
        limits::rate_limit::Rate,
        log_event::LogEvent,
        pacer::Lane,
        state::{
            checks::{PAUSE, Turn},
            clients::{Client, ClientId},
            deliveries::MAX_RELEASED_AT_ONCE,
        },
    },
};
use std::net::{IpAddr, SocketAddr};
use zephyr_core::{time::Now, uid::Uid};

/// Probes of clients of one host, in a second and at once after a pause.
const CHECKS_PER_SECOND: usize = 8;
const CHECK_BURST: usize = 64;

impl Server {
    /// Handles an error of the network: nobody listens where a packet was sent, of which so many octets are quoted.
    pub(crate) fn unreachable(&mut self, now: Now, to: SocketAddr, quoted: &[u8]) {
        self.counters.ports_closed += 1;
        // One that is not confirmed is probed anyway.
        let is_confirmed = |&id: &ClientId| self.clients.get(id).is_some_and(Client::is_confirmed);
        let Some(id) = self.clients.at(to).filter(is_confirmed) else { return };
        let host = to.ip();
        if self.checks.is_quoted(host, id, quoted) {
            if let Some(gone) = self.forget_client(id, Gone::Ended) {
                self.report(LogEvent::PortClosed { client: to, principal: gone.principal.as_ref().into() });
            }
            self.checks.gone(now.monotonic, host);
            let is_silent =
                |&id: &ClientId| self.clients.get(id).is_some_and(|client| client.silent && client.is_confirmed());
            self.clients.of_host(host).filter(is_silent).for_each(|id| self.checks.doubt(now.monotonic, host, id));
        } else {
            self.checks.doubt(now.monotonic, host, id);
        }
        self.go_on_checking(now, host);
    }

    /// Somebody says that a client is gone: it is asked.
    pub(crate) fn doubt(&mut self, now: Now, id: ClientId) {
        let Some(client) = self.clients.get(id) else { return };
        let host = client.address().ip();
        // One that is not confirmed is probed anyway.
        if client.is_confirmed() {
            self.checks.doubt(now.monotonic, host, id);
            self.go_on_checking(now, host);
        }
    }

    /// Goes on with the checks that are due. When many are due at once, some of them stay due.
    pub(crate) fn check(&mut self, now: Now) {
        for _ in 0..MAX_PROBES_AT_ONCE {
            let Some(host) = self.checks.due(now.monotonic) else { return };
            self.go_on_checking(now, host);
        }
    }

    /// Goes on with the checks of the clients of a host, as far as that is possible now.
    fn go_on_checking(&mut self, now: Now, host: IpAddr) {
        while let Some(turn) = self.checks.turn(now.monotonic, host) {
            match turn {
                Turn::Begin(id) => self.begin_check(now, host, id),
                Turn::Repeat(id, payload) => {
                    let Some(client) = self.clients.get_mut(id) else {
                        self.checks.end(host, id);
                        continue;
                    };
                    client.silent = true;
                    let probe = Transmit { to: client.address(), local: client.local(), payload };
                    if self.may_check(now, host) {
                        self.checks.repeated(now.monotonic, host);
                        self.send(probe);
                    } else {
                        self.checks.later(now.monotonic, host, None);
                    }
                }
                Turn::LetGo(held) => held.into_iter().for_each(|id| self.release(now, id, 0)),
            }
        }
    }

    fn begin_check(&mut self, now: Now, host: IpAddr, id: ClientId) {
        // It may be gone since, or wait for its first probe.
        let is_confirmed = self.clients.get(id).is_some_and(Client::is_confirmed);
        let Some(uid) = self.new_probe_uid(id).filter(|_| is_confirmed) else { return self.checks.passed_over(id) };
        let Some(probe) = self.probe_packet(now, id, uid) else { return self.checks.passed_over(id) };
        if !self.may_check(now, host) {
            return self.checks.later(now.monotonic, host, Some(id));
        }
        self.counters.checks += 1;
        self.checks.begun(now.monotonic, host, id, uid, probe.payload.clone());
        self.send(probe);
    }

    /// Whether one more probe may be sent to a host. It counts as sent.
    fn may_check(&mut self, now: Now, host: IpAddr) -> bool {
        let sources = self.config.bounds.rate_limit_sources;
        let rate = Rate { per_second: CHECKS_PER_SECOND, burst: CHECK_BURST, sources };
        self.checks_of_host.spend(now.monotonic, host, 1, &rate)
    }

    /// Handles an acknowledgement that may be of such a probe; true when it is: the client is there.
    pub(crate) fn is_there_after_all(&mut self, now: Now, from: SocketAddr, uid: Uid) -> bool {
        let host = from.ip();
        let answers = |&id: &ClientId| self.checks.is_answered(now.monotonic, host, id, uid);
        let Some(id) = self.clients.at(from).filter(answers) else { return false };
        self.is_there(now, id);
        self.go_on_checking(now, host);
        true
    }

    /// A client has acknowledged something: what was held for it is sent.
    pub(crate) fn is_there(&mut self, now: Now, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        client.acknowledged(now.monotonic);
        let host = client.address().ip();
        if self.checks.let_go(host, id) {
            self.release(now, id, MAX_RELEASED_AT_ONCE);
        }
    }

    /// What was held for a client is sent: so many packets at once, and the others in their order, as there is room.
    pub(crate) fn release(&mut self, now: Now, id: ClientId, at_once: usize) {
        let Some(client) = self.clients.get(id) else { return };
        for (uid, transmit) in self.deliveries.release(now.monotonic, id, client.standing(), at_once) {
            self.counters.delivered += 1;
            self.pacer.push(Lane::Deliveries(uid), transmit);
        }
    }

    /// Puts off the repetition of a packet while the errors of its client's host are needed; true when it is put off.
    pub(crate) fn put_off(&mut self, now: Now, to: SocketAddr, uid: Uid) -> bool {
        self.checks.holds(now.monotonic, to.ip()) && self.deliveries.put_off(now.monotonic + PAUSE, (to, uid))
    }
}
