//! Access control checks of requests (server behaviour, sections 8.3 and 11).
//!
//! Rules know proven principals and hosts. What a notice only says of its sender is never checked against
//! them.

use crate::server::{
    Change, Server,
    acl::{Act, Rules, Who},
    log_event::LogEvent,
    request::Request,
    state::{clients::ClientId, subscriptions::Destination},
};
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

/// The policy and rules that subscriptions are checked against.
#[derive(Clone, Copy)]
struct Measures<'a> {
    policy: &'a Policy,
    parties: Parties<'a>,
    rules: &'a Rules,
}

impl Measures<'_> {
    /// Checks a subscription against policy and rules.
    fn forbid(&self, destination: &Destination, verdict: &Verdict, who: Who<'_>) -> Option<Forbidden> {
        let class = destination.class();
        // Where no class has demands of its own, its name makes no difference.
        let of_class = (!self.policy.classes.is_empty()).then(|| FoldedName::from_folded(class));
        let decision = decide(self.policy, Action::Receive, verdict, of_class.as_ref(), &self.parties);
        if !decision.allows() {
            return Some(Forbidden::Policy(decision.refusal().cloned()));
        }
        if !self.rules.decide(class, Act::Subscribe, who).admits() {
            return Some(Forbidden::Class);
        }
        let everything = destination.instance() == ANY_INSTANCE;
        (everything && !self.rules.decide(class, Act::AnyInstance, who).admits()).then_some(Forbidden::AnyInstance)
    }
}

impl Forbidden {
    /// The refusal for the subscriber.
    fn text(&self, class: &[u8]) -> Option<String> {
        let end = class.len().min(MAX_CLASS_OCTETS);
        let class = sanitize::name(class.get(..end).unwrap_or_default());
        match self {
            Self::Policy(refusal) => refusal.as_ref().map(Refusal::text),
            Self::Class => Some(format!("you may not subscribe to class {class} here")),
            Self::AnyInstance => Some(format!("you may not subscribe to all instances of class {class} here")),
        }
    }
}

impl Server {
    /// Whether `who` may send this notice to its class and instance.
    pub(crate) fn may_send(&mut self, request: &Request<'_>, who: Who<'_>) -> bool {
        let notice = &request.notice;
        let (proven, rules) = (request.verdict.is_authentic(), &self.config.rules);
        let (sender, class, from) = (notice.sender, notice.class, request.from);
        if !rules.decide(&request.names.class, Act::Send, who).admits() {
            self.counters.send_refused += 1;
            self.report(LogEvent::SendRefused { sender: sender.into(), class: class.into(), proven, from });
            return false;
        }
        let own_instance = who.principal == Some(notice.instance);
        if !own_instance && !rules.decide(&request.names.class, Act::OtherInstance, who).admits() {
            self.counters.instance_refused += 1;
            let instance = notice.instance.into();
            let (sender, class) = (sender.into(), class.into());
            self.report(LogEvent::InstanceRefused { sender, class, instance, proven, from });
            return false;
        }
        true
    }

    /// The requested subscriptions that the rules admit; and whether the policy, which tells that in its answer,
    /// refuses some. The request gets a message about what is refused.
    pub(crate) fn permitted(
        &mut self,
        mut wanted: Vec<Destination>,
        request: &mut Request<'_>,
    ) -> (Vec<Destination>, bool) {
        let mut refused = Vec::new();
        let measures =
            Measures { policy: &self.config.policy, parties: self.parties(request.origin), rules: &self.config.rules };
        wanted.retain(|destination| match measures.forbid(destination, &request.verdict, request.who()) {
            None => true,
            Some(reason) => {
                refused.push((destination.clone(), reason));
                false
            }
        });
        let by_policy = refused.iter().any(|(_, reason)| matches!(reason, Forbidden::Policy(Some(_))));
        // One refusal is told: the last by the policy, or else the first. Only that is put into words.
        let told = refused.iter().rposition(|(_, reason)| matches!(reason, Forbidden::Policy(_)));
        let told = told.or(Some(0).filter(|_| request.message.is_none()));
        if let Some((destination, reason)) = told.and_then(|place| refused.get(place)) {
            request.message = reason.text(destination.class());
        }
        for (destination, reason) in refused {
            self.counters.subscription_refused += 1;
            self.report(LogEvent::SubscriptionRefused {
                sender: request.principal().into(),
                class: destination.class().into(),
                any_instance: reason == Forbidden::AnyInstance,
                client: request.client_address(),
            });
        }
        (wanted, by_policy)
    }

    /// Whether a request is proven to be an operator's.
    pub(crate) fn is_operator(&self, request: &Request<'_>) -> bool {
        request.verdict.identity().is_some_and(|identity| self.config.rules.is_operator(identity.principal()))
    }

    /// Ends what clients subscribed to and may no longer.
    pub(crate) fn end_forbidden_subscriptions(&mut self) {
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
            let (kept, ended): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|destination| measures.forbid(destination, &verdict, who).is_none());
            client.subscriptions = kept;
            if ended.is_empty() {
                continue;
            }
            let (principal, address, payer) = (client.principal.as_ref().into(), client.address(), client.payer());
            for destination in &ended {
                self.subscriptions.remove(destination, id, &payer);
            }
            self.counters.subscriptions_ended += ended.len() as u64;
            self.report(LogEvent::SubscriptionsEnded { principal, client: address, count: ended.len() });
            self.changed(Change::Unsubscribed { client: address, destinations: ended });
        }
    }
}
