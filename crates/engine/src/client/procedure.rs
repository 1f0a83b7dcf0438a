//! The procedure of one operation: its messages in sequence, each with the session and limits that it needs.

use super::{
    DeliveryStatus, Endpoint, Event, Message, Operation, OperationError, Outcome, Receipt,
    exchange::{self, Exchange},
    location::{self, LocationChange},
    message::Proof,
    operations::Owner,
    policy,
    receipt::{location_result, query_result, removal_result, request_result, subscribe_result},
    shared::Shared,
    subscription::{self, Subscription, SubscriptionRequest},
};
use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Session},
    coding::ascii,
    kind::Kind,
    limits::{MAX_NOTICE, MAX_PACKET},
    names,
    notice::{FormatError, Notice, Packet},
    policy::{Action, Demand, Refusal, Why},
    realm::completed,
    time::Now,
    uid::Uid,
};

/// The time limit for a server's answer to queries and location changes (wire format, section 6).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of a step of an operation: `None` while it goes on.
pub(super) type Progress = Result<Option<Outcome>, OperationError>;

/// The task of an operation, with its state.
enum Task {
    Send,
    Subscribe {
        request: SubscriptionRequest,
        list: Vec<Subscription>,
        port: Option<u16>,
        /// The parts of the list that are still to be sent, the next one last.
        parts: Vec<Range<usize>>,
        /// The places of subscriptions that are too long for a packet of their own, in their order.
        left_out: Vec<usize>,
        /// Whether the server has answered any request.
        is_sent: bool,
    },
    Cancel {
        port: Option<u16>,
    },
    Ask {
        query: Query,
        /// The answer, which may come before the query is acknowledged.
        answer: Option<Outcome>,
    },
    /// Whether the server knows the client.
    Check,
    Locate(LocationChange),
    Identify,
}

/// A query that the server answers with a notice.
enum Query {
    /// For the subscriptions of this user's client on a port.
    Subscriptions { port: Option<u16> },
    /// For the locations of a user.
    Locations { user: Vec<u8>, authenticated: bool },
}

impl Query {
    /// The notice that asks.
    fn message(&self, endpoint: &Endpoint) -> Message {
        match self {
            Self::Subscriptions { port } => {
                let mut body = Vec::new();
                ascii::encode_u16(port.unwrap_or(endpoint.port), &mut body);
                body.push(0);
                Message::request(names::ZEPHYR_CTL).instance(names::CLIENT).opcode(names::GIMME).body(body)
            }
            Self::Locations { user, authenticated } => {
                let user = completed(user, endpoint.realm.as_bytes());
                let message = Message::request(names::USER_LOCATE).instance(user).opcode(names::LOCATE);
                message.authenticated(*authenticated)
            }
        }
    }

    /// The result of the server's acknowledgement, before its answer.
    fn acknowledged(&self, receipt: Receipt) -> Result<(), OperationError> {
        match self {
            Self::Subscriptions { .. } => request_result(receipt),
            Self::Locations { .. } => query_result(receipt),
        }
        .map(drop)
    }

    /// The outcome that an answer's body is.
    fn outcome(&self, body: &[u8]) -> Outcome {
        match self {
            Self::Subscriptions { .. } => Outcome::Subscriptions(subscription::decode(body)),
            Self::Locations { .. } => Outcome::Locations(location::decode(body)),
        }
    }
}

/// The stage of an operation: what it waits for.
enum Stage {
    /// For the client to be ready.
    Start,
    /// For a session with the servers.
    Credentials,
    /// For the host manager's status, which has the limits of headers.
    Limits,
    /// For acknowledgements.
    Sending(Box<Exchange>),
    /// For the answer to a query that the server has acknowledged.
    Asking { query: Uid, deadline: Duration },
    /// For the principal of the user's tickets.
    Principal,
}

/// An operation in progress.
pub(super) struct Procedure {
    owner: Owner,
    task: Task,
    message: Message,
    session: Option<Arc<dyn Session>>,
    limits_queried: bool,
    stage: Stage,
    /// The text of the server's last answer.
    text: Option<String>,
}

/// A completed change of the client's own subscriptions.
pub(super) enum SubscriptionChange {
    /// Subscriptions were added or removed.
    Listed(SubscriptionRequest, Vec<Subscription>),
    /// All subscriptions were removed.
    Cancelled,
}

