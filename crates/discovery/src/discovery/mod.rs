//! What is asked, in which order, and what came of it.

#[cfg(test)]
mod tests;

use crate::{
    MAX_CANDIDATES, ServerName, Settings, Source, System, TIMEOUT, candidates, clients_file,
    dns::{ResolveError, Resolver},
    hesiod::{Hesiod, HostServers},
    server_list::{self, Listed},
    srv::{self, Services},
    survey::{Answer, Survey, Testimony},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use zephyr_engine::host_manager::{Candidate, Discovered, NotFound};

/// The configuration folder of programs that have no settings of their own.
const FOLDER: &str = "/etc/zephyr";
/// The file of the settings in it.
const SETTINGS_FILE: &str = "zephyr.toml";
/// The file in it that names a domain's servers.
const SERVER_LIST: &str = "server.list";
/// Where Debian's package for the C programs has the host manager's arguments.
const CLIENTS_FILE: &str = "/etc/default/zephyr-clients";

/// Which sources are asked for servers, and in which order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Discovery {
    plan: Arc<Plan>,
}

#[derive(Clone, Debug)]
enum Plan {
    /// These names, as somebody gives them.
    Names { names: Vec<ServerName>, source: Box<str> },
    /// The SRV records of one domain.
    Domain { domain: Box<str>, system: System },
    /// The sources of a machine.
    Machine(Box<Machine>),
    /// None, as nobody knows which: the settings are invalid.
    Invalid { why: Box<str> },
}

#[derive(Clone, Debug)]
struct Machine {
    settings: Settings,
    folder: PathBuf,
    /// Who knows the realm whose domain is asked where the machine is in none.
    realm: Option<fn() -> Option<String>>,
    system: System,
}

impl Discovery {
    /// What this machine's `/etc/zephyr` says: for programs that have no settings of their own. While its `zephyr.toml` is invalid
    /// no server is found, as it may say that some source must not be asked.
    pub fn of_system() -> Self {
        Self::of_folder(Path::new(FOLDER))
    }

    fn of_folder(folder: &Path) -> Self {
        match Settings::of_file(&folder.join(SETTINGS_FILE)) {
            Ok(settings) => Self::new(settings, folder),
            Err(why) => Self { plan: Arc::new(Plan::Invalid { why: why.into() }) },
        }
    }

    /// The sources that these settings name; `server.list` is in this folder.
    pub fn new(settings: Settings, folder: &Path) -> Self {
        let machine = Machine { settings, folder: folder.to_owned(), realm: None, system: System::default() };
        Self { plan: Arc::new(Plan::Machine(Box::new(machine))) }
    }

    /// These servers and no others, the preferred one first, as `source` ("the command line") names them.
    pub fn of_names(names: &[ServerName], source: &str) -> Self {
        Self { plan: Arc::new(Plan::Names { names: names.to_owned(), source: source.into() }) }
    }

    /// The servers that the SRV records of this domain of DNS name, and no others. A realm has the domain of the same name in
    /// lower case.
    pub fn of_domain(domain: &str) -> Self {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase().into();
        Self { plan: Arc::new(Plan::Domain { domain, system: System::default() }) }
    }

    /// With the realm whose domain is asked where this machine is in none; `realm` is called only then.
    #[must_use]
    pub fn with_default_realm(mut self, realm: fn() -> Option<String>) -> Self {
        if let Plan::Machine(machine) = Arc::make_mut(&mut self.plan) {
            machine.realm = Some(realm);
        }
        self
    }

    /// Whether anybody is asked who may take long.
    pub fn may_take_long(&self) -> bool {
        matches!(*self.plan, Plan::Domain { .. } | Plan::Machine(_))
    }

    /// As if this were another machine.
    #[cfg(test)]
    pub(crate) fn at(mut self, other: crate::system::Pretended) -> Self {
        match Arc::make_mut(&mut self.plan) {
            Plan::Names { .. } | Plan::Invalid { .. } => {}
            Plan::Domain { system, .. } => system.pretended = Some(other),
            Plan::Machine(machine) => machine.system.pretended = Some(other),
        }
        self
    }

    /// The servers that the first source names that names any. Blocks for [`TIMEOUT`] at most.
    ///
    /// # Errors
    ///
    /// When no source names any, or one that may name some later does not answer.
    pub fn discover(&self) -> Result<Discovered, NotFound> {
        self.survey(TIMEOUT).result
    }

