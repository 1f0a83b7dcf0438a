//! What is asked of other realms for our clients: subscriptions, again when a realm may have forgotten them, and that they
//! end (server to server, section 6.3).

use crate::server::{
    Change, ClientOwner, Server,
    log_event::LogEvent,
    origin::RealmId,
    realms::{
        outbox::{Outgoing, Payer, Purpose},
        table::RealmState,
        wishes::Ask,
    },
    request::Request,
    state::{
        clients::{Client, ClientId},
        standing::Standing,
        subscriptions::Destination,
    },
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use zephyr_core::{
    body,
    coding::ascii,
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, OwnedPacket},
    principal::Principal,
    time::Now,
};

/// Requests about subscriptions that are under way to a realm at a time; to one that is dead it is one.
const MAX_REQUESTS: usize = 64;
/// Where nobody is: the client of what is asked for again.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// For what a notice of ours is sent to a realm, and who is charged for it.
pub(crate) struct ToRealm {
    pub(crate) purpose: Purpose,
    pub(crate) payer: Payer,
}

impl Server {
    /// The realm, another one with servers, that a recipient belongs to whose realm is in full.
    pub(crate) fn realm_of(&self, recipient: &[u8]) -> Option<RealmId> {
        self.realms.table.named(Principal::parse(recipient).realm?)
    }

