//! Control notices between realms: what another realm asks and grants (server to server, section 6). All of them are believed
//! only with proof.

use crate::server::{
    Change, Server,
    acl::Who,
    log_event::LogEvent,
    origin::RealmId,
    peers::ours::ended::Element,
    realms::{
        asking::{ToRealm, grant},
        outbox::Purpose,
        outgoing::payer_of,
        theirs::{Added, Held, Room},
    },
    reply::Reply,
    request::Request,
    stamp::Stamp,
    state::subscriptions::Destination,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zephyr_core::{
    auth::Identity,
    body::{SubscriptionList, first_text},
    coding::ascii,
    names,
    notice::Notice,
};

/// A list of subscriptions that is about one client of one realm.
struct OfClient<'a> {
    /// The client's address and port, as they are written.
    head: &'a [u8],
    /// The same, when they are an address and a port.
    client: Option<SocketAddr>,
    list: SubscriptionList<'a>,
}

impl<'a> OfClient<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let address_len = body.iter().position(|&octet| octet == 0)?;
        let (address, rest) = (body.get(..address_len)?, body.get(address_len + 1..)?);
        let port_len = rest.iter().position(|&octet| octet == 0)?;
        let (port, list) = (rest.get(..port_len)?, rest.get(port_len + 1..)?);
        let address: Option<IpAddr> = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
        let client = address.zip(ascii::decode_u16(port).ok()).map(|(address, port)| SocketAddr::new(address, port));
        Some(Self { head: body.get(..address_len + port_len + 2)?, client, list: SubscriptionList::read(list) })
    }
}

impl Server {
    /// Handles a notice of class ZEPHYR_CTL from a server of another realm.
    pub(crate) fn realm_control(&mut self, request: &mut Request<'_>, realm: RealmId) {
        let opcode = request.notice.opcode;
        if request.notice.instance != names::REALM {
            self.report(LogEvent::UnknownOpcode { class: "realm", opcode: opcode.into(), from: request.from });
            return self.reply(request, Reply::Lost);
        }
        if request.vouched_by.is_none() {
            self.counters.unauthenticated += 1;
            let (sender, from) = (request.notice.sender.into(), request.from);
            self.report(LogEvent::Unauthenticated { opcode: opcode.into(), sender, from });
            request.message = Some("realms are believed only with proof".to_owned());
            return self.reply(request, Reply::Denied);
        }
        self.counters.realm_control += 1;
        if opcode != names::SENDSUBS {
            self.realm_heard(request.now, realm);
        }
        let answer = match opcode {
            names::REQ_SUBSCRIBE => self.realm_subscribes(request, realm),
            names::ADD_SUBSCRIBE => self.realm_grants(request, realm),
            names::RLM_UNSUBSCRIBE => self.realm_unsubscribes(request, realm),
            names::SENDSUBS => {
                self.prefer_server(realm, request.from);
                self.realm_starts(request.now, realm);
                Reply::Sent
            }
            names::SHUTDOWN => self.realm_server_ends(request, realm),
            _ => {
                self.report(LogEvent::UnknownOpcode { class: "realm", opcode: opcode.into(), from: request.from });
                Reply::Lost
            }
        };
        self.reply(request, answer);
    }

    /// A realm wants notices to all of some classes and instances, for somebody of its own.
    fn realm_subscribes(&mut self, request: &mut Request<'_>, realm: RealmId) -> Reply {
        let Some(asked) = OfClient::read(request.notice.body) else { return Reply::Lost };
        let asker: Arc<[u8]> = request.notice.sender.into();
        let wanted = self.wanted_by_realm(request, &asked.list);
        let who = self.vouched(realm, &asker);
        let subject = Who { principal: who.identity().map(Identity::principal), address: Some(request.from.ip()) };
        let refused: Vec<bool> = self.forbidden_to_realm(realm, &wanted, &who, subject);
        let permitted: Vec<Destination> =
            wanted.into_iter().zip(&refused).filter(|(_, refused)| !**refused).map(|(it, _)| it).collect();
        let refusals = refused.iter().filter(|refused| **refused).count();
        if refusals > 0 {
            self.counters.subscription_refused += refusals as u64;
            self.report(LogEvent::RealmSubscriptionRefused {
                sender: asker.as_ref().into(),
                from: request.from,
                count: refusals,
            });
        }
        if permitted.is_empty() && refusals > 0 {
            return Reply::Denied;
        }
        let granted = self.subscribe_realm(request, realm, &asker, permitted);
        if granted.is_empty() {
            return if refusals > 0 { Reply::Denied } else { Reply::Lost };
        }
        let mut body = asked.head.to_vec();
        for destination in &granted {
            body.extend_from_slice(destination.text());
            body.push(0);
        }
        let limits = self.outbox_limits(request.standing());
        if self.realms.outbox.has_room(realm, &payer_of(request), 1, body.len(), &limits) {
            let uid = self.uids.next(&request.now);
            let notice = Notice { uid, multiuid: uid, ..grant(&request.notice, &body) };
            let to = ToRealm { purpose: Purpose::Answer(request.from), payer: payer_of(request) };
            self.send_to_realm(request.now, realm, &notice, to);
        }
        Reply::Sent
    }

