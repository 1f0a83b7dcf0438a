//! Confirmation of clients: nobody is sent notices because somebody else says that he wants them.
//!
//! The address that a subscription comes from can be forged, also by who proves who he is. So a new client first gets a
//! probe, a packet that every program acknowledges and shows to nobody, with a uid that only who receives it can know.
//! What there is for the client meanwhile is held, and sent in order when the client acknowledges its probe. An address
//! that never acknowledges gets a few probes, and nothing else.

use crate::{
    machine::Transmit,
    server::{
        Change, Gone, Server,
        limits::rate_limit::Rate,
        log_event::LogEvent,
        pacer::Lane,
        state::{
            clients::{Client, ClientId},
            deliveries::{DeliveryLimits, Full, MAX_RELEASED_AT_ONCE, Outgoing},
            probes::ProbeDue,
            standing::Standing,
        },
    },
};
use ring::hmac;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    auth::Direction,
    kind::Kind,
    limits::{Limits, MAX_NOTICE},
    names,
    notice::{Claim, Notice},
    time::Now,
    uid::Uid,
};

/// Probes sent in one go, so that other work is done in between.
pub(crate) const MAX_PROBES_AT_ONCE: usize = 64;
/// Seconds after which one more packet may go to the unconfirmed addresses of a host, for one principal.
const SECONDS_PER_PACKET: usize = 10;
/// How many times as many packets as to one host may go to unconfirmed addresses in all, for one principal.
const HOSTS_PER_PRINCIPAL: usize = 64;

/// A secret that the uids of probes are made with. Whoever knows it can confirm addresses that are not his.
#[derive(Clone)]
pub struct ProbeSecret(hmac::Key);

impl ProbeSecret {
    /// A secret from octets that are random, and that nobody else knows.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }

    /// A number that nobody else knows, the same for the same text. No probe's text begins with a letter.
    pub(crate) fn number(&self, text: &[u8]) -> u64 {
        let tag = hmac::sign(&self.0, text);
        u64::from_be_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// The uid of probe number so-and-so to this address.
    fn uid(&self, server: Ipv4Addr, number: u64, to: SocketAddr) -> Uid {
        let tag = hmac::sign(&self.0, format!("{number} {to}").as_bytes());
        let [s1, s2, s3, s4, m1, m2, m3, m4] = tag.as_ref().first_chunk().copied().unwrap_or_default();
        let (seconds, micros) = ([s1, s2, s3, s4], [m1, m2, m3, m4]);
        Uid { address: server, seconds: u32::from_be_bytes(seconds), micros: u32::from_be_bytes(micros) }
    }
}

impl fmt::Debug for ProbeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeSecret")
    }
}

impl Server {
    /// A client is registered: it is to be probed.
    pub(crate) fn begin_probing(&mut self, now: Now, id: ClientId) {
        let (Some(uid), Some(client)) = (self.new_probe_uid(id), self.clients.get(id)) else { return };
        self.probes.begin(now.monotonic, id, uid, client.standing());
    }

    /// The same, but not before so much time has passed.
    pub(crate) fn begin_probing_after(&mut self, now: Now, id: ClientId, wait: Duration) {
        let (Some(uid), Some(client)) = (self.new_probe_uid(id), self.clients.get(id)) else { return };
        self.probes.begin(now.monotonic + wait, id, uid, client.standing());
    }

    /// A uid for a probe of a client, which only who receives the probe can know.
    pub(crate) fn new_probe_uid(&mut self, id: ClientId) -> Option<Uid> {
        let client = self.clients.get(id)?;
        self.probes_begun += 1;
        Some(self.config.probe_secret.uid(self.config.address, self.probes_begun, client.address()))
    }

