//! The course of one operation: its messages one after the other, each with what it needs before it can be sent.

use super::{
    DeliveryStatus, Event, Message, NakReason, Operation, OperationError, OperationId, Outcome, Receipt,
    exchange::{self, Exchange},
    location::LocationChange,
    message::Proof,
    policy,
    shared::Shared,
    subscription::{self, Subscription, SubscriptionRequest},
};
use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};
use zephyr_core::{
    auth::{AuthError, Session},
    coding::ascii,
    kind::Kind,
    limits::MAX_NOTICE,
    names,
    notice::{FormatError, Notice, Packet},
    policy::{Action, Demand},
    time::Now,
    uid::Uid,
};

/// How long a server may take to answer questions and location changes (wire format, section 6).
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// How far an operation is: `None` as long as it goes on.
pub(super) type Progress = Result<Option<Outcome>, OperationError>;

/// Whose operation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The program's.
    Program(OperationId),
    /// The client's own, after new tickets have come.
    Renewal,
}

/// What is to be done.
enum Task {
    Send,
    Subscribe {
        request: SubscriptionRequest,
        list: Vec<Subscription>,
        port: Option<u16>,
        /// Parts of the list that are still to be sent, the next one last.
        parts: Vec<Range<usize>>,
    },
    Cancel {
        port: Option<u16>,
    },
    List {
        port: Option<u16>,
        /// The answer, which may come before the question is acknowledged.
        answer: Option<Vec<Subscription>>,
    },
    Locate(LocationChange),
    Identify,
}

/// What an operation waits for.
enum Stage {
    /// For the client to know who it is.
    Start,
    /// For a session.
    Credentials,
    /// For the host manager to say how long headers may be.
    Limits,
    /// For acknowledgements.
    Sending(Exchange),
    /// For the list that was asked for.
    Listing { asked: Uid, until: Duration },
    /// For the name of the user's tickets.
    Principal,
}

/// An operation under way.
pub(super) struct Procedure {
    owner: Owner,
    task: Task,
    message: Message,
    session: Option<Arc<dyn Session>>,
    limits_learned: bool,
    stage: Stage,
    /// What the server has said last beside its answers.
    text: Option<String>,
}

