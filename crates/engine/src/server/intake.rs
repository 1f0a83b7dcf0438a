//! Intake of packets before their handlers: duplicates, rate limits and the verification of their origin.
//!
//! In this order, so that nobody makes the server open tickets by repeating himself or others:
//!
//! 1. the same octets from the same source: answered as the first time
//! 2. an authenticator that has served: the same octets are acknowledged as the first time, other octets prove nothing
//! 3. a source that has caused too much work: dropped; a host manager sends again
//! 4. only now the proof is verified
//!
//! While one packet is verified others may be handled; if some were, the first two checks are made once more before it is.

use crate::server::{
    Change, Job, KeptAnswer, Server, UsedAuthenticator,
    limits::{
        bounds::Bounds,
        digest::Digest,
        rate_limit::Rate,
        replay_cache::{Room, Seen, Served, Used},
        response_cache::{Fingerprint, Handled},
    },
    log_event::LogEvent,
    origin::{Origin, RealmId},
    realms::table::Realm,
    reply::Reply,
    request::{Names, Path, Request, too_long},
    state::standing::Standing,
    verification::{Progress, Verified},
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{AuthError, Judgement, Reason, Verdict},
    fragment::Span,
    kind::Kind,
    limits::MAX_PACKET,
    notice::{Layout, OwnedPacket, Packet},
    policy::{Action, FailedProof, Refusal, Why},
    time::Now,
};

/// Cost of a failed proof in the rate limit of its source, in valid proofs: honest senders do not fail by the thousand.
const FAILURE_COST: usize = 10;
/// Maximum length of the send queue beyond which only acknowledgements are handled.
const MAX_SEND_QUEUE: usize = 1024;

/// By what a packet is known when it comes again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownBy {
    pub(crate) print: Fingerprint,
    pub(crate) authenticator: Option<Digest>,
}

/// A received packet.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) path: Path,
    pub(crate) packet: OwnedPacket,
    pub(crate) print: Fingerprint,
    authenticator: Option<Digest>,
    /// Requests that had been handled when it was examined.
    handled_before: u64,
    /// Its notice's class and instance, once it is clear that it has not been seen before.
    names: Option<Names>,
    /// The other realm whose server sends from where it came from.
    realm: Option<RealmId>,
}

impl Arrival {
    fn new(path: Path, packet: OwnedPacket, realm: Option<RealmId>) -> Self {
        let claim = packet.claim();
        let authenticator =
            (claim.auth != 0 && !claim.authenticator.is_empty()).then(|| Digest::of(claim.authenticator));
        let print = Fingerprint::of(path.from, packet.octets());
        Self { path, print, authenticator, packet, handled_before: 0, names: None, realm }
    }

    /// Where it came from.
    pub(crate) const fn from(&self) -> SocketAddr {
        self.path.from
    }

    pub(crate) const fn known_by(&self) -> KnownBy {
        KnownBy { print: self.print, authenticator: self.authenticator }
    }
}

/// The origin of a packet, as far as it is known without verification.
enum Examined {
    /// All there is to know.
    Known(Judgement),
    /// Its proof must be verified.
    Unknown,
    /// Nothing: the packet is done with.
    Done,
}

/// Whether a packet has been seen before.
enum Known {
    /// It has, and was answered again.
    Answered,
    /// Its authenticator has proved another notice.
    Replayed,
    /// It has not.
    No,
}

impl Server {
    /// Handles a datagram. Acknowledgements are handled at once, everything else when there is little to send.
    pub(crate) fn receive(&mut self, now: Now, path: Path, octets: &[u8]) {
        let from = SocketAddr::new(path.from.ip(), path.from.port());
        let path = Path { from, ..path };
        // What is longer is cut off, as by every Zephyr program.
        let octets = octets.get(..MAX_PACKET).unwrap_or(octets);
        let layout = match Layout::read(octets) {
            Ok(layout) => layout,
            Err(error) => {
                self.counters.malformed += 1;
                return self.report(LogEvent::Malformed { from, error });
            }
        };
        if layout.kind() == Kind::ClientAck {
            let packet = layout.of(octets);
            self.pacer.acknowledged(from, packet.notice.uid);
            // A probe says that it is longer than any notice, and its acknowledgement repeats that.
            if self.confirm(now, from, packet.notice.uid) {
                self.counters.received += 1;
                self.counters.confirmed += 1;
                self.earn(from.ip(), octets.len());
            } else if self.is_there_after_all(now, from, packet.notice.uid) {
                self.counters.received += 1;
                self.earn(from.ip(), octets.len());
            } else if self.accepts(from, &packet) {
                self.acknowledged(now, from, &packet);
            }
            return;
        }
        let packet = layout.keep(Bytes::copy_from_slice(octets));
        if self.ingress.is_empty() && self.may_handle(from.ip()) {
            self.handle_packet(now, path, packet);
        } else if !self.ingress.push(from.ip(), (path, packet), self.config.bounds.ingress_queue_packets) {
            // Host managers send it again.
            self.counters.overload += 1;
        }
    }

