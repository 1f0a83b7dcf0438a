//! Files of access control rules: found and read here, parsed by [`zephyr_engine::server::acl`].

use crate::problem::{Findings, Problem};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use zephyr_config::file;
use zephyr_core::fold::fold;
use zephyr_domain::scope::NamedRealm;
use zephyr_engine::server::acl::{Acl, Act, ClassAcls, Defaults, MAX_ERRORS, Registry, Rules, SyntaxError};

/// The folder of access control lists, in the configuration folder.
const ACL_FOLDER: &str = "acl";
/// The class registry, in the folder of access control lists.
const REGISTRY: &str = "class-registry.acl";
/// The operators, in the folder of access control lists.
const OPERATORS: &str = "opstaff.acl";
/// The default subscriptions, in the configuration folder.
const DEFAULTS: &str = "default.subscriptions";
/// Registered classes that are without lists wherever the C programs are: they are there so that somebody can write some.
const WITHOUT_LISTS: [&[u8]; 2] = [b"locate", b"zmatch_all"];

/// Names looked at in the folder of access control lists, at most.
const MAX_NAMES: usize = 50_000;

/// Rules, and the warnings about their files.
#[derive(Debug)]
pub struct Loaded {
    /// The rules.
    pub rules: Rules,
    /// Whether there is a class registry. Without one no class is restricted.
    pub has_registry: bool,
    /// The realms that the lists name.
    pub realms: Vec<NamedRealm>,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

/// Reads the rules of a configuration folder. Without a registry all classes are free, without a list for an act
/// everybody may do it, without operators nobody is one, and without default subscriptions the usual ones hold.
///
/// # Errors
///
/// All errors: files that exist and cannot be read, or are invalid. Then there are no rules, because
/// half of them could admit whom the other half refuses. The warnings are those about the files that could be read.
pub fn load(config_dir: &Path) -> Result<Loaded, Findings> {
    let mut loader = Loader {
        folder: config_dir.join(ACL_FOLDER),
        has_registry: false,
        findings: Findings::default(),
        realms: Vec::new(),
    };
    let rules = loader.rules(config_dir);
    let Loader { has_registry, mut findings, realms, .. } = loader;
    findings.warnings.sort();
    if findings.problems.is_empty() {
        Ok(Loaded { rules, realms, has_registry, warnings: findings.warnings })
    } else {
        findings.problems.sort();
        Err(findings)
    }
}

/// The path of the class registry in a configuration folder.
pub(super) fn registry_file(config_dir: &Path) -> PathBuf {
    config_dir.join(ACL_FOLDER).join(REGISTRY)
}

/// The path of the list of a class for an action, in a configuration folder. The class is spelled as the registry
/// spells it.
pub fn list_file(config_dir: &Path, act: Act, spelling: &[u8]) -> PathBuf {
    config_dir.join(ACL_FOLDER).join(OsStr::from_bytes(&list_name(act, spelling)))
}

fn list_name(act: Act, spelling: &[u8]) -> Vec<u8> {
    [act.name().as_bytes(), b"-", spelling, b".acl"].concat()
}

struct Loader {
    folder: PathBuf,
    has_registry: bool,
    findings: Findings,
    realms: Vec<NamedRealm>,
}

impl Loader {
    fn rules(&mut self, config_dir: &Path) -> Rules {
        let defaults = self.read(&config_dir.join(DEFAULTS), Defaults::read).unwrap_or_else(Defaults::usual);
        let operators = self.acl(&self.folder.join(OPERATORS)).unwrap_or_default();
        let mut rules = Rules::new(operators, defaults);
        let Some(registry) = self.registry() else { return rules };
        self.has_registry = true;
        for class in registry.classes() {
            let mut list = |act| self.acl(&list_file(config_dir, act, &class.spelling));
            let lists = ClassAcls {
                xmt: list(Act::Send),
                sub: list(Act::Subscribe),
                iws: list(Act::AnyInstance),
                iui: list(Act::OtherInstance),
            };
            rules.register(&class.folded, lists);
        }
        self.look_for_strays(&registry);
        rules
    }

    fn acl(&mut self, file: &Path) -> Option<Acl> {
        let acl = self.read(file, Acl::read)?;
        for line in acl.without_realm() {
            let text = "a principal without realm: it names nobody where principals have realms";
            self.findings.warnings.push(Problem { line, ..Problem::whole_file(file, text) });
        }
        for &(line, doubt) in acl.doubts() {
            self.findings.warnings.push(Problem { line, ..Problem::whole_file(file, doubt) });
        }
        let named = |(realm, lines): (Vec<u8>, _)| NamedRealm {
            file: file.to_owned(),
            lines,
            realm: String::from_utf8_lossy(&realm).into_owned(),
        };
        self.realms.extend(acl.realms().into_iter().map(named));
        Some(acl)
    }