    /// Sends the probes that are due, and gives up the clients that have not acknowledged theirs. When many are due at
    /// once, some of them stay due.
    pub(crate) fn probe(&mut self, now: Now) {
        for _ in 0..MAX_PROBES_AT_ONCE {
            match self.probes.take_due(now.monotonic) {
                None => return,
                Some(ProbeDue::GiveUp(id)) => {
                    self.counters.unconfirmed_silent += 1;
                    self.forget_unconfirmed(id);
                }
                Some(ProbeDue::Send(id, uid)) => match self.affordable_probe(now, id, uid) {
                    Some(packet) => {
                        self.counters.probes += 1;
                        self.probes.sent(now.monotonic, id);
                        self.send(packet);
                    }
                    None => self.probes.not_sent(now.monotonic, id),
                },
            }
        }
    }

    /// The probe of a client that is not confirmed, if it may be sent now. It counts as sent.
    fn affordable_probe(&mut self, now: Now, id: ClientId, uid: Uid) -> Option<Transmit> {
        let probe = self.probe_packet(now, id, uid)?;
        self.may_reach_unconfirmed(now, id, probe.payload.len()).then_some(probe)
    }

    /// A probe of a client.
    pub(crate) fn probe_packet(&mut self, now: Now, id: ClientId, uid: Uid) -> Option<Transmit> {
        let client = self.clients.get(id)?;
        let (to, local, session) = (client.address(), client.local(), client.session().cloned());
        // More than any receiver puts together: programs acknowledge it, and that is all.
        let multinotice = format!("0/{}", MAX_NOTICE + 1);
        let notice = Notice {
            kind: Kind::Acked,
            uid,
            multiuid: uid,
            port: self.config.port,
            class: names::ZEPHYR_CTL,
            instance: names::CLIENT,
            opcode: names::PROBE,
            sender: names::SERVER,
            multinotice: multinotice.as_bytes(),
            address: self.config.address.into(),
            ..Notice::EMPTY
        };
        let packet = match &session {
            Some(session) => session.seal(&notice, Direction::ToClient, Limits::COMPATIBLE, now),
            None => notice.write(&Claim::NONE, Limits::COMPATIBLE).map_err(Into::into),
        };
        let payload = match packet {
            Ok(packet) => packet,
            Err(error) => {
                self.counters.not_written += 1;
                self.report(LogEvent::NotWritten { client: to, reason: error.to_string() });
                return None;
            }
        };
        Some(Transmit { to, local, payload })
    }

    /// Whether so many octets more may be sent to the address of a client that is not confirmed. They count as sent.
    fn may_reach_unconfirmed(&mut self, now: Now, id: ClientId, octets: usize) -> bool {
        let Some(client) = self.clients.get(id) else { return false };
        let host = client.address().ip();
        // Proof that is only believed is none.
        if client.standing().is_proven() && !self.config.policy.believe_unproven {
            let principal = client.principal.clone();
            return self.spend_unconfirmed(now, host, &principal, 1);
        }
        let affordable = self.amplification.of(host) >= octets;
        if affordable {
            self.amplification.spend(host, octets);
        }
        affordable
    }

    /// Counts packets for a principal to addresses of a host that have not shown that they are there; false, when there
    /// would be too many.
    pub(crate) fn spend_unconfirmed(&mut self, now: Now, host: IpAddr, principal: &Arc<[u8]>, packets: usize) -> bool {
        let (of_host, in_all) = self.unconfirmed_rates();
        let units = packets.saturating_mul(SECONDS_PER_PACKET);
        // More than a burst is never affordable; a limiter would let it through once, as one piece of work.
        units <= of_host.burst
            && self.unconfirmed_of_principal.spend(now.monotonic, principal.clone(), units, &in_all)
            && self.unconfirmed_of_host.spend(now.monotonic, (host, principal.clone()), units, &of_host)
    }

    fn unconfirmed_rates(&self) -> (Rate, Rate) {
        let bounds = &self.config.bounds;
        let burst = bounds.unconfirmed_packets.saturating_mul(SECONDS_PER_PACKET);
        let of_host = Rate { per_second: 1, burst, sources: bounds.rate_limit_sources };
        let in_all = Rate {
            per_second: HOSTS_PER_PRINCIPAL,
            burst: burst.saturating_mul(HOSTS_PER_PRINCIPAL),
            sources: bounds.rate_limit_sources,
        };
        (of_host, in_all)
    }

