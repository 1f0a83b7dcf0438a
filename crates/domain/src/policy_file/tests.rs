use super::*;
use crate::{Backend, Enctype};
use zephyr_core::policy::{Action, Demand, FailedProof, Measure, Policy, Rule, Section, Setting};

const FULL: &str = r#"
[domain."IASTATE.EDU"]
servers = ["zephyr.iastate.edu"]
backend = "kerberos"
enctypes = ["aes256-cts-hmac-sha1-96", "rc4-hmac"]
send = "required"
receive = "required"
locate = "required"
login = "closed"
logout = "closed"
failed-proof = "refuse"

[domain."IASTATE.EDU".bounds]
notice-octets = 1000
notices-per-second = 5
notice-burst = 7

[domain."IASTATE.EDU".class."Public-*"]
send = "optional"
failed-proof = "drop"

[domain."IASTATE.EDU".foreign."*.EDU"]
speaks-for = ["staff-*", "root@MIT.EDU"]

[domain."*.EDU"]
backend = "none"
believe-unproven-senders = true
send = "required"
"#;

fn file(content: &str) -> PolicyFile {
    PolicyFile::read(Path::new("policy.toml"), content).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn every_setting_is_read() {
    let file = file(FULL);
    let domain = file.domain("iastate.edu");
    assert_eq!((domain.name.as_str(), domain.backend), ("IASTATE.EDU", Backend::KERBEROS));
    assert_eq!(domain.servers, ["zephyr.iastate.edu"]);
    assert_eq!(domain.enctypes, [Enctype::from_number(18).unwrap(), Enctype::from_number(23).unwrap()]);
    let policy = &domain.policy;
    assert_eq!(
        Action::ALL.map(|action| policy.demand(action)),
        [Demand::Required, Demand::Required, Demand::Required, Demand::Closed, Demand::Closed]
    );
    assert_eq!(policy.failed_proof, FailedProof::Refuse);
    assert_eq!(policy.measure, Measure { notice_octets: 1000, notices_per_second: 5, notice_burst: 7 });
    let [class] = policy.classes.as_slice() else { panic!("{policy:?}") };
    assert_eq!((class.classes.text(), class.send), (&b"public-*"[..], Some(Demand::Optional)), "folded");
    assert_eq!((class.receive, class.failed_proof), (None, Some(FailedProof::Drop)));
    let [foreign] = policy.foreign.as_slice() else { panic!("{policy:?}") };
    assert_eq!((foreign.realms.text(), foreign.speaks_for.len()), (&b"*.EDU"[..], 2));

    let other = file.domain("MIT.EDU");
    assert_eq!(
        (other.backend, other.policy.believe_unproven, other.policy.send),
        (Backend::NONE, true, Demand::Required)
    );
    assert_eq!(other.policy.receive, Demand::Optional, "the defaults are those of the backend");
    assert_eq!(*file.domain("CMU.ORG"), Domain::default());
    assert_eq!(file.section("CMU.ORG"), None);
}

#[test]
fn rules_have_places() {
    let file = file(FULL);
    let domain = file.domain("IASTATE.EDU");
    let place = |section, setting| domain.place_of(Rule { section, setting });
    assert_eq!(place(Section::Domain, Setting::Demand(Action::Send)), "policy.toml:6");
    assert_eq!(place(Section::Domain, Setting::FailedProof), "policy.toml:11");
    assert_eq!(place(Section::Class(0), Setting::Demand(Action::Send)), "policy.toml:19");
    assert_eq!(place(Section::Class(0), Setting::FailedProof), "policy.toml:20");
    assert_eq!(place(Section::Foreign(0), Setting::SpeaksFor), "policy.toml:23");
    assert_eq!(place(Section::Class(0), Setting::Demand(Action::Receive)), "the default");
    assert_eq!(domain.origin(), "domain \"IASTATE.EDU\" of policy.toml:2");
}

#[test]
fn no_file_and_an_empty_one_are_as_in_c() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    assert_eq!(PolicyFile::load_if_there(&path).unwrap(), PolicyFile::default());
    assert!(PolicyFile::load(&path).unwrap_err().to_string().contains("No such file"));
    std::fs::write(&path, "# nothing\n").unwrap();
    let domain = PolicyFile::load(&path).unwrap().domain("ANY");
    assert_eq!((domain.backend, &domain.policy), (Backend::KERBEROS, &Policy::KERBEROS));
    assert_eq!(domain.enctypes, Enctype::DEFAULT);
}

#[test]
fn a_domain_of_one_realm_goes_before_patterns() {
    let file = file("[domain.\"*\"]\n[domain.\"*.B.ORG\"]\n[domain.\"A.B.ORG\"]\n[domain.\"*.ORG\"]\n");
    for (realm, line) in [("A.B.ORG", 3), ("C.B.ORG", 2), ("X.ORG", 4), ("X", 1), ("a.b.org", 3)] {
        let place = file.domain(realm).place.clone().unwrap();
        assert_eq!(place.line, line, "{realm}");
    }
}

const EXAMPLE: &str = include_str!("../../../../packaging/etc-zephyr/policy.toml");

/// The example with its settings no longer commented out. Settings and sections follow `#` at once, prose after a blank.
fn active_example() -> String {
    let is_setting = |rest: &str| rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[');
    let active = |line: &str| match line.strip_prefix('#') {
        Some(setting) if is_setting(setting) => setting.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(active).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_says_nothing_and_names_every_default() {
    let path = Path::new("policy.toml");
    assert_eq!(PolicyFile::read(path, EXAMPLE), Ok(PolicyFile::default()), "as shipped");
    let active = active_example();
    let all = PolicyFile::read(path, &active.replace("servers = []\n", "")).unwrap();
    let domain = all.section("ANY").unwrap();
    let said = Domain { place: None, places: Default::default(), ..Domain::clone(domain) };
    assert_eq!(said, Domain::default(), "with every line made active");
    // Every setting that exists is there: 10 of the domain, 3 bounds.
    let settings = active.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let names: Vec<&str> = settings.filter_map(|line| line.split(' ').next()).collect();
    let (_, problems) = super::read::read(PROVIDERS, path, "[domain.A]\nx = 1\n[domain.A.bounds]\nx = 1\n");
    for problem in problems {
        let (_, known) = problem.text.split_once("; there are ").unwrap();
        for known in known.split(", ").filter(|known| !["bounds", "class", "foreign"].contains(known)) {
            assert!(names.contains(&known), "{known} is not in the example");
        }
    }
    assert_eq!(names.len(), 13, "{names:?}");
    // The examples within the prose can be used, too.
    let indented: Vec<&str> = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let examples = indented.iter().filter(|line| line.starts_with('[') || line.contains(" = "));
    let examples = examples.copied().collect::<Vec<_>>().join("\n");
    let file = file(&examples);
    assert_eq!(file.domain("EXAMPLE.ORG").policy.foreign.len(), 2);
    assert_eq!(file.domain("EXAMPLE.ORG").policy.classes.len(), 1);
}