    /// What a realm wants here: of notices to all, and not of those to anybody else.
    fn wanted_by_realm(&mut self, request: &Request<'_>, list: &SubscriptionList<'_>) -> Vec<Destination> {
        let mut wanted = Vec::new();
        for [class, instance, recipient] in &list.triples {
            let is_to_all = recipient.is_empty()
                || recipient.strip_prefix(b"@").is_some_and(|named| named == self.config.realms.local());
            match Destination::new(class, instance, b"") {
                Ok(destination) if is_to_all => wanted.push(destination),
                _ => {
                    self.counters.recipient_refused += 1;
                    let (sender, recipient) = (request.notice.sender.into(), (*recipient).into());
                    self.report(LogEvent::RecipientRefused { sender, recipient, more: 0 });
                }
            }
        }
        wanted
    }

    /// A realm subscribes, as far as there is room; gives to what it is subscribed then.
    fn subscribe_realm(
        &mut self,
        request: &Request<'_>,
        realm: RealmId,
        asker: &Arc<[u8]>,
        permitted: Vec<Destination>,
    ) -> Vec<Destination> {
        let bounds = &self.config.bounds;
        let room = Room { count: bounds.subscriptions_per_realm, octets: bounds.subscription_octets_per_principal };
        let (mut granted, mut added) = (Vec::new(), Vec::new());
        for destination in permitted {
            match self.realms.theirs.add(realm, &destination, asker, room) {
                Added::Full => {
                    self.counters.subscriptions_full += 1;
                    self.report(LogEvent::Full { what: "subscriptions of a realm", from: request.from });
                    break;
                }
                Added::Yes => added.push(destination.clone()),
                Added::Known => {}
            }
            granted.push(destination);
        }
        if !added.is_empty()
            && let Some(name) = self.realms.table.get(realm).map(|known| known.name.clone())
        {
            let (asker, destinations) = (asker.clone(), added.clone());
            let stamp = self.changed(Change::RealmSubscribed { realm: name, asker, destinations });
            self.realms.theirs.set_stamp(realm, &added, stamp);
        }
        granted
    }

    /// A realm grants subscriptions: only what it was asked for.
    fn realm_grants(&mut self, request: &Request<'_>, realm: RealmId) -> Reply {
        let Some(granted) = OfClient::read(request.notice.body) else { return Reply::Lost };
        let Some(client) = granted.client else { return Reply::Lost };
        if client.ip().is_unspecified() {
            // The answer to what is asked for again: it is in force already.
            return Reply::Sent;
        }
        let Some(name) = self.realms.table.get(realm).map(|known| known.name.clone()) else { return Reply::Lost };
        let recipient = [b"@", &name[..]].concat();
        let mut unasked = 0;
        for [class, instance, _] in &granted.list.triples {
            let is_asked = Destination::new(class, instance, &recipient).is_ok_and(|it| self.granted(client, &it));
            unasked += usize::from(!is_asked);
        }
        if unasked > 0 {
            self.counters.realm_unasked += 1;
            self.report(LogEvent::Unasked { realm: name.as_ref().into(), what: "subscriptions", from: request.from });
        }
        if unasked < granted.list.triples.len() { Reply::Sent } else { Reply::Lost }
    }

