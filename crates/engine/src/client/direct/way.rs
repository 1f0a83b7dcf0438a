//! The way to a server, and when it changes.

use super::{Connection, OwnHostManager};
use crate::{
    client::{
        Direct, DirectServer, Event, Job, LogEvent, Trust,
        fallback::Loss,
        host_manager::{HostManagerStatus, StatusQuery},
    },
    host_manager::{self, Discovered, NotFound, event::ServerChange},
    machine::{Input, Transmit},
};
use std::time::Duration;
use zephyr_core::{limits::Limits, schedule::HMACK_WAIT, time::Now, uid::Uid};

/// The time between two questions whether a host manager is back.
const QUESTION_INTERVAL: Duration = Duration::from_secs(60);
/// The same while the server has still to answer something that it was sent directly.
const BUSY_QUESTION_INTERVAL: Duration = Duration::from_secs(5);
/// For how long a start waits for a server to answer. Without an answer the client goes on, as it does with a host manager whose
/// server does not answer.
const START_WAIT: Duration = HMACK_WAIT;

/// The way of a client's packets to a server.
pub(super) enum Way {
    /// The host manager of this machine.
    HostManager,
    /// The same, which has refused a packet: it is asked whether it comes back.
    Asking(Box<StatusQuery>),
    /// None; it is being found out which servers there are.
    Discovering(Loss),
    /// A server, without a host manager.
    Direct(Box<DirectWay>),
}

/// What there is to speak to servers directly.
pub(super) struct DirectWay {
    pub(super) own: OwnHostManager,
    /// Until when the client's start waits for a server to answer.
    start_until: Option<Duration>,
    /// When it is asked next whether a host manager is back; `None`: never.
    next_question: Option<Duration>,
    question: Option<StatusQuery>,
    /// Who has answered, until it is known whose socket that is.
    answered: Option<HostManagerStatus>,
}

impl DirectWay {
    /// The server that is spoken to.
    pub(super) fn server(&self) -> DirectServer {
        DirectServer {
            name: self.own.server_name().into(),
            address: self.own.server_address(),
            source: self.own.source().into(),
        }
    }

    /// Whether nothing waits for an answer that may still come.
    fn is_settled(&self) -> bool {
        self.own.is_idle() || self.own.is_looking()
    }

    fn deadline(&self) -> Option<Duration> {
        let question = self.question.as_ref().map(StatusQuery::deadline);
        [self.start_until, question, self.next_question].into_iter().flatten().min()
    }
}

impl Way {
    /// When it wants to know the time.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::HostManager | Self::Discovering(_) => None,
            Self::Asking(query) => Some(query.deadline()),
            Self::Direct(direct) => direct.deadline(),
        }
    }

    /// The question that the host manager has not answered.
    pub(super) fn query(&mut self) -> Option<&mut StatusQuery> {
        match self {
            Self::HostManager | Self::Discovering(_) => None,
            Self::Asking(query) => Some(query),
            Self::Direct(direct) => direct.question.as_mut(),
        }
    }
}

impl Connection {
    /// Handles that the client has lost its host manager. One that has refused a packet may be back in a moment; one that is silent
    /// has been waited for.
    pub(super) fn handle_loss(&mut self, now: Now, loss: Loss) {
        if !matches!(self.way, Way::HostManager) {
            return;
        }
        let question = StatusQuery::new(now, self.place.port, false);
        match (loss, question) {
            (Loss::Refused, Ok(question)) if !self.client.is_starting() => self.way = Way::Asking(Box::new(question)),
            _ => self.discover(loss),
        }
    }

    /// Finds out which servers there are.
    pub(super) fn discover(&mut self, loss: Loss) {
        self.way = Way::Discovering(loss);
        if !std::mem::replace(&mut self.is_discovering, true) {
            self.jobs.push_back(Job::Discover);
        }
    }

    /// Handles the result of [`Job::Discover`].
    pub(super) fn handle_discovered(&mut self, now: Now, result: Result<Discovered, NotFound>) {
        self.is_discovering = false;
        match (&mut self.way, result) {
            (Way::Discovering(_), Ok(discovered)) if !discovered.candidates.is_empty() => {
                self.go_direct(now, discovered)
            }
            (&mut Way::Discovering(loss), Ok(discovered)) => {
                self.lose_all_ways(now, loss, NotFound::NoServer(discovered.source));
            }
            (&mut Way::Discovering(loss), Err(reason)) => {
                self.lose_all_ways(now, loss, reason);
            }
            (Way::Direct(direct), result) => {
                direct.own.handle(now, Input::Done(host_manager::Done::Discovered(result)));
            }
            (Way::HostManager | Way::Asking(_), _) => {}
        }
    }

    fn lose_all_ways(&mut self, now: Now, loss: Loss, reason: NotFound) {
        self.way = Way::HostManager;
        self.client.give_up_host_manager(now, loss, reason);
    }

    fn go_direct(&mut self, now: Now, discovered: Discovered) {
        let host_manager = self.client.endpoint().host_manager;
        self.events.push_back(Event::Log(LogEvent::WithoutHostManager { host_manager }));
        let direct = DirectWay {
            own: OwnHostManager::new(discovered, self.place, now),
            start_until: self.client.is_starting().then(|| now.monotonic + START_WAIT),
            next_question: (self.direct == Direct::Fallback).then(|| now.monotonic + QUESTION_INTERVAL),
            question: None,
            answered: None,
        };
        // Its limits are known once it answers.
        self.client.set_fallback(false);
        self.client.go_on(now, Limits::COMPATIBLE, Some(direct.server()));
        self.way = Way::Direct(Box::new(direct));
    }

