//! Acknowledgements to the sender of a notice (server behaviour, section 2.3), and answers that are notices of their
//! own.

use crate::{
    acknowledgement::acknowledgement,
    machine::Transmit,
    server::{
        Change, Server,
        fan_outs::FanOut,
        intake::KnownBy,
        log_event::LogEvent,
        request::{Path, Request},
        state::{
            clients::Client,
            deliveries::{Addressee, DeliveryLimits, Outgoing},
            standing::Standing,
        },
    },
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::{
    fragment::Cutter,
    kind::Kind,
    limits::{FRAGMENT_FUDGE, Limits, MAX_NOTICE, MAX_PACKET},
    names,
    notice::{Claim, Notice, Packet},
    realm::completed,
    schedule::ANSWER_TRANSMISSIONS,
    time::Now,
    uid::Uid,
};

/// Maximum transmissions of an answer to an unauthenticated client.
const MAX_STRANGER_TRANSMISSIONS: usize = 3;
/// Divisor of limits: all who prove nothing have such a part of them, and of the limit for answers so has one principal.
pub(crate) const PARTS: usize = 4;

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Done, or delivered to at least one.
    Sent,
    /// Done, and the server takes long headers: to a host manager's greeting.
    SentWithLongHeaders,
    /// Nobody there, or nothing to do.
    Lost,
    /// Not authorised, or not proven.
    Denied,
    /// No such thing.
    NotFound,
    /// Not known yet: whoever finds out answers.
    Later,
}

impl Reply {
    const fn kind(self) -> Kind {
        match self {
            Self::Sent | Self::SentWithLongHeaders | Self::Lost | Self::Later => Kind::ServAck,
            Self::Denied | Self::NotFound => Kind::ServNak,
        }
    }

    fn body(self) -> Vec<u8> {
        let fields: &[&[u8]] = match self {
            Self::Sent => &[names::SENT],
            Self::SentWithLongHeaders => &[names::SENT, names::LONG_HEADERS],
            Self::Lost | Self::Denied | Self::Later => &[names::LOST],
            Self::NotFound => &[names::FAIL],
        };
        fields.iter().flat_map(|field| [field, &b"\0"[..]]).flatten().copied().collect()
    }
}

impl Server {
    /// Answers a request: at once, or when it is handled and what it changes is kept.
    pub(crate) fn reply(&mut self, request: &mut Request<'_>, answer: Reply) {
        if answer == Reply::Later {
            return;
        }
        request.answered = Some(answer);
        let reason = request.message.as_deref().unwrap_or_default();
        // The result matters more than the reason.
        request.answer = self
            .answer_packet(&request.notice, &request.claim, answer, reason)
            .or_else(|| self.answer_packet(&request.notice, &request.claim, answer, ""));
        self.count_answer(answer);
        if let Some(packet) = &request.answer {
            self.amplification.spend(request.from.ip(), packet.len());
            request.waits = self.may_wait(request);
            if !request.waits {
                self.send(request.path().back(packet.clone()));
            }
        }
    }

    /// Answers a notice that could not be answered when it was handled.
    pub(crate) fn reply_later(&mut self, now: Now, fan_out: &FanOut, known_by: KnownBy, answer: Reply) {
        let packet = fan_out.published.packet().packet();
        let notice = Notice { recipient: &fan_out.recipient, ..fan_out.published.notice() };
        let written = self.answer_packet(&notice, &packet.claim, answer, "");
        self.count_answer(answer);
        let before = self.told();
        if let Some(authenticator) = &known_by.authenticator
            && let Some(used) = self.replay_cache.answered(authenticator, answer)
        {
            self.changed(Change::AuthenticatorUsed(used));
        }
        if let Some(written) = written {
            let path = Path { from: fan_out.published.from, local: fan_out.local };
            self.response_cache.answered(&known_by.print, written.clone());
            self.amplification.spend(path.from.ip(), written.len());
            self.send_when_kept(now, path.back(written), known_by, before);
        }
    }

    const fn count_answer(&mut self, answer: Reply) {
        *match answer {
            Reply::Sent | Reply::SentWithLongHeaders => &mut self.counters.answered_sent,
            Reply::Lost | Reply::Later => &mut self.counters.answered_lost,
            Reply::Denied => &mut self.counters.answered_denied,
            Reply::NotFound => &mut self.counters.answered_not_found,
        } += 1;
    }

    /// `reason` follows the result as a field of its own, which C programs do not look at.
    fn answer_packet(&self, notice: &Notice<'_>, claim: &Claim<'_>, answer: Reply, reason: &str) -> Option<Bytes> {
        let recipient = completed(notice.recipient, self.config.realms.local());
        let mut body = answer.body();
        if !reason.is_empty() {
            body.extend_from_slice(reason.as_bytes());
            body.push(0);
        }
        acknowledgement(&Notice { kind: answer.kind(), recipient: &recipient, body: &body, ..*notice }, claim)
    }

    /// Answers a retransmitted packet as it was answered.
    pub(crate) fn answer_copy(&mut self, path: Path, packet: &Packet<'_>, answer: Option<Reply>) {
        if let Some(packet) = answer.and_then(|answer| self.answer_packet(&packet.notice, &packet.claim, answer, "")) {
            self.send(path.back(packet));
        }
    }

