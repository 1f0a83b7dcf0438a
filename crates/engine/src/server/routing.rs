//! Routing of notices to subscribers (server behaviour, section 8).

use crate::server::{
    Event, Published, Server,
    fan_outs::{FanOut, Next, Packets, Speaker},
    limits::rate_limit::Rate,
    log_event::LogEvent,
    reply::Reply,
    request::{Reach, Request},
    state::{
        clients::ClientId,
        deliveries::{Addressee, Full, Outgoing},
    },
};
use std::sync::Arc;
use zephyr_core::{
    auth::{AuthError, Direction, Session},
    fragment::Cutter,
    limits::Limits,
    notice::{Claim, FormatError, Notice},
    policy::{Action, Refusal, Why},
    principal::Principal,
    realm::completed,
    sanitize,
    time::Now,
    uid::UidSource,
};

/// Maximum number of readers that get a notice before anything else is done.
const MAX_AT_ONCE: usize = 64;

impl Server {
    /// Delivers a notice, which may be sent, to all who subscribed; gives what its sender is to be told.
    pub(crate) fn publish(&mut self, request: &mut Request<'_>) -> Reply {
        let recipient = self.config.realms.matched_recipient(request.notice.recipient).into_owned();
        if request.reach == Reach::Realms
            && let Some(realm) = self.realm_of(&recipient)
        {
            return self.hand_off(request, realm, &recipient);
        }
        if recipient.is_empty() {
            request.notice.recipient = b"";
        }
        let shown = completed(request.notice.recipient, self.config.realms.local()).into();
        let reply = self.publish_here(request, &recipient, shown);
        if reply == Reply::Lost && request.reach == Reach::Realms {
            self.explain_unknown_realm(request, &recipient);
        }
        reply
    }

    /// Who writes to somebody of a realm that is not known here hears that: else it looks as if the other had not logged in.
    fn explain_unknown_realm(&self, request: &mut Request<'_>, recipient: &[u8]) {
        let realm = Principal::parse(recipient).realm.filter(|realm| *realm != self.config.realms.local());
        if let Some(realm) = realm
            && request.message.is_none()
        {
            request.message = Some(format!("this server knows no realm {}", sanitize::name(realm)));
        }
    }

    /// Delivers a notice to all here who subscribed to this recipient, who are shown it so; and, when it is to all, copies to
    /// realms that subscribed.
    pub(crate) fn publish_here(&mut self, request: &mut Request<'_>, recipient: &[u8], shown: Box<[u8]>) -> Reply {
        let (now, rate) = (request.now.monotonic, self.delivery_rate());
        let (source, standing) = (request.source(), request.standing());
        let caused = self.caused.of_mut(standing);
        let may_be = |readers| readers == 0 || caused.affords(now, source.clone(), readers, &rate);
        let names = &request.names;
        let to_realms = recipient.is_empty() && request.reach == Reach::Realms;
        let mut realms =
            if to_realms { self.realms.theirs.matching(&names.class, &names.instance) } else { Vec::new() };
        realms.retain(|&realm| self.realms.table.is_listed(realm));
        let Some(mut clients) = self.subscriptions.matching(&names.class, &names.instance, recipient, may_be) else {
            return self.refuse_deliveries(request);
        };
        if self.subscriptions.lists_gone_clients() {
            clients.retain(|&id| self.clients.get(id).is_some());
        }
        let clients = self.addressed(recipient, clients);
        let max = self.config.bounds.fan_out_readers;
        let has_room = self.fan_outs.have_room_for_readers(clients.len(), max);
        let published = Published::of(request);
        let has_room = has_room && self.fan_outs.has_room_for_speaker(&Speaker::of(&published));
        let caused = self.caused.of_mut(standing);
        let count = clients.len() + realms.len();
        let may_cause = count == 0 || has_room && caused.spend(now, source, count, &rate);
        if !may_cause {
            return self.refuse_deliveries(request);
        }
        let copies = self.copy_to_realms(request, &realms);
        let mut fan_out = Box::new(FanOut::new(published, request.local, shown, clients));
        let is_done = fan_out.left() == 0 || (self.fan_outs.is_empty() && self.begin(request.now, &mut fan_out));
        let reached = fan_out.published.readers + copies > 0;
        if is_done {
            self.events.push_back(Event::Published(fan_out.published));
        } else {
            fan_out.unanswered = (!reached).then_some(request.known_by);
            self.fan_outs.push(fan_out);
        }
        match (reached, is_done) {
            (true, _) => Reply::Sent,
            (false, true) => Reply::Lost,
            (false, false) => Reply::Later,
        }
    }

    /// Hands out a notice to its first readers, as long as there is room; true when it has reached all.
    fn begin(&mut self, now: Now, fan_out: &mut FanOut) -> bool {
        for _ in 0..MAX_AT_ONCE {
            if !self.pacer.has_room(now.monotonic) {
                break;
            }
            match fan_out.take_next(&self.clients) {
                Next::Reader(reader) => self.deliver(now, fan_out, reader),
                Next::PassedOver => {}
                Next::Done => return true,
            }
        }
        fan_out.left() == 0
    }

