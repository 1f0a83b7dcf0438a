//! What the sender of a notice hears (server behaviour, section 2.3), and answers that are notices of their own.

use crate::{
    acknowledgement::acknowledgement,
    server::{
        Outbox, Server,
        acl::Who,
        event::Event,
        intake::Judged,
        state::deliveries::{Addressee, Outgoing, Room},
    },
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::{
    auth::{Identity, Session, Verdict},
    fragment::{Cutter, Span},
    kind::Kind,
    limits::{FRAGMENT_FUDGE, Limits, MAX_NOTICE, MAX_PACKET},
    names,
    notice::{Claim, Notice, Packet},
    realm::completed,
    time::Now,
    uid::Uid,
};

/// How often an answer to somebody unproven is sent at most.
const STRANGER_TRANSMISSIONS: usize = 3;
/// The room for answers has so many parts: one principal has one, and all who prove nothing share one.
pub(crate) const PARTS: usize = 4;

/// What a sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
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
}

impl Answer {
    const fn kind(self) -> Kind {
        match self {
            Self::Sent | Self::SentWithLongHeaders | Self::Lost => Kind::ServAck,
            Self::Denied | Self::NotFound => Kind::ServNak,
        }
    }

    fn body(self) -> Vec<u8> {
        let words: &[&[u8]] = match self {
            Self::Sent => &[names::SENT],
            Self::SentWithLongHeaders => &[names::SENT, names::LONG_HEADERS],
            Self::Lost | Self::Denied => &[names::LOST],
            Self::NotFound => &[names::FAIL],
        };
        words.iter().flat_map(|word| [word, &b"\0"[..]]).flatten().copied().collect()
    }
}

/// A notice that wants something of the server.
pub(crate) struct Request<'a> {
    pub(crate) now: Now,
    /// Where it came from, and where its answer goes.
    pub(crate) from: SocketAddr,
    /// What it says; handlers change it when the answer should show that.
    pub(crate) notice: Notice<'a>,
    claim: Claim<'a>,
    /// How long its packet is.
    octets: usize,
    pub(crate) verdict: Verdict,
    pub(crate) session: Option<Arc<dyn Session>>,
    /// Octets of the whole notice, of which the packet may be a part.
    pub(crate) total: usize,
    /// What its sender is told beside the answer's word.
    pub(crate) message: Option<String>,
    answered: Option<Answer>,
    answer: Option<Bytes>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(now: Now, from: SocketAddr, judged: Judged<'a>) -> Self {
        Self {
            now,
            from,
            notice: judged.packet.notice,
            claim: judged.packet.claim,
            octets: judged.packet.octets().len(),
            total: Span::of(&judged.packet).map_or(0, |span| span.total),
            message: None,
            verdict: judged.judgement.verdict,
            session: judged.judgement.session,
            answered: None,
            answer: None,
        }
    }

    /// Who sent it: proven if it is, else as it says.
    pub(crate) fn principal(&self) -> &[u8] {
        self.verdict.identity().map_or(self.notice.sender, |identity| identity.principal())
    }

    /// Who it is for the rules: only what is proven.
    pub(crate) fn who(&self) -> Who<'_> {
        Who { principal: self.verdict.identity().map(Identity::principal), address: Some(self.from.ip()) }
    }

    /// The client that it speaks for: where it came from, at the port that it names.
    pub(crate) fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.from.ip(), self.notice.port)
    }

    /// How long its packet is.
    pub(crate) const fn octets(&self) -> usize {
        self.octets
    }

    /// What it was told.
    pub(crate) fn answered(&self) -> Option<Answer> {
        self.answered
    }

    /// How it was answered.
    pub(crate) fn into_answer(self) -> Option<Bytes> {
        self.answer
    }
}

impl Server {
    /// Answers a request.
    pub(crate) fn reply(&mut self, request: &mut Request<'_>, answer: Answer, out: &mut Outbox) {
        request.answered = Some(answer);
        let words = request.message.as_deref().unwrap_or_default();
        // The word matters more than the words.
        request.answer = self
            .answer_packet(&request.notice, &request.claim, answer, words)
            .or_else(|| self.answer_packet(&request.notice, &request.claim, answer, ""));
        *match answer {
            Answer::Sent | Answer::SentWithLongHeaders => &mut self.counters.answered_sent,
            Answer::Lost => &mut self.counters.answered_lost,
            Answer::Denied => &mut self.counters.answered_denied,
            Answer::NotFound => &mut self.counters.answered_not_found,
        } += 1;
        if let Some(packet) = &request.answer {
            self.credit.spend(request.from.ip(), packet.len());
            out.send(request.from, packet.clone());
        }
    }