    /// The classes of the registry, as far as its lines are valid.
    fn registry(&mut self) -> Option<Registry> {
        let file = self.folder.join(REGISTRY);
        // One that cannot be read is a problem, and frees no class.
        let Some(content) = self.content(&file).ok()? else {
            self.findings.warnings.push(Problem::whole_file(&file, "no registry available, all classes are free"));
            return None;
        };
        let (registry, errors) = Registry::read(&content);
        self.report(&file, &content, errors);
        Some(registry)
    }

    /// Reads a file and what it means; `None` when it is not there, or when something is wrong in it, which is reported.
    fn read<T, R: std::error::Error>(
        &mut self,
        file: &Path,
        understand: impl Fn(&[u8]) -> Result<T, Vec<SyntaxError<R>>>,
    ) -> Option<T> {
        let content = self.content(file).ok()??;
        understand(&content).map_err(|errors| self.report(file, &content, errors)).ok()
    }

    /// The octets of a file; `None` when there is none. That it cannot be read is reported.
    fn content(&mut self, file: &Path) -> Result<Option<Vec<u8>>, ()> {
        file::octets(file).map_err(|error| self.findings.problems.push(Problem::whole_file(file, error)))
    }

    /// Reports the errors in a file.
    fn report<R: std::error::Error>(&mut self, file: &Path, content: &[u8], errors: Vec<SyntaxError<R>>) {
        let lines: Vec<&[u8]> = content.split(|&octet| octet == b'\n').collect();
        if errors.len() >= MAX_ERRORS {
            let text = format!("more than {MAX_ERRORS} errors, of which the first are listed");
            self.findings.problems.push(Problem::whole_file(file, text));
        }
        self.findings.problems.extend(errors.into_iter().map(|error| {
            let line = lines.get(error.line.saturating_sub(1)).copied().unwrap_or_default();
            let before = line.get(..error.column.saturating_sub(1)).unwrap_or(line);
            let column = String::from_utf8_lossy(before).chars().count() + 1;
            Problem { file: file.to_owned(), line: error.line, column, text: error.reason.to_string() }
        }));
    }

    /// Warns of lists that are not read, and of classes that nothing restricts. A list that differs in spelling alone would leave its class open, so it is a
    /// problem.
    fn look_for_strays(&mut self, registry: &Registry) {
        let names = match names_in(&self.folder) {
            Ok(names) => names,
            Err(error) => return self.findings.problems.push(Problem::whole_file(&self.folder, error)),
        };
        let spellings: HashMap<&[u8], &[u8]> =
            registry.classes().iter().map(|class| (&*class.folded, &*class.spelling)).collect();
        let file = self.folder.join(REGISTRY);
        // An invalid line may be the class that a list is of.
        let is_whole = !self.findings.problems.iter().any(|problem| problem.file == file);
        let with_lists: HashSet<_> =
            names.iter().filter_map(|name| list_of(name)).map(|(_, class)| fold(class)).collect();
        for class in registry.classes().iter().filter(|_| is_whole) {
            if !with_lists.contains(&class.folded) && !WITHOUT_LISTS.contains(&&*class.folded) {
                let spelling = String::from_utf8_lossy(&class.spelling).into_owned();
                let text = format!("class {spelling} has no list, so everybody may do everything with it");
                self.findings.warnings.push(Problem { line: class.line, ..Problem::whole_file(&file, text) });
            }
        }
        for name in &names {
            let Some((act, class)) = list_of(name) else { continue };
            let file = self.folder.join(OsStr::from_bytes(name));
            match spellings.get(&*fold(class)) {
                Some(&spelling) if spelling == class => {}
                Some(spelling) => {
                    let read = list_name(act, spelling);
                    let text = format!("the registry spells this class so that {} is read", read.escape_ascii());
                    let found = Problem::whole_file(&file, text);
                    if names.contains(&read) {
                        self.findings.warnings.push(found)
                    } else {
                        self.findings.problems.push(found)
                    }
                }
                None if !is_whole => {}
                None => {
                    let text = format!("not read, because {REGISTRY} lacks its class");
                    self.findings.warnings.push(Problem::whole_file(&file, text));
                }
            }
        }
    }
}

/// The act and class of a list with this file name.
fn list_of(name: &[u8]) -> Option<(Act, &[u8])> {
    let stem = name.strip_suffix(b".acl")?;
    Act::ALL.iter().find_map(|&act| {
        let class = stem.strip_prefix(act.name().as_bytes())?.strip_prefix(b"-")?;
        Some((act, class))
    })
}

fn names_in(folder: &Path) -> io::Result<HashSet<Vec<u8>>> {
    let entries = fs::read_dir(folder)?.take(MAX_NAMES + 1);
    let names: HashSet<_> =
        entries.map(|entry| Ok(entry?.file_name().as_bytes().to_vec())).collect::<io::Result<_>>()?;
    if names.len() > MAX_NAMES {
        return Err(io::Error::other(format!("more than {MAX_NAMES} files")));
    }
    Ok(names)
}
