//! Class ZEPHYR_CTL: subscriptions of clients (server behaviour, section 4).

use crate::server::{
    Change, Gone, Server,
    acl_check::shown_class,
    log_event::LogEvent,
    peers::ours::ended::Element,
    reply::Reply,
    request::{self, Request},
    stamp::Stamp,
    state::{
        clients::{Client, ClientId},
        standing::Standing,
        subscriptions::{Destination, Subscription},
    },
};
use std::{borrow::Cow, collections::HashSet};
use zephyr_core::{body::SubscriptionList, coding::ascii, fold::NameTooLong, names, policy::Action};

/// What is too long in a list of subscriptions, for the log and the subscriber.
const LONG_NAME: &str = "class or instance of a subscription";
/// Octets of a class name, before escaping, in what is said of the subscriptions that there is no room for.
const MAX_CLASS_OCTETS: usize = 24;
/// What the subscriber is told of subscriptions that have no class.
const WITHOUT_CLASS: &str = "a subscription without a class was passed over";

/// The subscriptions that a request asks for, and whether others were passed over because their names are too long.
#[derive(Default)]
struct Wanted {
    destinations: Vec<Destination>,
    too_long: bool,
}

/// Class, instance and recipient of a subscription.
type Triple<'a> = (&'a [u8], &'a [u8], Cow<'a, [u8]>);

/// The text at the beginning of a body, up to its NUL.
fn first_text(body: &[u8]) -> Option<&[u8]> {
    let end = body.iter().position(|&octet| octet == 0)?;
    body.get(..end)
}

impl Server {
    /// Handles a notice of class ZEPHYR_CTL.
    pub(crate) fn zephyr_ctl(&mut self, request: &mut Request<'_>) {
        let opcode = request.notice.opcode;
        if opcode == names::GIMME || opcode == names::GIMMEDEFS {
            self.reply(request, Reply::Sent);
            let entries = if opcode == names::GIMME { self.own_list(request) } else { self.default_list(request) };
            self.answer_with_list(request, &entries);
            return;
        }
        if !self.may_receive_somewhere(request) {
            if request.asks_for_client() {
                let is_free = self.clients.at(request.client_address()).is_none();
                self.reply(request, if is_free { Reply::Lost } else { Reply::Denied });
                return;
            }
            if !self.allowed(request, Action::Receive) {
                return;
            }
        }
        let answer = match opcode {
            names::SUBSCRIBE => self.subscribe(request, true),
            names::SUBSCRIBE_NODEFS => self.subscribe(request, false),
            names::UNSUBSCRIBE => self.unsubscribe(request),
            names::CLEARSUB => self.clear(request),
            names::FLUSHSUBS => self.flush(request),
            _ => {
                self.report(LogEvent::UnknownOpcode { class: "ctl", opcode: opcode.into(), from: request.from });
                Reply::Lost
            }
        };
        self.reply(request, answer);
        self.tell_of_orphans();
        self.probe(request.now);
    }

    fn subscribe(&mut self, request: &mut Request<'_>, with_defaults: bool) -> Reply {
        let address = request.client_address();
        if address.port() == 0 {
            request.message = Some("there is no port to send notices to".to_owned());
            return Reply::Denied;
        }
        let (id, kept) = match self.register(request) {
            Ok(registered) => registered,
            Err(answer) => return answer,
        };
        let Wanted { destinations: wanted, too_long } = self.own_triples(request);
        if too_long {
            if wanted.is_empty() {
                self.add_subscriptions(id, kept, request);
                request.message = Some(request::too_long(LONG_NAME));
                return Reply::Denied;
            }
            request.message = Some(request::too_long(LONG_NAME));
        }
        let asked_for = wanted.len();
        let (mut permitted, by_policy) = self.permitted(wanted, request, false);
        let refused = permitted.is_empty() && asked_for > 0 && by_policy;
        permitted = self.ask_realms(id, permitted, request);
        permitted.extend(kept);
        if refused {
            let message = request.message.take();
            self.add_subscriptions(id, permitted, request);
            request.message = message;
            return Reply::Denied;
        }
        if with_defaults {
            // What was not asked for is not missed where it is not to be had.
            let message = request.message.take();
            let defaults = self.config.rules.clone();
            let list = defaults.defaults.of(request.principal()).collect();
            permitted.extend(self.permitted(list, request, true).0);
            request.message = message;
        }
        self.add_subscriptions(id, permitted, request)
    }