    /// `words` follow the answer's word as a text of their own, which C programs do not look at.
    fn answer_packet(&self, notice: &Notice<'_>, claim: &Claim<'_>, answer: Answer, words: &str) -> Option<Bytes> {
        let recipient = completed(notice.recipient, self.config.realms.local());
        let mut body = answer.body();
        if !words.is_empty() {
            body.extend_from_slice(words.as_bytes());
            body.push(0);
        }
        acknowledgement(&Notice { kind: answer.kind(), recipient: &recipient, body: &body, ..*notice }, claim)
    }

    /// Answers a copy of a packet as the packet was answered.
    pub(crate) fn answer_copy(&self, from: SocketAddr, packet: &Packet<'_>, answer: Option<Answer>, out: &mut Outbox) {
        if let Some(packet) = answer.and_then(|answer| self.answer_packet(&packet.notice, &packet.claim, answer, "")) {
            out.send(from, packet);
        }
    }

    /// Answers a question with a list, in a notice of its own, directly to the program that asked.
    ///
    /// `entries` are the list's entries, none of them cut when the list must be shortened: to what a receiver takes, and to
    /// what may be sent to whoever may have forged where he asks from.
    pub(crate) fn answer_with_list(&mut self, request: &Request<'_>, entries: &[Vec<u8>], out: &mut Outbox) {
        let to = request.client_address();
        if to.port() == 0 {
            return;
        }
        let proven = self.is_proven(request);
        let recipient = completed(request.notice.recipient, self.config.realms.local());
        let mut notice = Notice { kind: Kind::Acked, recipient: &recipient, body: b"", ..request.notice };
        let most = if proven { MAX_NOTICE } else { body_octets(&notice, self.credit.of(to.ip())) };
        let mut body = Vec::new();
        for entry in entries {
            if body.len() + entry.len() > most {
                break;
            }
            body.extend_from_slice(entry);
        }
        notice.body = &body;
        let packets = self.packets_of(request.now, to, notice, out);
        let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
        let addressee = if proven { Some(Addressee::Asker) } else { self.stranger(to.ip(), octets) };
        if let Some(addressee) = addressee {
            self.send_packets(request, to, packets, addressee, out);
        }
    }

    /// So many octets have come from this address: some more may be sent there than if they had not.
    pub(crate) fn earn(&mut self, host: IpAddr, octets: usize) {
        let bounds = &self.config.bounds;
        self.credit.earn(host, bounds.stranger_factor.saturating_mul(octets), bounds.proof_sources);
    }

    /// How often an answer of so many octets may be sent to somebody who may have forged where he asks from; `None` when
    /// that is never. They count as sent.
    pub(crate) fn stranger(&mut self, host: IpAddr, octets: usize) -> Option<Addressee> {
        let transmissions = (self.credit.of(host) / octets.max(1)).min(STRANGER_TRANSMISSIONS);
        self.credit.spend(host, transmissions * octets);
        (transmissions > 0).then_some(Addressee::Stranger { transmissions })
    }

    /// The packets of a notice that proves nothing, each with its uid.
    pub(crate) fn packets_of(
        &mut self,
        now: Now,
        to: SocketAddr,
        notice: Notice<'_>,
        out: &mut Outbox,
    ) -> Vec<(Uid, Bytes)> {
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
                    out.report(Event::NotWritten { client: to, reason: error.to_string() });
                    return packets;
                }
            }
            uid = self.uids.next(&now);
        }
    }

    /// Sends the answer to a question to somebody who is no subscriber, and again until it is acknowledged. What cannot be
    /// remembered is not sent.
    pub(crate) fn send_packets(
        &mut self,
        request: &Request<'_>,
        to: SocketAddr,
        packets: Vec<(Uid, Bytes)>,
        addressee: Addressee,
        out: &mut Outbox,
    ) {
        // The answers to somebody have a part of their own, whatever waits for his clients. No name begins with a NUL.
        let owner: Option<Arc<[u8]>> =
            (addressee == Addressee::Asker).then(|| [b"\0", request.principal()].concat().into());
        let room = self.room();
        let room = Room { principal_octets: room.answer_octets / PARTS, ..room };
        for (uid, packet) in packets {
            let outgoing = Outgoing { key: (to, uid), addressee, owner: owner.clone(), payload: packet.clone() };
            if self.deliveries.remember(request.now.monotonic, outgoing, &room).is_err() {
                self.counters.answers_full += 1;
                break;
            }
            out.send(to, packet);
        }
    }
}

/// How long the body of a notice may be, so that its packets have together no more than so many octets.
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