    /// As [`Discovery::discover`], within that time, with what each source says that was asked. Within none, nobody is asked who
    /// may take long.
    pub fn survey(&self, within: Duration) -> Survey {
        let deadline = Instant::now() + within;
        match &*self.plan {
            Plan::Names { names, source } => Survey::of([listed(source, names, "it names no server")]),
            Plan::Domain { domain, system } => {
                let mut resolver = Resolver::new(system.name_servers(), deadline);
                Survey::of([by_dns(&mut resolver, domain)])
            }
            Plan::Machine(machine) => {
                let mut resolver = Resolver::new(machine.system.name_servers(), deadline);
                let sources = machine.settings.sources.iter();
                Survey::of(sources.map(|source| machine.ask(*source, &mut resolver)))
            }
            Plan::Invalid { why } => Survey::of([Testimony::new(SETTINGS_FILE, Answer::Invalid(why.clone()))]),
        }
    }
}

impl Machine {
    fn ask(&self, source: Source, resolver: &mut Resolver) -> Testimony {
        match source {
            Source::Settings => listed(SETTINGS_FILE, &self.settings.servers, "it names no server in section zhm"),
            Source::ClientsFile => {
                self.in_file(Path::new(CLIENTS_FILE), |content| clients_file::read(&String::from_utf8_lossy(content)))
            }
            Source::ServerList => self.in_file(&self.folder.join(SERVER_LIST), server_list::read),
            Source::Dns => match self.domain() {
                Some(domain) => by_dns(resolver, &domain),
                None => Testimony::new("DNS", Answer::Absent("this machine is in no domain".into())),
            },
            Source::Hesiod => match Hesiod::of(&self.system) {
                Some(hesiod) => by_hesiod(&hesiod, resolver, &self.system.host()),
                None => Testimony::new("Hesiod", Answer::Absent("this machine does not use it".into())),
            },
        }
    }

    /// The domain whose records are asked for.
    fn domain(&self) -> Option<String> {
        let of_realm = || self.realm.and_then(|realm| realm()).map(|realm| realm.to_ascii_lowercase());
        self.settings.domain.clone().or_else(|| self.system.domain()).or_else(of_realm)
    }

    fn in_file(&self, path: &Path, read: fn(&[u8]) -> Listed) -> Testimony {
        let source = path.display().to_string();
        match self.system.octets(path) {
            Ok(None) => Testimony::new(&source, Answer::Absent("there is no such file".into())),
            Ok(Some(content)) => match read(&content) {
                Listed { names, wrong: Some(wrong) } if names.is_empty() => {
                    Testimony::new(&source, Answer::Invalid(wrong.into()))
                }
                Listed { names, .. } => listed(&source, &names, "it names no server"),
            },
            Err(error) => Testimony::new(&source, Answer::Invalid(error.to_string().into())),
        }
    }
}

/// What a list says that has no priorities.
fn listed(source: &str, names: &[ServerName], nothing: &str) -> Testimony {
    let candidates = candidates::primary_first(names);
    let answer = if candidates.is_empty() { Answer::None(nothing.into()) } else { found(source, candidates, None) };
    Testimony::new(source, answer)
}

fn by_dns(resolver: &mut Resolver, domain: &str) -> Testimony {
    let source = format!("DNS ({})", srv::name(domain));
    let answer = match srv::servers(resolver, domain) {
        Ok(Services::Servers(candidates, valid_for)) => found(&source, candidates, Some(valid_for)),
        Ok(Services::None) => Answer::None("there is no such record".into()),
        Ok(Services::Denied) => Answer::None("it says that the domain has no server".into()),
        Ok(Services::Invalid) => Answer::Invalid("no record names a host".into()),
        Err(error) => unanswered(&error),
    };
    Testimony::new(&source, answer)
}

fn by_hesiod(hesiod: &Hesiod, resolver: &mut Resolver, host: &str) -> Testimony {
    match hesiod.host_servers(resolver, host) {
        Ok(servers) => {
            let source = format!("Hesiod ({})", servers.name);
            let HostServers { primary, others, valid_for, .. } = servers;
            let candidates = match primary {
                Some(primary) => candidates::primary_first(&[vec![primary], others].concat()),
                None => candidates::equal(&others),
            };
            let answer = if candidates.is_empty() {
                Answer::None("there is no such record".into())
            } else {
                found(&source, candidates, Some(valid_for))
            };
            Testimony::new(&source, answer)
        }
        Err(error) => Testimony::new(&format!("Hesiod ({})", hesiod.servers_name()), unanswered(&error)),
    }
}

fn unanswered(error: &ResolveError) -> Answer {
    let text = error.to_string().into();
    if matches!(error, ResolveError::Name(_)) { Answer::Invalid(text) } else { Answer::NoAnswer(text) }
}

fn found(source: &str, candidates: Vec<Candidate>, valid_for: Option<Duration>) -> Answer {
    debug_assert!(candidates.len() <= MAX_CANDIDATES, "sources keep to it");
    Answer::Servers(Discovered { candidates, source: source.into(), valid_for })
}
