//! `zephyrctl policy`: validation of policy files, and explanation of their decisions. Needs no server.

use super::{Outcome, options::PolicyVerb, show};
use crate::{
    policy_words::{demand_name, failed_proof_name},
    problem::Problems,
};
use serde::Serialize;
use std::{fmt::Write as _, path::Path};
use zephyr_core::{
    auth::{Identity, Reason, Verdict},
    fold::FoldedName,
    policy::{Action, Decision, Parties, Rule, Ruling, Section, Setting, Shown, decide},
};
use zephyr_domain::policy_file::{Domain, FILE_NAME, PolicyFile};

/// A query to a policy.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    /// The realm of the policy.
    pub(super) realm: &'a str,
    /// The action.
    pub(super) action: Action,
    /// The sender; without a realm of the policy's realm.
    pub(super) sender: &'a str,
    /// In which class.
    pub(super) class: Option<&'a str>,
    /// The proof of the notice.
    pub(super) proof: Proof,
}

/// The proof of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its sender.
    Holds,
    /// Nothing, and claims nothing.
    None,
    /// Nothing, though it claims to.
    Fails,
}

/// A decision, and the rule that it is based on.
#[derive(Debug, Serialize)]
struct Explanation {
    decision: &'static str,
    reason: Option<String>,
    shown_as: &'static str,
    rule: String,
    place: String,
    policy: String,
}

/// Runs a verb; gives what is to be printed. A file that is not named is that of the configuration folder.
pub(super) fn run(verb: &PolicyVerb, config_dir: &Path, json: bool) -> (Outcome, String) {
    match verb {
        PolicyVerb::Check { file } => match PolicyFile::load(file) {
            Ok(policies) => (Outcome::Done, if json { json_of(&Vec::<()>::new()) } else { described(file, &policies) }),
            Err(problems) => (Outcome::Problem, complaint(file, &problems, json)),
        },
        PolicyVerb::Explain { policy, realm, action, sender, class, unauthenticated, failed } => {
            let file = policy.clone().unwrap_or_else(|| config_dir.join(FILE_NAME));
            let policies = match PolicyFile::load(&file) {
                Ok(policies) => policies,
                Err(problems) => return (Outcome::Problem, complaint(&file, &problems, json)),
            };
            let proof = match (unauthenticated, failed) {
                (true, _) => Proof::None,
                (false, true) => Proof::Fails,
                (false, false) => Proof::Holds,
            };
            let query = Query { realm, action: action.action(), sender, class: class.as_deref(), proof };
            let (outcome, explanation) = explain(&policies.domain(realm), &query);
            (outcome, if json { json_of(&explanation) } else { explanation.to_text() })
        }
    }
}

fn json_of(value: &impl Serialize) -> String {
    show::json(value).map_or_else(|error| error.to_string(), |line| line + "\n")
}

fn complaint(file: &Path, Problems(problems): &Problems, json: bool) -> String {
    if json { json_of(problems) } else { show::findings(&file.display().to_string(), problems, &[]) }
}

/// A summary of a valid file, to check it against what was intended.
fn described(file: &Path, policies: &PolicyFile) -> String {
    let mut text = String::new();
    for domain in policies.domains() {
        let demands =
            Action::ALL.map(|action| format!("{} {}", action.name(), demand_name(domain.policy.demand(action))));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: backend {}; {}; failed-proof {}; sections for classes: {}, for foreign realms: {}",
            show::printable(&domain.name),
            domain.backend,
            demands.join(", "),
            failed_proof_name(domain.policy.failed_proof),
            domain.policy.classes.len(),
            domain.policy.foreign.len(),
        );
    }
    let _ = writeln!(text, "no problems in {}", file.display());
    text
}

fn explain(domain: &Domain, query: &Query<'_>) -> (Outcome, Explanation) {
    let sender = match query.sender.contains('@') {
        true => query.sender.to_owned(),
        false => format!("{}@{}", query.sender, query.realm),
    };
    let verdict = match query.proof {
        Proof::Holds => Verdict::Authentic(Identity::new(sender.as_bytes())),
        Proof::None => Verdict::Unauthenticated,
        Proof::Fails => Verdict::Failed(Reason::Checksum),
    };
    let class = query.class.map(|class| FoldedName::new(class.as_bytes()));
    let parties = Parties::direct(query.realm.as_bytes());
    let decision = decide(&domain.policy, query.action, &verdict, class.as_ref(), &parties);
    let (outcome, ruling, reason) = match &decision.ruling {
        Ruling::Allow => (Outcome::Done, "allowed", None),
        Ruling::Refuse(refusal) => (Outcome::Problem, "refused", Some(refusal.to_string())),
        Ruling::Drop => (Outcome::Problem, "dropped", None),
    };
    let explanation = Explanation {
        decision: ruling,
        reason,
        shown_as: shown(&decision),
        rule: rule(domain, decision.rule),
        place: domain.place_of(decision.rule),
        policy: domain.origin(),
    };
    (outcome, explanation)
}

impl Explanation {
    fn to_text(&self) -> String {
        let decision = match &self.reason {
            Some(reason) => format!("{}: {}", self.decision, show::printable(reason)),
            None if self.decision == "allowed" => format!("allowed, and shown as {}", self.shown_as),
            None => format!("{}: the sender hears that nobody received it", self.decision),
        };
        let (rule, place) = (show::printable(&self.rule), show::printable(&self.place));
        format!("{decision}\nrule: {rule} ({place})\npolicy: {}\n", show::printable(&self.policy))
    }
}

/// The name of the origin that recipients see. A failed proof that is let through reaches them without a claim.
const fn shown(decision: &Decision) -> &'static str {
    match decision.shown_as {
        Shown::Authentic => "authentic",
        Shown::Unauthenticated => "unauthenticated",
        Shown::Failed => "failed where a recipient finds it so, else as unauthenticated",
    }
}

