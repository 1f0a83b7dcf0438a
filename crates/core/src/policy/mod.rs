//! Policies of domains: requirements on proof, and the decision for one notice.
//!
//! One domain, one [`Policy`]. Without a policy file it is that of a C server with Kerberos ([`Policy::KERBEROS`]); a
//! department without a KDC runs [`Policy::OPEN`]. [`decide`] is the one place where a policy is applied: servers and
//! clients ask it alike.

mod decide;
mod pattern;
mod refusal;

pub use decide::{Decision, Parties, Rule, Ruling, Section, Setting, Shown, decide};
pub use pattern::NamePattern;
pub use refusal::{Refusal, Why};

use crate::{
    auth::{Reason, Verdict},
    fold::FoldedName,
    limits::MAX_NOTICE,
    names,
    notice::Notice,
    principal::Principal,
};
use std::borrow::Cow;

/// Whether an action needs proof of who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// Only with proof.
    Required,
    /// With or without.
    Optional,
    /// Not at all, whoever asks.
    Closed,
}

/// An action that a sender asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Send a notice to whoever subscribed.
    Send,
    /// Subscribe, and so receive.
    Receive,
    /// Ask where somebody is.
    Locate,
    /// Tell where one is, hide it, or forget it.
    Login,
    /// Leave a place, from that place. C clients never prove it.
    Logout,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Send, Self::Receive, Self::Locate, Self::Login, Self::Logout];

    /// The name in policy files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Locate => "locate",
            Self::Login => "login",
            Self::Logout => "logout",
        }
    }

    /// The action that a notice asks for; `None` where no policy is asked: what host managers and operators say, and
    /// what a program says to itself.
    pub fn of(notice: &Notice<'_>) -> Option<Self> {
        Self::in_class(&FoldedName::new(notice.class), notice)
    }

    /// As [`Action::of`], for who has folded the notice's class already.
    pub fn in_class(class: &FoldedName, notice: &Notice<'_>) -> Option<Self> {
        let is = |name: &[u8]| class.is(name);
        let unasked = [names::HM_CTL, names::HM_STAT, names::ZEPHYR_ADMIN, names::WG_CTL].into_iter().any(is);
        match () {
            () if unasked => None,
            () if is(names::ZEPHYR_CTL) => {
                let by_host_manager = notice.instance.eq_ignore_ascii_case(names::HM);
                (!by_host_manager && notice.opcode != names::GIMMEDEFS).then_some(Self::Receive)
            }
            () if is(names::LOGIN) && notice.opcode == names::USER_LOGOUT => Some(Self::Logout),
            () if is(names::LOGIN) => Some(Self::Login),
            () if is(names::USER_LOCATE) => Some(Self::Locate),
            () => Some(Self::Send),
        }
    }
}

/// The treatment of a notice whose proof fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailedProof {
    /// It counts as one without proof, so recipients see that it is not authentic. As C servers do. On its way from the
    /// server to a recipient it claims nothing: the protocol has no other word for it.
    #[default]
    Show,
    /// Nobody gets it, and its sender is told so.
    Refuse,
    /// Nobody gets it, and its sender is only told that nobody did.
    Drop,
}

/// Other demands for some classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPolicy {
    /// Which classes, folded.
    pub classes: NamePattern,
    /// For [`Action::Send`], if it differs.
    pub send: Option<Demand>,
    /// For [`Action::Receive`], if it differs.
    pub receive: Option<Demand>,
    /// For failed proofs, if it differs.
    pub failed_proof: Option<FailedProof>,
}

/// The senders that a foreign realm may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRule {
    /// Which realms.
    pub realms: NamePattern,
    /// Which senders they may speak for, by whole name; a pattern without `@` is about the realm's own.
    pub speaks_for: Vec<NamePattern>,
}

/// Limits of the size and rate of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Octets of a notice's body, over all of its packets.
    pub notice_octets: usize,
    /// Notices that one host sends in a second in the long run; 0: any number.
    pub notices_per_second: usize,
    /// Notices that one host sends at once after a pause.
    pub notice_burst: usize,
}

impl Default for Measure {
    fn default() -> Self {
        Self { notice_octets: MAX_NOTICE, notices_per_second: 0, notice_burst: 200 }
    }
}

impl Measure {
    /// The limits of the protocol, and no rate limit, as in C servers.
    pub const USUAL: Self = Self { notice_octets: MAX_NOTICE, notices_per_second: 0, notice_burst: 200 };
}

