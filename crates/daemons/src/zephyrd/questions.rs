//! What operators ask: the engine answers with data, the shell does what touches files.

use super::{
    access::{Act, ClassRuling, Ruling, Who},
    counters::Metric,
    engine::Engine,
};
use crate::operator::{AclCheck, AclRuling, Answer, ClientLine, Listing, Question, Status, SubscriptionLine, text};
use std::{collections::BTreeMap, net::SocketAddr};
use zephyr_core::{fold::fold, time::Now};

impl Engine {
    /// The answer to a question; `None` to what only the shell can answer.
    pub fn answer(&self, now: Now, question: &Question) -> Option<Answer> {
        Some(match question {
            Question::Status {} => Answer::Status(Box::new(self.status(now))),
            Question::Dump { here: true } => Answer::Dump(self.dump()),
            Question::Clients { limit } => Answer::Clients(self.list_clients(now, *limit)),
            Question::Subscriptions { class, limit } => {
                Answer::Subscriptions(self.list_subscriptions(class.as_bytes(), *limit))
            }
            Question::AclCheck { principal, class, address } => {
                let principal = Some(principal.as_bytes()).filter(|principal| !principal.is_empty());
                Answer::AclCheck(self.check_access(class, Who { principal, address: *address }))
            }
            Question::Dump { here: false } | Question::Reload {} => return None,
        })
    }

    fn status(&self, now: Now) -> Status {
        Status {
            version: self.config.version.clone(),
            host: self.config.host.clone(),
            address: SocketAddr::new(self.config.address.into(), self.config.port),
            realm: text(self.config.realms.local()),
            authentication: String::new(),
            seconds_operational: self.uptime(now).as_secs(),
            holds: by_field(&self.census().metrics()),
            counts: by_field(&self.counters().metrics()),
        }
    }

    fn check_access(&self, class: &str, who: Who<'_>) -> AclCheck {
        let class = fold(class.as_bytes());
        let rules = &self.config.rules;
        let mut restricted = false;
        let rulings = Act::ALL.map(|act| {
            let ruling = rules.decide(&class, act, who);
            restricted |= ruling != ClassRuling::Free;
            let list = act.word();
            let before = needed_before(act);
            if let Some(refused) = before.filter(|&before| !rules.decide(&class, before, who).admits()) {
                let why = format!("the {} list refuses already", refused.word());
                return AclRuling { act: described(act).to_owned(), list: list.to_owned(), allowed: false, why };
            }
            let why = match ruling {
                ClassRuling::Free => "the class is not in the registry".to_owned(),
                ClassRuling::NoList => format!("the class has no {list} list"),
                ClassRuling::List(Ruling::Admitted(line)) => format!("line {line} of its {list} list"),
                ClassRuling::List(Ruling::Refused(Some(line))) => format!("line {line} of its {list} list"),
                ClassRuling::List(Ruling::Refused(None)) => format!("nothing in its {list} list admits"),
            };
            AclRuling { act: described(act).to_owned(), list: list.to_owned(), allowed: ruling.admits(), why }
        });
        AclCheck { restricted, rulings: rulings.into() }
    }

    fn list_clients(&self, now: Now, limit: usize) -> Listing<ClientLine> {
        let line = |client: &super::clients::Client| ClientLine {
            address: client.address(),
            principal: text(&client.principal),
            proven: client.session.is_some(),
            subscriptions: client.subscriptions.len(),
            pending: self.deliveries.waiting_for(client.address()),
            seconds_silent: now.monotonic.saturating_sub(client.last_ack()).as_secs(),
        };
        let entries = self.clients.by_address().take(limit).map(|(_, client)| line(client)).collect();
        Listing { total: self.clients.len(), entries }
    }

    fn list_subscriptions(&self, class: &[u8], limit: usize) -> Listing<SubscriptionLine> {
        let class = fold(class);
        let class: &[u8] = &class;
        let all = self.clients.by_address().flat_map(|(_, client)| {
            client.subscriptions.iter().filter_map(move |destination| {
                let mut names = destination.text().splitn(3, |&octet| octet == 0);
                let (held, instance, recipient) = (names.next()?, names.next()?, names.next()?);
                (held == class).then_some((client, instance, recipient))
            })
        });
        let mut total = 0;
        let mut entries = Vec::new();
        for (client, instance, recipient) in all {
            total += 1;
            if entries.len() < limit {
                entries.push(SubscriptionLine {
                    instance: text(instance),
                    recipient: text(recipient),
                    principal: text(&client.principal),
                    client: client.address(),
                });
            }
        }
        Listing { total, entries }
    }
}

/// What must be allowed before this can be.
const fn needed_before(act: Act) -> Option<Act> {
    match act {
        Act::Send | Act::Subscribe => None,
        Act::AnyInstance => Some(Act::Subscribe),
        Act::OtherInstance => Some(Act::Send),
    }
}

/// What an act is called.
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