impl Procedure {
    pub(super) fn new(owner: Owner, operation: Operation) -> Self {
        let mut message = Message::request(names::ZEPHYR_CTL).instance(names::CLIENT);
        let task = match operation {
            Operation::Send(given) => {
                message = given;
                Task::Send
            }
            Operation::Subscribe { request, list, port } => {
                let whole = 0..list.len();
                Task::Subscribe { request, list, port, parts: vec![whole], left_out: Vec::new(), is_sent: false }
            }
            Operation::CancelSubscriptions { port } => Task::Cancel { port },
            Operation::ListSubscriptions { port } => Task::Ask { query: Query::Subscriptions { port }, answer: None },
            Operation::Locate { user, authenticated } => {
                Task::Ask { query: Query::Locations { user, authenticated }, answer: None }
            }
            Operation::CheckSubscriptions => Task::Check,
            Operation::ChangeLocation(change) => Task::Locate(change),
            Operation::Identify => Task::Identify,
        };
        Self { owner, task, message, session: None, limits_queried: false, stage: Stage::Start, text: None }
    }

    /// Starts the operation, as the client is ready.
    pub(super) fn start(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let request = Message::request(names::ZEPHYR_CTL).instance(names::CLIENT);
        match &self.task {
            Task::Send => {}
            Task::Subscribe { list, request, .. } => {
                if *request != SubscriptionRequest::Unsubscribe {
                    list.iter().try_for_each(Subscription::check_names)?;
                }
                return self.next_part(now, shared);
            }
            Task::Cancel { port } => self.message = request.opcode(names::CLEARSUB).port(*port),
            // From nothing, which changes nothing.
            Task::Check => self.message = request.opcode(names::UNSUBSCRIBE).unfragmented(Proof::With),
            Task::Ask { query, .. } => self.message = query.message(&shared.endpoint).answer_timeout(ANSWER_TIMEOUT),
            Task::Locate(change) => {
                let leaving_needs_proof = shared.policy.demand(Action::Logout) == Demand::Required;
                let proves = change.exposure.is_some() || leaving_needs_proof;
                let message = change.message(&shared.endpoint.sender);
                self.message = message.authenticated(proves).answer_timeout(ANSWER_TIMEOUT);
            }
            Task::Identify => {
                self.stage = Stage::Principal;
                shared.principal.request();
                return Ok(None);
            }
        }
        self.send(now, shared)
    }

    fn next_part(&mut self, now: Now, shared: &mut Shared) -> Progress {
        match self.write_part(shared)? {
            Some(outcome) => Ok(Some(outcome)),
            None if self.is_list() => self.send(now, shared),
            None => Ok(None),
        }
    }

    /// Writes the request about the next part of the list; gives the outcome when there is none.
    fn write_part(&mut self, shared: &Shared) -> Progress {
        let Task::Subscribe { request, list, port, parts, left_out, is_sent } = &mut self.task else { return Ok(None) };
        if parts.is_empty() && !*is_sent && *request == SubscriptionRequest::Subscribe {
            // Nothing is left of the list, but there are the default subscriptions.
            parts.push(list.len()..list.len());
        }
        let Some(part) = parts.last() else {
            let text = [left_out_text(list, left_out), self.text.take()].into_iter().flatten().collect::<Vec<_>>();
            return match is_sent {
                true => Ok(Some(Outcome::Done { text: (!text.is_empty()).then(|| text.join("; ")) })),
                false => Err(OperationError::SubscriptionTooLong),
            };
        };
        let list = list.get(part.clone()).unwrap_or_default();
        let body = subscription::encode(list, &shared.endpoint.sender);
        let message = Message::request(names::ZEPHYR_CTL).instance(names::CLIENT).opcode(request.opcode());
        let proof = if *request == SubscriptionRequest::Unsubscribe { Proof::With } else { Proof::Remembered };
        self.message = message.body(body).port(*port).unfragmented(proof);
        Ok(None)
    }

    fn send(&mut self, now: Now, shared: &mut Shared) -> Progress {
        if self.message.notice().body.len() > MAX_NOTICE && !self.is_list() {
            return Err(OperationError::NoticeTooLarge);
        }
        if self.message.proof == Proof::Without || self.session.is_some() {
            return self.transmit(now, shared);
        }
        self.stage = Stage::Credentials;
        shared.session.request();
        Ok(None)
    }

    /// Handles the session, if the operation waits for one.
    pub(super) fn handle_session(
        &mut self,
        now: Now,
        shared: &mut Shared,
        session: &Result<Arc<dyn Session>, AuthError>,
    ) -> Progress {
        if !matches!(self.stage, Stage::Credentials) {
            return Ok(None);
        }
        match session {
            Ok(session) => self.session = Some(Arc::clone(session)),
            // A server may say that it knows nobody here, which its user is to hear; whatever else it says means nothing.
            Err(AuthError::NoCredentials | AuthError::Expired) if self.asks_by_itself() => {}
            Err(error) => {
                let notice = self.message.notice();
                let error = policy::check_without_session(&shared.policy, &shared.endpoint, &notice, error.clone())?;
                shared.log(super::LogEvent::Unproven { error });
            }
        }
        self.transmit(now, shared)
    }

