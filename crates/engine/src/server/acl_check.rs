//! Who may do what: the engine's questions to its rules (server behaviour, sections 8.3 and 11).
//!
//! Rules know proven principals and hosts. What a notice only says of its sender is no answer to any of these questions.

use crate::server::{
    Outbox, Server,
    acl::{Act, Rules, Who},
    event::Event,
    policy_check::verdict_of,
    reply::Request,
    state::{clients::ClientId, subscriptions::Destination},
};
use zephyr_core::{
    auth::{Identity, Verdict},
    fold::fold,
    names::ANY_INSTANCE,
    policy::{Action, Parties, Policy, Refusal, decide},
};

/// Octets of a class's name in words, each of which may take four when it is no letter.
const WORDS_CLASS: usize = 32;

/// Why a subscription is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Forbidden {
    /// By the domain's policy; with words, where who subscribes may know why.
    Policy(Option<Refusal>),
    Class,
    AnyInstance,
}

fn forbidden(
    (policy, parties): (&Policy, &Parties<'_>),
    rules: &Rules,
    destination: &Destination,
    verdict: &Verdict,
    who: Who<'_>,
) -> Option<Forbidden> {
    let class = destination.class();
    let decision = decide(policy, Action::Receive, verdict, Some(class), parties);
    if !decision.allows() {
        return Some(Forbidden::Policy(decision.refusal().cloned()));
    }
    if !rules.decide(class, Act::Subscribe, who).admits() {
        return Some(Forbidden::Class);
    }
    let everything = destination.instance() == ANY_INSTANCE;
    (everything && !rules.decide(class, Act::AnyInstance, who).admits()).then_some(Forbidden::AnyInstance)
}

impl Forbidden {
    /// What who subscribed to this class is told.
    fn text(&self, class: &[u8]) -> Option<String> {
        let end = class.len().min(WORDS_CLASS);
        let class = class.get(..end).unwrap_or_default().escape_ascii();
        match self {
            Self::Policy(refusal) => refusal.as_ref().map(Refusal::text),
            Self::Class => Some(format!("you may not subscribe to class {class} here")),
            Self::AnyInstance => Some(format!("you may not subscribe to all instances of class {class} here")),
        }
    }
}

impl Server {
    /// Whether `who` may send this notice to its class and instance.
    pub(crate) fn may_send(&mut self, request: &Request<'_>, who: Who<'_>, out: &mut Outbox) -> bool {
        let notice = &request.notice;
        let class = fold(notice.class);
        let proven = request.verdict.is_authentic();
        if !self.config.rules.decide(&class, Act::Send, who).admits() {
            self.counters.send_refused += 1;
            let (sender, class) = (notice.sender.into(), notice.class.into());
            out.report(Event::SendRefused { sender, class, proven, from: request.from });
            return false;
        }
        let own_instance = who.principal == Some(notice.instance);
        if !own_instance && !self.config.rules.decide(&class, Act::OtherInstance, who).admits() {
            self.counters.instance_refused += 1;
            out.report(Event::InstanceRefused {
                sender: notice.sender.into(),
                class: notice.class.into(),
                instance: notice.instance.into(),
                proven,
                from: request.from,
            });
            return false;
        }
        true
    }

    /// Those of the wanted subscriptions that the rules admit; and whether the policy, which tells that in its answer,
    /// refuses some. The request gets words about what is refused.
    pub(crate) fn permitted(
        &mut self,
        mut wanted: Vec<Destination>,
        request: &mut Request<'_>,
        out: &mut Outbox,
    ) -> (Vec<Destination>, bool) {
        let mut by_policy = false;
        let (policy, parties) = (&self.config.policy, Parties::direct(self.config.realms.local()));
        wanted.retain(|destination| {
            let (verdict, who) = (&request.verdict, request.who());
            let Some(reason) = forbidden((policy, &parties), &self.config.rules, destination, verdict, who) else {
                return true;
            };
            let words = reason.text(destination.class());
            by_policy |= matches!(reason, Forbidden::Policy(Some(_)));
            if matches!(reason, Forbidden::Policy(_)) || request.message.is_none() {
                request.message = words;
            }
            self.counters.subscription_refused += 1;
            out.report(Event::SubscriptionRefused {
                sender: request.principal().into(),
                class: destination.class().into(),
                any_instance: reason == Forbidden::AnyInstance,
                client: request.client_address(),
            });
            false
        });
        (wanted, by_policy)
    }

    /// Whether a request is proven to be an operator's.
    pub(crate) fn is_operator(&self, request: &Request<'_>) -> bool {
        request.verdict.identity().is_some_and(|identity| self.config.rules.is_operator(identity.principal()))
    }

    /// Ends what clients subscribed to and may no longer.
    pub(crate) fn end_forbidden_subscriptions(&mut self, out: &mut Outbox) {
        let (rules, policy) = (self.config.rules.clone(), self.config.policy.clone());
        let home = self.config.realms.local().to_vec();
        let parties = Parties::direct(&home);
        let ids: Vec<ClientId> = self.clients.ids().collect();
        for id in ids {
            let Some(client) = self.clients.get_mut(id) else { continue };
            let verdict = verdict_of(client);
            let principal = verdict.identity().map(Identity::principal);
            let who = Who { principal, address: Some(client.address().ip()) };
            let (kept, ended) =
                std::mem::take(&mut client.subscriptions).into_iter().partition::<Vec<_>, _>(|destination| {
                    forbidden((&policy, &parties), &rules, destination, &verdict, who).is_none()
                });
            client.subscriptions = kept;
            if ended.is_empty() {
                continue;
            }
            let (principal, address) = (client.principal.as_ref().into(), client.address());
            for destination in &ended {
                self.subscriptions.remove(destination, id, address.ip());
            }
            self.counters.subscriptions_ended += ended.len() as u64;
            out.report(Event::SubscriptionsEnded { principal, client: address, count: ended.len() });
        }
    }
}
