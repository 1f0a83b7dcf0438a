//! What a client does when its host manager is gone and there may be another way: it holds what is not acknowledged, until whoever
//! drives it ([`Connection`](super::Connection)) has found one, or has found that there is none.

use super::{Client, DirectServer, OperationError, host_manager::StatusQuery, startup::Phase};
use crate::host_manager::NotFound;
use zephyr_core::{limits::Limits, time::Now, uid::Uid};

/// How a client has lost its host manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nobody listens at its port.
    Refused,
    /// It does not answer.
    Silent,
}

/// Whether there may be another way, and what has become of the host manager.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    enabled: bool,
    loss: Option<Loss>,
    /// Why there is no other way, where the host manager is asked once more.
    reason: Option<OperationError>,
}

impl Fallback {
    /// Notes a loss; false when there is no other way.
    pub(super) fn note(&mut self, loss: Loss) -> bool {
        let may_wait = self.enabled && self.reason.is_none();
        if may_wait {
            self.loss = Some(loss);
        }
        may_wait
    }

    /// The error of a host manager that does not answer.
    pub(super) fn error(&self) -> OperationError {
        self.reason.clone().unwrap_or(OperationError::HostManagerSilent)
    }

    /// The host manager has answered.
    pub(super) fn clear(&mut self) {
        (self.loss, self.reason) = (None, None);
    }
}

impl Client {
    /// Whether from now on a loss of the host manager is left to whoever drives this client.
    pub(super) fn set_fallback(&mut self, enabled: bool) {
        self.fallback = Fallback { enabled, ..Fallback::default() };
    }

    /// How the host manager was lost, if it was.
    pub(super) fn take_loss(&mut self) -> Option<Loss> {
        self.fallback.loss.take()
    }

    /// Whether the client waits for a host manager or a server to start.
    pub(super) const fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting)
    }

    /// Holds an operation whose packet was refused; false when there is no other way.
    pub(super) fn hold_refused(&mut self, uid: Uid) -> bool {
        let refused = self.operations.values_mut().filter(|procedure| procedure.awaits_acknowledgement_of(uid));
        let mut has_refused = false;
        for procedure in refused {
            if self.fallback.note(Loss::Refused) {
                procedure.hold();
                has_refused = true;
            }
        }
        has_refused
    }

    /// Holds the operations whose packets the host manager does not acknowledge in time.
    pub(super) fn hold_unacknowledged(&mut self, now: Now) {
        for procedure in self.operations.values_mut().filter(|procedure| procedure.is_unacknowledged(now)) {
            if self.fallback.note(Loss::Silent) {
                procedure.hold();
            }
        }
    }

    /// Holds the operations whose packets the system does not send; false when there is no other way.
    pub(super) fn hold_unsent(&mut self) -> bool {
        if !self.fallback.note(Loss::Refused) {
            return false;
        }
        if self.is_starting() {
            self.shared.query = None;
        }
        for procedure in self.operations.values_mut().filter(|procedure| procedure.is_queuing()) {
            procedure.hold();
        }
        true
    }

    /// Goes on by another way, or by the host manager again, which takes packets within these limits: what was not acknowledged is
    /// sent again.
    pub(super) fn go_on(&mut self, now: Now, limits: Limits, server: Option<DirectServer>) {
        self.fallback.clear();
        self.shared.endpoint.limits = limits;
        self.shared.endpoint.server = server;
        if self.is_starting() {
            return;
        }
        self.report_endpoint();
        for procedure in self.operations.values_mut() {
            procedure.send_again(now, &mut self.shared);
        }
        if self.operations.values().any(|procedure| procedure.wants_limits()) {
            // The query is one packet of short fields, which can always be written.
            let _ = self.shared.query_limits(now);
        }
    }

    /// Ends what waits for the host manager, as there is no other way; a client that has just been refused asks once more, as the
    /// host manager may be starting.
    pub(super) fn give_up_host_manager(&mut self, now: Now, loss: Loss, reason: NotFound) {
        let error = match reason {
            NotFound::NoServer(reason) => OperationError::NoServer(reason),
            NotFound::NoAnswer(reason) => OperationError::SourcesSilent(reason),
        };
        if !self.is_starting() {
            return self.advance(now, |procedure, _| match procedure.is_queuing() || procedure.wants_limits() {
                true => Err(error.clone()),
                false => Ok(None),
            });
        }
        match StatusQuery::new(now, self.shared.endpoint.port, false) {
            Ok(query) if loss == Loss::Refused => {
                self.fallback.reason = Some(error);
                self.shared.query = Some(query);
            }
            _ => self.fail(error),
        }
    }
}