    /// Goes on with the notice whose turn it is, if there is room for one packet more; false when nothing was to be done.
    pub(crate) fn go_on(&mut self, now: Now) -> bool {
        if self.fan_outs.is_empty() || !self.pacer.has_room(now.monotonic) {
            return false;
        }
        let Some(mut turn) = self.fan_outs.take(&self.clients) else { return false };
        let told = self.events.len();
        if let Next::Reader(reader) = turn.next {
            self.deliver(now, &mut turn.fan_out, reader);
            self.answer_if_reached(now, &mut turn.fan_out);
        }
        self.caused_by(told, turn.fan_out.published.from, turn.fan_out.published.packet());
        if turn.fan_out.left() > 0 {
            self.fan_outs.give_back(turn);
        } else {
            self.fan_outs.done(&turn);
            self.finish(now, *turn.fan_out);
        }
        true
    }

    /// Hands out all notices under way to all of their readers, whether or not there is room to send them now: what is not
    /// sent waits as all does that is not acknowledged.
    pub(crate) fn finish_fan_outs(&mut self, now: Now) {
        while let Some(mut turn) = self.fan_outs.take(&self.clients) {
            if let Next::Reader(reader) = turn.next {
                self.deliver(now, &mut turn.fan_out, reader);
                self.answer_if_reached(now, &mut turn.fan_out);
            }
            if turn.fan_out.left() > 0 {
                self.fan_outs.give_back(turn);
            } else {
                self.fan_outs.done(&turn);
                self.finish(now, *turn.fan_out);
            }
        }
    }

    fn answer_if_reached(&mut self, now: Now, fan_out: &mut FanOut) {
        if fan_out.published.readers > 0
            && let Some(known_by) = fan_out.unanswered.take()
        {
            self.reply_later(now, fan_out, known_by, Reply::Sent);
        }
    }

    /// A notice has reached all of its readers that are there.
    fn finish(&mut self, now: Now, mut fan_out: FanOut) {
        if let Some(known_by) = fan_out.unanswered.take() {
            self.reply_later(now, &fan_out, known_by, Reply::Lost);
        }
        self.events.push_back(Event::Published(fan_out.published));
    }

    pub(crate) const fn delivery_rate(&self) -> Rate {
        let bounds = &self.config.bounds;
        Rate {
            per_second: bounds.deliveries_per_second,
            burst: bounds.delivery_burst,
            sources: bounds.rate_limit_sources,
        }
    }

    /// Refuses a notice, as its host causes too many deliveries.
    pub(crate) fn refuse_deliveries(&mut self, request: &mut Request<'_>) -> Reply {
        self.counters.delivery_floods += 1;
        self.report(LogEvent::Full { what: "deliveries", from: request.from });
        request.message = Some(Refusal { action: Action::Send, why: Why::TooMany }.text());
        Reply::Denied
    }

    /// Sends a notice to one of its readers: with proof if it is authentic and the reader can check that.
    fn deliver(&mut self, now: Now, fan_out: &mut FanOut, reader: ClientId) {
        let Some(client) = self.clients.get(reader) else { return };
        let authentic = fan_out.published.verdict.is_authentic();
        let notice = Notice { recipient: &fan_out.recipient, ..fan_out.published.notice() };
        let (to, local) = (client.address(), client.local());
        let (owner, standing) = (client.principal.clone(), client.standing());
        // Whoever neither proves anything nor has shown that he is there may be nobody.
        let counts = client.is_confirmed() || standing.is_proven() || !self.config.policy.provable;
        let packets = match client.session().map(Arc::as_ref).filter(|_| authentic) {
            Some(session) => packets_for(&notice, Some(session), &mut self.uids, now),
            None => fan_out.unproven.get_or_insert_with(|| packets_for(&notice, None, &mut self.uids, now)).clone(),
        };
        let packets = match packets {
            Ok(packets) => packets,
            Err(error) => {
                self.counters.not_written += 1;
                return self.report(LogEvent::NotWritten { client: to, reason: error.to_string() });
            }
        };
        let mut reached = false;
        for (uid, payload) in packets {
            let outgoing = Outgoing {
                key: (to, uid),
                local,
                addressee: Addressee::Client(reader),
                owner: Some(owner.clone()),
                standing,
                payload,
            };
            if let Err(full) = self.send_or_hold(now, outgoing, reader) {
                self.count_full(full);
                self.report(LogEvent::Full { what: "unacknowledged packets", from: to });
                break;
            }
            reached = counts;
        }
        fan_out.published.readers += usize::from(reached);
    }

    fn count_full(&mut self, full: Full) {
        *match full {
            Full::Destination => &mut self.counters.client_pending_full,
            Full::Host => &mut self.counters.host_pending_full,
            Full::Principal => &mut self.counters.principal_pending_full,
            Full::Server => &mut self.counters.pending_full,
        } += 1;
    }
}

/// The packets of a notice to a client: one as it came, or several when it has grown too long on the way.
pub(crate) fn packets_for(
    notice: &Notice<'_>,
    session: Option<&dyn Session>,
    uids: &mut UidSource,
    now: Now,
) -> Result<Packets, AuthError> {
    let mut write = |piece: &Notice<'_>| match session {
        Some(session) => session.seal(piece, Direction::ToClient, Limits::WHOLE_PACKET, now),
        None => Ok(piece.write(&Claim::NONE, Limits::WHOLE_PACKET)?),
    };
    match write(notice) {
        Ok(packet) => return Ok(vec![(notice.uid, packet)]),
        Err(AuthError::Format(FormatError::PacketTooLong { .. })) => {}
        Err(error) => return Err(error),
    }
    let mut cutter = Cutter::again(*notice);
    let mut packets = Packets::new();
    let mut uid = notice.uid;
    while let Some(packet) = cutter.next_packet(uid, &mut write)? {
        packets.push((uid, packet));
        uid = uids.next(&now);
    }
    Ok(packets)
}
