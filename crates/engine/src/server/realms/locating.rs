//! Questions for the locations of users, asked of other realms and by them (server to server, section 7.3).

use crate::server::{
    Server,
    log_event::LogEvent,
    origin::RealmId,
    realms::{
        asking::ToRealm,
        outbox::{Key, Payer, Purpose},
        outgoing::payer_of,
    },
    reply::{Asker, PARTS, Reply},
    request::{Request, Source},
    state::standing::{ByStanding, Standing},
};
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    exposure::Exposure,
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    names,
    notice::{Claim, Notice, OwnedPacket},
    policy::Action,
    realm::completed,
};

/// Who asks waits so long for an answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Questions that are open.
const MAX_QUESTIONS: usize = 4096;
/// Questions of one source that are open.
const MAX_PER_SOURCE: usize = 64;
/// Octets that a proof may take in a packet.
const ROOM_FOR_PROOF: usize = 560;

/// A question that another realm is to answer.
#[derive(Debug)]
pub(crate) struct Question {
    /// The packet that asked.
    packet: OwnedPacket,
    /// The name that the realm is asked for.
    user: Box<[u8]>,
    /// The program that asked.
    to: SocketAddr,
    local: Option<IpAddr>,
    principal: Arc<[u8]>,
    standing: Standing,
}

/// A question that was asked; it counts until it expires, also when it is answered before.
#[derive(Debug)]
struct Asked {
    until: Duration,
    key: Key,
    payer: Payer,
}

/// All open questions.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: HashMap<Key, Question>,
    of_source: HashMap<Source, usize>,
    counts: ByStanding<usize>,
    expiring: VecDeque<Asked>,
}

impl Questions {
    /// Whether there is room for one question more. Who proves nothing takes nobody else's.
    fn has_room(&self, key: &Key, payer: &Payer) -> bool {
        let of_source = self.of_source.get(&payer.source).copied().unwrap_or(0);
        let max = if payer.standing.is_proven() { MAX_QUESTIONS } else { MAX_QUESTIONS / PARTS };
        *self.counts.of(payer.standing) < max && of_source < MAX_PER_SOURCE && !self.open.contains_key(key)
    }

    fn add(&mut self, now: Duration, key: Key, question: Question, payer: Payer) {
        *self.of_source.entry(payer.source.clone()).or_insert(0) += 1;
        *self.counts.of_mut(payer.standing) += 1;
        self.open.insert(key, question);
        self.expiring.push_back(Asked { until: now + QUESTION_TIMEOUT, key, payer });
    }

    fn get(&self, key: &Key) -> Option<&Question> {
        self.open.get(key)
    }

    /// A question is answered, or will not be.
    pub(crate) fn end(&mut self, key: &Key) -> Option<Question> {
        self.open.remove(key)
    }

    /// Questions that nobody answers in time end.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some(asked) = self.expiring.pop_front_if(|asked| asked.until <= now) {
            let Payer { source, standing } = asked.payer;
            self.end(&asked.key);
            *self.counts.of_mut(standing) -= 1;
            if let Some(count) = self.of_source.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.of_source.remove(&source);
                }
            }
        }
    }

    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.expiring.front().map(|asked| asked.until)
    }
}

impl Server {
    /// Asks another realm where one of its users is; `user` has its realm in full.
    pub(crate) fn ask_realm_for_user(&mut self, request: &mut Request<'_>, realm: RealmId, user: &[u8]) -> Reply {
        let (key, payer) = ((realm, request.notice.uid), payer_of(request));
        let is_known = self.realms.table.get(realm).is_some_and(|known| !known.targets.is_empty());
        let limits = self.outbox_limits(request.standing());
        let has_room = self.realms.outbox.has_room(realm, &payer, 1, request.octets, &limits);
        if !is_known
            || !has_room
            || self.realms.outbox.get(&key).is_some()
            || !self.realms.questions.has_room(&key, &payer)
        {
            self.counters.realm_refused += 1;
            request.message = Some("that realm cannot be asked now".to_owned());
            return Reply::Lost;
        }
        // We vouch for nobody who has proven nothing: then it is we who ask.
        let ours = [names::SERVICE, b"@", self.config.realms.local()].concat();
        let sender = if request.verdict.is_authentic() { request.notice.sender } else { &ours };
        let question = Question {
            packet: request.packet.clone(),
            user: user.into(),
            to: request.client_address(),
            local: request.local,
            principal: request.principal().into(),
            standing: Standing::of(self.is_proven(request)),
        };
        let notice = Notice {
            kind: Kind::Acked,
            opcode: names::REQ_LOCATE,
            instance: user,
            sender,
            multinotice: b"",
            body: b"",
            ..request.notice
        };
        self.realms.questions.add(request.now.monotonic, key, question, payer);
        self.counters.realm_handed_off += 1;
        let to = ToRealm { purpose: Purpose::Question, payer: payer_of(request) };
        self.send_to_realm(request.now, realm, &notice, to);
        Reply::Sent
    }