    /// The subscriptions that a request asks for, without those for notices to somebody else and those with names that
    /// are too long.
    fn own_triples(&mut self, request: &mut Request<'_>) -> Wanted {
        let triples = self.triples(request);
        let sender = request.principal().to_vec();
        let mut wanted = Wanted::default();
        let (mut too_long, mut of_others) = (0, Vec::new());
        for (class, instance, recipient) in triples {
            if recipient.is_empty() || *recipient == *sender || recipient.starts_with(b"@") {
                match Destination::new(class, instance, &recipient) {
                    Ok(destination) => wanted.destinations.push(destination),
                    Err(NameTooLong) => too_long += 1,
                }
            } else {
                of_others.push(recipient);
            }
        }
        // One line for all of a kind: a list of many is one request.
        if let [recipient, more @ ..] = of_others.as_slice() {
            self.counters.recipient_refused += of_others.len() as u64;
            let (sender, recipient) = (sender.as_slice().into(), recipient.as_ref().into());
            self.report(LogEvent::RecipientRefused { sender, recipient, more: more.len() });
        }
        if too_long > 0 {
            wanted.too_long = true;
            self.counters.names_too_long += too_long as u64;
            let (sender, from) = (sender.as_slice().into(), request.from);
            self.report(LogEvent::NameTooLong { what: LONG_NAME, sender, from, more: too_long - 1 });
        }
        wanted
    }

    /// Adds subscriptions, until there is no room for more, of which the request gets a message.
    fn add_subscriptions(&mut self, id: ClientId, wanted: Vec<Destination>, request: &mut Request<'_>) -> Reply {
        let max = self.config.bounds.subscriptions_per_client;
        let address = request.client_address();
        let Some(client) = self.clients.get(id) else { return Reply::Lost };
        let (payer, held, owner) = (client.payer(), client.subscriptions.len(), client.owner());
        let (mut added, mut again) = (Vec::new(), Vec::new());
        let mut full = None;
        for destination in wanted {
            if self.subscriptions.contains(&destination, id) {
                if self.ours.is_wanted() {
                    again.push(destination);
                }
                continue;
            }
            let bound = if held + added.len() >= max {
                format!("at most {max} subscriptions of one client")
            } else if !self.has_room_for_subscription(id, &payer, destination.octets()) {
                "no more subscriptions of you or your host".to_owned()
            } else {
                added.extend(self.subscriptions.add(destination, id, &payer));
                continue;
            };
            let class = shown_class(destination.class(), MAX_CLASS_OCTETS);
            full = Some(format!("the server takes {bound}: those from class {class} on are left out"));
            break;
        }
        self.renew_subscriptions(id, &mut added, again);
        if !added.is_empty() {
            let stamp = self.changed(Change::Subscribed { client: address, owner, destinations: added.clone() });
            let Some(client) = self.clients.get_mut(id) else { return Reply::Lost };
            client.add(added, stamp);
        }
        if full.is_some() {
            request.message = full;
            self.counters.subscriptions_full += 1;
            self.report(LogEvent::Full { what: "subscriptions", from: address });
            return Reply::Lost;
        }
        Reply::Sent
    }

    /// What a client subscribes to again is new from now on: another server, which does not know that yet, may be ending what it
    /// had until now.
    fn renew_subscriptions(&mut self, id: ClientId, added: &mut Vec<Destination>, again: Vec<Destination>) {
        let mut seen = HashSet::new();
        let again: Vec<_> = again.into_iter().filter(|it| !added.contains(it) && seen.insert(it.clone())).collect();
        if again.is_empty() {
            return;
        }
        self.end_held(id, &again, |_| true);
        added.extend(again);
    }

    /// Takes those of these subscriptions off a client's own list whose stamps are meant; gives them and their stamps.
    pub(crate) fn end_held(
        &mut self,
        id: ClientId,
        destinations: &[Destination],
        is_meant: impl Fn(Stamp) -> bool,
    ) -> (Vec<Destination>, Vec<Stamp>) {
        let Some(client) = self.clients.get_mut(id) else { return Default::default() };
        let address = client.address();
        let ended = client.end(destinations, is_meant);
        let mut stamps: Vec<Stamp> = ended.iter().map(|held| held.stamp).collect();
        stamps.sort_unstable();
        stamps.dedup();
        let destinations: Vec<Destination> = ended.iter().map(|held| held.destination.clone()).collect();
        for Subscription { destination, stamp } in ended {
            self.ours.ended(&self.versions, stamp, || Element::Subscription(address, destination));
        }
        (destinations, stamps)
    }