/// A program's change of its own subscriptions, which was made.
pub(super) enum SubscriptionChange {
    /// These were added or removed.
    Listed(SubscriptionRequest, Vec<Subscription>),
    /// All were removed.
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
                Task::Subscribe { request, list, port, parts: vec![whole] }
            }
            Operation::CancelSubscriptions { port } => Task::Cancel { port },
            Operation::ListSubscriptions { port } => Task::List { port, answer: None },
            Operation::ChangeLocation(change) => Task::Locate(change),
            Operation::Identify => Task::Identify,
        };
        Self { owner, task, message, session: None, limits_learned: false, stage: Stage::Start, text: None }
    }

    /// Begins, now that the client knows who it is.
    pub(super) fn start(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let request = Message::request(names::ZEPHYR_CTL).instance(names::CLIENT);
        match &self.task {
            Task::Send => {}
            Task::Subscribe { .. } => return self.next_part(now, shared),
            Task::Cancel { port } => self.message = request.opcode(names::CLEARSUB).port(*port),
            Task::List { port, .. } => {
                let mut body = Vec::new();
                ascii::encode_u16(port.unwrap_or(shared.endpoint.port), &mut body);
                body.push(0);
                self.message = request.opcode(names::GIMME).body(body).patience(ANSWER_WAIT);
            }
            Task::Locate(change) => {
                let leaving_needs_proof = shared.policy.demand(Action::Logout) == Demand::Required;
                let proves = change.exposure.is_some() || leaving_needs_proof;
                let message = change.message(&shared.endpoint.sender);
                self.message = message.authenticated(proves).patience(ANSWER_WAIT);
            }
            Task::Identify => {
                self.stage = Stage::Principal;
                shared.principal.want();
                return Ok(None);
            }
        }
        self.send(now, shared)
    }

    fn next_part(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let Task::Subscribe { request, list, port, parts } = &self.task else { return Ok(None) };
        let Some(part) = parts.last() else { return Ok(Some(Outcome::Done { text: self.text.take() })) };
        let list = list.get(part.clone()).unwrap_or_default();
        let body = subscription::encode(list, &shared.endpoint.sender);
        let message = Message::request(names::ZEPHYR_CTL).instance(names::CLIENT).opcode(request.opcode());
        let proof = if *request == SubscriptionRequest::Unsubscribe { Proof::With } else { Proof::Remembered };
        self.message = message.body(body).port(*port).uncut(proof);
        self.send(now, shared)
    }

    fn send(&mut self, now: Now, shared: &mut Shared) -> Progress {
        if self.message.notice().body.len() > MAX_NOTICE {
            return Err(OperationError::NoticeTooLarge);
        }
        if self.message.proof == Proof::Without || self.session.is_some() {
            return self.transmit(now, shared);
        }
        self.stage = Stage::Credentials;
        shared.session.want();
        Ok(None)
    }

    /// Takes the session, if one was waited for.
    pub(super) fn looked(
        &mut self,
        now: Now,
        shared: &mut Shared,
        found: &Result<Arc<dyn Session>, AuthError>,
    ) -> Progress {
        if !matches!(self.stage, Stage::Credentials) {
            return Ok(None);
        }
        match found {
            Ok(session) => self.session = Some(Arc::clone(session)),
            Err(error) => {
                let notice = self.message.notice();
                let error = policy::without_session(&shared.policy, &shared.endpoint, &notice, error.clone())?;
                shared.log(super::LogEvent::Unproven { error });
            }
        }
        self.transmit(now, shared)
    }

    fn transmit(&mut self, now: Now, shared: &mut Shared) -> Progress {
        let session = if self.message.proof == Proof::Without { None } else { self.session.clone() };
        let notice = self.message.notice();
        policy::outgoing(&shared.policy, &shared.endpoint, &notice, session.is_some())?;
        let packets = match shared.packets(now, &self.message, session.as_deref()) {
            Ok(packets) => packets,
            Err(AuthError::Format(FormatError::HeaderTooLong { .. })) if !self.limits_learned => {
                self.limits_learned = true;
                self.stage = Stage::Limits;
                shared.learn_limits(now)?;
                return Ok(None);
            }
            Err(AuthError::Format(FormatError::PacketTooLong { .. })) if self.is_list() => {
                self.split()?;
                return self.next_part(now, shared);
            }
            Err(error) => return Err(error.into()),
        };
        let first = packets.first().map(|(uid, _)| *uid).ok_or(OperationError::InvalidAnswer)?;
        if let (Proof::Remembered, Some(session)) = (self.message.proof, session) {
            shared.verifier.keyring.remember(now, session);
        }
        let (kind, patience) = (self.message.notice().kind, self.message.patience);
        let mut out = VecDeque::new();
        self.stage = Stage::Sending(Exchange::begin(now, kind, first, packets, patience, &mut out));
        shared.hand_over(out);
        self.report_queued(shared);
        self.settle(now, shared)
    }

    const fn is_list(&self) -> bool {
        matches!(self.task, Task::Subscribe { .. })
    }

    /// Makes two requests of the one that is too long.
    fn split(&mut self) -> Result<(), OperationError> {
        let Task::Subscribe { parts, .. } = &mut self.task else { return Ok(()) };
        let part = parts.pop().filter(|part| part.len() > 1).ok_or(OperationError::SubscriptionTooLong)?;
        let middle = part.start + part.len() / 2;
        parts.extend([middle..part.end, part.start..middle]);
        Ok(())
    }

    /// Goes on, now that the host manager has said how long headers may be.
    pub(super) fn limits_known(&mut self, now: Now, shared: &mut Shared) -> Progress {
        if matches!(self.stage, Stage::Limits) { self.transmit(now, shared) } else { Ok(None) }
    }

    /// Takes an acknowledgement from the host manager.
    pub(super) fn acknowledge(&mut self, now: Now, shared: &mut Shared, packet: &Packet<'_>) -> Progress {
        let Stage::Sending(exchange) = &mut self.stage else { return Ok(None) };
        let was_queuing = exchange.stage() == &exchange::Stage::Queuing;
        let mut out = VecDeque::new();
        exchange.acknowledge(now, packet, &mut out);
        shared.hand_over(out);
        if was_queuing {
            self.report_queued(shared);
        }
        self.settle(now, shared)
    }

    /// Tells the program when the host manager has everything.
    fn report_queued(&self, shared: &mut Shared) {
        if let (Owner::Program(id), Task::Send, Stage::Sending(exchange)) = (self.owner, &self.task, &self.stage)
            && exchange.stage() != &exchange::Stage::Queuing
        {
            shared.events.push_back(Event::Queued { id, uid: exchange.uid() });
        }
    }

    /// Looks how far the exchange is.
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
            Task::Subscribe { parts, .. } => {
                parts.pop();
                self.text = request_done(receipt)?.or(self.text.take());
                self.next_part(now, shared)
            }
            Task::Cancel { .. } => Ok(Some(Outcome::Done { text: request_done(receipt)? })),
            Task::List { answer, .. } => {
                request_done(receipt)?;
                let answer = answer.take();
                if answer.is_none() {
                    self.stage = Stage::Listing { asked: exchange.uid(), until: now.monotonic + ANSWER_WAIT };
                }
                Ok(answer.map(Outcome::Subscriptions))
            }
            Task::Locate(_) => location_done(receipt).map(|text| Some(Outcome::Done { text })),
            Task::Identify => Ok(None),
        }
    }

    /// Whether a notice is the list that was asked for, and what that means for the operation.
    pub(super) fn answer(&mut self, notice: &Notice<'_>) -> Option<Progress> {
        let Task::List { answer, .. } = &mut self.task else { return None };
        let (asked, is_acknowledged) = match &self.stage {
            Stage::Sending(exchange) => (exchange.uid(), false),
            Stage::Listing { asked, .. } => (*asked, true),
            _ => return None,
        };
        if notice.multiuid != asked || notice.kind != Kind::Acked {
            return None;
        }
        let list = subscription::decode(notice.body);
        if is_acknowledged {
            return Some(Ok(Some(Outcome::Subscriptions(list))));
        }
        *answer = Some(list);
        Some(Ok(None))
    }

    /// Takes the name of the user's tickets, if it was waited for.
    pub(super) fn identified(&self) -> Progress {
        let is_done = matches!(self.stage, Stage::Principal);
        Ok(is_done.then_some(Outcome::Done { text: None }))
    }

    /// Whether the name of the user's tickets is waited for.
    pub(super) const fn wants_principal(&self) -> bool {
        matches!(self.stage, Stage::Principal)
    }

    /// Whether the host manager's status is waited for.
    pub(super) const fn wants_limits(&self) -> bool {
        matches!(self.stage, Stage::Limits)
    }

    /// Whether packets are still to be handed to the host manager.
    pub(super) fn is_queuing(&self) -> bool {
        matches!(&self.stage, Stage::Sending(exchange) if exchange.stage() == &exchange::Stage::Queuing)
    }

    /// Something well-formed has come: the server's silence begins anew.
    pub(super) fn received(&mut self, now: Now) {
        if let Stage::Sending(exchange) = &mut self.stage {
            exchange.received(now);
        }
    }

    /// When it must be looked at again.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Sending(exchange) => exchange.deadline(),
            Stage::Listing { until, .. } => Some(*until),
            Stage::Start | Stage::Credentials | Stage::Limits | Stage::Principal => None,
        }
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Now, shared: &mut Shared) -> Progress {
        match &mut self.stage {
            Stage::Sending(exchange) => exchange.expire(now),
            Stage::Listing { until, .. } if now.monotonic >= *until => return Err(OperationError::TimedOut),
            _ => {}
        }
        self.settle(now, shared)
    }

    /// What has changed about the client's own subscriptions, when it is done.
    pub(super) fn change(self, own_port: u16) -> Option<SubscriptionChange> {
        let is_own = |port: Option<u16>| port.is_none_or(|port| port == own_port);
        match self.task {
            Task::Subscribe { request, list, port, .. } if is_own(port) => {
                Some(SubscriptionChange::Listed(request, list))
            }
            Task::Cancel { port } if is_own(port) => Some(SubscriptionChange::Cancelled),
            _ => None,
        }
    }
}