    /// Handles the next queued packet, if there is little to send; false when there is none to be handled now.
    pub(crate) fn handle_next(&mut self, now: Now) -> bool {
        if !self.has_little_to_send() {
            return false;
        }
        let (verifications, fan_outs) = (&self.verifications, &self.fan_outs);
        let is_ready = |source| verifications.has_room_for(source) && fan_outs.has_room_for(source);
        let Some((path, packet)) = self.ingress.pop(is_ready) else { return false };
        self.handle_packet(now, path, packet);
        true
    }

    fn may_handle(&self, source: IpAddr) -> bool {
        self.has_little_to_send() && self.verifications.has_room_for(source) && self.fan_outs.has_room_for(source)
    }

    fn has_little_to_send(&self) -> bool {
        self.pacer.waiting() < MAX_SEND_QUEUE
    }

    /// Whether unacknowledged packets may be retransmitted: not while there is much to send, nor before everything is
    /// sent once.
    pub(crate) fn may_repeat(&self, now: Now) -> bool {
        self.has_little_to_send() && self.pacer.repetitions() < MAX_SEND_QUEUE && !self.pacer.is_behind(now.monotonic)
    }

    /// Counts a packet, and checks its fragment span.
    fn accepts(&mut self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        self.clear_up();
        self.counters.received += 1;
        if let Err(reason) = Span::of(packet) {
            self.counters.dropped += 1;
            self.report(LogEvent::Dropped { reason, from });
            return false;
        }
        true
    }

    fn handle_packet(&mut self, now: Now, path: Path, packet: OwnedPacket) {
        let (told, from) = (self.events.len(), path.from);
        let read = packet.packet();
        let kind = read.notice.kind;
        if self.accepts(from, &read) {
            match kind {
                Kind::Stat | Kind::Other(_) => {
                    self.counters.bad_kinds += 1;
                    self.report(LogEvent::BadKind { kind, from });
                }
                // Nothing was asked of anybody: whoever sends this has made it up, and it never reaches a class
                // handler.
                Kind::ServAck | Kind::ServNak if self.c_answered(now, from, &read.notice) => {}
                Kind::ServAck | Kind::ServNak if self.realm_answered(now, path, &read) => {}
                Kind::ServAck | Kind::ServNak | Kind::HmAck | Kind::ClientAck => {
                    self.counters.stray_answers += 1;
                    self.report(LogEvent::StrayAnswer { kind, from });
                }
                Kind::Unsafe | Kind::Unacked | Kind::Acked | Kind::HmCtl => {
                    let realm = self.realm_at(from);
                    return self.admit(now, Arrival::new(path, packet, realm));
                }
            }
        }
        self.caused_by(told, from, &packet);
    }

    /// Verifies the origin of a packet, or starts a job for that, and handles it in the order of its source.
    fn admit(&mut self, now: Now, mut arrival: Arrival) {
        arrival.handled_before = self.handled;
        let told = self.events.len();
        let (from, idle) = (arrival.from(), self.verifications.is_idle(arrival.from().ip()));
        if !idle && self.verifications.contains(&arrival) {
            return self.verifications.wait(arrival, Progress::Repeated);
        }
        match self.examine(now, &mut arrival) {
            Examined::Known(judgement) if idle => self.handle_request(now, &mut arrival, judgement),
            Examined::Done => {}
            Examined::Known(judgement) => return self.verifications.wait(arrival, Progress::Known(Ok(judgement))),
            Examined::Unknown => {
                let of_realm = arrival.realm.and_then(|realm| self.realms.table.get(realm)).map(Realm::service);
                let expected = of_realm.unwrap_or_else(|| arrival.packet.notice().sender.into());
                let job = self.verifications.begin(arrival, expected);
                return self.jobs.push_back(Job::Verify(job));
            }
        }
        self.caused_by(told, from, &arrival.packet);
    }

