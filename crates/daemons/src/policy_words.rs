//! Policies in the words of their file, and in those of people.

use crate::admin_protocol::{PolicyInForce, PolicyRule};
use zephyr_core::policy::{Action, Demand, FailedProof, Measure, Rule, Section, Setting};
use zephyr_domain::{BackendSetting, policy_file::Domain};

/// The policy of a domain, rule by rule: those of the whole domain with its bounds, those of classes, those about foreign
/// realms.
pub(crate) fn in_force(domain: &Domain) -> PolicyInForce {
    let policy = &domain.policy;
    let mut list = List { domain, rules: Vec::new() };
    for action in Action::ALL {
        list.demand(Section::Domain, "", action, policy.demand(action));
    }
    list.failed_proof(Section::Domain, "", policy.failed_proof);
    if domain.backend.has(BackendSetting::BelieveUnprovenSenders) {
        let meaning = match policy.believe_unproven {
            true => "who claims proof is believed unseen",
            false => "nobody is believed to be who he says",
        };
        let value = policy.believe_unproven.to_string();
        list.rule(Section::Domain, "", Setting::BelieveUnproven, "believe-unproven-senders", value, meaning.to_owned());
    }
    if domain.backend.has(BackendSetting::Enctypes) {
        let enctypes: Vec<String> = domain.enctypes.iter().map(ToString::to_string).collect();
        list.without_place(
            "",
            "enctypes",
            format!("{enctypes:?}"),
            "keys of these types prove something, and no others",
        );
    }
    let Measure { notice_octets, notices_per_second, notice_burst } = policy.measure;
    let per_second = match notices_per_second {
        0 => "a host may send any number of notices in a second",
        _ => "a host may send so many notices in a second in the long run",
    };
    for (setting, value, meaning) in [
        ("notice-octets", notice_octets, "a notice may bring so many octets"),
        ("notices-per-second", notices_per_second, per_second),
        ("notice-burst", notice_burst, "where that is bounded, so many at once after a pause"),
    ] {
        list.without_place("bounds", setting, value.to_string(), meaning);
    }
    for (number, class) in policy.classes.iter().enumerate() {
        let (section, name) = (Section::Class(number), format!("class {:?}", text(class.classes.text())));
        for (action, demand) in [(Action::Send, class.send), (Action::Receive, class.receive)] {
            if let Some(demand) = demand {
                list.demand(section, &name, action, demand);
            }
        }
        if let Some(failed_proof) = class.failed_proof {
            list.failed_proof(section, &name, failed_proof);
        }
    }
    for (number, foreign) in policy.foreign.iter().enumerate() {
        let senders: Vec<String> = foreign.speaks_for.iter().map(|sender| text(sender.text())).collect();
        let meaning = match senders.is_empty() {
            true => "nobody is believed whom these realms prove".to_owned(),
            false => "of those whom these realms prove, only these are believed".to_owned(),
        };
        let (section, name) = (Section::Foreign(number), format!("foreign {:?}", text(foreign.realms.text())));
        list.rule(section, &name, Setting::SpeaksFor, "speaks-for", format!("{senders:?}"), meaning);
    }
    PolicyInForce { origin: domain.origin(), rules: list.rules }
}

/// As the file has it.
pub(crate) const fn demand_name(demand: Demand) -> &'static str {
    match demand {
        Demand::Required => "required",
        Demand::Optional => "optional",
        Demand::Closed => "closed",
    }
}

/// As the file has it.
pub(crate) const fn failed_proof_name(failed_proof: FailedProof) -> &'static str {
    match failed_proof {
        FailedProof::Show => "show-as-failed",
        FailedProof::Refuse => "refuse",
        FailedProof::Drop => "drop",
    }
}

struct List<'a> {
    domain: &'a Domain,
    rules: Vec<PolicyRule>,
}