    fn transmit(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let session = if self.message.proof == Proof::Without { None } else { self.session.clone() };
        let packets = loop {
            let notice = self.message.notice();
            if self.is_list() && notice.body.len() > MAX_PACKET {
                // Whatever its proof will be.
                self.split()?;
                match self.write_part(shared)? {
                    Some(outcome) => return Ok(Some(outcome)),
                    None => continue,
                }
            }
            if session.is_some() || !self.asks_by_itself() {
                policy::check_outgoing(&shared.policy, &shared.endpoint, &notice, session.is_some())
                    .map_err(|error| unprovable(error, &notice))?;
            }
            match shared.packets(now, &self.message, session.as_deref()) {
                Ok(packets) => break packets,
                Err(AuthError::Format(FormatError::HeaderTooLong { .. })) if !self.limits_queried => {
                    self.limits_queried = true;
                    self.stage = Stage::Limits;
                    shared.query_limits(now)?;
                    return Ok(None);
                }
                Err(AuthError::Format(FormatError::PacketTooLong { .. })) if self.is_list() => {
                    self.split()?;
                    if let Some(outcome) = self.write_part(shared)? {
                        return Ok(Some(outcome));
                    }
                }
                Err(AuthError::Format(error @ FormatError::HeaderTooLong { len, limit })) => {
                    let names = shared.unproven_header(&self.message);
                    // Whichever is more than half of it.
                    return Err(match names > limit || names > len / 2 {
                        true => OperationError::NamesTooLong(error),
                        false => AuthError::Format(error).into(),
                    });
                }
                Err(error) => return Err(error.into()),
            }
        };
        let first = packets.first().map(|packet| packet.uid).ok_or(OperationError::InvalidAnswer)?;
        if let (Proof::Remembered, Some(session)) = (self.message.proof, session) {
            shared.verifier.keyring.remember(now, session);
        }
        let (kind, answer_timeout) = (self.message.notice().kind, self.message.answer_timeout);
        let mut out = VecDeque::new();
        let exchange = Exchange::begin(now, kind, first, packets, answer_timeout, &mut out);
        self.stage = Stage::Sending(Box::new(exchange));
        shared.transmit(out);
        self.report_queued(shared);
        self.settle(now, shared)
    }

    /// Whether the client itself asks whether the server knows it.
    fn asks_by_itself(&self) -> bool {
        self.owner == Owner::Restoration && self.is_check()
    }

    const fn is_list(&self) -> bool {
        matches!(self.task, Task::Subscribe { .. })
    }

    /// Splits a request that is too long for a packet into two. A single subscription is left out, and costs no other.
    fn split(&mut self) -> Result<(), OperationError> {
        let Task::Subscribe { parts, left_out, .. } = &mut self.task else { return Ok(()) };
        match parts.pop() {
            Some(part) if part.len() > 1 => {
                let middle = part.start + part.len() / 2;
                parts.extend([middle..part.end, part.start..middle]);
            }
            Some(part) if part.len() == 1 => left_out.extend(part),
            // A request about nothing does not become shorter.
            _ => return Err(OperationError::SubscriptionTooLong),
        }
        Ok(())
    }

    /// Goes on with the limits of headers from the host manager's status.
    pub(super) fn handle_limits(&mut self, now: Now, shared: &mut Shared) -> Progress {
        if matches!(self.stage, Stage::Limits) { self.transmit(now, shared) } else { Ok(None) }
    }

    /// Handles an acknowledgement from the host manager.
    pub(super) fn handle_acknowledgement(&mut self, now: Now, shared: &mut Shared, packet: &Packet<'_>) -> Progress {
        let Stage::Sending(exchange) = &mut self.stage else { return Ok(None) };
        let was_queuing = exchange.stage() == &exchange::Stage::Queuing;
        let mut out = VecDeque::new();
        exchange.handle_acknowledgement(now, packet, &mut out);
        shared.transmit(out);
        if was_queuing {
            self.report_queued(shared);
        }
        self.settle(now, shared)
    }

    /// Handles that nobody listened at the host manager's port when the packet with this uid came there.
    pub(super) fn handle_refusal(&mut self, now: Now, shared: &mut Shared, uid: Uid) -> Progress {
        let Stage::Sending(exchange) = &mut self.stage else { return Ok(None) };
        exchange.handle_refusal(uid);
        self.settle(now, shared)
    }

