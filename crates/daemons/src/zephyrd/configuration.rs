//! All configuration files of a server as one: either all of them can be used, or it is said what is wrong in each.

use super::rule_files;
use crate::{
    problem::{Findings, Problem, Problems},
    settings::Settings,
};
use std::{path::Path, sync::Arc};
use zephyr_domain::policy_file::{self, PolicyFile};
use zephyr_engine::server::acl::Rules;

/// What the files of a configuration folder say.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// `zephyr.toml`.
    pub settings: Settings,
    /// The class registry, access control lists, operators and default subscriptions.
    pub rules: Arc<Rules>,
    /// `policy.toml`, or the file that takes its place.
    pub policies: PolicyFile,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Problem>,
}

impl Configuration {
    /// Reads all files of a folder. Those that are missing are no problem.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in all files.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        Self::inspect(folder).map_err(|findings| Problems(findings.problems))
    }

    /// As [`load`](Self::load), for somebody who wants to hear everything at once.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in all files, and what else there is to say about them.
    pub fn inspect(folder: &Path) -> Result<Self, Findings> {
        let policies = PolicyFile::find(&folder.join(policy_file::FILE_NAME));
        match (Settings::load(folder), rule_files::load(folder), policies) {
            (Ok(settings), Ok(loaded), Ok(policies)) => {
                Ok(Self { settings, rules: Arc::new(loaded.rules), policies, warnings: loaded.warnings })
            }
            (settings, loaded, policies) => {
                let Findings { problems, warnings } = loaded.map_or_else(
                    |findings| findings,
                    |loaded| Findings { warnings: loaded.warnings, ..Findings::default() },
                );
                let others = [settings.err(), policies.err()].into_iter().flatten();
                Err(Findings { problems: others.flat_map(|Problems(found)| found).chain(problems).collect(), warnings })
            }
        }
    }
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
    }
}
