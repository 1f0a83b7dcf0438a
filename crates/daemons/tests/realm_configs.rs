//! Every ready-made domain of `realm-configs` can be loaded, whole and without a warning, and is what its README says.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, fs, path::Path};
use zephyr_config::problem::Findings;
use zephyr_daemons::{
    settings::{HostManagerSettings, ServerName},
    zephyrd::configuration::{self, Configuration},
};
use zephyr_domain::policy_file::PolicyFile;
use zephyr_engine::server::{
    access,
    acl::{Act, Who},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../realm-configs");
/// The lists that every domain ships, if it does not say otherwise.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/etc-zephyr/acl");

/// The ready-made domains, with the realm that each is asked about.
const DOMAINS: [(&str, &str); 5] = [
    ("athena", "ATHENA.MIT.EDU"),
    ("cross-realm", "NORTH.EXAMPLE.ORG"),
    ("isu", "IASTATE.EDU"),
    ("modern", "EXAMPLE.ORG"),
    ("open", "DEPT.EXAMPLE.ORG"),
];

/// The lists of a domain that differ on purpose from those that are shipped, or are not among them.
fn own_lists(name: &str) -> &'static [&'static str] {
    match name {
        "athena" => &[
            "class-registry.acl",
            "iui-operations.acl",
            "opstaff.acl",
            "sub-helpdesk.acl",
            "sub-operations.acl",
            "xmt-helpdesk.acl",
            "xmt-operations.acl",
        ],
        "isu" => &["iui-operations.acl", "opstaff.acl", "sub-operations.acl", "xmt-operations.acl"],
        "open" => &["class-registry.acl"],
        _ => &[],
    }
}

