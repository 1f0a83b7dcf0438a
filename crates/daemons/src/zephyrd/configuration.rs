//! The configuration of a server, from all its files: either all of them can be used, or every problem is reported.

use super::{
    realms::list::{self as realm_list, RealmList},
    rule_files::{self, Loaded},
    server_list::ServerList,
    stray_files,
};
use crate::{
    problem::{Findings, Problem, Problems},
    settings::{self, ServerSettings},
};
use std::{fs, path::Path, sync::Arc};
use zephyr_domain::{
    policy_file::{self, PolicyFile},
    scope::NamedRealm,
};
use zephyr_engine::server::acl::Rules;

/// The contents of a configuration folder.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The server's sections of `zephyr.toml`.
    pub settings: ServerSettings,
    /// The class registry, access control lists, operators and default subscriptions.
    pub rules: Arc<Rules>,
    /// The realms that the lists name.
    pub realms: Vec<NamedRealm>,
    /// The other realms that the server talks with.
    pub realm_list: RealmList,
    /// `policy.toml`, or the file that takes its place.
    pub policies: PolicyFile,
    /// The servers of the realm.
    pub(super) servers: ServerList,
    /// Which of these were found.
    pub(super) sources: Sources,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

/// The default configuration folder, which need not be there.
const USUAL_FOLDER: &str = "/etc/zephyr";

/// What closes something, and is or is not there: without it, more is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// The folder of all of them.
    pub(super) folder: bool,
    policy: bool,
    registry: bool,
}

impl Sources {
    /// What was there before and is gone now. A server that runs does not take that for a wish: a disk may be missing, or a
    /// folder have been moved.
    pub(super) fn lost(self, now: Self, config_dir: &Path) -> Vec<Problem> {
        if self.folder && !now.folder {
            return vec![gone(config_dir)];
        }
        let files = [
            (self.policy && !now.policy, config_dir.join(policy_file::FILE_NAME)),
            (self.registry && !now.registry, rule_files::registry_file(config_dir)),
        ];
        files.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, file)| gone(&file)).collect()
    }
}

fn gone(path: &Path) -> Problem {
    Problem::whole_file(path, "it was there and is gone; restart zephyrd if that is meant")
}

impl Configuration {
    /// Reads all files of a folder, as far as they concern a server. Those that are missing are no problem.
    ///
    /// # Errors
    ///
    /// All errors in all files; and that the folder is missing, unless it is the default one.
    pub fn load(folder: &Path) -> Result<Self, Problems> {
        match Parts::read(folder) {
            Parts {
                settings: Some(settings),
                policies: Some(policies),
                rules: Some(rules),
                servers: Some(servers),
                realm_list: Some(realm_list),
                realms,
                sources,
                findings,
            } => Ok(Self {
                settings,
                rules,
                realms,
                realm_list,
                policies,
                servers,
                sources,
                warnings: findings.warnings,
            }),
            Parts { findings, .. } => Err(Problems(findings.problems)),
        }
    }
}

/// As much of a configuration folder as can be used, and everything that there is to say about it. What is missing here has
/// a problem among the findings.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) settings: Option<ServerSettings>,
    pub(super) rules: Option<Arc<Rules>>,
    pub(super) policies: Option<PolicyFile>,
    pub(super) servers: Option<ServerList>,
    pub(super) realm_list: Option<RealmList>,
    /// The realms that the lists name, as far as those can be used.
    pub(super) realms: Vec<NamedRealm>,
    pub(super) sources: Sources,
    pub(super) findings: Findings,
}

