//! Notices to other realms: handed off, repeated, and answered (server to server, sections 7.1 and 8).
//!
//! Who sends a notice to another realm hears within [`ANSWER_TIMEOUT`] what becomes of it: what a server of the realm
//! answers, if it does so in time. Else that it is sent, if the realm has shown since then that it is there; and that it
//! is lost, if not. What its sender was told is lost is not sent again.
//!
//! A notice waits while there is no session to prove it with, and never goes without the proof that it should have.

use crate::{
    machine::Transmit,
    server::{
        Server,
        job::Job,
        log_event::LogEvent,
        origin::RealmId,
        realms::{
            RealmDone, RealmJob,
            outbox::{ANSWER_TIMEOUT, Key, OutboxLimits, Outgoing, Payer, Purpose, Waiting},
            table::{Realm, RealmState},
        },
        reply::{Late, Reply},
        request::Request,
        routing::packets_for,
        state::standing::Standing,
    },
};
use bytes::Bytes;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Direction, Identity, Session, Verdict},
    fragment::Cutter,
    limits::Limits,
    notice::{Claim, FormatError, Notice, OwnedPacket},
    principal::Principal,
    sanitize,
    schedule::TO_REALM,
    time::Now,
    uid::Uid,
};

/// Packets that have their turn in one go, so that others are received in between.
const MAX_TURNS_AT_ONCE: usize = 256;
/// A session that could not be had is asked for again after this long.
const SESSION_RETRY: Duration = Duration::from_secs(30);
/// Between the packets that a session was waited for with.
const BETWEEN_PACKETS: Duration = Duration::from_millis(1);
/// A realm may grant what it is asked for to another server of ours than the one that asks: that one hears of it before.
const UNTIL_OTHERS_KNOW: Duration = Duration::from_millis(100);
/// Turns after which another server of a realm is tried that is taken to be up: so that it can answer within
/// [`ANSWER_TIMEOUT`].
const TURNS_PER_SERVER: usize = 2;

/// The packet of a turn.
enum Sealed {
    Packet(Bytes),
    /// There is no session now.
    Waits,
    /// It cannot be written.
    Never,
}

/// A fragment: its uid, without proof, and with it.
struct Piece {
    uid: Uid,
    plain: Bytes,
    sealed: Bytes,
}

impl Server {
    /// Hands a notice, which may be sent, off to the realm of its recipient, which has its realm in full; gives what its
    /// sender is told now.
    pub(crate) fn hand_off(&mut self, request: &mut Request<'_>, realm: RealmId, recipient: &[u8]) -> Reply {
        let Some(known) = self.realms.table.get(realm) else { return Reply::Lost };
        let (name, target) = (sanitize::name(&known.name), known.current);
        if known.targets.is_empty() {
            return self.not_handed_off(request, format!("no server of realm {name} is known now"));
        }
        let (now, key) = (request.now, (realm, request.notice.uid));
        if let Some(before) = self.realms.outbox.get(&key) {
            // A host manager sends again what it has no answer to; and nobody takes another's answer by reusing his uid.
            return match before.waiting() {
                Some(waiting) if waiting.known_by.print == request.known_by.print => Reply::Later,
                _ => self.not_handed_off(request, "another notice with its identifier is on its way there".to_owned()),
            };
        }
        let (source, standing) = (request.source(), request.standing());
        let rate = self.delivery_rate();
        if !self.caused.of_mut(standing).spend(now.monotonic, source, 1, &rate) {
            return self.refuse_deliveries(request);
        }
        let notice = Notice { recipient, ..request.notice };
        let Some((octets, packets)) = self.plain_packets(now, &notice) else { return Reply::Lost };
        if !self.has_room_to(realm, request, packets.len(), octets) {
            return self.not_handed_off(request, format!("too much is on its way to realm {name}"));
        }
        let waiting = Waiting {
            path: request.path(),
            known_by: request.known_by,
            packet: request.packet.clone(),
            recipient: recipient.into(),
            deadline: now.monotonic + ANSWER_TIMEOUT,
            parts: packets.iter().skip(1).map(|packet| packet.notice().uid).collect(),
        };
        self.counters.realm_handed_off += 1;
        let mut purpose = Purpose::HandOff(Box::new(waiting));
        for plain in packets {
            let outgoing = Outgoing { purpose, ..self.of_request(request, plain) };
            self.begin_turns(now, realm, outgoing, target);
            purpose = Purpose::Copy;
        }
        Reply::Later
    }

