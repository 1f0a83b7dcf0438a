//! Policy checks of requests, and the refusals that their senders get.

use crate::server::{
    Server, limits::rate_limit::Rate, log_event::LogEvent, origin::Origin, reply::Reply, request::Request,
};
use std::borrow::Cow;
use zephyr_core::{
    fold::FoldedName,
    policy::{Action, Decision, Parties, Refusal, Ruling, Why, decide},
};

impl Server {
    /// The parties to whatever comes from there.
    pub(crate) fn parties(&self, origin: Origin) -> Parties<'_> {
        let relay = match origin {
            Origin::Realm(realm) => self.realms.table.get(realm).map(|realm| &*realm.name),
            Origin::Client | Origin::HostManager | Origin::Peer(_) => None,
        };
        Parties { home: self.config.realms.local(), relay }
    }

    /// Decides on a request's action by the policy; `class` is what it is about, if it is about a class.
    fn decision(&self, request: &Request<'_>, action: Action, class: Option<&FoldedName>) -> Decision {
        decide(&self.config.policy, action, &request.verdict, class, &self.parties(request.origin))
    }

    /// Whether the policy allows an action in the request's class.
    pub(crate) fn is_allowed_in_class(&self, request: &Request<'_>, action: Action) -> bool {
        self.decision(request, action, Some(&request.names.class)).allows()
    }

    /// Whether the policy allows an action in the request's class; if not, the request is answered.
    pub(crate) fn allowed_in_class(&mut self, request: &mut Request<'_>, action: Action) -> bool {
        let decision = self.decision(request, action, Some(&request.names.class));
        self.abides_by(decision, request)
    }

    /// Whether the policy allows an action that is about no class in particular; if not, the request is answered.
    pub(crate) fn allowed(&mut self, request: &mut Request<'_>, action: Action) -> bool {
        let decision = self.decision(request, action, None);
        self.abides_by(decision, request)
    }

    fn abides_by(&mut self, decision: Decision, request: &mut Request<'_>) -> bool {
        match decision.ruling {
            Ruling::Allow => true,
            Ruling::Refuse(refusal) => {
                self.refuse(request, refusal);
                false
            }
            Ruling::Drop => {
                self.counters.failed_dropped += 1;
                self.reply(request, Reply::Lost);
                false
            }
        }
    }

    /// Whether a notice is small enough, and its host has not sent too many; if not, it is answered.
    pub(crate) fn within_measure(&mut self, request: &mut Request<'_>) -> bool {
        let measure = self.config.policy.measure;
        let rate = Rate {
            per_second: measure.notices_per_second,
            burst: measure.notice_burst,
            sources: self.config.bounds.rate_limit_sources,
        };
        let why = if request.total > measure.notice_octets {
            Why::TooLarge(measure.notice_octets)
        } else if rate.per_second > 0
            && !self.notices.of_mut(request.standing()).spend(request.now.monotonic, request.source(), 1, &rate)
        {
            Why::TooMany
        } else {
            return true;
        };
        self.refuse(request, Refusal { action: Action::Send, why });
        false
    }

    /// Whether there can be a class that this request may subscribe to: what it wants is decided class by class. It
    /// says nothing about who has sent it.
    pub(crate) fn may_receive_somewhere(&self, request: &Request<'_>) -> bool {
        self.config.policy.allows_somewhere(Action::Receive, &request.verdict, &self.parties(request.origin))
    }

    /// Whether a request is from who it says, so that also where it comes from is not made up by just anybody.
    pub(crate) fn is_proven(&self, request: &Request<'_>) -> bool {
        request.verdict.is_authentic() && !self.config.policy.believe_unproven
    }

    /// Whether a request is taken to be from who it says: it is proven, or nobody here can prove anything.
    pub(crate) fn is_believed(&self, request: &Request<'_>) -> bool {
        request.verdict.is_authentic() || self.config.policy.believe_unproven || !self.config.policy.provable
    }

    /// Refuses a request, with a message for its sender.
    pub(crate) fn refuse(&mut self, request: &mut Request<'_>, refusal: Refusal) {
        let (sender, from) = (request.notice.sender.into(), request.from);
        request.message = Some(refusal.text());
        match refusal.why {
            Why::Unproven | Why::Failed(_) => {
                self.counters.unauthenticated += 1;
                self.report(LogEvent::Unauthenticated { opcode: request.notice.opcode.into(), sender, from });
            }
            Why::Closed | Why::TooLarge(_) | Why::TooMany => {
                self.counters.policy_refused += 1;
                let class = request.notice.class.into();
                self.report(LogEvent::PolicyRefused { sender, class, refusal, from });
            }
        }
        self.reply(request, Reply::Denied);
    }

    /// The verdict as this domain sees it: foreign realms are only believed for whom they may speak for.
    pub(crate) fn apply_trust(&self, request: &mut Request<'_>) {
        if let Origin::Realm(realm) = request.origin {
            return self.apply_realm(request, realm);
        }
        let Cow::Owned(untrusted) = self.config.policy.trusted(&request.verdict, &self.parties(request.origin)).0
        else {
            return;
        };
        request.verdict = untrusted;
        request.session = None;
    }
}
