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
    body::first_text,
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

/// A notice that is answered later, and its sender.
pub(crate) struct Late<'a> {
    /// The way that it came.
    pub(crate) path: Path,
    /// By what its packet is known.
    pub(crate) known_by: KnownBy,
    /// The notice, as its sender is told it.
    pub(crate) notice: Notice<'a>,
    /// What its packet claimed.
    pub(crate) claim: Claim<'a>,
}

/// Whoever asked something, and is answered in a notice of its own.
pub(crate) struct Asker {
    /// The program that asked.
    pub(crate) to: SocketAddr,
    /// The address of this host that it asked at.
    pub(crate) local: Option<IpAddr>,
    /// Who asked.
    pub(crate) principal: Arc<[u8]>,
    /// Whether that is proven.
    pub(crate) standing: Standing,
}

impl Reply {
    /// The result that another server's answer tells.
    fn of(kind: Kind, body: &[u8]) -> Self {
        match (kind, first_text(body)) {
            (Kind::ServAck, names::SENT) => Self::Sent,
            (Kind::ServNak, names::FAIL) => Self::NotFound,
            (Kind::ServNak, _) => Self::Denied,
            _ => Self::Lost,
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Sent | Self::SentWithLongHeaders | Self::Lost | Self::Later => Kind::ServAck,
            Self::Denied | Self::NotFound => Kind::ServNak,
        }
    }

    /// The same for a C server, which takes only an acknowledgement for an answer.
    const fn for_c_servers(self) -> Self {
        match self {
            Self::Sent | Self::SentWithLongHeaders => Self::Sent,
            Self::Lost | Self::Denied | Self::NotFound | Self::Later => Self::Lost,
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
        // C servers repeat for ever what is refused.
        let answer = if self.is_of_c_peer(request) { answer.for_c_servers() } else { answer };
        request.answered = Some(answer);
        let reason = request.message.as_deref().unwrap_or_default();
        // The result matters more than the reason.
        request.answer = self
            .answer_packet(&request.notice, &request.claim, answer, reason)
            .or_else(|| self.answer_packet(&request.notice, &request.claim, answer, ""));
        self.count_answer(answer);
        if let Some(packet) = &request.answer {
            self.amplification.spend(request.reply_to.from.ip(), packet.len());
            request.waits = self.may_wait(request);
            if !request.waits {
                self.send(request.reply_to.back(packet.clone()));
            }
        }
    }

    /// Answers a notice that could not be answered when it was handled.
    pub(crate) fn reply_later(&mut self, now: Now, fan_out: &FanOut, known_by: KnownBy, answer: Reply) {
        let packet = fan_out.published.packet().packet();
        let notice = Notice { recipient: &fan_out.recipient, ..fan_out.published.notice() };
        let path = Path { from: fan_out.published.from, local: fan_out.local };
        self.reply_late(now, &Late { path, known_by, notice, claim: packet.claim }, answer, "");
    }

    /// The same for any notice; with a reason, if there is one.
    pub(crate) fn reply_late(&mut self, now: Now, late: &Late<'_>, answer: Reply, reason: &str) {
        let written = self.answer_packet(&late.notice, &late.claim, answer, reason);
        let written = written.or_else(|| self.answer_packet(&late.notice, &late.claim, answer, ""));
        self.send_late(now, late, answer, written);
    }

    /// Hands on what another server answers, in its own words.
    pub(crate) fn relay_answer(&mut self, now: Now, late: &Late<'_>, kind: Kind, body: &[u8]) {
        let answer = Reply::of(kind, body);
        let recipient = completed(late.notice.recipient, self.config.realms.local());
        let written = acknowledgement(&Notice { kind, recipient: &recipient, body, ..late.notice }, &late.claim);
        let written = written.or_else(|| self.answer_packet(&late.notice, &late.claim, answer, ""));
        self.send_late(now, late, answer, written);
    }

    fn send_late(&mut self, now: Now, late: &Late<'_>, answer: Reply, written: Option<Bytes>) {
        let Late { path, known_by, .. } = late;
        self.count_answer(answer);
        let before = self.told();
        if let Some(authenticator) = &known_by.authenticator
            && let Some(used) = self.replay_cache.answered(authenticator, answer)
        {
            self.changed(Change::AuthenticatorUsed(used));
        }
        if let Some(written) = written {
            self.response_cache.answered(&known_by.print, written.clone());
            self.amplification.spend(path.from.ip(), written.len());
            self.send_when_kept(now, path.back(written), *known_by, before);
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
        let is_of_c_peer = self.c_peers.has(path.from);
        let answer = if is_of_c_peer { Some(answer.unwrap_or(Reply::Lost).for_c_servers()) } else { answer };
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
        let standing = request.standing();
        let asker = Asker { to, local: request.local, principal: request.principal().into(), standing };
        if proven {
            let body = shortened(entries, MAX_NOTICE);
            let packets = self.packets_of(now, to, Notice { body: &body, ..notice });
            if let Some(addressee) = self.asker(now, &asker, packets.len()) {
                return self.send_packets(now, &asker, packets, addressee);
            }
        }
        let body = shortened(entries, body_octets(&notice, self.amplification.of(to.ip())));
        notice.body = &body;
        let packets = self.packets_of(now, to, notice);
        let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
        if let Some(addressee) = self.stranger(to.ip(), octets) {
            self.send_packets(now, &asker, packets, addressee);
        }
    }

    /// Sends an answer to who asked, if it may be sent to him.
    pub(crate) fn send_answer(&mut self, now: Now, asker: &Asker, notice: Notice<'_>) {
        let packets = self.packets_of(now, asker.to, notice);
        let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
        let addressee = match asker.standing {
            Standing::Proven => self.asker(now, asker, packets.len()),
            Standing::Unproven => self.stranger(asker.to.ip(), octets),
        };
        if let Some(addressee) = addressee {
            self.send_packets(now, asker, packets, addressee);
        }
    }

    /// The addressee of an answer of so many packets to somebody who has proven who he is; `None` when it may not be sent
    /// as a whole. It counts as sent.
    ///
    /// He may have forged where he asks from all the same, unless a client of his has shown that it is there.
    fn asker(&mut self, now: Now, asker: &Asker, packets: usize) -> Option<Addressee> {
        let host = asker.to.ip();
        let is_there = |client: &Client| client.is_confirmed() && client.address().ip() == host;
        let has_one_there = self
            .clients
            .in_name(&asker.principal, Standing::Proven)
            .any(|id| self.clients.get(id).is_some_and(is_there));
        if has_one_there {
            return Some(Addressee::Asker { transmissions: ANSWER_TRANSMISSIONS });
        }
        let principal = asker.principal.clone();
        let mut transmissions = ANSWER_TRANSMISSIONS;
        while transmissions > 0 && !self.spend_unconfirmed(now, host, &principal, transmissions * packets) {
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
    pub(crate) fn send_packets(&mut self, now: Now, asker: &Asker, packets: Vec<(Uid, Bytes)>, addressee: Addressee) {
        let Asker { to, local, standing, .. } = *asker;
        let owner = matches!(addressee, Addressee::Asker { .. }).then(|| asker.principal.clone());
        let limits = self.delivery_limits(Standing::Proven);
        let limits = DeliveryLimits { principal_octets: limits.answer_octets / PARTS, ..limits };
        for (uid, packet) in packets {
            let (owner, payload) = (owner.clone(), packet.clone());
            let outgoing = Outgoing { key: (to, uid), local, addressee, owner, standing, payload };
            if self.deliveries.remember(now.monotonic, outgoing, &limits).is_err() {
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