    fn not_handed_off(&mut self, request: &mut Request<'_>, reason: String) -> Reply {
        self.counters.realm_refused += 1;
        request.message = Some(reason);
        Reply::Lost
    }

    /// Sends copies of a notice to all to realms that subscribed to it; gives how many.
    pub(crate) fn copy_to_realms(&mut self, request: &Request<'_>, realms: &[RealmId]) -> usize {
        let mut copies = 0;
        for &realm in realms {
            let Some((octets, packets)) = self.plain_packets(request.now, &request.notice) else { break };
            if !self.has_room_to(realm, request, packets.len(), octets) {
                self.counters.realm_refused += 1;
                self.report(LogEvent::Full { what: "packets to a realm", from: request.from });
                continue;
            }
            let Some(target) = self.realms.table.get(realm).map(|known| known.current) else { continue };
            self.counters.realm_copies += 1;
            copies += 1;
            for plain in packets {
                let outgoing = self.of_request(request, plain);
                self.begin_turns(request.now, realm, outgoing, target);
            }
        }
        copies
    }

    /// A packet that is sent because of a request: with our proof, if it is proven to be from somebody of our realm. For
    /// others we do not vouch.
    fn of_request(&self, request: &Request<'_>, plain: OwnedPacket) -> Outgoing {
        let is_ours = |identity: &Identity| Principal::parse(identity.principal()).is_of(self.config.realms.local());
        let proven = request.verdict.identity().is_some_and(is_ours);
        Outgoing { plain, proven, purpose: Purpose::Copy, payer: payer_of(request) }
    }

    /// The packets of a notice without proof, and their octets.
    fn plain_packets(&mut self, now: Now, notice: &Notice<'_>) -> Option<(usize, Vec<OwnedPacket>)> {
        match packets_for(notice, None, &mut self.uids, now) {
            Ok(packets) => {
                let octets = packets.iter().map(|(_, packet)| packet.len()).sum();
                Some((octets, packets.into_iter().filter_map(|(_, packet)| OwnedPacket::parse(packet).ok()).collect()))
            }
            Err(error) => {
                self.not_written_to_realm(&error);
                None
            }
        }
    }

    fn not_written_to_realm(&mut self, error: &AuthError) {
        self.counters.not_written += 1;
        self.report(LogEvent::NotWrittenToRealm { reason: error.to_string() });
    }

    fn has_room_to(&self, realm: RealmId, request: &Request<'_>, packets: usize, octets: usize) -> bool {
        let limits = self.outbox_limits(request.standing());
        self.realms.outbox.has_room(realm, &payer_of(request), packets, octets, &limits)
    }

    /// The limits for those of this standing.
    pub(crate) fn outbox_limits(&self, standing: Standing) -> OutboxLimits {
        let bounds = &self.config.bounds;
        OutboxLimits {
            packets: self.share(bounds.pending_per_realm, standing),
            packets_of_source: bounds.pending_per_realm_sender,
            octets: self.share(bounds.pending_octets_per_realm, standing),
        }
    }

    /// A packet begins its way: it has its first turn when what caused it is handled.
    pub(crate) fn begin_turns(&mut self, now: Now, realm: RealmId, outgoing: Outgoing, target: usize) {
        let key = (realm, outgoing.plain.notice().uid);
        let may_come_elsewhere = matches!(outgoing.purpose, Purpose::Wish(..)) && self.ours.is_wanted();
        self.realms.outbox.insert(now.monotonic, key, outgoing, target);
        if may_come_elsewhere {
            self.realms.outbox.set_due(&key, now.monotonic + UNTIL_OTHERS_KNOW);
        }
    }

    /// Packets to other realms have their turns, as far as these are due. When many are due at once, some stay due.
    pub(crate) fn go_on_with_realms(&mut self, now: Now) {
        for id in std::mem::take(&mut self.realms.found) {
            self.begin_with_realm(now, id);
        }
        for _ in 0..MAX_TURNS_AT_ONCE {
            let Some(key) = self.realms.outbox.due(now.monotonic) else { break };
            self.take_turn(now, key);
        }
        self.expire_wishes(now);
    }

