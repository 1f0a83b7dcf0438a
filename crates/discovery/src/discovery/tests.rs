//! Sources of machines that these tests make, with name servers of theirs.

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

#[test]
fn settings_that_are_invalid_let_nobody_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(SERVER_LIST), "e.test\n").unwrap();
    let found = |settings: &str| {
        fs::write(folder.path().join(SETTINGS_FILE), settings).unwrap();
        Discovery::of_folder(folder.path()).survey(Duration::ZERO).result.map(|found| found.source)
    };
    assert_eq!(found("[zhm]\nservers = [\"a.test\"]\nother = 1\n[other]\n").as_deref(), Ok("zephyr.toml"));
    let why = "zephyr.toml: line 2: sources: expected one of \"settings\", \"zhm_args\", \"server.list\", \"dns\", \"hesiod\", not \"dms\"";
    assert_eq!(found("[zhm]\nsources = [\"dms\"]\n"), Err(NotFound::NoServer(why.into())));
    for broken in ["[zhm]\nsources = [\"settings\"]\nservers = [\n", "[zhm]\nservers = 1\n", "zhm = 1\n"] {
        assert!(
            found(broken).is_err_and(|error| error.reason().starts_with("zephyr.toml: line ")),
            "{broken}: {:?}",
            found(broken)
        );
    }
}
