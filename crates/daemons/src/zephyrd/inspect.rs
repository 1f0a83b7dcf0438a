//! Answers to requests of operators about the server's state. What touches files is done by the shell.

use crate::admin_protocol::{
    AclCheck, AclRuling, Answer, ClientLine, ControlRequest, Listing, PolicyInForce, Status, SubscriptionLine, text,
};
use std::{collections::BTreeMap, net::SocketAddr};
use zephyr_core::{fold::fold, time::Now};
use zephyr_engine::server::{
    ClientView, Metric, Server, SubscriptionView,
    acl::{AclDecision, Act, ListDecision, Who},
};

/// The answer to a request about a server; `None` to what only the program around it can answer.
pub fn answer(server: &Server, now: Now, request: &ControlRequest) -> Option<Answer> {
    Inspector(server).answer(now, request)
}

struct Inspector<'a>(&'a Server);

impl Inspector<'_> {
    fn answer(&self, now: Now, request: &ControlRequest) -> Option<Answer> {
        Some(match request {
            ControlRequest::Status {} => Answer::Status(Box::new(self.status(now))),
            ControlRequest::Dump { here: true } => Answer::Dump(self.0.dump()),
            ControlRequest::Clients { limit } => Answer::Clients(self.list_clients(now, *limit)),
            ControlRequest::Subscriptions { class, limit } => {
                Answer::Subscriptions(self.list_subscriptions(class.as_bytes(), *limit))
            }
            ControlRequest::AclCheck { principal, class, address } => {
                let principal = Some(principal.as_bytes()).filter(|principal| !principal.is_empty());
                Answer::AclCheck(self.check_access(class, Who { principal, address: *address }))
            }
            ControlRequest::Dump { here: false } | ControlRequest::Reload {} => return None,
        })
    }

    fn status(&self, now: Now) -> Status {
        Status {
            version: self.0.config().version.clone(),
            host: self.0.config().host.clone(),
            address: SocketAddr::new(self.0.config().address.into(), self.0.config().port),
            realm: text(self.0.config().realms.local()),
            authentication: String::new(),
            policy: PolicyInForce::default(),
            metrics: None,
            seconds_operational: self.0.uptime(now).as_secs(),
            holds: by_field(&self.0.gauges().metrics()),
            counts: by_field(&self.0.counters().metrics()),
        }
    }

    fn check_access(&self, class: &str, who: Who<'_>) -> AclCheck {
        let class = fold(class.as_bytes());
        let rules = &self.0.config().rules;
        let mut restricted = false;
        let rulings = Act::ALL.map(|act| {
            let ruling = rules.decide(&class, act, who);
            restricted |= ruling != AclDecision::Free;
            let list = act.name();
            let before = needed_before(act);
            if let Some(refused) = before.filter(|&before| !rules.decide(&class, before, who).admits()) {
                let why = format!("the {} list refuses already", refused.name());
                return AclRuling { act: described(act).to_owned(), list: list.to_owned(), allowed: false, why };
            }
            let why = match ruling {
                AclDecision::Free => "the class is not in the registry".to_owned(),
                AclDecision::NoList => format!("the class has no {list} list"),
                AclDecision::List(ListDecision::Admitted(line)) => format!("line {line} of its {list} list"),
                AclDecision::List(ListDecision::Refused(Some(line))) => format!("line {line} of its {list} list"),
                AclDecision::List(ListDecision::Refused(None)) => format!("nothing in its {list} list admits"),
            };
            AclRuling { act: described(act).to_owned(), list: list.to_owned(), allowed: ruling.admits(), why }
        });
        AclCheck { restricted, rulings: rulings.into() }
    }

    fn list_clients(&self, now: Now, limit: usize) -> Listing<ClientLine> {
        let line = |client: ClientView<'_>| ClientLine {
            address: client.address,
            principal: text(client.principal),
            proven: client.proven,
            confirmed: client.confirmed,
            subscriptions: client.subscriptions,
            pending: client.pending,
            seconds_silent: client.silent.as_secs(),
        };
        Listing { total: self.0.gauges().clients, entries: self.0.clients(now).take(limit).map(line).collect() }
    }

    fn list_subscriptions(&self, class: &[u8], limit: usize) -> Listing<SubscriptionLine> {
        let line = |subscription: SubscriptionView<'_>| SubscriptionLine {
            instance: text(subscription.instance),
            recipient: text(subscription.recipient),
            principal: text(subscription.principal),
            client: subscription.client,
        };
        let mut all = self.0.subscriptions_to(class);
        let entries: Vec<SubscriptionLine> = all.by_ref().take(limit).map(line).collect();
        Listing { total: entries.len() + all.count(), entries }
    }
}

/// The action that must be allowed as well.
const fn needed_before(act: Act) -> Option<Act> {
    match act {
        Act::Send | Act::Subscribe => None,
        Act::AnyInstance => Some(Act::Subscribe),
        Act::OtherInstance => Some(Act::Send),
    }
}

/// The description of an action.
const fn described(act: Act) -> &'static str {
    match act {
        Act::Send => "send",
        Act::Subscribe => "subscribe",
        Act::AnyInstance => "subscribe to all instances",
        Act::OtherInstance => "send to any instance",
    }
}

fn by_field(metrics: &[Metric]) -> BTreeMap<String, u64> {
    metrics.iter().map(|metric| (metric.field.to_owned(), metric.value)).collect()
}