    fn examine(&mut self, now: Now, arrival: &mut Arrival) -> Examined {
        let known = self.known(arrival);
        if !matches!(known, Known::Answered) {
            match Names::of(&arrival.packet.notice()) {
                Ok(names) => arrival.names = Some(names),
                Err(what) => {
                    self.refuse_name(now, arrival, what);
                    return Examined::Done;
                }
            }
        }
        match known {
            Known::Answered => return Examined::Done,
            Known::Replayed => return Examined::Known(Judgement::bare(Verdict::Failed(Reason::Replayed))),
            Known::No if arrival.packet.claim().auth == 0 => {
                return Examined::Known(Judgement::bare(Verdict::Unauthenticated));
            }
            Known::No => {}
        }
        let rate = self.proof_rate();
        if arrival.authenticator.is_some() && !self.proofs.spend(now.monotonic, arrival.from().ip(), 1, &rate) {
            self.counters.proof_floods += 1;
            self.report(LogEvent::Full { what: "proofs to check", from: arrival.from() });
            return Examined::Done;
        }
        Examined::Unknown
    }

    /// Refuses a notice with a class or instance that is too long: `what` says which. It is not worth a proof.
    fn refuse_name(&mut self, now: Now, arrival: &Arrival, what: &'static str) {
        let names = Names::none();
        let origin = self.config.neighbours.origin_of(arrival.from(), &arrival.packet.notice(), &names.class);
        let mut request = Request::new(now, arrival, None, origin, names);
        self.counters.names_too_long += 1;
        let (sender, from) = (request.notice.sender.into(), request.from);
        self.report(LogEvent::NameTooLong { what, sender, from, more: 0 });
        request.message = Some(too_long(what));
        request.told_before = self.told();
        self.reply(&mut request, Reply::Denied);
        let handled = Handled { answer: request.answer, standing: Standing::Unproven, of_host: false };
        let max = self.config.bounds.response_cache_entries;
        self.response_cache.remember(now.monotonic, arrival.print, handled, max);
    }

    /// Answers a packet that has been handled before.
    fn known(&mut self, arrival: &Arrival) -> Known {
        if let Some(answer) = self.response_cache.answer(&arrival.print) {
            self.counters.repeated += 1;
            // Not earlier than the answer that it repeats.
            if let Some(answer) = answer.filter(|_| !self.held_answers.holds(&arrival.known_by())) {
                self.send(arrival.path.back(answer));
            }
            return Known::Answered;
        }
        match arrival.authenticator.map(|it| self.replay_cache.seen(&it, &arrival.print)) {
            None | Some(Seen::No) => Known::No,
            Some(Seen::WithAnother) => Known::Replayed,
            Some(Seen::WithThisNotice(answer)) => {
                self.counters.copies += 1;
                let packet = arrival.packet.packet();
                self.report(LogEvent::Copied { sender: packet.notice.sender.into(), from: arrival.from() });
                if !self.held_answers.holds(&arrival.known_by()) {
                    self.answer_copy(arrival.path, &packet, answer);
                }
                Known::Answered
            }
        }
    }

    /// Handles the packet of a finished verification, and those behind it, as far as their origins are known.
    pub(crate) fn verified(&mut self, now: Now, verified: Verified) {
        let source = verified.id.source();
        self.verifications.finish(verified);
        while let Some((mut arrival, progress)) = self.verifications.take_ready(source) {
            let told = self.events.len();
            let known = if arrival.handled_before == self.handled { Known::No } else { self.known(&arrival) };
            match (known, progress) {
                (Known::Answered, _) => {}
                // The packet that it repeats was handled before and is forgotten already; if it matters it is sent
                // again.
                (_, Progress::Repeated | Progress::Asked(_)) => {}
                (Known::Replayed, Progress::Known(_)) => {
                    let replayed = Judgement::bare(Verdict::Failed(Reason::Replayed));
                    self.handle_request(now, &mut arrival, replayed);
                }
                (Known::No, Progress::Known(result)) => {
                    let judgement = self.judgement(now, &arrival, result);
                    self.handle_request(now, &mut arrival, judgement);
                }
            }
            self.caused_by(told, arrival.from(), &arrival.packet);
        }
    }

    /// The judgement of a verification; one that brought none proves nothing.
    fn judgement(&mut self, now: Now, arrival: &Arrival, result: Result<Judgement, AuthError>) -> Judgement {
        let judgement = result.unwrap_or_else(|error| {
            self.counters.not_judged += 1;
            self.report(LogEvent::CannotVerify { from: arrival.from(), error });
            Judgement::bare(Verdict::Unauthenticated)
        });
        if let (Verdict::Authentic(identity), Some(authenticator), Some(lifetime)) =
            (&judgement.verdict, &arrival.authenticator, judgement.lifetime)
            && let Some(horizon) = self.replay_cache.refusal(authenticator, identity.principal(), lifetime.made)
        {
            let second = horizon.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            return Judgement::bare(Verdict::Failed(Reason::NotRemembered(second)));
        }
        if let Verdict::Failed(_) = judgement.verdict
            && arrival.authenticator.is_some()
        {
            let rate = self.proof_rate();
            self.proofs.charge(now.monotonic, arrival.from().ip(), FAILURE_COST - 1, &rate);
        }
        judgement
    }