    /// Whether the packet with this uid awaits the host manager's acknowledgement.
    pub(super) fn awaits_acknowledgement_of(&self, uid: Uid) -> bool {
        matches!(&self.stage, Stage::Sending(exchange) if exchange.awaits_acknowledgement_of(uid))
    }

    /// Whether a packet awaits the host manager's acknowledgement for too long.
    pub(super) fn is_unacknowledged(&self, now: Now) -> bool {
        matches!(&self.stage, Stage::Sending(exchange) if exchange.is_unacknowledged(now))
    }

    /// Waits for the host manager's acknowledgement without a time limit.
    pub(super) fn hold(&mut self) {
        if let Stage::Sending(exchange) = &mut self.stage {
            exchange.hold();
        }
    }

    /// Sends the packet that awaits the host manager's acknowledgement again, as there is a new way.
    pub(super) fn send_again(&mut self, now: Now, shared: &mut Shared) {
        if let Stage::Sending(exchange) = &mut self.stage {
            let mut out = VecDeque::new();
            exchange.send_again(now, &mut out);
            shared.transmit(out);
        }
    }

    /// Reports to the program that the host manager has accepted all packets, once it has.
    fn report_queued(&self, shared: &mut Shared) {
        if let (Owner::Program(id), Task::Send, Stage::Sending(exchange)) = (self.owner, &self.task, &self.stage)
            && exchange.stage() != &exchange::Stage::Queuing
        {
            shared.events.push_back(Event::Queued { id, uid: exchange.uid() });
        }
    }

    /// Evaluates the state of the exchange.
    fn settle(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let Stage::Sending(exchange) = &self.stage else { return Ok(None) };
        let receipt = match exchange.stage() {
            exchange::Stage::Queuing | exchange::Stage::Waiting => return Ok(None),
            exchange::Stage::HostManagerSilent => return Err(OperationError::HostManagerSilent),
            exchange::Stage::TimedOut => return Err(OperationError::TimedOut),
            exchange::Stage::Queued => Receipt { status: DeliveryStatus::Unanswered, text: None },
            exchange::Stage::Answered(receipt) => receipt.clone(),
        };
        match &mut self.task {
            Task::Send => Ok(Some(Outcome::Sent(receipt))),
            Task::Subscribe { request, parts, is_sent, .. } => {
                parts.pop();
                *is_sent = true;
                let result = match request {
                    SubscriptionRequest::Unsubscribe => removal_result(receipt),
                    _ => subscribe_result(receipt),
                };
                self.text = result?.or(self.text.take());
                self.next_part(now, shared)
            }
            Task::Cancel { .. } => Ok(Some(Outcome::Done { text: removal_result(receipt)? })),
            Task::Check => match receipt.status {
                DeliveryStatus::NobodyThere => Ok(Some(shared.unknown(now))),
                // Somebody else has subscribed for this port, or the server takes no proof of this user; which is told when the
                // client subscribes again. Without proof it need not mean anything.
                DeliveryStatus::Refused(_) if self.session.is_some() => Ok(Some(shared.unknown(now))),
                _ => request_result(receipt).map(|_| Some(Outcome::Known)),
            },
            Task::Ask { query, answer } => {
                query.acknowledged(receipt)?;
                let answer = answer.take();
                if answer.is_none() {
                    self.stage = Stage::Asking { query: exchange.uid(), deadline: now.monotonic + ANSWER_TIMEOUT };
                }
                Ok(answer)
            }
            Task::Locate(_) => location_result(receipt).map(|text| Some(Outcome::Done { text })),
            Task::Identify => Ok(None),
        }
    }

    /// Handles a notice that is the answer to the query; `None` for other notices. Servers prove nothing with it, so all that they
    /// repeat of the request must be there.
    pub(super) fn handle_answer(&mut self, notice: &Notice<'_>) -> Option<Progress> {
        let Task::Ask { query, answer } = &mut self.task else { return None };
        let (uid, is_acknowledged) = match &self.stage {
            Stage::Sending(exchange) => (exchange.uid(), false),
            Stage::Asking { query, .. } => (*query, true),
            _ => return None,
        };
        let asked = self.message.notice();
        let repeats = notice.class == asked.class && notice.instance == asked.instance && notice.opcode == asked.opcode;
        if notice.multiuid != uid || notice.kind != Kind::Acked || !repeats {
            return None;
        }
        let outcome = query.outcome(notice.body);
        if is_acknowledged {
            return Some(Ok(Some(outcome)));
        }
        *answer = Some(outcome);
        Some(Ok(None))
    }