    /// Answers a query with a list, in a notice of its own, directly to the program that asked.
    ///
    /// `entries` are the list's entries, none of them cut when the list must be shortened: to what a receiver takes,
    /// and to what may be sent to whoever may have forged where he asks from.
    pub(crate) fn answer_with_list(&mut self, request: &Request<'_>, entries: &[Vec<u8>]) {
        let to = request.client_address();
        if to.port() == 0 {
            return;
        }
        let (proven, now) = (self.is_proven(request), request.now);
        let recipient = completed(request.notice.recipient, self.config.realms.local());
        let mut notice = Notice { kind: Kind::Acked, recipient: &recipient, body: b"", ..request.notice };
        if proven {
            let body = shortened(entries, MAX_NOTICE);
            let packets = self.packets_of(now, to, Notice { body: &body, ..notice });
            if let Some(addressee) = self.asker(request, packets.len()) {
                return self.send_packets(request, to, packets, addressee);
            }
        }
        let body = shortened(entries, body_octets(&notice, self.amplification.of(to.ip())));
        notice.body = &body;
        let packets = self.packets_of(now, to, notice);
        let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
        if let Some(addressee) = self.stranger(to.ip(), octets) {
            self.send_packets(request, to, packets, addressee);
        }
    }

    /// The addressee of an answer of so many packets to somebody who has proven who he is; `None` when it may not be sent
    /// as a whole. It counts as sent.
    ///
    /// He may have forged where he asks from all the same, unless a client of his has shown that it is there.
    fn asker(&mut self, request: &Request<'_>, packets: usize) -> Option<Addressee> {
        let host = request.from.ip();
        let is_there = |client: &Client| client.is_confirmed() && client.address().ip() == host;
        let has_one_there = self
            .clients
            .in_name(request.principal(), Standing::Proven)
            .any(|id| self.clients.get(id).is_some_and(is_there));
        if has_one_there {
            return Some(Addressee::Asker { transmissions: ANSWER_TRANSMISSIONS });
        }
        let principal: Arc<[u8]> = request.principal().into();
        let mut transmissions = ANSWER_TRANSMISSIONS;
        while transmissions > 0 && !self.spend_unconfirmed(request.now, host, &principal, transmissions * packets) {
            transmissions /= 2;
        }
        (transmissions > 0).then_some(Addressee::Asker { transmissions })
    }

    /// Adds octets received from an address to its allowance.
    pub(crate) fn earn(&mut self, host: IpAddr, octets: usize) {
        let bounds = &self.config.bounds;
        self.amplification.earn(host, bounds.amplification_limit.saturating_mul(octets), bounds.rate_limit_sources);
    }

    /// The addressee of an answer of so many octets to an address that may be forged; `None`
    /// when it may not be sent at all. It counts as sent.
    pub(crate) fn stranger(&mut self, host: IpAddr, octets: usize) -> Option<Addressee> {
        let transmissions = (self.amplification.of(host) / octets.max(1)).min(MAX_STRANGER_TRANSMISSIONS);
        self.amplification.spend(host, transmissions * octets);
        (transmissions > 0).then_some(Addressee::Stranger { transmissions })
    }

    /// The packets of a notice that proves nothing, each with its uid.
    pub(crate) fn packets_of(&mut self, now: Now, to: SocketAddr, notice: Notice<'_>) -> Vec<(Uid, Bytes)> {
        let mut cutter = Cutter::new(notice);
        let mut uid = notice.uid;
        let mut write = |piece: &Notice<'_>| Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?);
        let mut packets = Vec::new();
        loop {
            match cutter.next_packet(uid, &mut write) {
                Ok(Some(packet)) => packets.push((uid, packet)),
                Ok(None) => return packets,
                Err(error) => {
                    self.counters.not_written += 1;
                    self.report(LogEvent::NotWritten { client: to, reason: error.to_string() });
                    return packets;
                }
            }
            uid = self.uids.next(&now);
        }
    }

    /// Sends the answer to a query, and retransmits it until it is acknowledged. What cannot be
    /// remembered is not sent.
    pub(crate) fn send_packets(
        &mut self,
        request: &Request<'_>,
        to: SocketAddr,
        packets: Vec<(Uid, Bytes)>,
        addressee: Addressee,
    ) {
        let owner: Option<Arc<[u8]>> = matches!(addressee, Addressee::Asker { .. }).then(|| request.principal().into());
        let limits = self.delivery_limits(Standing::Proven);
        let limits = DeliveryLimits { principal_octets: limits.answer_octets / PARTS, ..limits };
        for (uid, packet) in packets {
            let (owner, payload, local) = (owner.clone(), packet.clone(), request.local);
            let outgoing = Outgoing { key: (to, uid), local, addressee, owner, standing: request.standing(), payload };
            if self.deliveries.remember(request.now.monotonic, outgoing, &limits).is_err() {
                self.counters.answers_full += 1;
                break;
            }
            self.send(Transmit { to, local, payload: packet });
        }
    }
}

/// So many whole entries of a list as have at most `max` octets together.
fn shortened(entries: &[Vec<u8>], max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        if body.len() + entry.len() > max {
            break;
        }
        body.extend_from_slice(entry);
    }
    body
}

/// Maximum octets of a notice's body, so that its packets have together no more than so many octets.
fn body_octets(notice: &Notice<'_>, octets: usize) -> usize {
    let header = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).map_or(MAX_PACKET, |packet| packet.len());
    // Each packet's offset and total take some octets of header as well.
    let header = header + "400000/400000".len();
    if octets <= MAX_PACKET {
        return octets.saturating_sub(header);
    }
    let of_packet = MAX_PACKET.saturating_sub(header + FRAGMENT_FUDGE);
    (octets / MAX_PACKET * of_packet).min(MAX_NOTICE)
}