    fn proof_rate(&self) -> Rate {
        let bounds = &self.config.bounds;
        Rate { per_second: bounds.proofs_per_second, burst: bounds.proof_burst, sources: bounds.rate_limit_sources }
    }

    /// Handles a verified packet, and caches its response.
    fn handle_request(&mut self, now: Now, arrival: &mut Arrival, judgement: Judgement) {
        let Some(names) = arrival.names.take() else { return };
        let arrival = &*arrival;
        let packet = arrival.packet.packet();
        let origin = match arrival.realm {
            Some(realm) => Origin::Realm(realm),
            None => self.config.neighbours.origin_of(arrival.from(), &packet.notice, &names.class),
        };
        let Judgement { verdict, session, opened, lifetime } = judgement;
        self.handled += 1;
        self.counters.replayed += u64::from(verdict == Verdict::Failed(Reason::Replayed));
        let mut request = Request { verdict, session, ..Request::new(now, arrival, opened.as_ref(), origin, names) };
        let told = self.events.len();
        request.told_before = self.told();
        let of_host = self.serve(&mut request);
        self.c_forward(now, arrival, &request, told);
        let bounds = self.config.bounds;
        if let Some(authenticator) = arrival.authenticator
            && let Some(identity) = request.vouched_by.as_ref().or_else(|| request.verdict.identity())
        {
            let served = Served::new(&arrival.print, request.answered, of_host);
            let principal = identity.principal();
            let used = Used { principal, served, lifetime };
            let room = replay_room(&bounds);
            if self.replay_cache.remember(now, authenticator, used, &room) {
                self.counters.replays_forgotten += 1;
            }
            self.changed(Change::AuthenticatorUsed(UsedAuthenticator {
                authenticator: authenticator.octets(),
                packet: arrival.print.octets.octets(),
                principal: principal.into(),
                sender: arrival.from(),
                answer: request.answered.and_then(KeptAnswer::of),
                of_host,
                undone: false,
                lifetime,
            }));
        }
        if let Some(answer) = request.answer.clone().filter(|_| request.waits) {
            self.send_when_kept(now, request.path().back(answer), request.known_by, request.told_before);
        }
        if let Some(packet) = request.behind.take() {
            let transmit = request.path().back(packet);
            match request.waits {
                true => self.send_when_kept(now, transmit, request.known_by, request.told_before),
                false => self.send(transmit),
            }
        }
        let standing = request.standing();
        let handled = Handled { answer: request.answer, standing, of_host };
        self.response_cache.remember(now.monotonic, arrival.print, handled, bounds.response_cache_entries);
    }

    /// The other realm whose server sends from this address.
    fn realm_at(&self, from: SocketAddr) -> Option<RealmId> {
        self.realms.table.at(from).filter(|_| self.config.neighbours.peer_at(from).is_none())
    }

    /// Forgets which packets a host has sent about itself, as it begins anew; true when any of them was proven.
    pub(crate) fn forget_packets_of(&mut self, host: IpAddr) -> bool {
        self.response_cache.forget_host(host);
        self.replay_cache.undo_host(host)
    }

    /// Dispatches a request, unless the domain refuses it; true when that was something about its own host.
    fn serve(&mut self, request: &mut Request<'_>) -> bool {
        self.apply_trust(request);
        match &request.verdict {
            Verdict::Authentic(_) => self.counters.authentic += 1,
            Verdict::Unauthenticated => self.counters.unproven += 1,
            Verdict::Failed(reason) => self.counters.count_failure(reason),
        }
        if let Verdict::Failed(reason) = &request.verdict {
            let reason = reason.clone();
            let (sender, from) = (request.notice.sender.into(), request.from);
            self.report(LogEvent::FailedProof { sender, from, reason: reason.clone() });
            match self.config.policy.failed_proof_in(&request.names.class) {
                FailedProof::Show => {}
                FailedProof::Refuse => {
                    self.counters.failed_refused += 1;
                    let action = Action::in_class(&request.names.class, &request.notice).unwrap_or(Action::Send);
                    request.message = Some(Refusal { action, why: Why::Failed(reason) }.text());
                    self.reply(request, Reply::Denied);
                    return false;
                }
                FailedProof::Drop => {
                    self.counters.failed_dropped += 1;
                    self.reply(request, Reply::Lost);
                    return false;
                }
            }
        }
        self.dispatch(request)
    }
}

pub(crate) const fn replay_room(bounds: &Bounds) -> Room {
    Room {
        entries: bounds.replay_cache_entries,
        per_principal: bounds.replay_cache_entries_per_principal,
        memory: Duration::from_secs(bounds.replay_seconds as u64),
    }
}
