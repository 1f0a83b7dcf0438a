//! What the sender of a notice hears (server behaviour, section 2.3), and answers that are notices of their own.

use super::{
    access::Who,
    delivery::{Addressee, Outgoing},
    engine::{Engine, Outbox},
    event::Event,
    judge::Judged,
};
use crate::acknowledgement::acknowledgement;
use bytes::Bytes;
use std::{net::SocketAddr, sync::Arc};
use zephyr_core::{
    auth::{Identity, Session, Verdict},
    fragment::{Cutter, Span},
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    notice::{Claim, Notice, Packet},
    realm::completed,
    time::Now,
    words,
};

/// How often an answer to somebody unproven is sent at most.
const STRANGER_TRANSMISSIONS: usize = 3;

/// What a sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
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
            Self::Sent => &[words::SENT],
            Self::SentWithLongHeaders => &[words::SENT, words::LONG_HEADERS],
            Self::Lost | Self::Denied => &[words::LOST],
            Self::NotFound => &[words::FAIL],
        };
        words.iter().flat_map(|word| [word, &b"\0"[..]]).flatten().copied().collect()
    }
}

/// A notice that wants something of the server.
pub(super) struct Request<'a> {
    pub(super) now: Now,
    /// Where it came from, and where its answer goes.
    pub(super) from: SocketAddr,
    /// What it says; handlers change it when the answer should show that.
    pub(super) notice: Notice<'a>,
    claim: Claim<'a>,
    /// How long its packet is.
    octets: usize,
    pub(super) verdict: Verdict,
    pub(super) session: Option<Arc<dyn Session>>,
    /// Octets of the whole notice, of which the packet may be a part.
    pub(super) total: usize,
    /// What its sender is told beside the answer's word.
    pub(super) words: Option<String>,
    answered: Option<Answer>,
    answer: Option<Bytes>,
}

impl<'a> Request<'a> {
    pub(super) fn new(now: Now, from: SocketAddr, judged: Judged<'a>) -> Self {
        Self {
            now,
            from,
            notice: judged.packet.notice,
            claim: judged.packet.claim,
            octets: judged.packet.octets().len(),
            total: Span::of(&judged.packet).map_or(0, |span| span.total),
            words: None,
            verdict: judged.judgement.verdict,
            session: judged.judgement.session,
            answered: None,
            answer: None,
        }
    }

    /// Who sent it: proven if it is, else as it says.
    pub(super) fn principal(&self) -> &[u8] {
        self.verdict.identity().map_or(self.notice.sender, |identity| identity.principal())
    }

    /// Who it is for the rules: only what is proven.
    pub(super) fn who(&self) -> Who<'_> {
        Who { principal: self.verdict.identity().map(Identity::principal), address: Some(self.from.ip()) }
    }

    /// The client that it speaks for: where it came from, at the port that it names.
    pub(super) fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.from.ip(), self.notice.port)
    }

    /// What it was told.
    pub(super) fn answered(&self) -> Option<Answer> {
        self.answered
    }

    /// How it was answered.
    pub(super) fn into_answer(self) -> Option<Bytes> {
        self.answer
    }
}

impl Engine {
    /// Answers a request.
    pub(super) fn reply(&mut self, request: &mut Request<'_>, answer: Answer, out: &mut Outbox) {
        request.answered = Some(answer);
        let words = request.words.as_deref().unwrap_or_default();
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
    pub(super) fn answer_copy(&self, from: SocketAddr, packet: &Packet<'_>, answer: Option<Answer>, out: &mut Outbox) {
        if let Some(packet) = answer.and_then(|answer| self.answer_packet(&packet.notice, &packet.claim, answer, "")) {
            out.send(from, packet);
        }
    }

    /// Answers a question with a list, in a notice of its own, directly to the program that asked.
    ///
    /// `entries` are the list's entries, none of them cut when the list must be shortened: whoever may have forged where he
    /// asks from gets one packet, not more.
    pub(super) fn answer_with_list(&mut self, request: &Request<'_>, entries: &[Vec<u8>], out: &mut Outbox) {
        let to = request.client_address();
        if to.port() == 0 {
            return;
        }
        let trusted = self.is_trusted(request);
        let recipient = completed(request.notice.recipient, self.config.realms.local());
        let mut notice = Notice { kind: Kind::Acked, recipient: &recipient, body: b"", ..request.notice };
        let header = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).map_or(MAX_PACKET, |packet| packet.len());
        // The list's own offset and total take a few octets of header as well.
        let header = header + "0/1024".len();
        let most =
            if trusted { usize::MAX } else { self.stranger_octets(request).min(MAX_PACKET).saturating_sub(header) };
        let mut body = Vec::new();
        for entry in entries {
            if body.len() + entry.len() > most {
                break;
            }
            body.extend_from_slice(entry);
        }
        notice.body = &body;
        let addressee = if trusted { Some(Addressee::Asker) } else { self.stranger(request, header + body.len()) };
        if let Some(addressee) = addressee {
            self.send_notice(request.now, to, notice, addressee, out);
        }
    }

    /// Octets that may still be sent because somebody asked who may have forged where he asks from: a small multiple of
    /// what he sent, so that nobody is flooded in his name.
    fn stranger_octets(&self, request: &Request<'_>) -> usize {
        let answered = request.answer.as_ref().map_or(0, Bytes::len);
        (self.config.bounds.stranger_factor * request.octets).saturating_sub(answered)
    }

    /// How often an answer of so many octets may be sent to such an asker; `None` when that is never.
    pub(super) fn stranger(&self, request: &Request<'_>, octets: usize) -> Option<Addressee> {
        let transmissions = (self.stranger_octets(request) / octets.max(1)).min(STRANGER_TRANSMISSIONS);
        (transmissions > 0).then_some(Addressee::Stranger { transmissions })
    }

    /// Sends a notice that proves nothing to somebody who is no subscriber, and again until it is acknowledged.
    pub(super) fn send_notice(
        &mut self,
        now: Now,
        to: SocketAddr,
        notice: Notice<'_>,
        addressee: Addressee,
        out: &mut Outbox,
    ) {
        let mut cutter = Cutter::new(notice);
        let mut uid = notice.uid;
        let mut write = |piece: &Notice<'_>| Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?);
        loop {
            match cutter.next_packet(uid, &mut write) {
                Ok(Some(packet)) => {
                    let outgoing = Outgoing { key: (to, uid), addressee, owner: None, payload: packet.clone() };
                    // Without room it is sent once.
                    if self.deliveries.remember(now.monotonic, outgoing, &self.room()).is_err() {
                        self.counters.answers_full += 1;
                    }
                    out.send(to, packet);
                    uid = self.uids.next(&now);
                }
                Ok(None) => break,
                Err(error) => {
                    self.counters.not_written += 1;
                    out.report(Event::NotWritten { client: to, reason: error.to_string() });
                    break;
                }
            }
        }
    }
}
