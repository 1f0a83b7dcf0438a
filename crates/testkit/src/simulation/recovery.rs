//! The end of a simulation: the network heals, every client sends one more notice, and every reader must receive it.

use super::{
    invariants::{Incarnation, Invariant, Violation},
    mutant::Mutant,
    node::{Node, Role},
    scenario::Scenario,
    trace::beginning,
    truth::Heading,
    world::{Happening, World},
};
use std::time::Duration;
use zephyr_core::names;
use zephyr_engine::client::{
    Message, Operation, OperationError, OperationId, Outcome, Subscription, SubscriptionRequest,
};

/// From the healing on: when everybody subscribes once more. A host manager gives up what it has kept, and programs that could
/// not start have started.
pub(super) const SUBSCRIBING: Duration = Duration::from_secs(420);
/// When everybody says one more thing.
pub(super) const SENDING: Duration = Duration::from_secs(450);
/// When every reader must have received it.
pub(super) const CHECKING: Duration = Duration::from_secs(600);
/// When every host manager must be at the best of its servers.
pub(super) const RETURNED: Duration = Duration::from_secs(690);
/// When a server of each domain with several crashes once more.
pub(super) const FAILING: Duration = Duration::from_secs(700);
/// When everybody there says one more thing: no host manager knows of it yet.
pub(super) const SENDING_AGAIN: Duration = Duration::from_secs(702);
/// When every reader must have received that, and nobody may have had to subscribe again.
pub(super) const CHECKING_AGAIN: Duration = Duration::from_secs(850);
/// When that server starts again.
const STARTING_AGAIN: Duration = Duration::from_secs(1300);
/// When host managers are sent to other servers, where that is put in as a fault.
const WANDERING: Duration = Duration::from_secs(500);
/// When nothing must be left to do: servers have given up those who are gone.
pub(super) const SETTLING: Duration = Duration::from_secs(2200);

/// The class of what is said in the end.
const CLASS: &str = "finale";

/// What a client said in the end.
#[derive(Clone, Debug)]
pub(super) struct LastWord {
    who: Incarnation,
    id: OperationId,
    message: Message,
    /// The server that its host manager was at.
    server: String,
    outcome: Option<Result<Outcome, OperationError>>,
}

