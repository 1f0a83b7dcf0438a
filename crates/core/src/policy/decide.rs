//! Policy decisions: whether an action is allowed, and with which origin its notice is shown.

use super::{Action, Demand, FailedProof, Policy, Refusal, Why};
use crate::{auth::Verdict, fold::FoldedName};

/// The realms that a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties<'a> {
    /// The realm whose policy it is.
    pub home: &'a [u8],
    /// The realm whose server vouches for the sender, when the notice did not come from the sender directly.
    pub relay: Option<&'a [u8]>,
}

impl<'a> Parties<'a> {
    /// A notice that came from its sender directly, or through a server of its own realm.
    pub const fn direct(home: &'a [u8]) -> Self {
        Self { home, relay: None }
    }
}

/// The ruling on an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is.
    Allow,
    /// It is not, and who wants it is told why.
    Refuse(Refusal),
    /// It is not, and who wants it is only told that nobody was reached.
    Drop,
}

/// The origin that recipients see. Between server and recipient only `Authentic` differs from the others, since the
/// protocol has no word for a failed proof; the recipient's own program may find a proof failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Its sender is proven.
    Authentic,
    /// Its sender is what it says.
    Unauthenticated,
    /// It claims proof that does not hold.
    Failed,
}

/// A part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// The settings for the whole domain.
    Domain,
    /// The class rules of this number.
    Class(usize),
    /// The foreign rule of this number.
    Foreign(usize),
}

/// A setting of such a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// The demand for this action.
    Demand(Action),
    /// The treatment of failed proofs.
    FailedProof,
    /// Whether unproven senders are believed.
    BelieveUnproven,
    /// The senders that a foreign realm may speak for.
    SpeaksFor,
}

/// The rule that a decision is based on: which setting of which part of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule {
    /// Which part.
    pub section: Section,
    /// Which setting.
    pub setting: Setting,
}

/// The decision of a policy on one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the action is allowed.
    pub ruling: Ruling,
    /// The origin that recipients see, if it is allowed.
    pub shown_as: Shown,
    /// The rule that decided.
    pub rule: Rule,
}

impl Decision {
    /// Whether the action is allowed.
    pub fn allows(&self) -> bool {
        self.ruling == Ruling::Allow
    }

    /// The refusal, where its sender may know of it.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match &self.ruling {
            Ruling::Refuse(refusal) => Some(refusal),
            Ruling::Allow | Ruling::Drop => None,
        }
    }
}

/// Decides on an action of a sender by `policy` and `verdict`.
///
/// `class` is the class that is sent to or subscribed to. Without one the domain's own demand is asked: where it
/// refuses, a class may still allow, which [`Policy::allows_somewhere`] knows.
pub fn decide(
    policy: &Policy,
    action: Action,
    verdict: &Verdict,
    class: Option<&FoldedName>,
    parties: &Parties<'_>,
) -> Decision {
    let (verdict, untrusted_by) = policy.trusted(verdict, parties);
    let shown_as = match &*verdict {
        Verdict::Authentic(_) => Shown::Authentic,
        Verdict::Unauthenticated => Shown::Unauthenticated,
        Verdict::Failed(_) => Shown::Failed,
    };
    let class_rules = class.and_then(|class| policy.class_rules(class));
    let refuse = |why| Ruling::Refuse(Refusal { action, why });
    if let Verdict::Failed(reason) = &*verdict {
        let of_class = class_rules.and_then(|(number, rules)| Some((Section::Class(number), rules.failed_proof?)));
        let (section, failed_proof) = of_class.unwrap_or((Section::Domain, policy.failed_proof));
        let rule = match untrusted_by {
            Some(number) => Rule { section: Section::Foreign(number), setting: Setting::SpeaksFor },
            None => Rule { section, setting: Setting::FailedProof },
        };
        match failed_proof {
            FailedProof::Show => {}
            FailedProof::Refuse => return Decision { ruling: refuse(Why::Failed(reason.clone())), shown_as, rule },
            FailedProof::Drop => return Decision { ruling: Ruling::Drop, shown_as, rule },
        }
    }
    let of_class = class_rules.and_then(|(number, rules)| {
        let demand = match action {
            Action::Send => rules.send,
            Action::Receive => rules.receive,
            Action::Locate | Action::Login | Action::Logout => None,
        };
        Some((Section::Class(number), demand?))
    });
    let (section, demand) = of_class.unwrap_or((Section::Domain, policy.demand(action)));
    let by_demand = Rule { section, setting: Setting::Demand(action) };
    let (ruling, rule) = match (demand, &*verdict) {
        (Demand::Closed, _) => (refuse(Why::Closed), by_demand),
        (Demand::Optional, _) | (Demand::Required, Verdict::Authentic(_)) => (Ruling::Allow, by_demand),
        (Demand::Required, Verdict::Unauthenticated) if policy.believe_unproven => {
            (Ruling::Allow, Rule { section: Section::Domain, setting: Setting::BelieveUnproven })
        }
        (Demand::Required, Verdict::Unauthenticated) => (refuse(Why::Unproven), by_demand),
        (Demand::Required, Verdict::Failed(reason)) => (refuse(Why::Failed(reason.clone())), by_demand),
    };
    Decision { ruling, shown_as, rule }
}

impl Policy {
    /// Whether there can be a class for which the policy allows an action that is about classes. A request that names
    /// many classes is taken then, and each class is decided for itself.
    pub fn allows_somewhere(&self, action: Action, verdict: &Verdict, parties: &Parties<'_>) -> bool {
        let everywhere = decide(self, action, verdict, None, parties);
        // A pattern is a name that fits itself, and whatever says more than it has a number of its own.
        let mut classes = self.classes.iter().map(|rules| FoldedName::from_folded(rules.classes.text()));
        everywhere.allows() || classes.any(|class| decide(self, action, verdict, Some(&class), parties).allows())
    }

    /// The treatment of failed proofs in this class.
    pub fn failed_proof_in(&self, class: &FoldedName) -> FailedProof {
        self.class_rules(class).and_then(|(_, rules)| rules.failed_proof).unwrap_or(self.failed_proof)
    }
}
