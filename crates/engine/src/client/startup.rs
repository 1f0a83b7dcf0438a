//! The start of a client: the host manager's status, and then the domain of its server.

use super::{
    Client, Endpoint, Event, Job, OperationError, Setup, fallback::Loss, host_manager::HostManagerStatus,
    operations::Owner,
};
use std::net::SocketAddr;
use zephyr_core::{notice::leading_uid, time::Now, uid::UidSource};

/// The phase of a client.
pub(super) enum Phase {
    /// Waits for the host manager's status, and then for the domain of its server.
    Starting,
    Ready,
    Failed(OperationError),
}

impl Client {
    /// Ends the client, as it cannot start.
    pub(super) fn fail(&mut self, error: OperationError) {
        self.shared.query = None;
        for owner in std::mem::take(&mut self.operations).into_keys() {
            if let Owner::Program(id) = owner {
                self.shared.events.push_back(Event::Finished { id, outcome: Err(error.clone()) });
            }
        }
        self.phase = Phase::Failed(error.clone());
        self.shared.events.push_back(Event::StartFailed(error));
    }

    /// Handles the host manager's status.
    pub(super) fn handle_host_manager_status(&mut self, now: Now, status: HostManagerStatus) {
        self.shared.query = None;
        self.fallback.clear();
        self.shared.endpoint.limits = status.limits;
        match self.phase {
            Phase::Starting => self.shared.setup = Some(Job::Setup { server: status.server }),
            Phase::Ready => {
                self.report_endpoint();
                self.advance(now, |procedure, shared| procedure.handle_limits(now, shared));
            }
            Phase::Failed(_) => {}
        }
    }

    /// Handles that the host manager has not answered the status query in time.
    pub(super) fn handle_host_manager_timeout(&mut self, now: Now, loss: Loss) {
        self.shared.query = None;
        if self.fallback.note(loss) {
            return;
        }
        let error = self.fallback.error();
        if self.is_starting() {
            return self.fail(error);
        }
        self.advance(now, |procedure, _| match procedure.wants_limits() {
            true => Err(error.clone()),
            false => Ok(None),
        });
    }

    /// Handles that nobody listened where a packet was sent. Only of this very machine is that believed: from anywhere else
    /// anybody can forge it.
    pub(super) fn handle_refusal(&mut self, now: Now, to: SocketAddr, quoted: &[u8]) {
        let is_host_manager = to == self.shared.endpoint.host_manager && to.ip().is_loopback();
        let Some(uid) = leading_uid(quoted).filter(|_| is_host_manager) else { return };
        let refused = self.shared.query.as_mut().map_or(Ok(()), |query| query.handle_refusal(now, uid));
        if refused.is_err() {
            self.handle_host_manager_timeout(now, Loss::Refused);
        }
        if self.hold_refused(uid) {
            return;
        }
        self.advance(now, |procedure, shared| procedure.handle_refusal(now, shared, uid));
    }

    /// Handles the result of [`Job::Setup`]: the client is ready.
    pub(super) fn set_up(&mut self, now: Now, setup: Setup) {
        let Setup { realm, sender, address, policy } = setup;
        self.shared.uids = UidSource::new(address);
        self.shared.endpoint = Endpoint { realm, sender, address, ..self.shared.endpoint.clone() };
        self.shared.policy = policy;
        self.phase = Phase::Ready;
        self.report_endpoint();
        self.advance(now, |procedure, shared| procedure.start(now, shared));
    }

    /// Reports the endpoint to the program.
    pub(super) fn report_endpoint(&mut self) {
        self.shared.events.push_back(Event::Endpoint(self.shared.endpoint.clone()));
    }
}
