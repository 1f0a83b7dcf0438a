//! What the domain's policy says of a request, and what the sender hears of that.

use crate::server::{
    Outbox, Server,
    event::Event,
    limits::rate_limit::Rate,
    reply::{Answer, Request},
};
use std::borrow::Cow;
use zephyr_core::{
    auth::Verdict,
    policy::{Action, Decision, Parties, Policy, Refusal, Ruling, Why, decide},
};

impl Server {
    /// The parties to whatever comes to this server. Only senders themselves come to it so far.
    pub(crate) fn parties(&self) -> Parties<'_> {
        Parties::direct(self.config.realms.local())
    }

    /// What the policy says of a request's action; `class` is what it is about, if it is about a class.
    pub(crate) fn decision(&self, request: &Request<'_>, action: Action, class: Option<&[u8]>) -> Decision {
        decide(&self.config.policy, action, &request.verdict, class, &self.parties())
    }

    /// Whether the policy allows a request; if not, it is answered.
    pub(crate) fn allowed(
        &mut self,
        request: &mut Request<'_>,
        action: Action,
        class: Option<&[u8]>,
        out: &mut Outbox,
    ) -> bool {
        match self.decision(request, action, class).ruling {
            Ruling::Allow => true,
            Ruling::Refuse(refusal) => {
                self.refuse(request, refusal, out);
                false
            }
            Ruling::Drop => {
                self.counters.failed_dropped += 1;
                self.reply(request, Answer::Lost, out);
                false
            }
        }
    }

    /// Whether a notice is small enough, and its host has not sent too many; if not, it is answered.
    pub(crate) fn within_measure(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> bool {
        let measure = self.config.policy.measure;
        let rate = Rate {
            per_second: measure.notices_per_second,
            burst: measure.notice_burst,
            sources: self.config.bounds.proof_sources,
        };
        let why = if request.total > measure.notice_octets {
            Why::TooLarge(measure.notice_octets)
        } else if rate.per_second > 0 && !self.notices.spend(request.now.monotonic, request.from.ip(), 1, &rate) {
            Why::TooMany
        } else {
            return true;
        };
        self.refuse(request, Refusal { action: Action::Send, why }, out);
        false
    }

    /// Whether there can be a class that this request may subscribe to: what it wants is decided class by class. It says
    /// nothing about who has sent it.
    pub(crate) fn may_receive_somewhere(&self, request: &Request<'_>) -> bool {
        self.config.policy.allows_somewhere(Action::Receive, &request.verdict, &self.parties())
    }

    /// Whether a request is from who it says, so that also where it comes from is not made up by just anybody.
    pub(crate) fn is_proven(&self, request: &Request<'_>) -> bool {
        request.verdict.is_authentic() && !self.config.policy.believe_unproven
    }

    /// Whether a request is taken to be from who it says: it is proven, or nobody here can prove anything.
    pub(crate) fn is_believed(&self, request: &Request<'_>) -> bool {
        request.verdict.is_authentic() || self.config.policy.believe_unproven || !self.config.policy.provable
    }

    /// Refuses a request, with words for its sender.
    pub(crate) fn refuse(&mut self, request: &mut Request<'_>, refusal: Refusal, out: &mut Outbox) {
        let (sender, from) = (request.notice.sender.into(), request.from);
        request.message = Some(refusal.text());
        match refusal.why {
            Why::Unproven | Why::Failed(_) => {
                self.counters.unauthenticated += 1;
                out.report(Event::Unauthenticated { opcode: request.notice.opcode.into(), sender, from });
            }
            Why::Closed | Why::TooLarge(_) | Why::TooMany => {
                self.counters.policy_refused += 1;
                let class = request.notice.class.into();
                out.report(Event::PolicyRefused { sender, class, refusal, from });
            }
        }
        self.reply(request, Answer::Denied, out);
    }

    /// The verdict as this domain sees it: foreign realms are only believed for whom they may speak for.
    pub(crate) fn apply_trust(&self, request: &mut Request<'_>) {
        let Cow::Owned(untrusted) = self.config.policy.trusted(&request.verdict, &self.parties()).0 else { return };
        request.verdict = untrusted;
        request.session = None;
    }

    /// Another policy from now on. What clients subscribed to and may no longer ends.
    pub(crate) fn enforce(&mut self, policy: Policy, out: &mut Outbox) {
        self.config.policy = policy;
        self.end_forbidden_subscriptions(out);
    }
}

/// What is known of a client from its last subscription.
pub(crate) fn verdict_of(client: &crate::server::state::clients::Client) -> Verdict {
    match client.session {
        Some(_) => Verdict::Authentic(zephyr_core::auth::Identity::new(&client.principal)),
        None => Verdict::Unauthenticated,
    }
}
