//! The workload: what programs order of their clients.

use super::{
    invariants::Violation,
    node::Role,
    process::Stimulus,
    trace::beginning,
    truth::Heading,
    world::{Happening, World},
};
use zephyr_core::{body::Place, exposure::Exposure, kind::Kind, names, realm::completed};
use zephyr_engine::client::{
    Command, LocationChange, Message, Operation, OperationId, Subscription, SubscriptionRequest,
};

/// Classes that people use.
const CLASSES: [&str; 4] = ["news", "help", "News", "lunch"];
/// Instances that people use.
const INSTANCES: [&str; 3] = ["general", "printers", "x"];

impl World {
    /// A client has started: it subscribes, and orders more later.
    pub(super) fn begin_program(&mut self, node: usize) -> Result<(), Violation> {
        let list = vec![Subscription::new("MESSAGE", "*", "me"), ("news", "*").into(), ("LOGIN", "*").into()];
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        self.begin(node, Operation::Subscribe { request, list, port: None })?;
        if self.interference.is_none() {
            self.order_later(node);
        }
        Ok(())
    }

    fn order_later(&mut self, node: usize) {
        let pause = self.scenario.pause;
        let delay = self.random.between(pause / 10, pause * 2);
        let who = self.nodes[node].incarnation(node);
        self.later(delay, Happening::Order(who));
    }

    /// A program orders something.
    pub(super) fn order(&mut self, node: usize) -> Result<(), Violation> {
        self.order_later(node);
        let operation = self.operation(node);
        self.begin(node, operation)
    }

    /// What a program orders.
    pub(super) fn operation(&mut self, node: usize) -> Operation {
        match self.random.below(20) {
            0 => Operation::ListSubscriptions { port: None },
            1 => self.change_location(node),
            2 => Operation::CancelSubscriptions { port: None },
            3 | 4 => {
                let request = SubscriptionRequest::Unsubscribe;
                Operation::Subscribe { request, list: self.some_subscriptions(), port: None }
            }
            5..=8 => {
                let request = SubscriptionRequest::Subscribe;
                Operation::Subscribe { request, list: self.some_subscriptions(), port: None }
            }
            9 => Operation::Identify,
            _ => self.message(node),
        }
    }

    fn some_subscriptions(&mut self) -> Vec<Subscription> {
        (0..self.random.below(4))
            .map(|_| {
                let class = self.random.pick(&CLASSES).copied().unwrap_or_default();
                let instance = self.random.pick(&INSTANCES).copied().unwrap_or_default();
                let instance = if self.random.chance(500) { "*" } else { instance };
                Subscription::new(class, instance, "*")
            })
            .collect()
    }

    /// Whose program a client is.
    pub(super) fn user_of(&self, node: usize) -> usize {
        match self.nodes[node].role {
            Role::Client { user, .. } => user,
            Role::Server | Role::HostManager => 0,
        }
    }

    /// Who the user of a client is.
    pub(super) fn principal_of(&self, node: usize) -> &str {
        let user = self.user_of(node);
        &self.domains[self.nodes[node].domain].users[user].principal
    }

    fn change_location(&mut self, node: usize) -> Operation {
        self.texts += 1;
        let change = LocationChange {
            exposure: self.random.one_of(None, Exposure::ALL.map(Some)),
            host: self.nodes[node].name.clone(),
            tty: "pts/1".to_owned(),
            time: format!("time {}", self.texts),
            port: None,
        };
        let sender = self.principal_of(node).as_bytes().to_vec();
        let place = Place { machine: change.host.as_bytes(), time: change.time.as_bytes(), tty: change.tty.as_bytes() };
        for opcode in [names::USER_LOGIN, names::USER_LOGOUT] {
            let heading = Heading {
                sender: sender.clone(),
                class: names::LOGIN.to_vec(),
                instance: sender.clone(),
                opcode: opcode.to_vec(),
                recipient: Vec::new(),
            };
            self.checker.truth.say(heading, &place.body());
        }
        Operation::ChangeLocation(change)
    }

    fn message(&mut self, node: usize) -> Operation {
        let class = self.random.pick(&CLASSES).copied().unwrap_or_default();
        let instance = self.random.pick(&INSTANCES).copied().unwrap_or_default();
        let users = &self.domains[self.nodes[node].domain].users;
        let other = self.random.pick(users).map(|user| user.principal.clone()).unwrap_or_default();
        let mut message = match self.random.below(3) {
            0 => Message::to_user(other.split('@').next().unwrap_or_default()),
            _ => Message::to_class(class).instance(instance),
        };
        if self.random.chance(100) {
            message = message.opcode("PING");
        }
        let length = match self.random.below(10) {
            0 => 900 + self.random.below(5000),
            1 => 400 + self.random.below(500),
            _ => self.random.below(60),
        };
        message = self.with_text(message, length);
        message =
            message.kind(self.random.one_of(Kind::Acked, [Kind::Acked, Kind::Acked, Kind::Unacked, Kind::Unsafe]));
        if self.random.chance(150) {
            message = message.authenticated(false);
            if self.random.chance(300) {
                message = message.sender(other);
            }
        } else {
            self.say(node, &message);
        }
        Operation::Send(message)
    }

    /// A message with a text that no other has.
    pub(super) fn with_text(&mut self, message: Message, length: usize) -> Message {
        self.texts += 1;
        message.signature("somebody").text(format!("text {} {}", self.texts, "x".repeat(length)))
    }

    /// The user of a client says this, and proves it.
    pub(super) fn say(&mut self, node: usize, message: &Message) {
        let realm = &self.domains[self.nodes[node].domain].realm;
        let notice = message.notice();
        let recipient = completed(notice.recipient, realm.as_bytes()).into_owned();
        let sender = self.principal_of(node).as_bytes().to_vec();
        self.checker.truth.say(Heading { recipient, sender, ..Heading::of(&notice) }, notice.body);
    }

    /// A program begins an operation.
    pub(super) fn begin(&mut self, node: usize, operation: Operation) -> Result<(), Violation> {
        self.nodes[node].operations += 1;
        let id = OperationId(self.nodes[node].operations);
        let who = self.nodes[node].incarnation(node);
        self.checker.begun(who, id);
        self.tell(node, || format!("begins {}: {}", id.0, operation_in_words(&operation)));
        self.give(node, Stimulus::Client(Command::Begin { id, operation }))
    }
}

fn operation_in_words(operation: &Operation) -> String {
    match operation {
        Operation::Send(message) => {
            let notice = message.notice();
            let [class, instance, recipient] =
                [notice.class, notice.instance, notice.recipient].map(|text| text.escape_ascii().to_string());
            let length = notice.body.len();
            format!(
                "send {} {class}/{instance} to {recipient:?}, {length} octets {:?}",
                notice.kind,
                beginning(notice.body)
            )
        }
        other => format!("{other:?}"),
    }
}
