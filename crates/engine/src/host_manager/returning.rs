//! The return to a better server once it answers again: to the primary, or to one of a lower priority. The better ones are
//! asked for their status now and then, which changes nothing at a server and is answered by every one
//! (server behaviour, section 10).

use super::{HostManager, Job, Received, reachability::Change};
use crate::acknowledgement::acknowledgement;
use std::{net::SocketAddr, time::Duration};
use zephyr_core::{kind::Kind, names, notice::Notice, time::Now, uid::Uid};

/// The time between two probes, which varies.
const INTERVAL: Duration = Duration::from_secs(30);
/// Answers in a row after which a server is returned to.
const ANSWERS: u32 = 2;
/// Maximum number of better servers that are probed.
const MAX_PROBED: usize = 8;
/// After so many returns in vain the time between probes no longer grows; each doubles it.
const MAX_DOUBLINGS: u32 = 5;

/// Whether a server answers while another one is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// A probe was sent, and is not answered yet.
    waits: bool,
    /// Answers in a row, each to another probe.
    answers: u32,
    /// The last answer's uid: servers repeat an answer until it is acknowledged.
    last: Option<Uid>,
}

/// When better servers are probed.
#[derive(Debug, Default)]
pub(super) struct Returning {
    due: Option<Duration>,
    /// The current server was returned to, and has not answered yet.
    is_trying: bool,
    /// Servers in a row that answered probes, and then no greeting.
    in_vain: u32,
}

impl Returning {
    pub(super) const fn next_due(&self) -> Option<Duration> {
        self.due
    }

    /// The current server is left.
    pub(super) fn left(&mut self, change: Change) {
        if self.is_trying && change == Change::Silent {
            self.in_vain = (self.in_vain + 1).min(MAX_DOUBLINGS);
        }
        self.is_trying = matches!(change, Change::Better(_));
        self.due = None;
    }

    /// The current server answers.
    pub(super) fn found(&mut self) {
        if self.is_trying {
            (self.is_trying, self.in_vain) = (false, 0);
        }
    }
}

impl HostManager {
    /// Probes better servers than the current one, if there are any, as long as that one answers.
    pub(super) fn plan_return(&mut self, now: Now) {
        if self.reachability.looking || self.servers.better().is_empty() {
            self.returning.due = None;
        } else if self.returning.due.is_none() {
            self.servers.forget_probes();
            let wait = self.servers.jittered(INTERVAL * 2_u32.pow(self.returning.in_vain));
            self.returning.due = Some(now.monotonic + wait);
        }
    }

    /// Probes all better servers when it is time for that, or returns to one.
    pub(super) fn probe_if_due(&mut self, now: Now) {
        if self.returning.due.is_none_or(|due| due > now.monotonic) {
            return;
        }
        self.returning.due = None;
        let better: Vec<usize> = self.servers.better().into_iter().take(MAX_PROBED).collect();
        if self.reachability.looking || better.is_empty() {
            return;
        }
        let answers = |place: &&usize| self.servers.at(**place).is_some_and(|server| server.probe.answers >= ANSWERS);
        if let Some(&place) = better.iter().find(answers) {
            return self.change_server(now, Change::Better(place));
        }
        for place in better {
            self.probe(now, place);
        }
        let wait = self.servers.jittered(INTERVAL * 2_u32.pow(self.returning.in_vain));
        self.returning.due = Some(now.monotonic + wait);
    }

    fn probe(&mut self, now: Now, place: usize) {
        let Some(server) = self.servers.at_mut(place) else { return };
        if server.probe.waits {
            server.probe.answers = 0;
            server.take_next_address();
        }
        let was_heard = !server.probe.waits && server.probe.answers > 0;
        server.probe.waits = true;
        let address = server.address();
        if !was_heard {
            self.outputs.jobs.extend(self.servers.lookup_of(place).map(Job::Lookup));
        }
        if let Some(address) = address {
            let status =
                Notice { kind: Kind::Unsafe, class: names::ZEPHYR_ADMIN, opcode: names::STATUS, ..Notice::EMPTY };
            self.send_own(now, address, status);
        }
    }

    /// Whether a server at this address was asked for its status, and has not answered yet.
    pub fn waits_for_status(&self, from: SocketAddr) -> bool {
        self.servers.iter().any(|server| server.address() == Some(from) && server.probe.waits)
    }

    /// Whether a notice has the form of a server's status.
    pub fn is_status(notice: &Notice<'_>) -> bool {
        notice.kind == Kind::Unsafe
            && notice.class.eq_ignore_ascii_case(names::ZEPHYR_ADMIN)
            && notice.opcode == names::STATUS
    }

    /// Handles a server's status; whether it is one.
    pub(super) fn handle_status(&mut self, now: Now, received: &Received) -> bool {
        let packet = received.packet.packet();
        let notice = &packet.notice;
        if !Self::is_status(notice) {
            return false;
        }
        // Our own question: what is taken for a server there is this host manager.
        if notice.sender == names::HM {
            return true;
        }
        // Or it is sent for a quarter of an hour.
        let answer = Notice { kind: Kind::ClientAck, body: b"", ..*notice };
        if let Some(answer) = acknowledgement(&answer, &packet.claim) {
            self.outputs.send_from(received.local, received.from, answer);
        }
        let better = self.servers.better();
        let is_asked = |server: &super::Server| {
            server.address() == Some(received.from) && server.probe.waits && server.probe.last != Some(notice.uid)
        };
        let Some(&place) = better.iter().find(|&&place| self.servers.at(place).is_some_and(is_asked)) else {
            return true;
        };
        let Some(server) = self.servers.at_mut(place) else { return true };
        server.silent = false;
        server.probe = Probe { waits: false, answers: server.probe.answers + 1, last: Some(notice.uid) };
        let is_enough = server.probe.answers >= ANSWERS;
        // A still better one that has begun to answer is waited for.
        let best = better.iter().find(|&&place| self.servers.at(place).is_some_and(|server| server.probe.answers > 0));
        if is_enough && !self.reachability.looking && best == Some(&place) {
            self.change_server(now, Change::Better(place));
        }
        true
    }
}
