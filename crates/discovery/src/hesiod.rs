//! Hesiod: names of a site's services in TXT records of DNS, of class HS (host manager, section 2).
//!
//! Asked are the name servers of `/etc/resolv.conf`, and only where the machine uses Hesiod at all: where the environment names a
//! domain, or `/etc/hesiod.conf` does. That of the site where Hesiod was made is none: packages ship the file with it, and
//! machines that have them would ask that site for their servers.

use crate::{
    ServerName, System,
    dns::{
        ResolveError, Resolver,
        message::{Class, Data, Kind, MessageError, Question},
        name_servers,
    },
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The configuration of Hesiod, where the environment names no other.
const CONFIGURATION: &str = "/etc/hesiod.conf";
/// The variable that names the configuration.
const CONFIGURATION_VARIABLE: &str = "HESIOD_CONFIG";
/// The variables that name the domain, where it is not that of the configuration: Hesiod's own, and one that we read before.
const DOMAIN_VARIABLES: [&str; 2] = ["HES_DOMAIN", "HESIOD_DOMAIN"];
/// The domain that a configuration has that nobody has changed.
const SHIPPED_DOMAIN: &str = ".athena.mit.edu";
/// Zephyr's servers, where a host's cluster says nothing else.
const USUAL_SET: &str = "zephyr";
/// The type of names of services' hosts, and that of what is said about a host.
const LOCATIONS: &str = "sloc";
const CLUSTER: &str = "cluster";

/// Hesiod as this machine is configured to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hesiod {
    /// What is put behind a name.
    suffix: String,
    /// The classes to ask for, in this order.
    classes: Vec<Class>,
    name_servers: Vec<SocketAddr>,
}

/// Why Hesiod does not say anything.
#[derive(Debug, thiserror::Error)]
pub enum HesiodError {
    /// Nobody says anything of use.
    #[error("{0}")]
    Resolve(#[from] ResolveError),
    /// There is nothing of the kind.
    #[error("it has no record of that name")]
    Nothing,
}

/// The servers of a host, as Hesiod has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostServers {
    /// The one that is preferred.
    pub(crate) primary: Option<ServerName>,
    /// The others; perhaps that one as well.
    pub(crate) others: Vec<ServerName>,
    /// The full name of the others.
    pub(crate) name: String,
    /// How long that holds.
    pub(crate) valid_for: Duration,
}

/// The texts of a name, and how long they hold.
type Texts = (Vec<String>, Duration);

impl Hesiod {
    /// Hesiod as the system's files and the environment have it; `None` where this machine does not use it.
    pub fn of_system() -> Option<Self> {
        Self::of(&System::default())
    }

    /// As [`Hesiod::of_system`], of another system.
    pub(crate) fn of(system: &System) -> Option<Self> {
        let domain = DOMAIN_VARIABLES.into_iter().find_map(|name| system.variable(name));
        let configuration = match system.variable(CONFIGURATION_VARIABLE) {
            Some(file) => system.text(&file),
            None => system.text(CONFIGURATION),
        };
        let hesiod = Self::new(&configuration, domain.as_deref(), "");
        uses_hesiod(&configuration, domain.as_deref()).then(|| Self { name_servers: system.name_servers(), ..hesiod })
    }

    /// Hesiod by the text of its configuration and of that of the resolver, perhaps with another domain.
    pub fn new(configuration: &str, domain: Option<&str>, resolver: &str) -> Self {
        let (mut left, mut right) = (".ns".to_owned(), SHIPPED_DOMAIN.to_owned());
        let mut classes = vec![Class::Hesiod, Class::Internet];
        for setting in settings(configuration) {
            match setting {
                ("lhs", value) => value.clone_into(&mut left),
                ("rhs", value) => value.clone_into(&mut right),
                ("classes", value) => {
                    let named: Vec<Class> = value.split(',').filter_map(|word| Class::named(word.trim())).collect();
                    if !named.is_empty() {
                        classes = named;
                    }
                }
                _ => {}
            }
        }
        if let Some(domain) = domain {
            domain.clone_into(&mut right);
        }
        let suffix = [left, right].iter().filter(|part| !part.is_empty()).fold(String::new(), |suffix, part| {
            let dot = if part.starts_with('.') { "" } else { "." };
            suffix + dot + part
        });
        Self { suffix, classes, name_servers: name_servers(resolver) }
    }