impl World {
    /// The network is well, all programs run, all clocks are right, and all users have tickets.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.trace.add(self.now, "world", || "heals".to_owned());
        self.is_well = true;
        self.nodes.iter_mut().for_each(|node| node.dies_of_answer = None);
        self.network.heal();
        self.hosts.iter_mut().for_each(|host| host.clock.offset = 0);
        for domain in 0..self.domains.len() {
            if self.domains[domain].directory.may_change() {
                self.change_directory(domain);
            }
        }
        if self.mutant == Some(Mutant::Wanders) {
            (0..self.hosts.len()).for_each(|host| self.order_locally(host, WANDERING, names::NEWSERV));
        }
        for domain in 0..self.domains.len() {
            for user in 0..self.domains[domain].users.len() {
                self.new_ticket(domain, user, Duration::from_secs(86_400));
            }
        }
        for node in 0..self.nodes.len() {
            self.later(Duration::from_secs(1), Happening::Start(node));
        }
        Ok(())
    }

    /// Whether a program runs whose user can prove who he is.
    fn is_able(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        let Role::Client { user, .. } = node.role else { return false };
        node.process.is_some() && self.domains[node.domain].users[user].has_password
    }

    /// The server that the host manager of a node's host is at.
    fn server_of(&self, node: usize) -> Option<String> {
        let host = self.nodes[node].host;
        let manager = self.nodes.iter().find(|other| other.role == Role::HostManager && other.host == host)?;
        manager.settled_at().map(str::to_owned)
    }

    /// A program subscribes once more, if its user can prove who he is.
    pub(super) fn subscribe_at_last(&mut self, node: usize) -> Result<(), Violation> {
        if !self.is_able(node) {
            return Ok(());
        }
        let list = vec![Subscription::from((CLASS, "*"))];
        let request = SubscriptionRequest::SubscribeWithoutDefaults;
        self.begin(node, Operation::Subscribe { request, list, port: None })
    }

    /// A program says one more thing, if its user can prove who he is.
    pub(super) fn send_at_last(&mut self, node: usize) -> Result<(), Violation> {
        let Some(server) = self.server_of(node).filter(|_| self.is_able(node)) else { return Ok(()) };
        let message = self.with_text(Message::to_class(CLASS), 10);
        self.say(node, &message);
        let id = OperationId(self.nodes[node].operations + 1);
        let who = self.nodes[node].incarnation(node);
        self.last_words.push(LastWord { who, id, message: message.clone(), server, outcome: None });
        self.begin(node, Operation::Send(message))
    }

    /// The server of a domain's first host crashes, and stays away for a while. Its readers are known to the others.
    pub(super) fn fail_at_last(&mut self, domain: usize) {
        let managers = self.nodes.iter().filter(|node| node.domain == domain).filter_map(Node::settled_at);
        let name = managers.map(str::to_owned).next().unwrap_or_default();
        if let Some(server) = self.nodes.iter().position(|node| node.name == name && node.process.is_some()) {
            self.crash(server);
            self.later(STARTING_AGAIN - FAILING, Happening::Start(server));
        }
    }

    /// A client has subscribed again, because its server had forgotten it.
    pub(super) fn check_restored(&self, node: usize) -> Result<(), Violation> {
        let Scenario { active, cramped, .. } = self.scenario;
        let is_failing = (active + FAILING..active + CHECKING_AGAIN).contains(&self.now);
        if is_failing && !cramped && self.domains[self.nodes[node].domain].plan.is_mutual() {
            let seen = "when a server had crashed, the others did not know this client".to_owned();
            return self.checked(node, Err((Invariant::Recovery, seen)));
        }
        Ok(())
    }

    /// An operation has ended, perhaps one of the last.
    pub(super) fn note_last_word(
        &mut self,
        who: Incarnation,
        id: OperationId,
        outcome: &Result<Outcome, OperationError>,
    ) {
        if let Some(word) = self.last_words.iter_mut().find(|word| word.who == who && word.id == id) {
            word.outcome = Some(outcome.clone());
        }
    }

    /// Every client must have received the notices of all others at the same server.
    pub(super) fn check_all(&mut self) -> Result<(), Violation> {
        if self.scenario.cramped {
            // Who finds no room is not served, however well the network is. He would try again as long as he is there.
            let clients = |node: &usize| matches!(self.nodes[*node].role, Role::Client { .. });
            let clients: Vec<usize> = (0..self.nodes.len()).filter(clients).collect();
            clients.into_iter().for_each(|node| self.crash(node));
            return Ok(());
        }
        for word in &self.last_words {
            let delivered = matches!(&word.outcome, Some(Ok(Outcome::Sent(receipt))) if receipt.is_delivered());
            if !delivered {
                let seen = format!("the last notice was not delivered: {:?}", word.outcome);
                return self.checked(word.who.node, Err((Invariant::Recovery, seen)));
            }
            let notice = word.message.notice();
            let sender = self.principal_of(word.who.node).as_bytes().to_vec();
            let heading = Heading { sender, ..Heading::of(&notice) };
            let domain = |who: Incarnation| self.nodes[who.node].domain;
            let missing = self.last_words.iter().find(|reader| {
                let is_steady = |word: &LastWord| self.is_steady(word.who.node);
                let is_near = self.domains[domain(word.who)].plan.neighbours
                    || (reader.server == word.server && is_steady(reader) && is_steady(word));
                is_near
                    && domain(reader.who) == domain(word.who)
                    && !self.checker.has_shown(reader.who, &heading, notice.body)
            });
            if let Some(reader) = missing {
                let seen = format!("the last notice was not shown: {:?}", beginning(notice.body));
                return self.checked(reader.who.node, Err((Invariant::Recovery, seen)));
            }
        }
        self.last_words.clear();
        Ok(())
    }
}