/// The demands of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For [`Action::Send`].
    pub send: Demand,
    /// For [`Action::Receive`].
    pub receive: Demand,
    /// For [`Action::Locate`].
    pub locate: Demand,
    /// For [`Action::Login`].
    pub login: Demand,
    /// For [`Action::Logout`].
    pub logout: Demand,
    /// For whatever comes with a proof that does not hold.
    pub failed_proof: FailedProof,
    /// Whether who sends without proof is believed to be who he says: only sensible where nobody can prove anything.
    pub believe_unproven: bool,
    /// Whether anybody can prove who he is: not without a KDC. Where nobody can, who only says who he is is no
    /// stranger.
    pub provable: bool,
    /// Other demands for some classes. The most specific pattern counts, and of equally specific ones the first.
    pub classes: Vec<ClassPolicy>,
    /// The senders that foreign realms may speak for. The most specific pattern counts, and of equally specific ones
    /// the first; a realm that none is about may speak for its own.
    pub foreign: Vec<ForeignRule>,
    /// The limits of size and rate.
    pub measure: Measure,
}

impl Policy {
    /// As a C server with Kerberos: anybody may send, and is shown as what he is; only proven users receive and log in;
    /// whoever speaks from a place may leave it.
    pub const KERBEROS: Self = Self::for_strangers(Demand::Required, true);
    /// No proof is asked for anything.
    pub const OPEN: Self = Self::for_strangers(Demand::Optional, false);

    /// The policy of a C server towards strangers, with this demand for what it does not allow them.
    const fn for_strangers(rest: Demand, provable: bool) -> Self {
        Self {
            send: Demand::Optional,
            receive: rest,
            locate: Demand::Optional,
            login: rest,
            logout: Demand::Optional,
            failed_proof: FailedProof::Show,
            believe_unproven: false,
            provable,
            classes: Vec::new(),
            foreign: Vec::new(),
            measure: Measure::USUAL,
        }
    }

    /// The demand for an action where no class says otherwise.
    pub const fn demand(&self, action: Action) -> Demand {
        match action {
            Action::Send => self.send,
            Action::Receive => self.receive,
            Action::Locate => self.locate,
            Action::Login => self.login,
            Action::Logout => self.logout,
        }
    }

    /// The demand for an action where no class says otherwise, to be changed.
    pub const fn demand_mut(&mut self, action: Action) -> &mut Demand {
        match action {
            Action::Send => &mut self.send,
            Action::Receive => &mut self.receive,
            Action::Locate => &mut self.locate,
            Action::Login => &mut self.login,
            Action::Logout => &mut self.logout,
        }
    }

    /// The rules for a class that are not the domain's, and their number.
    pub(crate) fn class_rules(&self, class: &FoldedName) -> Option<(usize, &ClassPolicy)> {
        pattern::most_specific(&self.classes, |rules| &rules.classes, class)
    }

    /// The rule about a foreign realm, if there is one, and its number. Without one a realm speaks for its own users.
    pub fn foreign_rule(&self, realm: &[u8]) -> Option<(usize, &ForeignRule)> {
        pattern::most_specific(&self.foreign, |rule| &rule.realms, realm)
    }

    /// A verdict as this domain sees it: where a foreign realm has spoken for somebody whom it may not speak for, the
    /// proof has failed. With it the number of the foreign rule that says so, if one does.
    pub fn trusted<'v>(&self, verdict: &'v Verdict, parties: &Parties<'_>) -> (Cow<'v, Verdict>, Option<usize>) {
        let Verdict::Authentic(identity) = verdict else { return (Cow::Borrowed(verdict), None) };
        let principal = identity.principal();
        let Principal { name: user, realm } = Principal::parse(principal);
        let own = realm.unwrap_or(parties.home);
        let speaker = parties.relay.unwrap_or(own);
        if speaker == parties.home {
            return (Cow::Borrowed(verdict), None);
        }
        let (rule, trusted) = match self.foreign_rule(speaker) {
            None => (None, own == speaker),
            Some((number, rule)) => {
                let covers = |pattern: &NamePattern| match pattern.text().contains(&b'@') {
                    true => pattern.matches(principal),
                    false => own == speaker && pattern.matches(user),
                };
                (Some(number), rule.speaks_for.iter().any(covers))
            }
        };
        if trusted {
            return (Cow::Borrowed(verdict), None);
        }
        let realm = String::from_utf8_lossy(speaker).into_owned();
        (Cow::Owned(Verdict::Failed(Reason::Untrusted(realm))), rule)
    }
}