    /// The full name under which Zephyr's servers are.
    pub fn servers_name(&self) -> String {
        self.full(USUAL_SET, LOCATIONS)
    }

    /// The names of Zephyr's servers. May wait for name servers, but not for long.
    ///
    /// # Errors
    ///
    /// When no name server answers, or none that is of use.
    pub fn servers(&self) -> Result<Vec<String>, HesiodError> {
        let mut resolver = self.resolver(Instant::now() + crate::TIMEOUT);
        let (texts, _) = self.texts(&mut resolver, &self.servers_name())?;
        if texts.is_empty() { Err(HesiodError::Nothing) } else { Ok(texts) }
    }

    /// Who asks its name servers until that moment.
    pub(crate) fn resolver(&self, deadline: Instant) -> Resolver {
        Resolver::new(self.name_servers.clone(), deadline)
    }

    /// The servers for the host manager of this host: `HOST.cluster` may name the primary (`zephyr NAME`) and the set that the others
    /// are in (`zcluster SET`), and `SET.sloc` names those.
    ///
    /// # Errors
    ///
    /// When no name server answers, or none that is of use.
    pub(crate) fn host_servers(&self, resolver: &mut Resolver, host: &str) -> Result<HostServers, ResolveError> {
        let (cluster, cluster_valid_for) = self.cluster(resolver, host)?;
        let of_cluster = |key: &str| {
            cluster.iter().find_map(|text| {
                let (name, value) = text.split_once(|char: char| char.is_ascii_whitespace())?;
                (name.eq_ignore_ascii_case(key)).then(|| value.trim())
            })
        };
        let primary = of_cluster("zephyr").and_then(|name| name.parse().ok());
        let name = self.full(of_cluster("zcluster").unwrap_or(USUAL_SET), LOCATIONS);
        let (texts, valid_for) = self.texts(resolver, &name)?;
        let valid_for = if cluster.is_empty() { valid_for } else { valid_for.min(cluster_valid_for) };
        let others = texts.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(HostServers { primary, others, name, valid_for })
    }

    /// What is said about a host, by its name as the system has it, or by the first part of that.
    fn cluster(&self, resolver: &mut Resolver, host: &str) -> Result<Texts, ResolveError> {
        let short = host.split('.').next().filter(|short| *short != host);
        let mut last = (Vec::new(), Duration::ZERO);
        for name in [Some(host), short].into_iter().flatten().filter(|name| !name.is_empty()) {
            last = self.texts(resolver, &self.full(name, CLUSTER))?;
            if !last.0.is_empty() {
                break;
            }
        }
        Ok(last)
    }

    /// The texts of a full name in the first class that has any; none when there are none.
    fn texts(&self, resolver: &mut Resolver, full: &str) -> Result<Texts, ResolveError> {
        let (mut failure, mut refusal, mut is_answered) = (None, None, false);
        for &class in &self.classes {
            let question = Question::new(full, class, Kind::Text).ok_or_else(|| ResolveError::Name(full.to_owned()))?;
            match resolver.ask(&question) {
                Ok((records, valid_for)) if !records.is_empty() => return Ok((texts_of(records), valid_for)),
                Ok(_) => is_answered = true,
                // Most name servers of today know no other class than IN.
                Err(error) if class == Class::Hesiod && is_refusal(&error) => refusal = Some(error),
                Err(error) => failure = Some(error),
            }
        }
        let why = failure.or(refusal.filter(|_| !is_answered));
        why.map_or(Ok((Vec::new(), Duration::ZERO)), Err)
    }

    fn full(&self, name: &str, kind: &str) -> String {
        format!("{name}.{kind}{}", self.suffix)
    }
}