    /// Ends the operation if it waits for the principal, which the client has by now.
    pub(super) fn handle_principal(&self) -> Progress {
        let is_done = matches!(self.stage, Stage::Principal);
        Ok(is_done.then_some(Outcome::Done { text: None }))
    }

    /// Whether the operation waits for the principal of the user's tickets.
    pub(super) const fn wants_principal(&self) -> bool {
        matches!(self.stage, Stage::Principal)
    }

    /// Whether the operation waits for the host manager's status.
    pub(super) const fn wants_limits(&self) -> bool {
        matches!(self.stage, Stage::Limits)
    }

    /// Whether a packet awaits the host manager's acknowledgement.
    pub(super) fn is_queuing(&self) -> bool {
        matches!(&self.stage, Stage::Sending(exchange) if exchange.stage() == &exchange::Stage::Queuing)
    }

    /// Restarts the time limit for the server's answer, as the host manager has sent something.
    pub(super) fn restart_answer_timeout(&mut self, now: Now) {
        if let Stage::Sending(exchange) = &mut self.stage {
            exchange.restart_answer_timeout(now);
        }
    }

    /// The monotonic time of the next timeout.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Sending(exchange) => exchange.deadline(),
            Stage::Asking { deadline, .. } => Some(*deadline),
            Stage::Start | Stage::Credentials | Stage::Limits | Stage::Principal => None,
        }
    }

    /// Fails the operation if its deadline has passed.
    pub(super) fn expire(&mut self, now: Now, shared: &mut Shared) -> Progress {
        match &mut self.stage {
            Stage::Sending(exchange) => exchange.expire(now),
            Stage::Asking { deadline, .. } if now.monotonic >= *deadline => return Err(OperationError::TimedOut),
            _ => {}
        }
        self.settle(now, shared)
    }

    /// Whether it adds to the client's own subscriptions.
    pub(super) fn subscribes(&self, own_port: u16) -> bool {
        match &self.task {
            Task::Subscribe { request, port, .. } => {
                *request != SubscriptionRequest::Unsubscribe && port.is_none_or(|port| port == own_port)
            }
            _ => false,
        }
    }

    /// Whether it changes the client's own subscriptions.
    pub(super) fn changes_subscriptions(&self, own_port: u16) -> bool {
        match &self.task {
            Task::Subscribe { port, .. } | Task::Cancel { port } => port.is_none_or(|port| port == own_port),
            _ => false,
        }
    }

    /// Whether it cancels all subscriptions.
    pub(super) const fn cancels(&self) -> bool {
        matches!(&self.task, Task::Cancel { .. })
    }

    /// Whether it removes subscriptions.
    pub(super) const fn unsubscribes(&self) -> bool {
        matches!(&self.task, Task::Subscribe { request: SubscriptionRequest::Unsubscribe, .. })
    }

    /// Whether it asks whether the server knows the client.
    pub(super) const fn is_check(&self) -> bool {
        matches!(self.task, Task::Check)
    }

    /// The session that it has used, if any.
    pub(super) fn session(&self) -> Option<Arc<dyn Session>> {
        self.session.clone()
    }

    /// The change of the client's own subscriptions that a completed operation has made.
    pub(super) fn into_subscription_change(self, own_port: u16) -> Option<SubscriptionChange> {
        let is_own = |port: Option<u16>| port.is_none_or(|port| port == own_port);
        match self.task {
            Task::Subscribe { request, list, port, left_out, .. } if is_own(port) => {
                let sent = (0..).zip(list).filter(|(place, _)| left_out.binary_search(place).is_err());
                Some(SubscriptionChange::Listed(request, sent.map(|(_, subscription)| subscription).collect()))
            }
            Task::Cancel { port } if is_own(port) => Some(SubscriptionChange::Cancelled),
            _ => None,
        }
    }
}

/// The names of subscriptions that are left out, for the program.
fn left_out_text(list: &[Subscription], left_out: &[usize]) -> Option<String> {
    let (first, more) = left_out.split_first()?;
    let first = list.get(*first)?;
    Some(match more.len() {
        0 => format!("{first} is too long to be sent"),
        more => format!("{first} and {more} more are too long to be sent"),
    })
}

/// The error about a notice that the policy wants proven. One in a name that the program has chosen cannot be.
fn unprovable(error: OperationError, notice: &Notice<'_>) -> OperationError {
    match error {
        OperationError::Policy(refusal @ Refusal { why: Why::Unproven, .. }) if !notice.sender.is_empty() => {
            OperationError::UnprovableName(refusal)
        }
        error => error,
    }
}
