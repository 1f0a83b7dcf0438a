//! Packets of class ZEPHYR_ADMIN from and to C servers, and the streams with them.

use super::{
    CPeers, GET_INTERVAL, Liveness, MAX_FORWARD_AGE, OFFER_INTERVAL, Offered,
    dump::{self, Cursor, Exchange, MAX_UNSENT, Phase, Role, Taken, Tells},
    records::{Key, Record, Sender},
    witness::Witness,
};
use crate::{
    machine::Transmit,
    server::{
        Job, LogEvent, Server,
        peers::stream::{OFFER_SECONDS, StreamEvent, StreamId, StreamOrder},
        reply::Reply,
        request::Request,
        state::clients::Client,
    },
};
use bytes::Bytes;
use std::{
    net::{IpAddr, SocketAddr, SocketAddrV4},
    time::{Duration, UNIX_EPOCH},
};
use zephyr_core::{
    body::{self, Place},
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice},
    time::Now,
    uid::Uid,
};

/// Answers to the questions of one server within a second.
const MAX_ANSWERS: u32 = 5;
/// Users, or clients, told in one step.
const TOLD_PER_STEP: usize = 64;

impl Server {
    /// A packet of this server for C servers.
    fn c_admin(&mut self, now: Now, opcode: &[u8], instance: &[u8], body: &[&[u8]]) -> Option<(Uid, Bytes)> {
        let uid = self.uids.next(&now);
        let body = body::of_texts(body.iter().copied());
        let notice = Notice {
            kind: Kind::Acked,
            uid,
            multiuid: uid,
            port: self.config.port,
            class: names::ZEPHYR_ADMIN,
            instance,
            opcode,
            sender: self.config.host.as_bytes(),
            address: self.config.address.into(),
            body: &body,
            ..Notice::EMPTY
        };
        Some((uid, notice.write(&Claim::NONE, Limits::COMPATIBLE).ok()?))
    }

    pub(super) fn c_send(&mut self, place: usize, payload: Bytes) {
        let Some(peer) = self.c_peers.peers.get(place) else { return };
        if let Some(to) = peer.address() {
            let local = peer.local;
            self.send(Transmit { to, local, payload });
        }
    }

    pub(super) fn c_send_admin(&mut self, now: Now, place: usize, opcode: &[u8], instance: &[u8], body: &[&[u8]]) {
        if let Some((_, packet)) = self.c_admin(now, opcode, instance, body) {
            self.c_send(place, packet);
        }
    }

    pub(super) fn c_answer_hello(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let second = now.monotonic.as_secs();
        let answered = if peer.answered.0 == second { peer.answered.1 } else { 0 };
        peer.answered = (second, answered + 1);
        if answered < MAX_ANSWERS {
            self.c_send_admin(now, place, names::IHEARDYOU, b"", &[]);
        }
    }

    /// A client was given up: C servers are told.
    pub(crate) fn c_kill(&mut self, now: Now, client: SocketAddr) {
        for place in 0..self.c_peers.peers.len() {
            self.c_kill_at(now, place, client);
        }
    }

    pub(super) fn c_kill_at(&mut self, now: Now, place: usize, client: SocketAddr) {
        let is_dead = self.c_peers.peers.get(place).is_none_or(|peer| peer.hello.state() == Liveness::Dead);
        let (IpAddr::V4(_), false) = (client.ip(), is_dead) else { return };
        let (address, port) = (client.ip().to_string(), client.port().to_string());
        let Some((uid, packet)) = self.c_admin(now, names::KILL_CLIENT, b"", &[address.as_bytes(), port.as_bytes()])
        else {
            return;
        };
        if let Some(peer) = self.c_peers.peers.get_mut(place) {
            peer.kills.push(now.monotonic, uid, super::forwards::Concerned::Client(client), packet);
        }
        self.c_pump(now, place);
    }

