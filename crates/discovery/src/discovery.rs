//! What is asked, in which order, and what came of it.

use crate::{
    MAX_CANDIDATES, ServerName, Settings, Source, System, TIMEOUT,
    candidates::{self, MAX_VALIDITY, MIN_VALIDITY},
    clients_file,
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
    /// What this machine's `/etc/zephyr` says: for programs that have no settings of their own. What is invalid in its
    /// `zephyr.toml` is as if it were not there.
    pub fn of_system() -> Self {
        let folder = Path::new(FOLDER);
        Self::new(Settings::of_file(&folder.join(SETTINGS_FILE)), folder)
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
        !matches!(*self.plan, Plan::Names { .. })
    }

    /// As if this were another machine.
    #[cfg(test)]
    pub(crate) fn at(mut self, other: crate::system::Pretended) -> Self {
        match Arc::make_mut(&mut self.plan) {
            Plan::Names { .. } => {}
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
                found(&source, candidates, Some(valid_for.clamp(MIN_VALIDITY, MAX_VALIDITY)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scripted::{NameServer, response, zone},
        system::Pretended,
    };
    use hickory_proto::op::{Message, ResponseCode};
    use std::fs;
    use tempfile::TempDir;
    use zephyr_testkit::loopback::Network;

    const SRV: &[&str] = &[
        "_zephyr-clt._udp.example.org. 300 IN SRV 10 60 2203 a.example.org.",
        "_zephyr-clt._udp.example.org. 300 IN SRV 20 0 2103 b.example.org.",
    ];
    const HESIOD: &[&str] = &["zephyr.sloc.ns.example.org. 40 HS TXT h.example.org"];

    /// A machine whose files a test makes.
    struct Stage {
        root: TempDir,
        network: Network,
        servers: Vec<NameServer>,
        settings: Settings,
    }

    impl Stage {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for folder in ["etc/default", "etc/zephyr"] {
                fs::create_dir_all(root.path().join(folder)).unwrap();
            }
            let settings = Settings { domain: Some("example.org".to_owned()), ..Settings::default() };
            let network = Network::claim().unwrap();
            let servers = Vec::new();
            Self { root, network, servers, settings }.with_zone(&[])
        }

        fn with_file(self, path: &str, content: &str) -> Self {
            fs::write(self.root.path().join(path.trim_start_matches('/')), content).unwrap();
            self
        }

        fn without_file(self, path: &str) -> Self {
            fs::remove_file(self.root.path().join(path.trim_start_matches('/'))).unwrap();
            self
        }

        fn with_zone(self, lines: &'static [&'static str]) -> Self {
            self.with_name_server(zone(lines))
        }

        fn with_name_server(mut self, answers: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static) -> Self {
            self.servers = vec![NameServer::new(&self.network, answers)];
            self
        }

        fn survey(&self) -> Survey {
            let pretended = Pretended {
                root: self.root.path().into(),
                host: "host".to_owned(),
                name_servers: self.servers.iter().map(|server| server.address).collect(),
                variables: Vec::new(),
            };
            Discovery::new(self.settings.clone(), Path::new(FOLDER)).at(pretended).survey(TIMEOUT)
        }

        /// The source that wins and what it says, or why none does.
        fn outcome(&self) -> String {
            match self.survey().result {
                Ok(found) => {
                    let one = |one: &Candidate| format!("{}:{}/{}/{}", one.host, one.port, one.priority, one.weight);
                    let all: Vec<String> = found.candidates.iter().map(one).collect();
                    let seconds = found.valid_for.map(|time| format!(" for {} s", time.as_secs())).unwrap_or_default();
                    format!("{}: {}{seconds}", found.source, all.join(" "))
                }
                Err(error) => format!("{error:?}"),
            }
        }
    }

    #[test]
    fn the_first_source_that_names_servers_wins() {
        let mut stage = Stage::new()
            .with_file("/etc/default/zephyr-clients", "zhm_args='-N c.test d.test:99'\n")
            .with_file("/etc/zephyr/server.list", "e.test\nf.test\ne.test\n")
            .with_file("/etc/hesiod.conf", "rhs=.example.org\n")
            .with_zone(SRV);
        stage.settings.servers = ["a.test:7", "b.test"].map(|name| name.parse().unwrap()).into();
        assert_eq!(stage.outcome(), "zephyr.toml: a.test:7/0/0 b.test:2103/1/0");
        stage.settings.servers.clear();
        assert_eq!(stage.outcome(), "/etc/default/zephyr-clients: c.test:2103/0/0 d.test:99/1/0");
        stage = stage.with_file("/etc/default/zephyr-clients", "zhm_args=-N\n");
        assert_eq!(stage.outcome(), "/etc/zephyr/server.list: e.test:2103/0/0 f.test:2103/1/0");
        stage = stage.without_file("/etc/zephyr/server.list");
        let by_dns = "DNS (_zephyr-clt._udp.example.org): a.example.org:2203/10/60 b.example.org:2103/20/0 for 300 s";
        assert_eq!(stage.outcome(), by_dns);
        stage = stage.with_zone(HESIOD);
        assert_eq!(stage.outcome(), "Hesiod (zephyr.sloc.ns.example.org): h.example.org:2103/0/0 for 40 s");
        stage = stage.with_zone(&[]);
        let texts: Vec<String> = stage.survey().testimonies.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "zephyr.toml: it names no server in section zhm",
                "/etc/default/zephyr-clients: it names no server",
                "/etc/zephyr/server.list: there is no such file",
                "DNS (_zephyr-clt._udp.example.org): there is no such record",
                "Hesiod (zephyr.sloc.ns.example.org): there is no such record",
            ]
        );
        // What this machine does not have is of no interest to people.
        let present = [0, 1, 3, 4].map(|place: usize| &*texts[place]).join("; ");
        assert_eq!(stage.outcome(), format!("NoServer({present:?})"));
    }

    #[test]
    fn the_order_is_that_of_the_settings() {
        let mut stage = Stage::new().with_file("/etc/zephyr/server.list", "e.test\n").with_zone(SRV);
        stage.settings.sources = vec![Source::Dns, Source::ServerList];
        assert!(stage.outcome().starts_with("DNS "), "{}", stage.outcome());
        stage.settings.sources = vec![Source::Hesiod];
        assert_eq!(stage.outcome(), "NoServer(\"Hesiod: this machine does not use it\")");
        stage.settings.sources = vec![];
        assert_eq!(stage.outcome(), "NoServer(\"no source is to be asked\")");
    }

    #[test]
    fn who_does_not_answer_now_may_do_so_later() {
        let failing = |query: &Message| vec![response(query, ResponseCode::ServFail, vec![]).to_vec().unwrap()];
        let mut stage = Stage::new().with_file("/etc/zephyr/server.list", "# none\n").with_name_server(failing);
        stage.settings.sources = vec![Source::Dns, Source::ServerList];
        let why = "DNS (_zephyr-clt._udp.example.org): the name server refuses it (code 2); \
                   /etc/zephyr/server.list: it names no server";
        assert_eq!(stage.outcome(), format!("NoAnswer({why:?})"));
        stage = stage.with_file("/etc/zephyr/server.list", "e.test\n");
        assert_eq!(stage.outcome(), "/etc/zephyr/server.list: e.test:2103/0/0 for 60 s");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_and_costs_that_file_alone() {
        let mut stage = Stage::new().with_file("/etc/zephyr/server.list", "no host\n");
        stage.settings.sources = vec![Source::ServerList, Source::ClientsFile];
        let why = "/etc/zephyr/server.list: line 1: expected HOST or HOST:PORT, not \"no host\"";
        assert_eq!(stage.survey().testimonies[0].to_string(), why);
        stage = stage.with_file("/etc/zephyr/server.list", "no host\ne.test\n");
        assert_eq!(stage.outcome(), "/etc/zephyr/server.list: e.test:2103/0/0");
        stage = stage
            .with_file("/etc/default/zephyr-clients", "zhm_args=\"-N $SERVERS\"\n")
            .with_file("/etc/zephyr/server.list", "");
        let why = "/etc/default/zephyr-clients: zhm_args: expected HOST or HOST:PORT, not \"$SERVERS\"";
        let testimony = stage.survey().testimonies.remove(1);
        assert!(matches!(testimony.answer, Answer::Invalid(_)), "{testimony}");
        assert_eq!(testimony.to_string(), why);
        stage = stage.without_file("/etc/default/zephyr-clients");
        fs::create_dir(stage.root.path().join("etc/default/zephyr-clients")).unwrap();
        stage = stage.without_file("/etc/zephyr/server.list");
        let why = "/etc/default/zephyr-clients: this is a directory, not a file";
        assert_eq!(stage.survey().testimonies[1].to_string(), why);
    }

    #[test]
    fn the_domain_is_of_the_settings_else_of_the_machine_else_of_the_realm() {
        let stage = Stage::new();
        let source = |settings: Settings, realm: fn() -> Option<String>, host: &str| {
            let pretended = Pretended {
                root: stage.root.path().into(),
                host: host.to_owned(),
                name_servers: vec![stage.servers[0].address],
                variables: Vec::new(),
            };
            let discovery = Discovery::new(settings, Path::new(FOLDER)).at(pretended).with_default_realm(realm);
            discovery.survey(TIMEOUT).testimonies.remove(0).source
        };
        let realm: fn() -> Option<String> = || Some("REALM.TEST".to_owned());
        let of_dns = Settings { sources: vec![Source::Dns], ..Settings::default() };
        let with_domain = Settings { domain: Some("set.test".to_owned()), ..of_dns.clone() };
        assert_eq!(&*source(with_domain, realm, "a.machine.test"), "DNS (_zephyr-clt._udp.set.test)");
        assert_eq!(&*source(of_dns.clone(), realm, "a.machine.test"), "DNS (_zephyr-clt._udp.machine.test)");
        assert_eq!(&*source(of_dns.clone(), realm, "a"), "DNS (_zephyr-clt._udp.realm.test)");
        assert_eq!(&*source(of_dns, || None, "a"), "DNS");
    }

    #[test]
    fn one_domain_or_some_names_can_be_asked_for_alone() {
        let stage = Stage::new().with_zone(SRV);
        let pretended = Pretended { name_servers: vec![stage.servers[0].address], ..Pretended::default() };
        let found = Discovery::of_domain("Example.ORG.").at(pretended.clone()).discover().unwrap();
        assert_eq!((found.candidates.len(), &*found.source), (2, "DNS (_zephyr-clt._udp.example.org)"));
        let unknown = Discovery::of_domain("nowhere.test").at(pretended).discover().unwrap_err();
        assert!(matches!(unknown, NotFound::NoServer(_)), "{unknown:?}");
        let names = ["a.test", "b.test"].map(|name| name.parse().unwrap());
        let found = Discovery::of_names(&names, "the command line").discover().unwrap();
        assert_eq!((found.candidates.len(), &*found.source, found.valid_for), (2, "the command line", None));
    }
}