/// A rule as it stands in the file.
fn rule(domain: &Domain, rule: Rule) -> String {
    let policy = &domain.policy;
    let name = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let (section, class, foreign) = match rule.section {
        Section::Domain => (String::new(), None, None),
        Section::Class(number) => {
            let class = policy.classes.get(number);
            (class.map(|it| format!("class {:?}: ", name(it.classes.text()))).unwrap_or_default(), class, None)
        }
        Section::Foreign(number) => {
            let foreign = policy.foreign.get(number);
            (foreign.map(|it| format!("foreign {:?}: ", name(it.realms.text()))).unwrap_or_default(), None, foreign)
        }
    };
    let setting = match rule.setting {
        Setting::Demand(action) => {
            let of_class = class.and_then(|class| if action == Action::Send { class.send } else { class.receive });
            format!("{} = {:?}", action.name(), demand_name(of_class.unwrap_or(policy.demand(action))))
        }
        Setting::FailedProof => {
            let of_class = class.and_then(|class| class.failed_proof);
            format!("failed-proof = {:?}", failed_proof_name(of_class.unwrap_or(policy.failed_proof)))
        }
        Setting::BelieveUnproven => format!("believe-unproven-senders = {}", policy.believe_unproven),
        Setting::SpeaksFor => {
            let senders = foreign.map(|it| it.speaks_for.iter().map(|sender| name(sender.text())).collect::<Vec<_>>());
            format!("speaks-for = {:?}", senders.unwrap_or_default())
        }
    };
    section + &setting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zephyrctl::options::{Options, Verb};
    use clap::Parser;

    const FILE: &str = "[domain.\"IASTATE.EDU\"]\nsend = \"required\"\nfailed-proof = \"drop\"\n\n\
        [domain.\"IASTATE.EDU\".class.\"open-*\"]\nsend = \"optional\"\n\n\
        [domain.\"IASTATE.EDU\".foreign.\"EVIL\"]\nspeaks-for = []\n";

    fn said(line: &[&str]) -> (Outcome, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, FILE).unwrap();
        let [path, folder] = [&path, folder.path()].map(|path| path.to_str().unwrap());
        let said = |naming: [&str; 2]| {
            let arguments = ["zephyrctl", "policy", "explain", "--realm", "IASTATE.EDU"];
            let options = Options::try_parse_from(arguments.iter().chain(&naming).chain(line)).unwrap();
            let Verb::Policy(verb) = options.verb else { panic!() };
            let (outcome, text) = run(&verb, &options.config_dir, options.json);
            (outcome, text.replace(path, "FILE"))
        };
        let named = said(["--policy", path]);
        assert_eq!(said(["--config-dir", folder]), named, "the folder's file, if none is named");
        named
    }

    #[test]
    fn decisions_are_explained_with_their_place() {
        let end = "policy: domain \"IASTATE.EDU\" of FILE:1\n";
        for (line, outcome, text) in [
            (
                &["--action", "send", "--as", "alice", "--class", "message", "--unauthenticated"][..],
                Outcome::Problem,
                "refused: you must prove who you are to send here: run kinit, and try again with proof\n\
                 rule: send = \"required\" (FILE:2)\n",
            ),
            (
                &["--action", "send", "--as", "alice", "--class", "message"],
                Outcome::Done,
                "allowed, and shown as authentic\nrule: send = \"required\" (FILE:2)\n",
            ),
            (
                &["--action", "send", "--as", "alice", "--class", "Open-talk", "--unauthenticated"],
                Outcome::Done,
                "allowed, and shown as unauthenticated\nrule: class \"open-*\": send = \"optional\" (FILE:6)\n",
            ),
            (
                &["--action", "receive", "--as", "alice", "--unauthenticated"],
                Outcome::Problem,
                "refused: you must prove who you are to subscribe here: run kinit, and try again with proof\n\
                 rule: receive = \"required\" (the default)\n",
            ),
            (
                &["--action", "send", "--as", "bob@EVIL"],
                Outcome::Problem,
                "dropped: the sender hears that nobody received it\nrule: foreign \"EVIL\": speaks-for = [] (FILE:9)\n",
            ),
            (
                &["--action", "send", "--as", "alice", "--failed"],
                Outcome::Problem,
                "dropped: the sender hears that nobody received it\nrule: failed-proof = \"drop\" (FILE:3)\n",
            ),
        ] {
            assert_eq!(said(line), (outcome, format!("{text}{end}")), "{line:?}");
        }
        let (_, json) = said(&["--action", "login", "--as", "alice", "--json"]);
        assert!(json.contains("\"decision\":\"allowed\"") && json.contains("\"place\":\"the default\""), "{json}");
    }

    #[test]
    fn files_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        let check = || run(&PolicyVerb::Check { file: file.clone() }, folder.path(), false);
        assert_eq!(check().0, Outcome::Problem, "there is none");
        std::fs::write(&file, FILE).unwrap();
        let (outcome, text) = check();
        assert_eq!(outcome, Outcome::Done);
        assert!(text.starts_with("IASTATE.EDU: backend kerberos; send required, receive required, locate "), "{text}");
        std::fs::write(&file, "[domain.A]\nsend = \"maybe\"\nlogn = 1\n").unwrap();
        let (outcome, text) = check();
        assert_eq!(outcome, Outcome::Problem);
        assert!(text.contains("p.toml:2:8: send: ") && text.contains("p.toml:3:1: unknown setting logn"), "{text}");
        assert!(text.ends_with(&format!("2 problems in {}\n", file.display())), "{text}");
    }
}