impl List<'_> {
    fn demand(&mut self, section: Section, name: &str, action: Action, demand: Demand) {
        let act = match action {
            Action::Send => "send",
            Action::Receive => "subscribe",
            Action::Locate => "ask where somebody is",
            Action::Login => "tell, hide or forget where he is",
            Action::Logout => "leave a place, from that place",
        };
        let meaning = match demand {
            Demand::Required => format!("only who proves who he is may {act}"),
            Demand::Optional => format!("anybody may {act}, with or without proof"),
            Demand::Closed => format!("nobody may {act}"),
        };
        self.rule(section, name, Setting::Demand(action), action.name(), demand_name(demand).to_owned(), meaning);
    }

    fn failed_proof(&mut self, section: Section, name: &str, failed_proof: FailedProof) {
        let meaning = match failed_proof {
            FailedProof::Show => "what comes with a proof that does not hold counts as unproven",
            FailedProof::Refuse => "what comes with a proof that does not hold is refused, and its sender is told so",
            FailedProof::Drop => {
                "what comes with a proof that does not hold is dropped, and its sender hears that nobody received it"
            }
        };
        let value = failed_proof_name(failed_proof).to_owned();
        self.rule(section, name, Setting::FailedProof, "failed-proof", value, meaning.to_owned());
    }

    /// A setting whose place is not known.
    fn without_place(&mut self, section: &str, setting: &str, value: String, meaning: &str) {
        let (section, setting) = (section.to_owned(), setting.to_owned());
        self.rules.push(PolicyRule { section, setting, value, meaning: meaning.to_owned(), place: String::new() });
    }

    fn rule(&mut self, section: Section, name: &str, setting: Setting, called: &str, value: String, meaning: String) {
        self.rules.push(PolicyRule {
            section: name.to_owned(),
            setting: called.to_owned(),
            value,
            meaning,
            place: self.domain.place_of(Rule { section, setting }),
        });
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use zephyr_domain::policy_file::PolicyFile;

    fn rules(content: &str, realm: &str) -> Vec<String> {
        let file = PolicyFile::read(Path::new("p"), content).unwrap();
        let PolicyInForce { origin, rules } = in_force(&file.domain(realm));
        let line = |rule: PolicyRule| {
            format!("{} {} {} ({}): {}", rule.section, rule.setting, rule.value, rule.place, rule.meaning)
                .trim()
                .to_owned()
        };
        [origin].into_iter().chain(rules.into_iter().map(line)).collect()
    }

    #[test]
    fn every_rule_is_there_with_its_place() {
        let content = "[domain.\"R\"]\nsend = \"required\"\nlocate = \"closed\"\n\
            [domain.\"R\".class.\"open-*\"]\nsend = \"optional\"\nfailed-proof = \"drop\"\n\
            [domain.\"R\".foreign.\"EVIL\"]\nspeaks-for = []\n[domain.\"R\".foreign.\"*\"]\nspeaks-for = [\"bot@*\"]\n";
        let rules_of_r: Vec<String> = rules(content, "R").into_iter().filter(|line| !line.contains(" (): ")).collect();
        assert_eq!(
            rules_of_r,
            [
                "domain \"R\" of p:1",
                "send required (p:2): only who proves who he is may send",
                "receive required (the default): only who proves who he is may subscribe",
                "locate closed (p:3): nobody may ask where somebody is",
                "login required (the default): only who proves who he is may tell, hide or forget where he is",
                "logout optional (the default): anybody may leave a place, from that place, with or without proof",
                "failed-proof show-as-failed (the default): what comes with a proof that does not hold counts as unproven",
                "class \"open-*\" send optional (p:5): anybody may send, with or without proof",
                "class \"open-*\" failed-proof drop (p:6): what comes with a proof that does not hold is dropped, and its sender \
             hears that nobody received it",
                "foreign \"EVIL\" speaks-for [] (p:8): nobody is believed whom these realms prove",
                "foreign \"*\" speaks-for [\"bot@*\"] (p:10): of those whom these realms prove, only these are believed",
            ]
        );
        let open = rules("[domain.R]\nbackend = \"none\"\nbelieve-unproven-senders = true\n", "R");
        assert!(
            open.contains(&"believe-unproven-senders true (p:3): who claims proof is believed unseen".to_owned()),
            "{open:?}"
        );
        let bounded = rules("[domain.R.bounds]\nnotices-per-second = 3\nnotice-burst = 7\n", "R");
        for line in [
            "bounds notice-octets 400000 (): a notice may bring so many octets",
            "bounds notices-per-second 3 (): a host may send so many notices in a second in the long run",
            "bounds notice-burst 7 (): where that is bounded, so many at once after a pause",
        ] {
            assert!(bounded.iter().any(|rule| rule == line), "{line}: {bounded:?}");
        }
        assert!(bounded.iter().any(|rule| rule.starts_with("enctypes [\"aes256-cts-")), "{bounded:?}");
        assert!(!open.iter().any(|rule| rule.starts_with("enctypes")), "{open:?}");
        assert!(rules("", "R").first().is_some_and(|origin| origin.starts_with("the defaults")));
    }
}