    fn take_turn(&mut self, now: Now, key: Key) {
        if self.answer_in_time(now, key) {
            return;
        }
        let (Some(realm), Some(entry)) = (self.realms.table.get(key.0), self.realms.outbox.get(&key)) else { return };
        let servers = realm.targets.len();
        if entry.is_exhausted(now.monotonic, servers) {
            return self.exhausted(now, key);
        }
        let Some(to) = self.address_of_turn(key) else { return self.wait_for_realm(now, key) };
        let payload = match self.sealed(now, key) {
            Sealed::Packet(payload) => payload,
            Sealed::Waits => return self.wait_for_realm(now, key),
            Sealed::Never => return self.end_lost(key, "it cannot be written for that realm"),
        };
        let is_dead = self.realms.table.get(key.0).is_some_and(|realm| realm.state == RealmState::Dead);
        let Some(entry) = self.realms.outbox.get_mut(&key) else { return };
        // A realm that is dead gets little until it answers.
        let is_sent = !is_dead || entry.turns.checked_rem(servers + 1) == Some(0);
        let again = entry.first_sent.is_some();
        let wait = TO_REALM.get(entry.turns % TO_REALM.len()).copied().unwrap_or_default();
        entry.turns += 1;
        if is_sent {
            entry.sent(now.monotonic);
            *if again { &mut self.counters.realm_resent } else { &mut self.counters.realm_sent } += 1;
            self.send(Transmit { to, local: None, payload });
        }
        self.realms.outbox.set_due(&key, now.monotonic + wait);
    }

    /// Where a packet goes in its next turn: another server than before, when that does not answer.
    fn address_of_turn(&mut self, key: Key) -> Option<SocketAddr> {
        let (realm, entry) = (self.realms.table.get_mut(key.0)?, self.realms.outbox.get_mut(&key)?);
        if let Purpose::Answer(to) = entry.outgoing.purpose {
            return Some(to);
        }
        let turns = entry.turns;
        if turns > 0 && (realm.state != RealmState::Up || turns.is_multiple_of(TURNS_PER_SERVER)) {
            entry.target = realm.fail_over(entry.target);
        }
        realm.target(entry.target)
    }

    /// A packet has no turn before there is a session, or an address.
    fn wait_for_realm(&mut self, now: Now, key: Key) {
        self.realms.outbox.set_due(&key, now.monotonic + SESSION_RETRY);
    }

    /// The packet as it is sent now.
    fn sealed(&mut self, now: Now, key: Key) -> Sealed {
        let (Some(realm), Some(entry)) = (self.realms.table.get(key.0), self.realms.outbox.get(&key)) else {
            return Sealed::Never;
        };
        let side = realm.side();
        if !entry.outgoing.proven {
            return Sealed::Packet(entry.outgoing.plain.octets().clone());
        }
        if let Some(packet) = entry.fresh(now.monotonic, side) {
            return Sealed::Packet(packet);
        }
        let (plain, last) = (entry.outgoing.plain.clone(), entry.last_sealed());
        let Some(session) = self.session_with(now, key.0) else {
            // An old proof is better than to be silent, once it has been sent.
            return last.map_or(Sealed::Waits, Sealed::Packet);
        };
        match session.seal(&plain.notice(), Direction::ToServer, Limits::WHOLE_PACKET, now) {
            Ok(packet) => {
                if let Some(entry) = self.realms.outbox.get_mut(&key) {
                    entry.set_sealed(now.monotonic, packet.clone(), side);
                }
                Sealed::Packet(packet)
            }
            Err(AuthError::Format(FormatError::PacketTooLong { .. })) if last.is_none() => {
                self.cut_again(now, key, &plain, &*session)
            }
            Err(error) => last.map_or_else(
                || {
                    self.not_written_to_realm(&error);
                    Sealed::Never
                },
                Sealed::Packet,
            ),
        }
    }