    /// Handles an acknowledgement that may be of a probe; true when it is.
    pub(crate) fn confirm(&mut self, now: Now, from: SocketAddr, uid: Uid) -> bool {
        let Some(id) = self.clients.at(from).filter(|&id| self.probes.is_answered(id, uid)) else { return false };
        let Some(client) = self.clients.get(id) else { return false };
        let (principal, standing, owner) = (client.principal.clone(), client.standing(), client.owner());
        let probes = self.confirmed(now, id);
        if standing == Standing::Proven {
            // It was no waste: who starts many programs is not held up by those that are there.
            let (of_host, in_all) = self.unconfirmed_rates();
            let units = probes.saturating_mul(SECONDS_PER_PACKET);
            self.unconfirmed_of_principal.refund(&principal, units, &in_all);
            self.unconfirmed_of_host.refund(&(from.ip(), principal), units, &of_host);
        }
        self.changed(Change::ClientConfirmed { client: from, owner });
        self.release(now, id, MAX_RELEASED_AT_ONCE);
        true
    }

    /// A client is known to receive at its address; gives how often it was probed.
    pub(crate) fn confirmed(&mut self, now: Now, id: ClientId) -> usize {
        let probes = self.probes.end(id);
        self.clients.confirm(id);
        if let Some(client) = self.clients.get_mut(id) {
            client.acknowledged(now.monotonic);
            let host = client.address().ip();
            self.hosts.confirm(host);
        }
        probes
    }

    /// Sends a packet of a notice to a client, or holds it until the client is confirmed, or known to be there still.
    ///
    /// # Errors
    ///
    /// When a limit is reached; the packet is not sent then.
    pub(crate) fn send_or_hold(&mut self, now: Now, packet: Outgoing, id: ClientId) -> Result<(), Full> {
        let Some(client) = self.clients.get(id) else { return Ok(()) };
        let (confirmed, silent) = (client.is_confirmed(), client.silent);
        let limits = self.delivery_limits(packet.standing);
        if !confirmed {
            self.deliveries.hold(id, packet, &limits)?;
            self.counters.held += 1;
            return Ok(());
        }
        let (to, uid) = packet.key;
        if self.checks.hold(now.monotonic, to.ip(), id, silent) {
            self.deliveries.hold_confirmed(id, packet, &limits)?;
            self.counters.held += 1;
            return Ok(());
        }
        let transmit = Transmit { to, local: packet.local, payload: packet.payload.clone() };
        self.deliveries.remember(now.monotonic, packet, &limits)?;
        self.counters.delivered += 1;
        if !silent {
            self.pacer.push(Lane::Deliveries(uid), transmit);
        } else if self.pacer.has_room_for_silent(now.monotonic) {
            self.pacer.push(Lane::Silent(uid), transmit);
        }
        // Else it waits like all that is not acknowledged, and its time comes.
        Ok(())
    }

    /// The limits of what waits for clients of this standing.
    pub(crate) fn delivery_limits(&self, standing: Standing) -> DeliveryLimits {
        let bounds = &self.config.bounds;
        DeliveryLimits {
            per_destination: bounds.pending_per_destination,
            host_octets: self.share(bounds.pending_octets_per_host, standing),
            principal_octets: bounds.pending_octets_per_principal,
            client_octets: self.share(bounds.delivery_octets, standing),
            answer_octets: bounds.answer_octets,
        }
    }

    /// Forgets a client that never showed that it is there. Nothing else is known to have ended.
    pub(crate) fn forget_unconfirmed(&mut self, id: ClientId) -> Option<Client> {
        let gone = self.remove_client(id, Gone::Silent)?;
        self.c_kill(self.now, gone.address());
        self.report(LogEvent::NeverConfirmed { client: gone.address(), principal: gone.principal.as_ref().into() });
        Some(gone)
    }
}
