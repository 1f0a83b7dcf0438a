//! Every ready-made domain of `realm-configs` can be loaded, whole and without a warning, and is what its README says.

use std::{fs, path::Path};
use zephyr_config::problem::Findings;
use zephyr_daemons::{
    settings::{HostManagerSettings, ServerName},
    zephyrd::configuration::{self, Configuration},
};
use zephyr_domain::policy_file::PolicyFile;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../realm-configs");

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
        let servers = HostManagerSettings::load(&folder).unwrap().settings.zhm.servers;
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
