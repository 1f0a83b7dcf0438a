//! Access control checks of requests (server behaviour, sections 8.3 and 11).
//!
//! Rules know proven principals and hosts. What a notice only says of its sender is never checked against
//! them.

use crate::server::{
    Change, Server,
    acl::{Act, Rules, Ruling, Who},
    log_event::LogEvent,
    origin::{Origin, RealmId},
    peers::ours::ended::Element,
    request::Request,
    server_class::ServerClass,
    stamp::Stamp,
    state::{
        clients::{Client, ClientId},
        subscriptions::{Destination, Subscription},
    },
};
use std::collections::HashMap;
use zephyr_core::{
    auth::{Identity, Verdict},
    fold::FoldedName,
    names::ANY_INSTANCE,
    policy::{Action, Parties, Policy, Refusal, decide},
    sanitize,
};

/// Octets of a class name in a refusal, before escaping, which makes up to four of each.
const MAX_CLASS_OCTETS: usize = 32;

/// Reasons to refuse a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Forbidden {
    /// By the domain's policy; with the refusal, where who subscribes may know why.
    Policy(Option<Refusal>),
    Class,
    AnyInstance,
}

/// The decision on what somebody may do with a class, and on what it is based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is one of the server's own classes, to which nobody sends notices for others.
    ServerClass(ServerClass),
    /// The domain's policy refuses; with the refusal, where who asks may know why.
    Policy(Option<Refusal>),
    /// The rules decide.
    Rules(Ruling),
}

impl Access {
    /// Whether it is allowed.
    pub const fn is_allowed(&self) -> bool {
        match self {
            Self::ServerClass(_) | Self::Policy(_) => false,
            Self::Rules(ruling) => ruling.decision.admits(),
        }
    }
}

/// What the server decides when somebody, whose principal counts as proven, does something with a class of any spelling: the same
/// questions in the same order as those that requests are put to.
pub fn access(policy: &Policy, rules: &Rules, home: &[u8], class: &[u8], act: Act, who: Who<'_>) -> Access {
    let class = FoldedName::new(class);
    let action = match act {
        Act::Send | Act::OtherInstance => Action::Send,
        Act::Subscribe | Act::AnyInstance => Action::Receive,
    };
    if action == Action::Send
        && let Some(server_class) = ServerClass::of(&class)
    {
        return Access::ServerClass(server_class);
    }
    let proven = who.principal.map_or(Verdict::Unauthenticated, |name| Verdict::Authentic(Identity::new(name)));
    let parties = Parties::direct(home);
    let verdict = policy.trusted(&proven, &parties).0;
    let who = Who { principal: verdict.identity().map(Identity::principal), ..who };
    Measures { policy, parties, rules }.access(&class, action, act, &proven, who)
}

/// The policy and rules that subscriptions are checked against.
#[derive(Clone, Copy)]
struct Measures<'a> {
    policy: &'a Policy,
    parties: Parties<'a>,
    rules: &'a Rules,
}

impl Measures<'_> {
    /// Checks subscriptions, in their order. Access control lists may be long: each is looked at once, however often
    /// its class is named.
    fn judge(&self, wanted: &[Destination], verdict: &Verdict, who: Who<'_>) -> Vec<Option<Forbidden>> {
        let is_same_for_all = self.policy.classes.is_empty() && self.rules.registered() == 0;
        let mut judged = HashMap::new();
        // Most lists name a class several times in turn.
        let mut last: Option<(_, Option<Forbidden>)> = None;
        let judge = |destination| {
            let about = if is_same_for_all { (&b""[..], false) } else { about(destination) };
            if let Some((before, reason)) = &last
                && *before == about
            {
                return reason.clone();
            }
            let forbid = || self.forbid(about.0, about.1, verdict, who);
            let reason = match self.rules.is_registered(about.0) {
                true => judged.entry(about).or_insert_with(forbid).clone(),
                false => forbid(),
            };
            last = Some((about, reason.clone()));
            reason
        };
        wanted.iter().map(judge).collect()
    }

    /// Checks a subscription to a class, or to `everything` in it, against policy and rules.
    fn forbid(&self, class: &[u8], everything: bool, verdict: &Verdict, who: Who<'_>) -> Option<Forbidden> {
        let act = if everything { Act::AnyInstance } else { Act::Subscribe };
        match self.access(class, Action::Receive, act, verdict, who) {
            allowed if allowed.is_allowed() => None,
            Access::Policy(refusal) => Some(Forbidden::Policy(refusal)),
            Access::Rules(Ruling { act: Act::AnyInstance, .. }) => Some(Forbidden::AnyInstance),
            Access::Rules(_) | Access::ServerClass(_) => Some(Forbidden::Class),
        }
    }

    /// Decides on what is an action of the policy and an act of the rules on a class, whose name is given in folded form.
    fn access(&self, class: &[u8], action: Action, act: Act, verdict: &Verdict, who: Who<'_>) -> Access {
        // Where no class has demands of its own, its name makes no difference.
        let of_class = (!self.policy.classes.is_empty()).then(|| FoldedName::from_folded(class));
        let decision = decide(self.policy, action, verdict, of_class.as_ref(), &self.parties);
        match decision.allows() {
            true => Access::Rules(self.rules.ruling(class, act, who)),
            false => Access::Policy(decision.refusal().cloned()),
        }
    }
}