    /// Takes those of a client's new subscriptions out that another realm must grant first. They are asked for, if there is
    /// room; the request gets a message if not.
    pub(crate) fn ask_realms(
        &mut self,
        id: ClientId,
        wanted: Vec<Destination>,
        request: &mut Request<'_>,
    ) -> Vec<Destination> {
        let (foreign, mut here): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|it| self.realm_of(it.recipient()).is_some());
        let mut asked = Vec::new();
        for destination in foreign {
            let Some(realm) = self.realm_of(destination.recipient()) else { continue };
            if self.holds_as_principal(request.principal(), &destination) {
                // The realm has granted it to the same person.
                here.push(destination);
                continue;
            }
            let Some(client) = self.clients.get(id) else { continue };
            let is_ours = Principal::parse(&client.principal).is_of(self.config.realms.local());
            if !is_ours || !client.standing().is_proven() {
                request.message = Some("other realms are asked only for proven people of this realm".to_owned());
                continue;
            }
            let principal = client.principal.clone();
            if self.realms.wishes.add(realm, id, &principal, destination) {
                asked.push(realm);
            } else {
                self.counters.realm_refused += 1;
                request.message = Some("too many subscriptions wait for other realms".to_owned());
            }
        }
        asked.sort_unstable();
        asked.dedup();
        asked.into_iter().for_each(|realm| self.go_on_asking(request.now, realm));
        here
    }

    /// Whether a proven client of this principal is subscribed to it.
    fn holds_as_principal(&self, principal: &[u8], destination: &Destination) -> bool {
        self.clients.in_name(principal, Standing::Proven).any(|id| self.subscriptions.contains(destination, id))
    }

    /// A client does not want this any more, of which another realm may be asked.
    pub(crate) fn end_wish(&mut self, id: ClientId, destination: &Destination) {
        if self.realms.wishes.end(id, destination) {
            self.no_longer_wanted(std::slice::from_ref(destination));
        }
    }

    /// A client is gone, and with it what it wanted of other realms.
    pub(crate) fn end_wishes_of(&mut self, id: ClientId) {
        let ended = self.realms.wishes.forget_client(id);
        self.no_longer_wanted(&ended);
    }

    /// Realms are told of what nobody here holds any more; true when there was something.
    pub(crate) fn tell_of_orphans(&mut self) -> bool {
        let orphans = self.subscriptions.take_orphans();
        self.no_longer_wanted(&orphans);
        !orphans.is_empty()
    }

    fn no_longer_wanted(&mut self, destinations: &[Destination]) {
        for destination in destinations {
            if let Some(realm) = self.realm_of(destination.recipient()) {
                self.realms.wishes.ask(realm, Ask::End(destination.clone()));
                self.go_on_asking(self.now, realm);
            }
        }
    }

    /// Everything is asked of a realm again that clients here hold and want.
    pub(crate) fn ask_again(&mut self, now: Now, id: RealmId) {
        let Some(realm) = self.realms.table.get(id) else { return };
        let recipient = [b"@", &realm.name[..]].concat();
        let held = self.subscriptions.of_realm(&recipient);
        self.realms.wishes.ask_all(id, &recipient, held);
        self.go_on_asking(now, id);
    }

    /// Asks a realm for more, as far as few requests are under way.
    pub(crate) fn go_on_asking(&mut self, now: Now, id: RealmId) {
        let Some(state) = self.realms.table.get(id).map(|realm| realm.state) else { return };
        let max = match state {
            RealmState::New => return,
            RealmState::Dead => 1,
            RealmState::Tardy | RealmState::Up | RealmState::Starting => MAX_REQUESTS,
        };
        while self.realms.outbox.requests_of(id) < max
            && let Some(ask) = self.realms.wishes.next_ask(id)
        {
            self.ask(now, id, ask);
        }
    }

    fn ask(&mut self, now: Now, id: RealmId, ask: Ask) {
        match ask {
            Ask::Wish(client, destination) => {
                let Some(wisher) = self.clients.get(client) else { return };
                let (principal, address, owner) = (wisher.principal.clone(), wisher.address(), wisher.owner());
                if self.realms.wishes.asked(client, &destination) {
                    self.realms.outbox.end_ends(id, &destination);
                    let body = self.request_body(id, address, &destination);
                    let notice = Notice { sender: &principal, body: &body, ..of_realms(names::REQ_SUBSCRIBE) };
                    let destinations = vec![destination.clone()];
                    self.send_control(now, id, notice, Purpose::Wish(client, destination));
                    if self.ours.is_wanted() {
                        self.changed(Change::RealmAsked { client: address, owner, destinations });
                    }
                }
            }
            Ask::Held(destination) => {
                let holders = self.subscriptions.readers_of(&destination);
                let holders = holders.into_iter().filter_map(|id| self.clients.get(id));
                let Some(holder) = holders.into_iter().find(|client| client.standing().is_proven()) else { return };
                let principal = holder.principal.clone();
                self.realms.outbox.end_ends(id, &destination);
                let body = self.request_body(id, NOBODY, &destination);
                let notice = Notice { sender: &principal, body: &body, ..of_realms(names::REQ_SUBSCRIBE) };
                self.send_control(now, id, notice, Purpose::Control);
            }
            Ask::End(destination) => {
                if self.subscriptions.is_held(&destination) || self.realms.wishes.contain(&destination) {
                    return;
                }
                let body = body::of_texts([destination.class(), destination.instance(), b""]);
                let notice = Notice { body: &body, ..of_realms(names::RLM_UNSUBSCRIBE) };
                self.send_control(now, id, notice, Purpose::End(destination));
            }
        }
    }

    /// Another server of ours has asked a realm for what a client wants; true when that is new.
    pub(crate) fn asked_elsewhere(&mut self, address: SocketAddr, owner: &ClientOwner, what: Vec<Destination>) -> bool {
        let is_ours = owner.proven && Principal::parse(&owner.principal).is_of(self.config.realms.local());
        let of_owner = |&id: &ClientId| is_ours && self.clients.get(id).is_some_and(|client| client.owner() == *owner);
        let Some(id) = self.clients.at(address).filter(of_owner) else { return false };
        let mut is_news = false;
        for destination in what {
            if self.realm_of(destination.recipient()).is_some() && !self.subscriptions.contains(&destination, id) {
                let now = self.now.monotonic;
                is_news |= self.realms.wishes.asked_elsewhere(now, id, &owner.principal, &destination);
            }
        }
        is_news
    }

    fn request_body(&self, id: RealmId, client: SocketAddr, what: &Destination) -> Vec<u8> {
        let name = self.realms.table.get(id).map_or(&b""[..], |realm| &realm.name);
        let mut port = Vec::new();
        ascii::encode_u16(client.port(), &mut port);
        let (address, recipient) = (client.ip().to_string(), [b"@", name].concat());
        body::of_texts([address.as_bytes(), &port, what.class(), what.instance(), &recipient])
    }

    /// Tells a realm that we have started, so that it asks again for what it had here.
    pub(crate) fn greet_realm(&mut self, now: Now, id: RealmId) {
        let Some(realm) = self.realms.table.get(id) else { return };
        let (recipient, host) = ([b"@", &realm.name[..]].concat(), self.config.host.clone());
        let notice = Notice { sender: host.as_bytes(), recipient: &recipient, ..of_realms(names::SENDSUBS) };
        self.send_control(now, id, notice, Purpose::Greeting);
    }

    /// Sends a realm a control notice of our own, which gets a uid.
    pub(crate) fn send_control(&mut self, now: Now, id: RealmId, notice: Notice<'_>, purpose: Purpose) {
        let uid = self.uids.next(&now);
        let notice = Notice { uid, multiuid: uid, ..notice };
        let payer = Payer { source: (self.config.address.into(), Box::default()), standing: Standing::Proven };
        self.send_to_realm(now, id, &notice, ToRealm { purpose, payer });
    }

    /// Sends a realm a notice of our own.
    pub(crate) fn send_to_realm(&mut self, now: Now, id: RealmId, notice: &Notice<'_>, to: ToRealm) {
        let ToRealm { purpose, payer } = to;
        let notice = Notice { port: if notice.port == 0 { self.config.port } else { notice.port }, ..*notice };
        let notice = Notice { address: self.config.address.into(), ..notice };
        let packet = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).ok().map(OwnedPacket::parse);
        let (Some(Ok(plain)), Some(target)) = (packet, self.realms.table.get(id).map(|realm| realm.current)) else {
            if let Purpose::Wish(client, destination) = &purpose {
                self.realms.wishes.end(*client, destination);
            }
            self.counters.not_written += 1;
            return self.report(LogEvent::NotWrittenToRealm { reason: "it is too long".to_owned() });
        };
        let outgoing = Outgoing { plain, proven: true, purpose, payer };
        self.begin_turns(now, id, outgoing, target);
    }

    /// Wishes that no realm has granted in time end.
    pub(crate) fn expire_wishes(&mut self, now: Now) {
        self.realms.wishes.expire(now.monotonic);
        self.realms.questions.expire(now.monotonic);
    }

    /// A realm grants what it was asked for: it is in force for the client from now on. False when nobody asked for it.
    pub(crate) fn granted(&mut self, client: SocketAddr, destination: &Destination) -> bool {
        let Some(id) = self.clients.at(client) else { return false };
        if !self.realms.wishes.may_be_granted(id, destination) {
            return false;
        }
        self.realms.wishes.end(id, destination);
        let Some(payer) = self.clients.get(id).filter(|client| self.may_hold(client, destination)).map(Client::payer)
        else {
            self.no_longer_wanted(std::slice::from_ref(destination));
            return true;
        };
        let max = self.config.bounds.subscriptions_per_client;
        let held = self.clients.get(id).map_or(0, |client| client.subscriptions.len());
        if held >= max || !self.has_room_for_subscription(id, &payer, destination.octets()) {
            self.counters.subscriptions_full += 1;
            self.report(LogEvent::Full { what: "subscriptions", from: client });
            self.no_longer_wanted(std::slice::from_ref(destination));
        } else if let Some(added) = self.subscriptions.add(destination.clone(), id, &payer) {
            let owner = ClientOwner { principal: payer.principal.clone(), proven: payer.standing.is_proven() };
            let stamp = self.changed(Change::Subscribed { client, owner, destinations: vec![added.clone()] });
            if let Some(client) = self.clients.get_mut(id) {
                client.add(vec![added], stamp);
            }
        }
        true
    }
}

/// A control notice between realms.
fn of_realms(opcode: &'static [u8]) -> Notice<'static> {
    Notice { kind: Kind::Acked, class: names::ZEPHYR_CTL, instance: names::REALM, opcode, ..Notice::EMPTY }
}

/// The control notice that grants a realm's request: the same, with another opcode and body.
pub(crate) fn grant<'a>(request: &Notice<'a>, body: &'a [u8]) -> Notice<'a> {
    Notice { sender: request.sender, recipient: request.recipient, body, ..of_realms(names::ADD_SUBSCRIBE) }
}