/// Refused subscription requests have one error, whatever the reason; `LOST` is a server that knows no such request.
fn request_done(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::Sent => Ok(receipt.text),
        DeliveryStatus::Refused(_) => Err(refusal(receipt.text, OperationError::Refused)),
        DeliveryStatus::NobodyThere | DeliveryStatus::Unknown(_) | DeliveryStatus::Unanswered => {
            Err(OperationError::InvalidAnswer)
        }
    }
}

/// A location that nobody is told of is changed as well.
fn location_done(receipt: Receipt) -> Result<Option<String>, OperationError> {
    match receipt.status {
        DeliveryStatus::Sent | DeliveryStatus::NobodyThere => Ok(receipt.text),
        DeliveryStatus::Refused(NakReason::NotAuthorized) => Err(refusal(receipt.text, OperationError::Unverified)),
        DeliveryStatus::Refused(NakReason::Unspecified) => Err(OperationError::Refused),
        DeliveryStatus::Refused(NakReason::NotFound) => Err(OperationError::NotLoggedIn),
        DeliveryStatus::Unknown(_) | DeliveryStatus::Unanswered => Err(OperationError::InvalidAnswer),
    }
}

/// The refusal as the server has put it, if it has.
fn refusal(text: Option<String>, otherwise: OperationError) -> OperationError {
    text.map_or(otherwise, OperationError::RefusedBecause)
}