/// What a subscription is judged by: its class, and whether it is to all of its instances.
fn about(destination: &Destination) -> (&[u8], bool) {
    (destination.class(), destination.instance() == ANY_INSTANCE)
}

/// So many octets of a class name, for a message.
pub(crate) fn shown_class(class: &[u8], octets: usize) -> String {
    sanitize::name(class.get(..octets).unwrap_or(class))
}

impl Forbidden {
    /// The refusal for the subscriber.
    fn text(&self, class: &[u8]) -> Option<String> {
        let class = shown_class(class, MAX_CLASS_OCTETS);
        match self {
            Self::Policy(refusal) => refusal.as_ref().map(Refusal::text),
            Self::Class => Some(format!("you may not subscribe to class {class} here")),
            Self::AnyInstance => Some(format!("you may not subscribe to all instances of class {class} here")),
        }
    }
}

impl Server {
    /// Why `who` may not send this notice to its class and instance; `None` when he may.
    pub(crate) fn forbidden_to_send(&mut self, request: &Request<'_>, who: Who<'_>) -> Option<String> {
        let notice = &request.notice;
        let (proven, rules) = (request.verdict.is_authentic(), &self.config.rules);
        let (sender, class, from) = (notice.sender, notice.class, request.from);
        let own_instance = who.principal == Some(notice.instance);
        let act = if own_instance { Act::Send } else { Act::OtherInstance };
        let ruling = rules.ruling(&request.names.class, act, who);
        if ruling.decision.admits() {
            return None;
        }
        let shown = shown_class(class, MAX_CLASS_OCTETS);
        if ruling.act == Act::Send {
            self.counters.send_refused += 1;
            self.report(LogEvent::SendRefused { sender: sender.into(), class: class.into(), proven, from });
            Some(format!("you may not send to class {shown} here"))
        } else {
            self.counters.instance_refused += 1;
            let instance = notice.instance.into();
            let (sender, class) = (sender.into(), class.into());
            self.report(LogEvent::InstanceRefused { sender, class, instance, proven, from });
            Some(format!("you may send to no instance of class {shown} here but your own name"))
        }
    }