/// The shipped lists that a domain is without on purpose: nobody can prove who he is there, and they would admit nobody.
fn left_out(name: &str) -> &'static [&'static str] {
    match name {
        "open" => &[
            "iui-login.acl",
            "iui-operations.acl",
            "iws-operations.acl",
            "sub-login.acl",
            "sub-operations.acl",
            "xmt-login.acl",
            "xmt-operations.acl",
        ],
        _ => &[],
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_one_has_the_lists_that_are_shipped() {
    let shipped = names_in(Path::new(SHIPPED));
    for (name, _) in DOMAINS {
        let folder = Path::new(FOLDER).join(name).join("acl");
        let present = names_in(&folder);
        let (own, left_out) = (own_lists(name), left_out(name));
        for list in &shipped {
            let is_same = fs::read(folder.join(list)).ok() == fs::read(Path::new(SHIPPED).join(list)).ok();
            let differs = own.contains(&list.as_str()) || left_out.contains(&list.as_str());
            assert_eq!(is_same, !differs, "{name}: {list}, which packaging/etc-zephyr/acl has as well");
            assert_eq!(present.contains(list), !left_out.contains(&list.as_str()), "{name}: {list}");
        }
        let others: Vec<&String> = present.difference(&shipped).collect();
        assert!(others.iter().all(|list| own.contains(&list.as_str())), "{name}: {others:?}");
    }
}

/// What the guide to access control says of the lists that are shipped, asked in each domain as its server would be.
#[test]
fn every_one_answers_as_the_guide_says() {
    for (name, realm) in DOMAINS {
        let configuration = Configuration::load(&Path::new(FOLDER).join(name)).unwrap();
        let (domain, rules) = (configuration.policies.domain(realm), &configuration.rules);
        let may = |person: Option<&str>, class: &str, act| {
            let person = person.map(|person| format!("{person}@{realm}"));
            let who = Who { principal: person.as_deref().map(str::as_bytes), address: Some([198, 51, 100, 7].into()) };
            access(&domain.policy, rules, realm.as_bytes(), class.as_bytes(), act, who).is_allowed()
        };
        let is_open = name == "open";
        // Where nobody can prove who he is, everybody is somebody without proof.
        let [user, operator] = [Some("alice"), Some("alice/root")].map(|person| person.filter(|_| !is_open));

        // Messages are for whoever may send there at all.
        assert!(Act::ALL.into_iter().all(|act| may(user, "talk", act)), "{name}");
        // Nobody sends to the server's own classes or subscribes to them, whoever he is.
        for class in ["wg_ctl", "HM_CTL", "hm_stat", "zephyr_admin", "Zephyr_Ctl"] {
            for who in [user, operator, None] {
                for act in Act::ALL {
                    assert!(!may(who, class, act), "{name}: {who:?} {act:?} {class}");
                }
            }
        }
        // Log-ins of single users may be watched, not all at once; and nobody makes them up.
        for who in [user, operator, None] {
            let is_known = who.is_some() || is_open;
            assert_eq!(may(who, "login", Act::Subscribe), is_known, "{name}: {who:?}");
            for act in [Act::AnyInstance, Act::Send, Act::OtherInstance] {
                assert!(!may(who, "Login", act), "{name}: {who:?} {act:?}");
            }
        }
        // To operations nobody sends but whom the domain names.
        let has_operators = matches!(name, "athena" | "isu");
        for (who, expected) in [(user, is_open), (operator, has_operators || is_open), (None, is_open)] {
            for act in [Act::Send, Act::OtherInstance] {
                assert_eq!(may(who, "operations", act), expected, "{name}: {who:?} {act:?}");
            }
        }
        for act in [Act::Subscribe, Act::AnyInstance] {
            assert!(may(user, "operations", act), "{name}: {act:?}");
            assert_eq!(may(None, "operations", act), is_open, "{name}: {act:?}");
        }
        // Nobody is an operator unless the domain says so, and nobody of another realm anywhere.
        assert_eq!(rules.is_operator(format!("alice/root@{realm}").as_bytes()), has_operators, "{name}");
        for stranger in [format!("alice@{realm}"), "alice/root@ELSEWHERE.ORG".to_owned()] {
            assert!(!rules.is_operator(stranger.as_bytes()), "{name}: {stranger}");
        }
    }
}

#[test]
fn no_readme_puts_an_example_over_a_sites_own_kerberos_files() {
    let folder = Path::new(FOLDER);
    for readme in
        DOMAINS.map(|(name, _)| folder.join(name).join("README.md")).into_iter().chain([folder.join("README.md")])
    {
        let text = fs::read_to_string(&readme).unwrap();
        let commands = text.lines().filter(|line| line.starts_with("# "));
        let careless = commands.filter(|line| {
            let writes = ["cp ", "install ", "mv ", "> /etc"].iter().any(|verb| line.contains(verb));
            writes && ["krb5.conf", "kdc.conf"].iter().any(|file| line.contains(file))
        });
        assert_eq!(careless.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", readme.display());
    }
}

#[test]
fn every_one_can_be_loaded() {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(FOLDER).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let configuration = Configuration::load(&folder).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert_eq!(configuration::check(&folder), Findings::default(), "{name}");
        let servers = HostManagerSettings::load(&folder).unwrap().settings.zhm.discovery.servers;
        let policies = PolicyFile::load(&folder.join("policy.toml")).unwrap();
        assert_eq!(policies, configuration.policies);
        assert!(policies.domains().count() > 0, "{name}");
        assert!(!servers.is_empty(), "{name} names its servers");
        let has = |file: &str| folder.join(file).is_file();
        let kerberos = name != "open";
        for file in ["krb5.conf", "kdc.conf"] {
            assert_eq!(has(file), kerberos, "{name}: {file}");
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        for heading in ["## On ", "## Choices"] {
            assert!(readme.contains(heading), "{name}: {heading}");
        }
        if kerberos {
            is_of_one_realm(&name, &folder, &configuration, &servers);
        }
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["athena", "cross-realm", "isu", "modern", "open"]);
}

/// The list of other realms names domains of the policy, each with its servers; and the list of servers the host managers'.
#[test]
fn the_lists_of_servers_and_realms_fit_the_policy() {
    let mut listed = Vec::new();
    for (name, realm) in DOMAINS {
        let folder = Path::new(FOLDER).join(name);
        let configuration = Configuration::load(&folder).unwrap();
        for other in &configuration.realm_list.realms {
            let domain = configuration.policies.section(&other.name).map(|domain| &domain.name);
            assert_eq!(domain, Some(&other.name), "{name}");
            for server in &other.servers {
                let realm_of_server = configuration.policies.realm_of_server(&server.host.host);
                assert_eq!(realm_of_server.map(|(realm, _)| realm), Some(&*other.name), "{name}: {}", server.host);
            }
        }
        if let Ok(list) = fs::read_to_string(folder.join("server.list")) {
            let servers: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
            assert_eq!(servers, configuration.policies.section(realm).unwrap().servers, "{name}");
            listed.push(format!("{name} {}", servers.len()));
        }
        let realms: Vec<&str> = configuration.realm_list.realms.iter().map(|realm| &*realm.name).collect();
        if !realms.is_empty() {
            listed.push(format!("{name} {}", realms.join(" ")));
        }
    }
    assert_eq!(listed, ["athena 3", "cross-realm NORTH.EXAMPLE.ORG SOUTH.EXAMPLE.ORG"]);
}

/// Policy, settings and Kerberos are about the same realm, and the policy's servers are those of the host managers.
fn is_of_one_realm(name: &str, folder: &Path, configuration: &Configuration, servers: &[ServerName]) {
    let policies = &configuration.policies;
    let krb5 = fs::read_to_string(folder.join("krb5.conf")).unwrap_or_default();
    let realm = krb5.lines().find_map(|line| line.trim().strip_prefix("default_realm = ")).unwrap_or_default();
    assert!(policies.section(realm).is_some_and(|domain| domain.name == realm), "{name}: {realm}");
    let of_settings = configuration.settings.zephyrd.realm.as_deref();
    assert!(of_settings.is_none_or(|of_settings| of_settings == realm), "{name}");
    let kdc = fs::read_to_string(folder.join("kdc.conf")).unwrap_or_default();
    assert!(kdc.contains(&format!("{realm} = {{")), "{name}");
    for server in servers {
        assert_eq!(policies.realm_of_server(&server.host).map(|(realm, _)| realm), Some(realm), "{name}: {server}");
    }
}
