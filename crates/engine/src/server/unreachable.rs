//! Clients whose ports nobody listens at any more: known to be gone as soon as the network says so.
//!
//! A program that was killed acknowledges nothing, and without more it would be sent notices for minutes, which nobody gets.
//! But its host says with every packet that its port is closed. As anybody can forge that, the client is then sent a probe, and
//! ends when the error comes that quotes it ([`Checks`](crate::server::state::checks::Checks)). Hosts that quote less than that
//! change nothing.

use crate::{
    machine::Transmit,
    server::{
        Server,
        limits::rate_limit::Rate,
        log_event::LogEvent,
        state::clients::{Client, ClientId},
    },
};
use std::net::SocketAddr;
use zephyr_core::{time::Now, uid::Uid};

/// Checks of clients of one host, in a second and at once after a pause.
const CHECKS_PER_SECOND: usize = 8;
const CHECK_BURST: usize = 64;

impl Server {
    /// Handles an error of the network: nobody listens where a packet was sent, of which so many octets are quoted.
    pub(crate) fn unreachable(&mut self, now: Now, to: SocketAddr, quoted: &[u8]) {
        self.counters.ports_closed += 1;
        // One that is not confirmed is probed anyway.
        let is_confirmed = |&id: &ClientId| self.clients.get(id).is_some_and(Client::is_confirmed);
        let Some(id) = self.clients.at(to).filter(is_confirmed) else { return };
        if self.checks.is_quoted(id, quoted) {
            if let Some(gone) = self.forget_client(id) {
                self.report(LogEvent::PortClosed { client: to, principal: gone.principal.as_ref().into() });
            }
        } else if let Some(probe) = self.check(now, id) {
            self.send(probe);
        }
    }

    /// The probe of a client of which it is doubtful whether it is there, unless that was asked lately.
    fn check(&mut self, now: Now, id: ClientId) -> Option<Transmit> {
        let host = self.clients.get(id)?.address().ip();
        let sources = self.config.bounds.rate_limit_sources;
        let rate = Rate { per_second: CHECKS_PER_SECOND, burst: CHECK_BURST, sources };
        let may_check = self.checks.may_begin(now.monotonic, id);
        if !may_check || !self.checks_of_host.spend(now.monotonic, host, 1, &rate) {
            return None;
        }
        let uid = self.new_probe_uid(id)?;
        let probe = self.probe_packet(now, id, uid)?;
        self.counters.checks += 1;
        self.checks.begin(now.monotonic, id, uid, probe.payload.clone());
        Some(probe)
    }

    /// Handles an acknowledgement that may be of such a probe; true when it is: the client is there.
    pub(crate) fn is_there_after_all(&mut self, now: Now, from: SocketAddr, uid: Uid) -> bool {
        let Some(id) = self.clients.at(from).filter(|&id| self.checks.is_answered(id, uid)) else { return false };
        if let Some(client) = self.clients.get_mut(id) {
            client.acknowledged(now.monotonic);
        }
        true
    }
}