/// Whether a name server says that it does not know the like, or must not say it.
fn is_refusal(error: &ResolveError) -> bool {
    const FORMAT_ERROR: u16 = 1;
    const NOT_IMPLEMENTED: u16 = 4;
    const REFUSED: u16 = 5;
    matches!(error, ResolveError::Message(MessageError::Refused(FORMAT_ERROR | NOT_IMPLEMENTED | REFUSED)))
}

fn texts_of(records: Vec<Data>) -> Vec<String> {
    let text = |record| match record {
        Data::Text(text) => Some(String::from_utf8_lossy(&text).trim().to_owned()),
        Data::Service { .. } => None,
    };
    records.into_iter().filter_map(text).collect()
}

/// Whether a machine with this configuration, and perhaps another domain, uses Hesiod.
fn uses_hesiod(configuration: &str, domain: Option<&str>) -> bool {
    let names_domain = |(key, value): (&str, &str)| key == "rhs" && !value.is_empty() && value != SHIPPED_DOMAIN;
    domain.is_some() || settings(configuration).any(names_domain)
}

/// The settings of a configuration.
fn settings(configuration: &str) -> impl Iterator<Item = (&str, &str)> {
    configuration.lines().filter_map(|line| {
        let (key, value) = line.split('#').next().unwrap_or_default().split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scripted::{NameServer, response, zone},
        system::Pretended,
    };
    use hickory_proto::{
        op::{Message, ResponseCode},
        rr::DNSClass,
    };
    use std::fs;
    use zephyr_testkit::loopback::Network;

    #[test]
    fn the_name_is_made_of_the_configuration() {
        let name = |configuration, domain| Hesiod::new(configuration, domain, "").servers_name();
        assert_eq!(name("", None), "zephyr.sloc.ns.athena.mit.edu");
        assert_eq!(name("# x\nrhs=.example.edu\nlhs = .hes # y\n", None), "zephyr.sloc.hes.example.edu");
        assert_eq!(name("lhs=\nrhs=x.test", None), "zephyr.sloc.x.test");
        assert_eq!(name("rhs=.example.edu", Some("other.edu")), "zephyr.sloc.ns.other.edu");
        assert_eq!(Hesiod::new("classes=in, CH,HS", None, "").classes, [Class::Internet, Class::Hesiod]);
        assert_eq!(Hesiod::new("classes=none", None, "").classes, [Class::Hesiod, Class::Internet]);
    }

    #[test]
    fn a_configuration_as_shipped_names_no_domain() {
        let shipped = "# x\nlhs=.ns\nrhs=.athena.mit.edu\nclasses=IN,HS\n";
        for (configuration, domain, uses) in [
            ("", None, false),
            (shipped, None, false),
            (shipped, Some("athena.mit.edu"), true),
            ("rhs=\n", None, false),
            ("rhs=.example.edu\n", None, true),
            ("", Some("example.edu"), true),
        ] {
            assert_eq!(uses_hesiod(configuration, domain), uses, "{configuration}");
        }
    }

    const HOST: &str = "Host.example.edu";

    /// What a name server with these records says to the host.
    fn found(lines: &'static [&'static str]) -> Result<(Option<String>, Vec<String>, String), String> {
        let network = Network::claim().unwrap();
        let server = NameServer::new(&network, zone(lines));
        let mut hesiod = Hesiod::new("rhs=.example.edu", None, "");
        hesiod.name_servers = vec![server.address];
        let mut resolver = hesiod.resolver(Instant::now() + Duration::from_secs(20));
        let servers = hesiod.host_servers(&mut resolver, HOST).map_err(|error| error.to_string())?;
        let others = servers.others.iter().map(ToString::to_string).collect();
        Ok((servers.primary.map(|name| name.to_string()), others, servers.name))
    }

    #[test]
    fn a_cluster_names_the_primary_and_the_set() {
        let of_set = &["zephyr.sloc.ns.example.edu. 300 HS TXT one.test"];
        let (usual, other) = ("zephyr.sloc.ns.example.edu", "west.sloc.ns.example.edu");
        assert_eq!(found(of_set).unwrap(), (None, vec!["one.test".into()], usual.into()));
        let whole = &[
            "host.example.edu.cluster.ns.example.edu. 300 HS TXT lpr ajax",
            "host.example.edu.cluster.ns.example.edu. 300 HS TXT zephyr Two.test",
            "host.example.edu.cluster.ns.example.edu. 300 HS TXT zcluster west",
            "west.sloc.ns.example.edu. 300 HS TXT one.test",
            "west.sloc.ns.example.edu. 300 HS TXT two.test",
        ];
        let both = vec!["one.test".to_owned(), "two.test".to_owned()];
        assert_eq!(found(whole).unwrap(), (Some("Two.test".into()), both, other.into()));
        let short = &["host.cluster.ns.example.edu. 300 IN TXT zephyr two.test"];
        assert_eq!(found(short).unwrap(), (Some("two.test".into()), vec![], usual.into()), "by its short name, in IN");
        assert_eq!(found(&[]).unwrap(), (None, vec![], usual.into()));
    }

    #[test]
    fn what_is_no_name_of_a_host_is_left_out() {
        let lines = &[
            "host.example.edu.cluster.ns.example.edu. 300 HS TXT zephyr two hosts",
            "host.example.edu.cluster.ns.example.edu. 300 HS TXT zephyr",
            "zephyr.sloc.ns.example.edu. 300 HS TXT one\u{1b}[2J.test",
            "zephyr.sloc.ns.example.edu. 300 HS TXT ok.test",
        ];
        assert_eq!(found(lines).unwrap(), (None, vec!["ok.test".into()], "zephyr.sloc.ns.example.edu".into()));
    }

    #[test]
    fn a_server_that_knows_no_class_but_in_is_asked_there() {
        let network = Network::claim().unwrap();
        let usual = |query: &Message| zone(&["zephyr.sloc.ns.example.edu. 300 IN TXT one.test"])(query);
        let code = |query: &Message, code| vec![response(query, code, vec![]).to_vec().unwrap()];
        let hesiod = |server: &NameServer, configuration| {
            let mut hesiod = Hesiod::new(configuration, None, "");
            hesiod.name_servers = vec![server.address];
            hesiod.servers().map_err(|error| error.to_string())
        };
        let modern = NameServer::new(&network, move |query| match query.queries[0].query_class {
            DNSClass::HS => code(query, ResponseCode::Refused),
            _ => usual(query),
        });
        assert_eq!(hesiod(&modern, "rhs=.example.edu").unwrap(), ["one.test"]);
        assert_eq!(hesiod(&modern, "rhs=.other.edu").unwrap_err(), "it has no record of that name");
        let refused = "the name server refuses it (code 5)";
        assert_eq!(hesiod(&modern, "rhs=.example.edu\nclasses=HS").unwrap_err(), refused);
        let failing = NameServer::new(&network, move |query| code(query, ResponseCode::ServFail));
        assert_eq!(hesiod(&failing, "rhs=.example.edu").unwrap_err(), "the name server refuses it (code 2)");
    }

    #[test]
    fn the_environment_goes_before_the_configuration() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hesiod.conf"), "rhs=.one.test\n").unwrap();
        fs::write(root.path().join("other.conf"), "lhs=\nrhs=.two.test\n").unwrap();
        let name = |variables: &[(&'static str, &str)]| {
            let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let pretended = Pretended { root: root.path().into(), variables, ..Pretended::default() };
            Hesiod::of(&System { pretended: Some(pretended) }).map(|hesiod| hesiod.servers_name())
        };
        for (variables, expected) in [
            (&[][..], Some("zephyr.sloc.ns.one.test")),
            (&[("HESIOD_CONFIG", "/other.conf")], Some("zephyr.sloc.two.test")),
            (&[("HESIOD_CONFIG", "/none.conf")], None),
            (&[("HESIOD_CONFIG", "")], Some("zephyr.sloc.ns.one.test")),
            (&[("HESIOD_DOMAIN", "three.test")], Some("zephyr.sloc.ns.three.test")),
            (&[("HESIOD_DOMAIN", "three.test"), ("HES_DOMAIN", "four.test")], Some("zephyr.sloc.ns.four.test")),
        ] {
            assert_eq!(name(variables).as_deref(), expected, "{variables:?}");
        }
    }
}