impl Parts {
    /// Reads all files of a folder, as far as they concern a server.
    pub(super) fn read(folder: &Path) -> Self {
        let mut findings = Findings::default();
        let found = look_for(folder);
        let mut sources = Sources { folder: found.is_ok(), ..Sources::default() };
        if let Err(problem) = found
            && (folder != Path::new(USUAL_FOLDER) || fs::symlink_metadata(folder).is_ok())
        {
            findings.problems.push(problem);
            return Self {
                settings: None,
                rules: None,
                policies: None,
                servers: None,
                realm_list: None,
                realms: Vec::new(),
                sources,
                findings,
            };
        }
        let settings = match ServerSettings::load(folder) {
            Ok(loaded) => {
                findings.warnings.extend(loaded.warnings);
                Some(loaded.settings)
            }
            Err(found) => {
                findings.extend(found);
                None
            }
        };
        let policies = match load_policies(folder) {
            Ok(policies) => {
                sources.policy = policies.is_some();
                Some(policies.unwrap_or_default())
            }
            Err(Problems(problems)) => {
                findings.problems.extend(problems);
                None
            }
        };
        let (rules, realms) = match rule_files::load(folder) {
            Ok(Loaded { rules, realms, has_registry, warnings }) => {
                sources.registry = has_registry;
                findings.warnings.extend(warnings);
                (Some(Arc::new(rules)), realms)
            }
            Err(found) => {
                findings.extend(found);
                (None, Vec::new())
            }
        };
        let servers = load_servers(folder, settings.as_ref(), &mut findings);
        let realm_list = match realm_list::load(folder) {
            Ok(realm_list::Loaded { list, warnings }) => {
                findings.warnings.extend(warnings);
                Some(list)
            }
            Err(found) => {
                findings.extend(found);
                None
            }
        };
        findings.warnings.extend(stray_files::warnings(folder));
        Self { settings, rules, policies, servers, realm_list, realms, sources, findings }
    }
}

/// All findings about the files of a folder, whichever program they concern. A server needs none; whoever asks about a folder
/// means one that is there.
pub fn check(folder: &Path) -> Findings {
    if let Err(problem) = look_for(folder) {
        return Findings { problems: vec![problem], ..Findings::default() };
    }
    let mut findings = settings::check(folder);
    findings.add_new(Parts::read(folder).findings);
    findings
}

/// Whether the folder is there.
fn look_for(folder: &Path) -> Result<(), Problem> {
    match fs::metadata(folder) {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(Problem::whole_file(folder, "this is no folder")),
        Err(error) => Err(Problem::whole_file(folder, error)),
    }
}

/// The servers of the realm; the file that names them is looked at, whatever is wrong in the settings.
fn load_servers(folder: &Path, settings: Option<&ServerSettings>, findings: &mut Findings) -> Option<ServerList> {
    let part = || ServerSettings::load_in_part(folder).0.peers;
    let peers = settings.map_or_else(part, |settings| settings.peers.clone());
    match ServerList::load(folder, &peers) {
        Ok((servers, warnings)) => {
            findings.warnings.extend(warnings);
            Some(servers)
        }
        Err(found) => {
            findings.extend(found);
            None
        }
    }
}

fn load_policies(folder: &Path) -> Result<Option<PolicyFile>, Problems> {
    PolicyFile::find_if_there(&folder.join(policy_file::FILE_NAME))
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
        write("realm.list", "OTHER.TEST\n");
        let Problems(problems) = Configuration::load(folder.path()).unwrap_err();
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].contains("zephyr.toml:2:11: clients: "), "{lines:?}");
        assert!(lines[1].contains("policy.toml:2:8: send: "), "{lines:?}");
        assert!(lines[2].contains("default.subscriptions:2:1: "), "{lines:?}");
        assert!(lines[3].contains("realm.list:1:1: expected REALM HOST"), "{lines:?}");
        assert_eq!(check(folder.path()).problems, problems);
    }

    #[test]
    fn what_was_never_there_is_not_lost() {
        let all = Sources { folder: true, policy: true, registry: true };
        let lost = |before: Sources, now| {
            let problems = before.lost(now, Path::new("/etc/zephyr"));
            problems.iter().map(|problem| problem.file.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(lost(all, Sources::default()), ["/etc/zephyr"], "the folder says it all");
        assert_eq!(lost(all, Sources { policy: false, ..all }), ["/etc/zephyr/policy.toml"]);
        assert_eq!(lost(all, Sources { registry: false, ..all }), ["/etc/zephyr/acl/class-registry.acl"]);
        for (before, now) in [(all, all), (Sources::default(), all), (Sources::default(), Sources::default())] {
            assert_eq!(lost(before, now), [""; 0]);
        }
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