    fn realm_unsubscribes(&mut self, request: &Request<'_>, realm: RealmId) -> Reply {
        let list = SubscriptionList::read(request.notice.body);
        let wanted = self.wanted_by_realm(request, &list);
        let held = wanted.into_iter().filter(|it| self.realms.theirs.get(realm, it).is_some()).collect();
        if self.end_realm_subscriptions(realm, held) > 0 { Reply::Sent } else { Reply::NotFound }
    }

    /// Ends subscriptions of a realm; gives how many.
    pub(crate) fn end_realm_subscriptions(&mut self, realm: RealmId, held: Vec<Destination>) -> usize {
        let Some(change) = self.take_realm_subscriptions(realm, held, |_| true) else { return 0 };
        let count = if let Change::RealmUnsubscribed { destinations, .. } = &change { destinations.len() } else { 0 };
        self.changed(change);
        count
    }

    /// Ends what of a realm's subscriptions these changes have made; gives what has changed, if anything has.
    pub(crate) fn take_realm_subscriptions(
        &mut self,
        realm: RealmId,
        of: Vec<Destination>,
        is_meant: impl Fn(Stamp) -> bool,
    ) -> Option<Change> {
        let name = self.realms.table.get(realm)?.name.clone();
        let (mut destinations, mut stamps) = (Vec::new(), BTreeSet::new());
        for destination in of {
            let gone = self.realms.theirs.remove(realm, &destination, &is_meant);
            for &stamp in &gone {
                let element = || Element::OfRealm(name.clone(), destination.clone());
                self.ours.ended(&self.versions, stamp, element);
            }
            if !gone.is_empty() {
                destinations.push(destination);
                stamps.extend(gone);
            }
        }
        let stamps = stamps.into_iter().collect();
        (!destinations.is_empty()).then_some(Change::RealmUnsubscribed { realm: name, destinations, stamps })
    }

    /// A server of a realm ends: another one is preferred, the one that it names or the next.
    fn realm_server_ends(&mut self, request: &Request<'_>, realm: RealmId) -> Reply {
        let named = first_text(request.notice.body);
        let Some(known) = self.realms.table.get_mut(realm) else { return Reply::Lost };
        let named = match named {
            b"" => None,
            text => {
                let address = std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok());
                let place = address.and_then(|address| known.targets.iter().position(|target| target.ip() == address));
                if place.is_none() {
                    return Reply::NotFound;
                }
                place
            }
        };
        if let Some(ends) = known.place_of(request.from)
            && ends == known.current
        {
            known.fail_over(ends);
            known.current = named.unwrap_or(known.current);
        }
        Reply::Sent
    }

    fn prefer_server(&mut self, realm: RealmId, server: SocketAddr) {
        if let Some(known) = self.realms.table.get_mut(realm)
            && let Some(place) = known.place_of(server)
        {
            known.current = place;
        }
    }

    /// What realms subscribed to and may no longer ends.
    pub(crate) fn end_forbidden_realm_subscriptions(&mut self) {
        let realms: Vec<RealmId> = self.realms.table.listed().map(|(id, _)| id).collect();
        for realm in realms {
            let askers = |held: &Held| held.asked().iter().map(|asked| asked.asker.clone()).collect();
            let held = self.realms.theirs.of(realm);
            let all: Vec<(Destination, Vec<Arc<[u8]>>)> =
                held.map(|(destination, held)| (destination.clone(), askers(held))).collect();
            let mut ended = Vec::new();
            for (destination, askers) in all {
                let may = askers.iter().any(|asker| self.realm_may_hold(realm, &destination, asker));
                if !may {
                    ended.push(destination);
                }
            }
            let count = self.end_realm_subscriptions(realm, ended);
            if count > 0
                && let Some(name) = self.realms.table.get(realm).map(|known| known.name.clone())
            {
                self.counters.subscriptions_ended += count as u64;
                self.report(LogEvent::RealmSubscriptionsEnded { realm: name.as_ref().into(), count });
            }
        }
    }

    fn realm_may_hold(&self, realm: RealmId, destination: &Destination, asker: &[u8]) -> bool {
        let verdict = self.vouched(realm, asker);
        let address = self.realms.table.get(realm).and_then(|known| known.target(known.current)).map(|it| it.ip());
        let who = Who { principal: verdict.identity().map(Identity::principal), address };
        let refused = self.forbidden_to_realm(realm, std::slice::from_ref(destination), &verdict, who);
        refused.first() == Some(&false)
    }
}