    /// Handles an answer, if it is from a C server; false when it is not. It is a sign of life, whatever it answers.
    pub(crate) fn c_answered(&mut self, now: Now, from: SocketAddr, notice: &Notice<'_>) -> bool {
        let Some(place) = self.c_peers.at(from) else { return false };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return false };
        let kill = peer.kills.acknowledged(notice.uid);
        let forward = peer.forwards.acknowledged(notice.uid);
        let is_refused = notice.kind == Kind::ServNak;
        // It may be too late for its clock, whatever it answers.
        if forward.is_some_and(|since| is_refused || now.monotonic.saturating_sub(since) > MAX_FORWARD_AGE) {
            peer.lacks_something(now.monotonic);
        }
        if is_refused && kill.or(forward).is_some() {
            let name = peer.name.clone();
            self.report(LogEvent::PeerRefuses { name, opcode: notice.opcode.into(), sender: notice.sender.into() });
        }
        self.c_heard(now, place);
        self.c_offer_if_due(now, place);
        self.c_pump(now, place);
        self.c_note_synced(now, place);
        if self.c_peers.leaving.is_some() && !self.awaits_peers() {
            self.c_goodbye(now);
        }
        true
    }

    fn c_heard(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let before = peer.hello.state();
        let acts = peer.hello.heard(now.monotonic);
        self.c_act(now, place, before, acts);
    }

    /// Handles a packet of class ZEPHYR_ADMIN from a C server.
    pub(super) fn c_admin_request(&mut self, request: &mut Request<'_>, place: usize) {
        let (now, opcode) = (request.now, request.notice.opcode);
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let before = peer.hello.state();
        let acts = match opcode {
            names::HELLO => peer.hello.asked(now.monotonic),
            names::IHEARDYOU => peer.hello.heard(now.monotonic),
            names::GOODBYE => peer.hello.goodbye(now.monotonic),
            names::DUMP_AVAIL => return self.c_get(request, place),
            names::KILL_CLIENT => return self.c_killed(request),
            _ => {
                return self.report(LogEvent::UnknownOpcode {
                    class: "ADMIN",
                    opcode: opcode.into(),
                    from: request.reply_to.from,
                });
            }
        };
        self.c_act(now, place, before, acts);
        self.c_pump(now, place);
        self.c_note_synced(now, place);
    }

    /// A C server, or somebody from its address, offers a dump: it is fetched from that server, wherever else the offer says
    /// that it is.
    fn c_get(&mut self, request: &Request<'_>, place: usize) {
        let (now, from) = (request.now, request.reply_to.from);
        if request.notice.instance != names::DUMP_VERSION {
            let version = request.notice.instance.into();
            return self.report(LogEvent::DumpVersion { version, from });
        }
        let Some(port) = dump::offered_port(request.notice.body) else {
            return self.report(LogEvent::UnknownOpcode { class: "ADMIN", opcode: names::DUMP_AVAIL.into(), from });
        };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        // A server that was started again has taken back what it offered before.
        let due = peer.last_get.map_or(now.monotonic, |last| now.monotonic.max(last + GET_INTERVAL));
        let to = SocketAddr::new(from.ip(), port);
        peer.offered = Some(Offered { to, due, until: now.monotonic + Duration::from_secs(OFFER_SECONDS) });
        self.c_get_if_due(now, place);
    }

    /// Fetches what a C server offers, if it may be fetched now.
    pub(super) fn c_get_if_due(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        peer.offered = peer.offered.take().filter(|offered| now.monotonic < offered.until);
        if peer.may_get_at().is_none_or(|due| now.monotonic < due) {
            return;
        }
        let Some(Offered { to, .. }) = peer.offered.take() else { return };
        // Our own offer stays: which of both comes to be does not matter, and if it were taken back, as the C server takes back
        // its own, there would be none.
        let stream = self.c_peers.new_stream();
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        peer.last_get = Some(now.monotonic);
        peer.exchanges.push(Exchange::new(stream, Role::Getter, Tells::Everything, now.monotonic));
        self.order(StreamOrder::Connect { stream, to });
    }

    /// A C server, or somebody from its address, says that a client is gone: the client is asked, as when the network says it.
    fn c_killed(&mut self, request: &mut Request<'_>) {
        let mut texts = body::texts(request.notice.body).map(|text| str::from_utf8(text).ok());
        let (address, port) = (texts.next().flatten(), texts.next().flatten());
        let client = address.and_then(|text| text.parse().ok()).zip(port.and_then(|text| text.trim().parse().ok()));
        if let Some((address, port)) = client {
            let client = SocketAddr::new(IpAddr::V4(address), port);
            match self.clients.at(client) {
                Some(id) => self.doubt(request.now, id),
                None => self.report(LogEvent::NoSuchClient { client }),
            }
        }
        self.reply(request, Reply::Sent);
    }

    /// Ends exchanges that take too long.
    pub(super) fn c_check_exchanges(&mut self, now: Now, place: usize) {
        let Some(peer) = self.c_peers.peers.get(place) else { return };
        let late = peer.exchanges.iter().filter(|exchange| exchange.deadline() <= now.monotonic);
        for stream in late.map(|exchange| exchange.stream).collect::<Vec<_>>() {
            self.c_fail(now, stream, "it takes too long");
        }
    }

    /// Something has happened to a stream with a C server.
    pub(crate) fn c_stream(&mut self, now: Now, event: StreamEvent) {
        match event {
            StreamEvent::Offered { stream, port } => self.c_offered(now, stream, port),
            StreamEvent::Open { stream } => self.c_open(now, stream),
            StreamEvent::Record { stream, record } => self.c_record(now, stream, &record),
            StreamEvent::Drained { stream, octets } => {
                let Some(exchange) = self.c_exchange(stream) else { return };
                exchange.unsent = exchange.unsent.saturating_sub(octets);
                exchange.went_on(now.monotonic);
                self.c_tell(now, stream);
            }
            StreamEvent::Closed { stream, why } => self.c_closed(now, stream, &why),
            // They do not connect to that port.
            StreamEvent::Accepted { stream, .. } => self.order(StreamOrder::Close { stream }),
        }
    }

    fn c_exchange(&mut self, stream: StreamId) -> Option<&mut Exchange> {
        let (place, exchange) = self.c_peers.of_stream(stream)?;
        self.c_peers.peers.get_mut(place)?.exchanges.get_mut(exchange)
    }

    fn c_offered(&mut self, now: Now, stream: StreamId, port: u16) {
        let Some((place, _)) = self.c_peers.of_stream(stream) else { return };
        let local = self.c_peers.peers.get(place).and_then(|peer| peer.local);
        let address = local.unwrap_or_else(|| self.config.address.into());
        let body = dump::offer(address, port);
        let texts: Vec<&[u8]> = body::texts(&body).collect();
        self.c_send_admin(now, place, names::DUMP_AVAIL, names::DUMP_VERSION, &texts);
    }

    /// The other has proven itself. Whatever else was wanted of it is not wanted any more.
    fn c_open(&mut self, now: Now, stream: StreamId) {
        let Some((place, _)) = self.c_peers.of_stream(stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        if peer.is_open() {
            peer.exchanges.retain(|exchange| exchange.stream != stream);
            return self.order(StreamOrder::Close { stream });
        }
        let others: Vec<StreamId> =
            peer.exchanges.iter().map(|exchange| exchange.stream).filter(|&other| other != stream).collect();
        peer.exchanges.retain(|exchange| exchange.stream == stream);
        (peer.offer_due, peer.offered) = (None, None);
        let name = peer.name.clone();
        if let Some(exchange) = peer.exchanges.first_mut() {
            exchange.open(now.monotonic);
        }
        others.into_iter().for_each(|stream| self.order(StreamOrder::Close { stream }));
        self.report(LogEvent::DumpBegins { name });
        self.c_tell(now, stream);
    }

    fn c_record(&mut self, now: Now, stream: StreamId, record: &[u8]) {
        let bounds = self.config.bounds;
        let Some(exchange) = self.c_exchange(stream) else { return };
        if exchange.phase != Phase::Hearing {
            return self.c_fail(now, stream, "a record out of turn");
        }
        exchange.went_on(now.monotonic);
        exchange.records = exchange.records.saturating_add(1);
        match exchange.heard.take(record, &bounds) {
            Ok(Taken::Yes) => {}
            Ok(Taken::Done) => {
                exchange.phase = Phase::Merging;
                self.c_merge(now, stream);
            }
            Err(error) => self.c_fail(now, stream, &error),
        }
    }

    fn c_closed(&mut self, now: Now, stream: StreamId, why: &str) {
        let Some(exchange) = self.c_exchange(stream) else { return };
        match (&exchange.phase, exchange.role) {
            // It has told all, and was told before.
            (Phase::Merging, Role::Listener) => {}
            // An offer that nobody took up, or that was taken back.
            (Phase::Waiting, _) => self.c_give_up(now, stream, why),
            _ => self.c_fail(now, stream, why),
        }
    }

    /// An exchange has not begun.
    fn c_give_up(&mut self, now: Now, stream: StreamId, why: &str) {
        let Some((place, _)) = self.c_peers.of_stream(stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        peer.exchanges.retain(|exchange| exchange.stream != stream);
        if peer.hello.state() != Liveness::Dead && (!peer.told_all || peer.lacks.is_some()) {
            // Nobody is left in this state: if both have taken back what they offered, one offers again.
            peer.offer_due.get_or_insert(now.monotonic + OFFER_INTERVAL);
        }
        let name = peer.name.clone();
        self.report(LogEvent::NoDump { name, why: why.into() });
        self.c_get_if_due(now, place);
    }

    /// An exchange has begun and comes to nothing.
    fn c_fail(&mut self, now: Now, stream: StreamId, why: &str) {
        self.order(StreamOrder::Close { stream });
        let Some((place, exchange)) = self.c_peers.of_stream(stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        if !peer.exchanges.get(exchange).is_some_and(Exchange::is_open) {
            return self.c_give_up(now, stream, why);
        }
        peer.exchanges.remove(exchange);
        peer.merge = None;
        peer.failure = Some(why.chars().take(200).collect::<String>().into());
        let (name, before) = (peer.name.clone(), peer.hello.state());
        let acts = peer.hello.dump_failed(now.monotonic);
        if peer.hello.state() != Liveness::Dead {
            peer.offer_due = Some(now.monotonic + OFFER_INTERVAL);
        }
        self.counters.dumps_failed += 1;
        self.report(LogEvent::DumpFailed { name, why: why.into() });
        self.c_act(now, place, before, acts);
        self.c_get_if_due(now, place);
    }

    /// Tells on, as far as the other takes it.
    pub(super) fn c_tell(&mut self, now: Now, stream: StreamId) {
        loop {
            let Some(exchange) = self.c_exchange(stream) else { return };
            let Phase::Telling(cursor) = exchange.phase.clone() else { return };
            if exchange.unsent >= MAX_UNSENT {
                return;
            }
            let (records, cursor) = match cursor {
                Cursor::Locations(after) => self.c_tell_locations(now, after.as_deref()),
                Cursor::Clients(after) => self.c_tell_clients(now, after),
                Cursor::Realms(told) => self.c_tell_realm(now, told),
                Cursor::End => {
                    self.c_tell_witness(now, stream);
                    let uid = self.uids.next(&now);
                    let done = Record::Done.write(&self.c_sender(), uid);
                    self.c_send_records(stream, done.into_iter().collect());
                    let Some(exchange) = self.c_exchange(stream) else { return };
                    match exchange.role {
                        Role::Listener => exchange.phase = Phase::Hearing,
                        Role::Getter => self.c_finish(now, stream),
                    }
                    return;
                }
            };
            self.c_send_records(stream, records);
            if let Some(exchange) = self.c_exchange(stream) {
                exchange.phase = Phase::Telling(cursor);
            }
        }
    }

    fn c_send_records(&mut self, stream: StreamId, records: Vec<Bytes>) {
        let Some(exchange) = self.c_exchange(stream) else { return };
        exchange.unsent += records.iter().map(Bytes::len).sum::<usize>();
        exchange.records = exchange.records.saturating_add(u32::try_from(records.len()).unwrap_or(u32::MAX));
        records.into_iter().for_each(|record| self.jobs.push_back(Job::Stream(StreamOrder::Send { stream, record })));
    }

    pub(super) fn c_sender(&self) -> Sender<'_> {
        let config = &self.config;
        Sender { host: config.host.as_bytes(), port: config.port, address: config.address }
    }

    /// Records of some users' locations. Of those without proof C servers know nothing.
    fn c_tell_locations(&mut self, now: Now, after: Option<&[u8]>) -> (Vec<Bytes>, Cursor) {
        let (uids, config) = (&mut self.uids, &self.config);
        let sender = Sender { host: config.host.as_bytes(), port: config.port, address: config.address };
        let (mut records, mut last, mut users) = (Vec::new(), None, 0);
        for (user, locations) in self.locations.lists_after(after).take(TOLD_PER_STEP) {
            for location in locations.iter().rev().filter(|location| location.is_proven()) {
                let Some(address) = v4(location.address) else { continue };
                let [machine, time, tty] = location.texts();
                let place = Place { machine, time, tty };
                let record = Record::Location { user, exposure: location.exposure, address, place };
                records.extend(record.write(&sender, uids.next(&now)));
            }
            last = Some(user.clone());
            users += 1;
        }
        (records, if users < TOLD_PER_STEP { Cursor::Clients(None) } else { Cursor::Locations(last) })
    }

    /// Records of some clients. A client without a key would make a C server crash.
    fn c_tell_clients(&mut self, now: Now, after: Option<SocketAddr>) -> (Vec<Bytes>, Cursor) {
        let (uids, config) = (&mut self.uids, &self.config);
        let sender = Sender { host: config.host.as_bytes(), port: config.port, address: config.address };
        let (mut records, mut last, mut clients) = (Vec::new(), None, 0);
        for client in self.clients.after(after).take(TOLD_PER_STEP) {
            last = Some(client.address());
            clients += 1;
            let (Some(address), Some(key)) = (v4(client.address()), key_of(client)) else { continue };
            let head = Record::Client { principal: &client.principal, address, key: Key::Session(key) };
            let Some(head) = head.write(&sender, uids.next(&now)) else { continue };
            records.push(head);
            for held in &client.subscriptions {
                let record = subscription(held.destination.text());
                records.extend(record.and_then(|it| it.write_of(address, &sender, uids.next(&now))));
            }
        }
        (records, if clients < TOLD_PER_STEP { Cursor::Realms(0) } else { Cursor::Clients(last) })
    }

    /// Records of what another realm has subscribed to here.
    fn c_tell_realm(&mut self, now: Now, told: usize) -> (Vec<Bytes>, Cursor) {
        let (uids, config) = (&mut self.uids, &self.config);
        let sender = Sender { host: config.host.as_bytes(), port: config.port, address: config.address };
        let Some((id, realm)) = self.realms.table.listed().nth(told) else { return (Vec::new(), Cursor::End) };
        let mut records = Vec::new();
        for (destination, _) in self.realms.theirs.of(id) {
            let [class, instance, recipient] = [destination.class(), destination.instance(), destination.recipient()];
            let record = Record::RealmSubscription([class, instance, recipient]);
            if records.is_empty() {
                records.extend(Record::Realm(&realm.name).write(&sender, uids.next(&now)));
            }
            records.extend(record.write(&sender, uids.next(&now)));
        }
        (records, Cursor::Realms(told + 1))
    }

    /// The record by which it shows later that it has run on, behind everything else.
    fn c_tell_witness(&mut self, now: Now, stream: StreamId) {
        let Some((place, exchange)) = self.c_peers.of_stream(stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let name = peer.name.clone();
        if peer.exchanges.get(exchange).is_none_or(|exchange| exchange.tells == Tells::Nothing) {
            return;
        }
        let (Witness { user, address, mark }, planted) = self.c_new_witness(now, &name);
        let uid = self.uids.next(&now);
        let place = Place { machine: self.config.host.as_bytes(), time: &mark, tty: b"" };
        let record = Record::Location { user: &user, exposure: Witness::EXPOSURE, address, place };
        let Some(record) = record.write(&self.c_sender(), uid) else { return };
        self.c_send_records(stream, vec![record]);
        if let Some(exchange) = self.c_exchange(stream) {
            exchange.planted = Some(planted);
        }
    }

    /// An exchange is done.
    pub(super) fn c_finish(&mut self, now: Now, stream: StreamId) {
        self.order(StreamOrder::Close { stream });
        let Some((place, exchange)) = self.c_peers.of_stream(stream) else { return };
        let Some(peer) = self.c_peers.peers.get_mut(place) else { return };
        let exchange = peer.exchanges.remove(exchange);
        peer.heard_all = true;
        let before = peer.hello.state();
        if exchange.tells == Tells::Everything && peer.kills.is_empty() {
            peer.told_all = true;
            peer.told_at.get_or_insert(now.wall.duration_since(UNIX_EPOCH).unwrap_or_default());
            peer.lacks = peer.lacks.filter(|&since| since > exchange.begun);
            if peer.lacks.is_some() {
                peer.offer_due.get_or_insert(now.monotonic + OFFER_INTERVAL);
            }
            peer.failure = None;
            let name = peer.name.clone();
            let acts = peer.hello.dumped(now.monotonic);
            if let Some(planted) = exchange.planted {
                self.c_planted(&name, planted);
            }
            self.counters.dumps += 1;
            self.report(LogEvent::DumpDone { name });
            self.c_act(now, place, before, acts);
            self.c_pump(now, place);
            self.c_note_synced(now, place);
        } else {
            peer.offer_due = Some(now.monotonic);
            self.c_offer_if_due(now, place);
        }
        self.c_get_if_due(now, place);
    }
}

impl CPeers {
    /// Whether anything that was forwarded to one that is there is not acknowledged.
    pub(crate) fn awaits(&self) -> bool {
        let is_there = |peer: &&super::CPeer| matches!(peer.hello.state(), Liveness::Up | Liveness::Tardy);
        self.peers.iter().filter(is_there).any(|peer| !peer.forwards.is_empty() || !peer.kills.is_empty())
    }
}

/// What C servers know of a client that they can use.
pub(super) fn key_of(client: &Client) -> Option<zephyr_core::auth::SessionKey> {
    client.session()?.key()
}

pub(super) fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

/// The record of a destination's three texts.
pub(super) fn subscription(text: &[u8]) -> Option<Record<'_>> {
    let mut names = text.splitn(3, |&octet| octet == 0);
    Some(Record::Subscription([names.next()?, names.next()?, names.next()?]))
}
