//! What happens to a request before it is looked at: is it new, may it cause work, and who made it?
//!
//! In this order, so that nobody makes the server open tickets by repeating himself or others:
//!
//! 1. the same octets from the same source: answered as the first time
//! 2. an authenticator that has served: the same octets are acknowledged as the first time, other octets prove nothing
//! 3. a source that has caused too much work: dropped; a host manager sends again
//! 4. only now the proof is judged

use crate::server::{
    Outbox, Server,
    event::Event,
    limits::{
        digest::Digest,
        rate_limit::Rate,
        replay_cache::Seen,
        response_cache::{Fingerprint, Handled},
    },
    reply::{Answer, Request},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    auth::{Judgement, Reason, Verdict},
    notice::Packet,
    policy::{Action, FailedProof, Refusal, Why},
    time::Now,
};

/// What a proof that fails costs its source, in proofs that hold: honest senders do not fail by the thousand.
const FAILURE_COSTS: usize = 10;

/// A packet, and what is known about its origin.
pub(crate) struct Judged<'a> {
    /// The packet.
    pub(crate) packet: Packet<'a>,
    /// Where it comes from.
    pub(crate) judgement: Judgement,
}

/// Finds out where a packet comes from. Called at most once for a packet, and only when that must be known.
pub type AskJudge<'a> = &'a mut dyn FnMut(&Packet<'_>) -> Judgement;

impl Server {
    /// Handles a packet that wants something of the server.
    pub(crate) fn admit(
        &mut self,
        now: Now,
        from: SocketAddr,
        packet: Packet<'_>,
        judge: AskJudge<'_>,
        out: &mut Outbox,
    ) {
        let print = Fingerprint::of(from, packet.octets());
        if let Some(answer) = self.recent.answer(&print) {
            self.counters.repeated += 1;
            if let Some(answer) = answer {
                out.send(from, answer);
            }
            return;
        }
        let claim = &packet.claim;
        let authenticator =
            (claim.auth != 0 && !claim.authenticator.is_empty()).then(|| Digest::of(claim.authenticator));
        let judgement = match authenticator.map(|it| self.replays.seen(&it, &print)) {
            None => judge(&packet),
            Some(Seen::WithThisNotice(answer)) => {
                self.counters.copies += 1;
                out.report(Event::Copied { sender: packet.notice.sender.into(), from });
                self.answer_copy(from, &packet, answer, out);
                return;
            }
            Some(Seen::WithAnother) => {
                self.counters.replayed += 1;
                Judgement::bare(Verdict::Failed(Reason::Replayed))
            }
            Some(Seen::No) => match self.affordable_judgement(now, &packet, from, judge) {
                Some(judgement) => judgement,
                None => {
                    self.counters.proof_floods += 1;
                    out.report(Event::Full { what: "proofs to check", from });
                    return;
                }
            },
        };
        let mut request = Request::new(now, from, Judged { packet, judgement });
        let of_host = self.judged(&mut request, out);
        let bounds = &self.config.bounds;
        if let Some(authenticator) = authenticator.filter(|_| request.verdict.is_authentic()) {
            let done = (request.answered(), of_host);
            let limits = (Duration::from_secs(bounds.replay_seconds as u64), bounds.replays);
            if self.replays.remember(now.monotonic, authenticator, &print, done, limits) {
                self.counters.replays_forgotten += 1;
            }
        }
        let handled = Handled { answer: request.into_answer(), of_host };
        self.recent.remember(now.monotonic, print, handled, bounds.recent_packets);
    }

    /// Forgets which packets a host has sent about itself, as it begins anew.
    pub(crate) fn forget_packets_of(&mut self, host: IpAddr) {
        self.recent.forget_host(host);
        self.replays.undo_host(host);
    }

    /// The judgement of a packet whose source has not caused too much work.
    fn affordable_judgement(
        &mut self,
        now: Now,
        packet: &Packet<'_>,
        from: SocketAddr,
        judge: AskJudge<'_>,
    ) -> Option<Judgement> {
        let bounds = &self.config.bounds;
        let rate =
            Rate { per_second: bounds.proofs_per_second, burst: bounds.proof_burst, sources: bounds.proof_sources };
        if !self.proofs.spend(now.monotonic, from.ip(), 1, &rate) {
            return None;
        }
        let judgement = judge(packet);
        if let Verdict::Failed(_) = judgement.verdict {
            self.proofs.charge(now.monotonic, from.ip(), FAILURE_COSTS - 1, &rate);
        }
        Some(judgement)
    }

    /// Does what a request wants, unless the domain does not take it; true when that was something about its own host.
    fn judged(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> bool {
        self.apply_trust(request);
        match &request.verdict {
            Verdict::Authentic(_) => self.counters.authentic += 1,
            Verdict::Unauthenticated => self.counters.unproven += 1,
            Verdict::Failed(reason) => self.counters.count_failure(reason),
        }
        if let Verdict::Failed(reason) = &request.verdict {
            let (sender, from) = (request.notice.sender.into(), request.from);
            out.report(Event::FailedProof { sender, from, reason: reason.clone() });
            match self.config.policy.failed_proof_in(request.notice.class) {
                FailedProof::Show => {}
                FailedProof::Refuse => {
                    self.counters.failed_refused += 1;
                    let action = Action::of(&request.notice).unwrap_or(Action::Send);
                    request.message = Some(Refusal { action, why: Why::Failed(reason.clone()) }.text());
                    self.reply(request, Answer::Denied, out);
                    return false;
                }
                FailedProof::Drop => {
                    self.counters.failed_dropped += 1;
                    self.reply(request, Answer::Lost, out);
                    return false;
                }
            }
        }
        self.dispatch(request, out)
    }
}