    /// Cuts a packet that is too long with its proof. Its first fragment takes its place; gives that.
    fn cut_again(&mut self, now: Now, key: Key, plain: &OwnedPacket, session: &dyn Session) -> Sealed {
        let pieces = match self.pieces(now, &plain.notice(), session) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.not_written_to_realm(&error);
                return Sealed::Never;
            }
        };
        let Some(side) = self.realms.table.get(key.0).map(Realm::side) else { return Sealed::Never };
        let mut first = Sealed::Never;
        for Piece { uid, plain, sealed } in pieces {
            let Ok(plain) = OwnedPacket::parse(plain) else { return Sealed::Never };
            let key_of_piece = (key.0, uid);
            if key_of_piece == key {
                self.realms.outbox.replace_plain(&key, plain);
                first = Sealed::Packet(sealed.clone());
            } else if let Some(entry) = self.realms.outbox.get_mut(&key) {
                let (payer, proven) = (entry.outgoing.payer.clone(), entry.outgoing.proven);
                let target = entry.target;
                if let Purpose::HandOff(waiting) = &mut entry.outgoing.purpose {
                    waiting.parts.push(uid);
                }
                let outgoing = Outgoing { plain, proven, purpose: Purpose::Copy, payer };
                self.realms.outbox.insert(now.monotonic, key_of_piece, outgoing, target);
            }
            if let Some(entry) = self.realms.outbox.get_mut(&key_of_piece) {
                entry.set_sealed(now.monotonic, sealed, side);
            }
        }
        first
    }

    fn pieces(&mut self, now: Now, notice: &Notice<'_>, session: &dyn Session) -> Result<Vec<Piece>, AuthError> {
        let mut cutter = Cutter::again(*notice);
        let (mut pieces, mut uid) = (Vec::new(), notice.uid);
        loop {
            let mut plain = Bytes::new();
            let mut write = |piece: &Notice<'_>| {
                let sealed = session.seal(piece, Direction::ToServer, Limits::WHOLE_PACKET, now)?;
                plain = piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?;
                Ok(sealed)
            };
            let Some(sealed) = cutter.next_packet(uid, &mut write)? else { return Ok(pieces) };
            pieces.push(Piece { uid, plain, sealed });
            uid = self.uids.next(&now);
        }
    }

    /// The session with a realm. When there is none, one is asked for.
    fn session_with(&mut self, now: Now, realm: RealmId) -> Option<Arc<dyn Session>> {
        let realm = self.realms.table.get_mut(realm)?;
        let (session, ask) = realm.session(now);
        if ask {
            self.jobs.push_back(Job::Realm(RealmJob::Session(realm.name.clone())));
        }
        session
    }

    /// Handles the result of a job about a realm.
    pub(crate) fn realm_done(&mut self, now: Now, done: RealmDone) {
        let RealmDone::Session { realm: name, result } = done;
        let Some(id) = self.realms.table.named(&name) else { return };
        let again = now.monotonic + SESSION_RETRY;
        match result {
            Ok(session) => {
                if let Some(realm) = self.realms.table.get_mut(id) {
                    realm.set_session(Ok(session), again);
                }
                self.wake_packets_to(id, now.monotonic);
            }
            Err(error) => {
                if let Some(realm) = self.realms.table.get_mut(id) {
                    realm.set_session(Err(error.clone()), again);
                }
                self.counters.realm_no_session += 1;
                self.report(LogEvent::NoRealmSession { realm: name.as_ref().into(), error });
                self.wake_packets_to(id, again);
            }
        }
    }

    /// What was not sent to a realm yet has its turn from this time on: one packet after another, since there may be many.
    pub(crate) fn wake_packets_to(&mut self, realm: RealmId, from: Duration) {
        let mut due = from;
        for key in self.realms.outbox.keys_of(realm) {
            if self.realms.outbox.get(&key).is_some_and(|entry| entry.first_sent.is_none()) {
                self.realms.outbox.set_due(&key, due);
                due += BETWEEN_PACKETS;
            }
        }
    }

    /// Answers the sender of a notice to another realm, if he cannot wait any longer; true when the notice is not sent
    /// any more.
    fn answer_in_time(&mut self, now: Now, key: Key) -> bool {
        let Some(entry) = self.realms.outbox.get(&key) else { return true };
        if entry.waiting().is_none_or(|waiting| now.monotonic < waiting.deadline) {
            return false;
        }
        let Some(realm) = self.realms.table.get(key.0) else { return true };
        let (heard, state, sent) = (realm.heard, realm.state, entry.first_sent);
        if sent.is_some_and(|sent| heard > sent) {
            if let Some(waiting) = self.realms.outbox.take_waiting(&key) {
                self.answer_waiting(&waiting, Reply::Sent, "");
            }
            return false;
        }
        let silence: Duration = TO_REALM.iter().sum();
        if sent.is_none() {
            self.end_lost(key, "this server has no session with that realm yet");
        } else {
            self.end_lost(key, "no server of that realm answers");
            match state {
                RealmState::Up => self.set_realm_state(key.0, RealmState::Tardy),
                RealmState::Tardy | RealmState::Starting if now.monotonic.saturating_sub(heard) >= silence => {
                    self.realm_is_dead(key.0);
                }
                _ => {}
            }
        }
        true
    }

    /// A packet is not sent any more, and its sender, if he waits, is told that it is lost.
    fn end_lost(&mut self, key: Key, reason: &str) {
        let Some(entry) = self.realms.outbox.remove(&key) else { return };
        if let Some(waiting) = entry.waiting() {
            for &part in &waiting.parts {
                self.realms.outbox.remove(&(key.0, part));
            }
            self.counters.realm_lost += 1;
            self.answer_waiting(waiting, Reply::Lost, reason);
        }
    }

    /// Everything on its way to a realm is lost, as there is no such realm any more.
    pub(crate) fn end_all_to(&mut self, realm: RealmId) {
        for key in self.realms.outbox.keys_of(realm) {
            self.end_lost(key, "this server does not know that realm any more");
        }
    }

    /// This server ends: who waits for another realm is answered.
    pub(crate) fn end_all_hand_offs(&mut self) {
        let waiting = self.realms.outbox.waiting();
        waiting.into_iter().for_each(|key| self.end_lost(key, "this server ends"));
    }

    fn answer_waiting(&mut self, waiting: &Waiting, answer: Reply, reason: &str) {
        let packet = waiting.packet.packet();
        let notice = Notice { recipient: &waiting.recipient, ..packet.notice };
        let late = Late { path: waiting.path, known_by: waiting.known_by, notice, claim: packet.claim };
        self.reply_late(self.now, &late, answer, reason);
    }

    /// A packet has had all its turns.
    fn exhausted(&mut self, now: Now, key: Key) {
        let Some(entry) = self.realms.outbox.remove(&key) else { return };
        self.counters.realm_given_up += 1;
        let heard = self.realms.table.get(key.0).map_or(Duration::ZERO, |realm| realm.heard);
        let to_all = !matches!(entry.outgoing.purpose, Purpose::Answer(_) | Purpose::Question);
        if to_all && entry.first_sent.is_some_and(|sent| heard <= sent) {
            self.realm_is_dead(key.0);
        }
        if let Purpose::Wish(client, destination) = &entry.outgoing.purpose {
            self.realms.wishes.not_answered(*client, destination);
        }
        self.go_on_asking(now, key.0);
    }

    /// Nothing has come from a realm for as long as anything is repeated.
    fn realm_is_dead(&mut self, id: RealmId) {
        self.set_realm_state(id, RealmState::Dead);
        if let Some(realm) = self.realms.table.get_mut(id) {
            realm.forgot_us = true;
        }
    }

    /// The state of a realm changes.
    pub(crate) fn set_realm_state(&mut self, id: RealmId, state: RealmState) {
        let Some(realm) = self.realms.table.get_mut(id) else { return };
        if realm.state != state {
            realm.state = state;
            let name = realm.name.as_ref().into();
            self.report(LogEvent::RealmState { realm: name, state });
        }
    }

    /// The verdict on what another realm says of somebody, as this domain sees it: only whom the realm may speak for is
    /// believed to be who it says.
    pub(crate) fn vouched(&self, realm: RealmId, sender: &[u8]) -> Verdict {
        let claimed = Verdict::Authentic(Identity::new(sender));
        let name = self.realms.table.get(realm).map(|realm| &*realm.name);
        let parties = zephyr_core::policy::Parties { home: self.config.realms.local(), relay: name };
        self.config.policy.trusted(&claimed, &parties).0.into_owned()
    }
}

/// Who is charged for what a request sends to other realms.
pub(crate) fn payer_of(request: &Request<'_>) -> Payer {
    Payer { source: request.source(), standing: request.standing() }
}
