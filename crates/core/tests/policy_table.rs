//! The whole decision table of the documentation, compared with the decisions: every combination of demand, verdict,
//! treatment of failed proofs and belief, for every action, with the demand made by the domain and by a class.

use std::collections::BTreeSet;
use zephyr_core::{
    auth::{Identity, Reason, Verdict},
    fold::FoldedName,
    policy::{
        Action, ClassPolicy, Decision, Demand, FailedProof, ForeignRule, NamePattern, Parties, Policy, Rule, Ruling,
        Section, Setting, Shown, Why, decide,
    },
};

const GUIDE: &str = include_str!("../../../docs/guide/policy.md");
const HOME: Parties<'static> = Parties::direct(b"HOME");

const DEMANDS: [(&str, Demand); 3] =
    [("required", Demand::Required), ("optional", Demand::Optional), ("closed", Demand::Closed)];
const FAILED_PROOF: [(&str, FailedProof); 3] =
    [("show-as-failed", FailedProof::Show), ("refuse", FailedProof::Refuse), ("drop", FailedProof::Drop)];
const BELIEF: [(&str, bool); 2] = [("no", false), ("yes", true)];
const VERDICTS: [&str; 3] = ["authentic", "unauthenticated", "failed"];

/// The rows of the guide's table: demand, verdict, failed-proof, belief; decision, rule.
fn rows() -> Option<BTreeSet<[&'static str; 6]>> {
    let (_, table) = GUIDE.split_once("<!-- the test reads the rows below -->")?;
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        cells.try_into().ok()
    })
    .collect()
}

fn verdict(name: &str) -> Verdict {
    match name {
        "authentic" => Verdict::Authentic(Identity::new(b"alice@HOME")),
        "unauthenticated" => Verdict::Unauthenticated,
        _ => Verdict::Failed(Reason::Checksum),
    }
}

/// A decision as the table names it.
fn outcome(decision: &Decision) -> (&'static str, &'static str) {
    let ruling = match &decision.ruling {
        Ruling::Allow => "allow",
        Ruling::Drop => "drop",
        Ruling::Refuse(refusal) => match refusal.why {
            Why::Closed => "refuse: closed",
            Why::Unproven => "refuse: unproven",
            Why::Failed(_) => "refuse: failed",
            Why::TooLarge(_) | Why::TooMany => "no decision",
        },
    };
    let rule = match decision.rule.setting {
        Setting::Demand(_) => "demand",
        Setting::FailedProof => "failed-proof",
        Setting::BelieveUnproven => "believe-unproven-senders",
        Setting::SpeaksFor => "speaks-for",
    };
    (ruling, rule)
}

/// The opposite, so that a rule of the wrong place would show.
fn other(demand: Demand) -> Demand {
    if demand == Demand::Closed { Demand::Optional } else { Demand::Closed }
}

#[test]
fn every_combination_is_decided_as_documented() {
    let mut decided = BTreeSet::new();
    for (demand_name, demand) in DEMANDS {
        for (failed_name, failed_proof) in FAILED_PROOF {
            for (belief_name, believe_unproven) in BELIEF {
                for name in VERDICTS {
                    let verdict = verdict(name);
                    let shown = match name {
                        "authentic" => Shown::Authentic,
                        "unauthenticated" => Shown::Unauthenticated,
                        _ => Shown::Failed,
                    };
                    let mut check = |policy: &Policy, action, class: Option<&[u8]>, section| {
                        let decision = decide(policy, action, &verdict, class.map(FoldedName::new).as_ref(), &HOME);
                        let (ruling, rule) = outcome(&decision);
                        decided.insert([demand_name, name, failed_name, belief_name, ruling, rule]);
                        assert_eq!(decision.shown_as, shown);
                        assert!(decision.refusal().is_none_or(|refusal| refusal.action == action));
                        let by_class_or_domain = match decision.rule.setting {
                            Setting::BelieveUnproven => Section::Domain,
                            Setting::FailedProof | Setting::Demand(_) | Setting::SpeaksFor => section,
                        };
                        assert_eq!(decision.rule.section, by_class_or_domain);
                        if let Setting::Demand(by) = decision.rule.setting {
                            assert_eq!(by, action);
                        }
                    };
                    for action in Action::ALL {
                        // The domain's own demand, while all others are the opposite.
                        let mut policy = Policy { failed_proof, believe_unproven, ..Policy::KERBEROS };
                        for each in Action::ALL {
                            *policy.demand_mut(each) = if each == action { demand } else { other(demand) };
                        }
                        check(&policy, action, None, Section::Domain);
                        check(&policy, action, Some(b"class"), Section::Domain);
                        // The same where a class of another name differs.
                        let rules = |classes: &[u8]| ClassPolicy {
                            classes: NamePattern::new(classes),
                            send: Some(other(demand)),
                            receive: Some(other(demand)),
                            failed_proof: None,
                        };
                        policy.classes = vec![rules(b"another")];
                        check(&policy, action, Some(b"class"), Section::Domain);
                    }
                    for action in [Action::Send, Action::Receive] {
                        // The class's demand and treatment of failed proofs, while the domain's are others.
                        let mut policy = Policy { believe_unproven, ..Policy::KERBEROS };
                        policy.failed_proof = match failed_proof {
                            FailedProof::Show => FailedProof::Drop,
                            FailedProof::Refuse | FailedProof::Drop => FailedProof::Show,
                        };
                        *policy.demand_mut(action) = other(demand);
                        policy.classes = vec![ClassPolicy {
                            classes: NamePattern::new(b"cl*"),
                            send: Some(demand),
                            receive: Some(demand),
                            failed_proof: Some(failed_proof),
                        }];
                        check(&policy, action, Some(b"CLASS"), Section::Class(0));
                    }
                }
            }
        }
    }
    let rows = rows().unwrap();
    assert_eq!(rows.len(), 54);
    assert!(decided == rows, "{:#?}", decided.symmetric_difference(&rows).collect::<Vec<_>>());
}

#[test]
fn an_untrusted_realm_is_decided_as_a_failed_proof() {
    let stranger = Verdict::Authentic(Identity::new(b"bob@AWAY"));
    let failed = Verdict::Failed(Reason::Checksum);
    for (_, demand) in DEMANDS {
        for (_, failed_proof) in FAILED_PROOF {
            for (_, believe_unproven) in BELIEF {
                for action in Action::ALL {
                    let nobody = ForeignRule { realms: NamePattern::new(b"*"), speaks_for: Vec::new() };
                    let mut policy =
                        Policy { failed_proof, believe_unproven, foreign: vec![nobody], ..Policy::KERBEROS };
                    *policy.demand_mut(action) = demand;
                    let one = decide(&policy, action, &stranger, None, &HOME);
                    let other = decide(&policy, action, &failed, None, &HOME);
                    assert_eq!(outcome(&one).0, outcome(&other).0, "{policy:?} {action:?}");
                    assert_eq!(one.shown_as, Shown::Failed);
                    if other.rule.setting == Setting::FailedProof {
                        let by_foreign = Rule { section: Section::Foreign(0), setting: Setting::SpeaksFor };
                        assert_eq!(one.rule, by_foreign);
                    }
                }
            }
        }
    }
}