    fn unsubscribe(&mut self, request: &mut Request<'_>) -> Reply {
        let id = match self.own_client(request) {
            Ok(Some(id)) => id,
            Ok(None) => return Reply::Lost,
            Err(answer) => return answer,
        };
        let Some(payer) = self.clients.get(id).map(Client::payer) else { return Reply::Lost };
        let triples = self.triples(request);
        if triples.is_empty() && payer.standing != request.standing() {
            // Who asks only whether he is known is not, as whom he has proven to be.
            return Reply::Lost;
        }
        let mut ended = Vec::new();
        for (class, instance, recipient) in triples {
            let Ok(destination) = Destination::new(class, instance, &recipient) else { continue };
            self.end_wish(id, &destination);
            let shared = self.subscriptions.shared(&destination);
            if self.subscriptions.remove(&destination, id, &payer) {
                ended.push(shared.unwrap_or(destination));
            }
        }
        let (destinations, stamps) = self.end_held(id, &ended, |_| true);
        if !destinations.is_empty() {
            self.changed(Change::Unsubscribed { client: request.client_address(), destinations, stamps });
        }
        Reply::Sent
    }

    fn clear(&mut self, request: &mut Request<'_>) -> Reply {
        match self.own_client(request) {
            Ok(Some(id)) => {
                self.remove_client(id, Gone::Ended);
                Reply::Sent
            }
            Ok(None) => Reply::Lost,
            Err(answer) => answer,
        }
    }

    fn flush(&mut self, request: &mut Request<'_>) -> Reply {
        let sender = request.principal();
        let target = match request.notice.body {
            b"" => sender,
            body => match first_text(body) {
                Some(b"") => sender,
                Some(target) => target,
                None => {
                    self.report(LogEvent::MalformedFlush { sender: sender.into() });
                    return Reply::Lost;
                }
            },
        };
        if target != sender && !self.is_operator(request) {
            self.counters.operator_refused += 1;
            self.report(LogEvent::FlushRefused { sender: sender.into(), target: target.into() });
            request.message = Some("only operators may end another user's subscriptions".to_owned());
            return Reply::Denied;
        }
        // Without proof anybody may say so: it counts for the clients of the host that it comes from, and for none that
        // are proven.
        let authentic = request.verdict.is_authentic();
        let is_concerned = |client: &Client| {
            authentic || client.standing() == Standing::Unproven && client.address().ip() == request.from.ip()
        };
        let of_target = self.clients.of_principal(target);
        let concerned = of_target.filter(|&id| self.clients.get(id).is_some_and(is_concerned));
        for id in concerned.collect::<Vec<ClientId>>() {
            self.take_client(id, Gone::Ended);
        }
        self.clear_up();
        Reply::Sent
    }

    /// The subscriptions of the asking client: nothing, unless it is the asker's own. What was set up with proof is not
    /// told without.
    fn own_list(&self, request: &Request<'_>) -> Vec<Vec<u8>> {
        let port = first_text(request.notice.body).unwrap_or(request.notice.body);
        let Ok(port) = ascii::decode_u16(port) else { return Vec::new() };
        let address = std::net::SocketAddr::new(request.from.ip(), port);
        let client = self.clients.at(address).and_then(|id| self.clients.get(id));
        match client {
            Some(client)
                // What anybody may have set up in a name is not told as the name's own.
                if *client.principal == *request.principal() && client.standing() == request.standing() =>
            {
                client.subscriptions.iter().map(|held| listed(&held.destination)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The default subscriptions, last line first, for whoever the asker says he is.
    fn default_list(&self, request: &Request<'_>) -> Vec<Vec<u8>> {
        self.config.rules.defaults.of(request.principal()).rev().map(|destination| listed(&destination)).collect()
    }

    /// The triples of a request that have a class, each once; recipient `@LOCAL` is nobody in particular, and `@REALM` names the
    /// realm in full. The request gets a message about those without.
    fn triples<'a>(&mut self, request: &mut Request<'a>) -> Vec<Triple<'a>> {
        let list = SubscriptionList::read(request.notice.body);
        if list.without_class > 0 {
            request.message = Some(WITHOUT_CLASS.to_owned());
            let sender = request.principal().into();
            self.report(LogEvent::SubscriptionWithoutClass { sender, more: list.without_class - 1 });
        }
        if let Some(number) = list.malformed {
            self.report(LogEvent::MalformedSubscription { sender: request.principal().into(), number });
        }
        let realms = &self.config.realms;
        let in_full = |recipient: &'a [u8]| match recipient.strip_prefix(b"@").map(|realm| realms.expand(realm)) {
            Some(realm) if realm == realms.local() => Cow::Borrowed(&b""[..]),
            Some(realm) if self.realms.table.named(realm).is_some() => Cow::Owned([b"@", realm].concat()),
            Some(_) | None => Cow::Borrowed(recipient),
        };
        list.triples.into_iter().map(|[class, instance, recipient]| (class, instance, in_full(recipient))).collect()
    }
}

/// One entry of a list of subscriptions.
fn listed(destination: &Destination) -> Vec<u8> {
    [destination.text(), b"\0"].concat()
}
