//! The configuration of a server, from all its files: either all of them can be used, or every problem is reported.

use super::rule_files::{self, Loaded};
use crate::{
    problem::{Findings, Problem, Problems},
    settings::{self, ServerSettings},
};
use std::{path::Path, sync::Arc};
use zephyr_domain::policy_file::{self, PolicyFile};
use zephyr_engine::server::acl::Rules;

/// The contents of a configuration folder.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The server's sections of `zephyr.toml`.
    pub settings: ServerSettings,
    /// The class registry, access control lists, operators and default subscriptions.
    pub rules: Arc<Rules>,
    /// `policy.toml`, or the file that takes its place.
    pub policies: PolicyFile,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

impl Configuration {
    /// Reads all files of a folder, as far as they concern a server. Those that are missing are no problem.
    ///
    /// # Errors
    ///
    /// All errors in all files.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        match (ServerSettings::load(folder), load_policies(folder), rule_files::load(folder)) {
            (Ok(loaded), Ok(policies), Ok(Loaded { rules, warnings })) => {
                let warnings = [loaded.warnings, warnings].concat();
                Ok(Self { settings: loaded.settings, rules: Arc::new(rules), policies, warnings })
            }
            (settings, policies, rules) => {
                let [settings, rules] = [settings.err(), rules.err()].map(Option::unwrap_or_default);
                Err(Problems(all(settings, policies.err(), rules).problems))
            }
        }
    }
}

/// All findings about the files of a folder, whichever program they concern.
pub fn check(folder: &Path) -> Findings {
    let rules = rule_files::load(folder)
        .map_or_else(|findings| findings, |Loaded { warnings, .. }| Findings { warnings, ..Findings::default() });
    all(settings::check(folder), load_policies(folder).err(), rules)
}

fn load_policies(folder: &Path) -> Result<PolicyFile, Problems> {
    PolicyFile::find(&folder.join(policy_file::FILE_NAME))
}

/// The findings in all files.
fn all(settings: Findings, policies: Option<Problems>, rules: Findings) -> Findings {
    let mut all = settings;
    all.problems.extend(policies.into_iter().flat_map(|Problems(problems)| problems));
    all.extend(rules);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_problems_of_all_files_are_found_at_once() {
        let folder = tempfile::tempdir().unwrap();
        Configuration::load(folder.path()).expect("nothing is fine");
        let write = |name: &str, content| fs::write(folder.path().join(name), content).unwrap();
        write("default.subscriptions", "message,personal,%me%\n");
        assert_eq!(Configuration::load(folder.path()).unwrap().rules.defaults.len(), 1);
        write("default.subscriptions", "message,personal,%me%\noops\n");
        write("zephyr.toml", "[bounds]\nclients = -1\n");
        write("policy.toml", "[domain.A]\nsend = \"never\"\n");
        let Problems(problems) = Configuration::load(folder.path()).unwrap_err();
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("zephyr.toml:2:11: clients: "), "{lines:?}");
        assert!(lines[1].contains("policy.toml:2:8: send: "), "{lines:?}");
        assert!(lines[2].contains("default.subscriptions:2:1: "), "{lines:?}");
        assert_eq!(check(folder.path()).problems, problems);
    }

    #[test]
    fn only_a_check_looks_at_the_sections_of_other_programs() {
        let folder = tempfile::tempdir().unwrap();
        let write = |content| fs::write(folder.path().join("zephyr.toml"), content).unwrap();
        write("[zhm]\nserver = []\n[bounds]\nrecent-packets = 5\n");
        let configuration = Configuration::load(folder.path()).unwrap();
        assert_eq!(configuration.settings.bounds.response_cache_entries, 5);
        let texts = |found: &[Problem]| found.iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        let renamed = "setting recent-packets is now called response-cache-entries";
        assert_eq!(texts(&configuration.warnings)[0], renamed);
        let findings = check(folder.path());
        assert_eq!(texts(&findings.problems), ["unknown setting server in section zhm, did you mean servers?"]);
        assert_eq!(texts(&findings.warnings)[0], renamed);
    }
}
