//! Answers to requests of operators about the server's state. What touches files is done by the shell.

use crate::admin_protocol::{
    AclCheck, AclRuling, Answer, ClientLine, ControlRequest, Listing, PeerLine, PolicyInForce, RealmLine,
    RealmServerLine, StateStatus, Status, SubscriptionLine, text,
};
use std::{collections::BTreeMap, net::SocketAddr};
use zephyr_core::{fold::fold, realm::completed, time::Now};
use zephyr_engine::server::{
    Access, ClientView, Metric, PeerKind, PeerView, RealmServer, RealmState, RealmView, Server, ServerClass,
    SubscriptionView, access,
    acl::{AclDecision, Act, ListDecision, Ruling, Who},
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
                // A name alone is somebody of the server's realm, as for `policy explain`.
                let principal = Some(principal.as_bytes()).filter(|principal| !principal.is_empty());
                let principal = principal.map(|principal| completed(principal, self.0.config().realms.local()));
                Answer::AclCheck(self.check_access(class, Who { principal: principal.as_deref(), address: *address }))
            }
            ControlRequest::Peers {} => Answer::Peers(self.peers(now)),
            ControlRequest::Realms {} => Answer::Realms(self.list_realms(now)),
            ControlRequest::Dump { here: false }
            | ControlRequest::Drain {}
            | ControlRequest::EndDrain {}
            | ControlRequest::Reload {} => return None,
        })
    }

    fn status(&self, now: Now) -> Status {
        Status {
            version: self.0.config().version.clone(),
            host: self.0.config().host.clone(),
            address: SocketAddr::new(self.0.config().address.into(), self.0.config().port),
            realm: text(self.0.config().realms.local()),
            realms: self.0.other_realms(now).count(),
            realms_up: self.0.other_realms(now).filter(|realm| realm.state == RealmState::Up).count(),
            authentication: String::new(),
            policy: PolicyInForce::default(),
            metrics: None,
            state: StateStatus::default(),
            seconds_operational: self.0.uptime(now).as_secs(),
            holds: by_field(&self.0.gauges().metrics()),
            counts: by_field(&self.0.counters().metrics()),
        }
    }

    fn peers(&self, now: Now) -> Vec<PeerLine> {
        let line = |peer: PeerView| PeerLine {
            name: peer.name.into(),
            addresses: peer.addresses,
            program: match peer.kind {
                PeerKind::Ours if !peer.is_known => "?",
                PeerKind::Ours => "zephyr-rs",
                PeerKind::C => "C",
            }
            .to_owned(),
            state: peer.state.to_owned(),
            seconds: peer.since.as_secs(),
            behind: peer.behind,
            remarks: peer.remarks,
        };
        self.0.peers(now).into_iter().map(line).collect()
    }

    fn list_realms(&self, now: Now) -> Vec<RealmLine> {
        let line = |realm: RealmView<'_>| RealmLine {
            realm: text(realm.name),
            state: state_of(realm.state).to_owned(),
            seconds_silent: realm.silent.as_secs(),
            no_session: realm.no_session.map(ToString::to_string),
            waiting: realm.pending,
            subscriptions: realm.subscriptions,
            servers: realm.servers.iter().map(|server| realm_server(server, realm.current)).collect(),
        };
        self.0.other_realms(now).map(line).collect()
    }

    fn check_access(&self, class: &str, who: Who<'_>) -> AclCheck {
        let config = self.0.config();
        let rulings = Act::ALL.map(|act| {
            let decision = access(&config.policy, &config.rules, config.realms.local(), class.as_bytes(), act, who);
            let (list, allowed, why) = (act.name().to_owned(), decision.is_allowed(), why(act, &decision));
            AclRuling { act: described(act).to_owned(), list, allowed, why }
        });
        AclCheck { restricted: config.rules.is_registered(&fold(class.as_bytes())), rulings: rulings.into() }
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

fn realm_server(server: &RealmServer, current: Option<SocketAddr>) -> RealmServerLine {
    RealmServerLine {
        name: server.name.clone(),
        addresses: server.addresses.clone(),
        sends: server.sends,
        current: server.sends && current.is_some_and(|current| server.addresses.contains(&current)),
    }
}

/// How a realm is, in a word.
const fn state_of(state: RealmState) -> &'static str {
    match state {
        RealmState::New => "new",
        RealmState::Tardy => "tardy",
        RealmState::Up => "up",
        RealmState::Starting => "starting",
        RealmState::Dead => "dead",
    }
}

/// The reason for a decision on an action.
fn why(act: Act, decision: &Access) -> String {
    let list = act.name();
    match decision {
        Access::ServerClass(ServerClass::Login) => {
            "the server takes nothing in class login but what users tell of their own locations".to_owned()
        }
        Access::ServerClass(_) => "the class is the server's own: what is sent to it reaches nobody else".to_owned(),
        Access::Policy(Some(refusal)) => format!("the policy refuses: {refusal}"),
        Access::Policy(None) => "the policy drops it".to_owned(),
        Access::Rules(Ruling { act: other, .. }) if *other != act => {
            format!("the {} list refuses already", other.name())
        }
        Access::Rules(Ruling { decision, .. }) => match decision {
            AclDecision::Free => "the class is not in the registry".to_owned(),
            AclDecision::NoList => format!("the class has no {list} list"),
            AclDecision::List(ListDecision::Admitted(line) | ListDecision::Refused(Some(line))) => {
                format!("line {line} of its {list} list")
            }
            AclDecision::List(ListDecision::Refused(None)) => format!("nothing in its {list} list admits"),
        },
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