    /// Handles a change of the server that is spoken to directly.
    pub(super) fn handle_server_change(&mut self, now: Now, change: ServerChange) {
        let is_found = matches!(change, ServerChange::Found { .. });
        self.events.push_back(Event::Log(LogEvent::Server(change)));
        let Way::Direct(direct) = &mut self.way else { return };
        if direct.start_until.is_some() {
            if is_found {
                self.start_direct(now);
            }
            return;
        }
        let endpoint = &mut self.client.shared.endpoint;
        let (limits, server) = (direct.own.limits(), Some(direct.server()));
        // Of a server that has not answered nobody knows what it takes.
        let limits = if is_found { limits } else { endpoint.limits };
        if endpoint.limits != limits || endpoint.server != server {
            (endpoint.limits, endpoint.server) = (limits, server);
            if self.client.is_ready() {
                self.client.report_endpoint();
            }
        }
    }

    /// Goes on with the client's start, by what is known of the server.
    fn start_direct(&mut self, now: Now) {
        let Way::Direct(direct) = &mut self.way else { return };
        direct.start_until = None;
        let server = direct.server();
        let status = HostManagerStatus {
            server: server.name.clone().into(),
            limits: direct.own.limits(),
            searching: direct.own.is_looking(),
        };
        self.client.shared.endpoint.server = Some(server);
        self.client.handle_host_manager_status(now, status);
    }

    /// Handles the host manager's answer to a question of this connection.
    pub(super) fn handle_status(&mut self, now: Now, status: &HostManagerStatus) {
        match &mut self.way {
            Way::Asking(_) => {
                self.way = Way::HostManager;
                self.client.go_on(now, status.limits, None);
            }
            Way::Direct(direct) => {
                direct.question = None;
                // Another server may be of another domain.
                if status.searching || !direct.own.knows(&status.server) || direct.start_until.is_some() {
                    direct.next_question = Some(now.monotonic + QUESTION_INTERVAL);
                } else if !direct.is_settled() {
                    direct.next_question = Some(now.monotonic + BUSY_QUESTION_INTERVAL);
                } else if direct.answered.replace(status.clone()).is_none() {
                    self.jobs.push_back(Job::HostManagerOwner);
                }
            }
            Way::HostManager | Way::Discovering(_) => {}
        }
    }

    /// Handles whose socket it is that has answered as the host manager: anybody can open that port while there is none.
    pub(super) fn handle_host_manager_owner(&mut self, now: Now, trust: Trust) {
        let Way::Direct(direct) = &mut self.way else { return };
        let Some(status) = direct.answered.take() else { return };
        match trust {
            Trust::Trusted if direct.is_settled() => self.use_host_manager(now, &status),
            Trust::Trusted => direct.next_question = Some(now.monotonic + BUSY_QUESTION_INTERVAL),
            Trust::Stranger => {
                direct.next_question = Some(now.monotonic + QUESTION_INTERVAL);
                let host_manager = self.client.endpoint().host_manager;
                self.events.push_back(Event::Log(LogEvent::StrangersHostManager { host_manager }));
            }
        }
    }

    fn use_host_manager(&mut self, now: Now, status: &HostManagerStatus) {
        self.way = Way::HostManager;
        self.client.set_fallback(self.direct != Direct::Never);
        let host_manager = self.client.endpoint().host_manager;
        self.events.push_back(Event::Log(LogEvent::WithHostManager { host_manager }));
        self.client.go_on(now, status.limits, None);
    }

    /// Handles that nobody listened at the host manager's port when the packet with this uid came there.
    pub(super) fn handle_refused_question(&mut self, now: Now, uid: Uid) {
        match &mut self.way {
            Way::Asking(query) => {
                if query.handle_refusal(now, uid).is_err() {
                    self.discover(Loss::Refused);
                }
            }
            Way::Direct(direct) => {
                if direct.question.as_ref().is_some_and(|question| question.uid() == uid) {
                    direct.question = None;
                    direct.next_question = Some(now.monotonic + QUESTION_INTERVAL);
                }
            }
            Way::HostManager | Way::Discovering(_) => {}
        }
    }

    /// Does what is due.
    pub(super) fn handle_way_timeout(&mut self, now: Now) {
        let due = match &mut self.way {
            Way::HostManager | Way::Discovering(_) => return,
            Way::Asking(query) => query.due(now),
            Way::Direct(direct) => {
                if direct.start_until.is_some_and(|until| now.monotonic >= until) {
                    return self.start_direct(now);
                }
                if direct.next_question.take_if(|next| now.monotonic >= *next).is_some() {
                    direct.question = StatusQuery::new(now, self.place.port, false).ok();
                }
                direct.question.as_mut().map_or(Ok(None), |question| question.due(now))
            }
        };
        match due {
            Ok(payload) => {
                let to = self.client.endpoint().host_manager;
                self.transmits.extend(payload.map(|payload| Transmit { to, local: None, payload }));
            }
            Err(_) => match &mut self.way {
                Way::Direct(direct) => {
                    direct.question = None;
                    direct.next_question = Some(now.monotonic + QUESTION_INTERVAL);
                }
                _ => self.discover(Loss::Silent),
            },
        }
    }
}