    /// The requested subscriptions that the rules admit; and whether the policy, which tells that in its answer,
    /// refuses some. The request gets a message about what is refused. `by_default`: nobody asked for them.
    pub(crate) fn permitted(
        &mut self,
        wanted: Vec<Destination>,
        request: &mut Request<'_>,
        by_default: bool,
    ) -> (Vec<Destination>, bool) {
        let measures =
            Measures { policy: &self.config.policy, parties: self.parties(request.origin), rules: &self.config.rules };
        let reasons = measures.judge(&wanted, &request.verdict, request.who());
        let mut permitted = Vec::with_capacity(wanted.len());
        let mut refused = Vec::new();
        for (destination, reason) in wanted.into_iter().zip(reasons) {
            match reason {
                None => permitted.push(destination),
                Some(reason) => refused.push((destination, reason)),
            }
        }
        let by_policy = refused.iter().any(|(_, reason)| matches!(reason, Forbidden::Policy(Some(_))));
        // One refusal is told: the last by the policy, or else the first. Only that is put into words.
        let told = refused.iter().rposition(|(_, reason)| matches!(reason, Forbidden::Policy(_)));
        let told = told.or(Some(0).filter(|_| request.message.is_none()));
        if let Some((destination, reason)) = told.and_then(|place| refused.get(place)) {
            request.message = reason.text(destination.class());
        }
        self.counters.subscription_refused += refused.len() as u64;
        // One line for all of them: a list of many is one request.
        if let [(destination, reason), more @ ..] = refused.as_slice() {
            self.report(LogEvent::SubscriptionRefused {
                sender: request.principal().into(),
                class: destination.class().into(),
                any_instance: *reason == Forbidden::AnyInstance,
                by_default,
                client: request.client_address(),
                more: more.len(),
            });
        }
        (permitted, by_policy)
    }

    /// Which of these subscriptions another realm may not have, for somebody of whom so much is known.
    pub(crate) fn forbidden_to_realm(
        &self,
        realm: RealmId,
        wanted: &[Destination],
        verdict: &Verdict,
        who: Who<'_>,
    ) -> Vec<bool> {
        let (policy, rules) = (&self.config.policy, &*self.config.rules);
        let measures = Measures { policy, parties: self.parties(Origin::Realm(realm)), rules };
        measures.judge(wanted, verdict, who).into_iter().map(|reason| reason.is_some()).collect()
    }

    /// Whether a client may be subscribed to something, by policy and rules.
    pub(crate) fn may_hold(&self, client: &Client, destination: &Destination) -> bool {
        let verdict = client.verdict();
        let principal = verdict.identity().map(Identity::principal);
        let who = Who { principal, address: Some(client.address().ip()) };
        let parties = Parties::direct(self.config.realms.local());
        let measures = Measures { policy: &self.config.policy, parties, rules: &self.config.rules };
        let (class, everything) = about(destination);
        measures.forbid(class, everything, &verdict, who).is_none()
    }

    /// Whether a request is proven to be an operator's.
    pub(crate) fn is_operator(&self, request: &Request<'_>) -> bool {
        request.verdict.identity().is_some_and(|identity| self.config.rules.is_operator(identity.principal()))
    }

    /// Ends what clients subscribed to and may no longer.
    pub(crate) fn end_forbidden_subscriptions(&mut self) {
        self.end_forbidden_realm_subscriptions();
        let (rules, policy) = (self.config.rules.clone(), self.config.policy.clone());
        let home = self.config.realms.local().to_vec();
        let measures = Measures { policy: &policy, parties: Parties::direct(&home), rules: &rules };
        let ids: Vec<ClientId> = self.clients.ids().collect();
        for id in ids {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let verdict = client.verdict();
            let principal = verdict.identity().map(Identity::principal);
            let who = Who { principal, address: Some(client.address().ip()) };
            let all = std::mem::take(&mut client.subscriptions);
            let is_allowed = |held: &Subscription| {
                let (class, everything) = about(&held.destination);
                measures.forbid(class, everything, &verdict, who).is_none()
            };
            let (kept, ended): (Vec<_>, Vec<_>) = all.into_iter().partition(is_allowed);
            client.subscriptions = kept;
            if ended.is_empty() {
                continue;
            }
            let (principal, address, payer) = (client.principal.as_ref().into(), client.address(), client.payer());
            let mut stamps: Vec<Stamp> = ended.iter().map(|held| held.stamp).collect();
            stamps.dedup();
            for Subscription { destination, stamp } in &ended {
                self.ours.ended(&self.versions, *stamp, || Element::Subscription(address, destination.clone()));
            }
            let ended: Vec<Destination> = ended.into_iter().map(|held| held.destination).collect();
            for destination in &ended {
                self.subscriptions.remove(destination, id, &payer);
            }
            self.counters.subscriptions_ended += ended.len() as u64;
            self.report(LogEvent::SubscriptionsEnded { principal, client: address, count: ended.len() });
            self.changed(Change::Unsubscribed { client: address, destinations: ended, stamps });
        }
    }
}