    /// Handles a notice of class USER_LOCATE from a server of another realm.
    pub(crate) fn realm_locate(&mut self, request: &mut Request<'_>, realm: RealmId) {
        let opcode = request.notice.opcode;
        if request.vouched_by.is_none() {
            self.counters.unauthenticated += 1;
            let (sender, from) = (request.notice.sender.into(), request.from);
            self.report(LogEvent::Unauthenticated { opcode: opcode.into(), sender, from });
            request.message = Some("realms are believed only with proof".to_owned());
            return self.reply(request, Reply::Denied);
        }
        match opcode {
            names::REQ_LOCATE => self.answer_realm(request, realm),
            names::ANS_LOCATE => self.answered_question(request, realm),
            _ => {
                self.report(LogEvent::UnknownOpcode { class: "uloc", opcode: opcode.into(), from: request.from });
                self.reply(request, Reply::Lost);
            }
        }
    }

    /// Tells another realm where a user is, as far as everybody may know: in one packet.
    fn answer_realm(&mut self, request: &mut Request<'_>, realm: RealmId) {
        if !self.allowed(request, Action::Locate) {
            return;
        }
        self.reply(request, Reply::Sent);
        let notice =
            Notice { kind: Kind::Acked, opcode: names::ANS_LOCATE, multinotice: b"", body: b"", ..request.notice };
        let header = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).map_or(MAX_PACKET, |packet| packet.len());
        let max = MAX_PACKET.saturating_sub(header + ROOM_FOR_PROOF);
        let mut body = Vec::new();
        let visible = |exposure| matches!(exposure, Exposure::NetVisible | Exposure::NetAnnounced);
        for location in self.locations.of(request.notice.instance).iter().filter(|it| visible(it.exposure)) {
            let before = body.len();
            location.list(&mut body);
            if body.len() > max {
                body.truncate(before);
                break;
            }
        }
        let limits = self.outbox_limits(request.standing());
        if self.realms.outbox.has_room(realm, &payer_of(request), 1, body.len() + header, &limits) {
            let to = ToRealm { purpose: Purpose::Answer(request.from), payer: payer_of(request) };
            self.send_to_realm(request.now, realm, &Notice { body: &body, ..notice }, to);
        }
    }

    /// Another realm answers a question of ours: who asked gets it, once.
    fn answered_question(&mut self, request: &mut Request<'_>, realm: RealmId) {
        let key = (realm, request.notice.uid);
        let is_asked =
            self.realms.questions.get(&key).is_some_and(|question| *question.user == *request.notice.instance);
        let Some(question) = is_asked.then(|| self.realms.questions.end(&key)).flatten() else {
            self.counters.realm_unasked += 1;
            if let Some(name) = self.realms.table.get(realm).map(|known| known.name.clone()) {
                let realm = name.as_ref().into();
                self.report(LogEvent::Unasked { realm, what: "locations", from: request.from });
            }
            return self.reply(request, Reply::Lost);
        };
        // Whoever knows the answer has received the question.
        self.realms.outbox.remove(&key);
        self.counters.realm_answered += 1;
        self.reply(request, Reply::Sent);
        let Question { packet, to, local, principal, standing, .. } = question;
        let asked = packet.notice();
        let recipient = completed(asked.recipient, self.config.realms.local()).into_owned();
        let notice = Notice { kind: Kind::Acked, recipient: &recipient, body: request.notice.body, ..asked };
        let asker = Asker { to, local, principal, standing };
        self.send_answer(request.now, &asker, notice);
    }
}
