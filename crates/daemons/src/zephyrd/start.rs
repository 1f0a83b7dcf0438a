//! Everything that a server needs before it can begin, gathered so that all that is missing is said at once.
//!
//! A start and `zephyrctl check` gather the same. What keeps a server from its work is a problem, and what it can do without
//! is a warning.

use super::{
    configuration::{Parts, Sources},
    dump_file,
    host_name::{self, Served},
    kept_state, listeners,
    options::Options,
    peer_names::{Own, PeerNames},
    realms::{list::RealmList, names::RealmNames},
};
use crate::{
    admin_protocol::Status,
    port_holder::{self, Transport},
    problem::{Findings, Problem},
    settings::{Server, ServerSettings, WholeSections},
};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::UdpSocket;
use zephyr_core::{
    auth::{Acceptor, AuthError, Service},
    realm::Realms,
};
use zephyr_domain::{
    policy_file::PolicyFile,
    scope::{self, NamedRealm},
    server_domain::ServerDomain,
};
use zephyr_engine::server::{
    Bounds, Config, Neighbours, ProbeSecret, ServerId, acknowledgements_in_flight, acl::Rules,
};
use zephyr_net::{services, socket};

/// What a start has found: as much as there is of all that a server needs.
pub(crate) struct Gathered {
    settings: Option<ServerSettings>,
    rules: Option<Arc<Rules>>,
    domain: Option<ServerDomain>,
    acceptor: Option<Arc<dyn Acceptor>>,
    service: Option<Arc<dyn Service>>,
    /// The other realms.
    realm_list: Option<RealmList>,
    socket: Option<UdpSocket>,
    /// Where other servers connect, when there are any of ours.
    stream_listener: Option<TcpListener>,
    host: Option<HostName>,
    peers: Option<PeerNames>,
    sources: Sources,
    /// All that there is to say.
    pub(crate) findings: Findings,
}

/// All that a server needs.
pub(super) struct Ready {
    /// The settings, with what the command line says.
    pub(super) settings: ServerSettings,
    pub(super) rules: Arc<Rules>,
    pub(super) domain: ServerDomain,
    pub(super) acceptor: Arc<dyn Acceptor>,
    pub(super) service: Arc<dyn Service>,
    pub(super) realm_list: RealmList,
    pub(super) socket: UdpSocket,
    /// Where other servers connect, when there are any of ours.
    pub(super) stream_listener: Option<TcpListener>,
    pub(super) host: HostName,
    /// The servers of the realm.
    pub(super) peers: PeerNames,
    /// Which files it began with.
    pub(super) sources: Sources,
    /// What it can do without.
    pub(super) warnings: Vec<Problem>,
}

/// The server's name, and the address that it stands for.
#[derive(Clone, Debug)]
pub(super) struct HostName {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    /// Why the name has no address, and `address` is the one towards the rest of the world, or 0.0.0.0; or why the name is
    /// not the full one, where the server is bound to `address`.
    pub(super) unresolved: Option<String>,
}

/// Gathers what a server with these options needs. `running` is the server that may have all of it already, whom a check does
/// not mind.
///
/// The socket is bound last: what comes while it is gathered for a check is lost.
pub(crate) async fn gather(options: &Options, running: Option<&Status>) -> Gathered {
    let Parts { settings, rules, policies, servers, realm_list, realms, sources, findings } =
        Parts::read(&options.config_dir);
    let mut gathered = Gathered {
        settings: None,
        rules,
        domain: None,
        acceptor: None,
        service: None,
        realm_list,
        socket: None,
        stream_listener: None,
        host: None,
        peers: None,
        sources,
        findings,
    };
    // What is whole is looked at, whatever is wrong elsewhere.
    let (readable, whole) = match &settings {
        Some(settings) => (settings.clone(), WholeSections { zephyrd: true, control: true, peers: true, state: true }),
        None if !sources.folder => Default::default(),
        None => ServerSettings::load_in_part(&options.config_dir),
    };
    let readable = options.overrule(readable);
    let server = &readable.zephyrd;
    let address = listen_address(server);
    if whole.zephyrd {
        match &policies {
            Some(policies) => gathered.find_domain(policies, &realms, server, &options.config_dir),
            None => gathered.try_keytab(server, &options.config_dir),
        }
        gathered.find_host(policies.as_ref(), server, address);
        gathered.findings.warnings.extend(dump_file::examine(&server.dump_file));
    }
    if whole.state {
        let realm = gathered.domain.as_ref().map(|domain| &*domain.realm);
        gathered.findings.warnings.extend(kept_state::examine(options, &readable, realm, running));
    }
    if let Some(servers) = servers.filter(|_| whole.zephyrd && whole.peers) {
        let mut peers = PeerNames::new(servers, Own::of(address));
        gathered.findings.warnings.extend(peers.settle().await);
        gathered.peers = Some(peers);
    }
    gathered.findings.extend(listeners::examine(options, &readable, whole, running).await);
    if whole.zephyrd || options.listen.is_some() {
        gathered.bind(address, server.receive_buffer, running);
    }
    if gathered.peers.as_ref().is_some_and(PeerNames::has_ours) {
        gathered.listen_for_servers(running);
    }
    gathered.settings = settings.map(|settings| options.overrule(settings));
    gathered
}

impl Gathered {
    /// The domain and its acceptor.
    fn find_domain(&mut self, policies: &PolicyFile, realms: &[NamedRealm], server: &Server, config_dir: &Path) {
        let Some(domain) = self.unless_wrong(domain(server, policies)) else { return };
        self.acceptor = self.unless_wrong(acceptor(&domain, server, config_dir));
        if self.acceptor.is_some() {
            // It reads the same keys, so what is wrong with those is not said twice.
            self.service = self.unless_wrong(service(&domain, server, config_dir));
        }
        let of_keytab = domain.acceptor_warnings(keytab(server, config_dir));
        self.findings.warnings.extend(of_keytab.into_iter().map(Problem::of_machine));
        let listed = self.realm_list.as_ref().map(RealmList::named).unwrap_or_default();
        self.findings.warnings.extend(policy_warnings(&domain, policies, &listed));
        self.findings.warnings.extend(list_warnings(&domain, policies, realms, &listed, self.rules.as_deref()));
        self.domain = Some(domain);
    }

    /// Looks at the keytab where the policies cannot be read: one that is wanted, or is there, will be used if they do not say
    /// otherwise.
    fn try_keytab(&mut self, server: &Server, config_dir: &Path) {
        let file = keytab(server, config_dir);
        let is_wanted = server.auth.is_some() || server.keytab.is_some() || fs::symlink_metadata(&file).is_ok();
        if is_wanted && let Ok(domain) = domain(server, &PolicyFile::default()) {
            self.unless_wrong(domain.acceptor(file));
        }
    }

    fn find_host(&mut self, policies: Option<&PolicyFile>, server: &Server, address: SocketAddr) {
        match host_name::find(server.hostname.as_deref(), address) {
            Ok(host) => {
                let served = self.domain.as_ref().zip(policies);
                let served = served.map(|(domain, policies)| Served { domain, policies, forced: server.auth });
                self.findings.warnings.extend(host_name::warnings(&host, address, served));
                self.host = Some(host);
            }
            Err(problem) => self.findings.problems.push(problem),
        }
    }

    fn bind(&mut self, address: SocketAddr, receive_buffer: usize, running: Option<&Status>) {
        match socket::bind_with(address, receive_buffer) {
            Ok(socket) => self.socket = Some(socket),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && running.is_some_and(|running| has(running, address)) => {
            }
            Err(error) => {
                let error = port_holder::explain(Transport::Udp, address, error);
                self.findings.problems.push(Problem::of_machine(format!("cannot listen on {address}: {error}")));
            }
        }
    }

    /// Opens the listener for other servers, at the socket's own number.
    fn listen_for_servers(&mut self, running: Option<&Status>) {
        let Some(address) = self.socket.as_ref().and_then(|socket| socket.local_addr().ok()) else { return };
        match TcpListener::bind(address) {
            Ok(listener) => self.stream_listener = Some(listener),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && running.is_some_and(|running| has(running, address)) => {
            }
            Err(error) => self.findings.problems.push(Problem::of_machine(no_servers(address, error))),
        }
    }

    /// What was found; where it is an error, that is a problem.
    fn unless_wrong<T>(&mut self, found: Result<T, AuthError>) -> Option<T> {
        found.map_err(|error| self.findings.problems.push(Problem::of_machine(in_one_line(&error)))).ok()
    }

    /// Warns of servers of other realms that have no address. A server that begins does not wait for the name service.
    pub(crate) async fn look_for_realms(&mut self) {
        let Some(list) = self.realm_list.clone() else { return };
        let own = self.domain.as_ref().map(|domain| domain.realm.clone()).unwrap_or_default();
        self.findings.warnings.extend(RealmNames::new(list, &own, 0).check().await);
    }

    /// What a server begins with.
    ///
    /// # Errors
    ///
    /// All that there is to say, when anything is missing.
    pub(super) fn ready(self) -> Result<Ready, Findings> {
        match self {
            Self {
                settings: Some(settings),
                rules: Some(rules),
                domain: Some(domain),
                acceptor: Some(acceptor),
                service: Some(service),
                realm_list: Some(realm_list),
                socket: Some(socket),
                stream_listener,
                host: Some(host),
                peers: Some(peers),
                sources,
                findings: Findings { problems, warnings },
            } if problems.is_empty() => Ok(Ready {
                settings,
                rules,
                domain,
                acceptor,
                service,
                realm_list,
                socket,
                stream_listener,
                host,
                peers,
                sources,
                warnings,
            }),
            Self { findings, .. } => Err(findings),
        }
    }
}

/// The problem that other servers cannot connect.
pub(super) fn no_servers(address: SocketAddr, error: io::Error) -> String {
    let error = port_holder::explain(Transport::Tcp, address, error);
    format!("cannot listen for the realm's other servers on {address}: {error}")
}

/// Whether this server is the one who has the address.
fn has(running: &Status, address: SocketAddr) -> bool {
    running.address.port() == address.port() && (address.ip().is_unspecified() || running.address.ip() == address.ip())
}

/// An error of authentication and what to do about it.
fn in_one_line(error: &AuthError) -> String {
    error.advice().map_or_else(|| error.to_string(), |advice| format!("{error}. {advice}"))
}

/// The address to listen on.
fn listen_address(settings: &Server) -> SocketAddr {
    let usual = || (Ipv4Addr::UNSPECIFIED, services::port(services::ZEPHYR_CLT)).into();
    settings.listen.unwrap_or_else(usual)
}

/// The domain that is served.
fn domain(settings: &Server, policies: &PolicyFile) -> Result<ServerDomain, AuthError> {
    let (realm, host) = (settings.realm.as_deref(), settings.hostname.as_deref());
    ServerDomain::find(policies, settings.auth, realm, host).map_err(|error| match realm {
        Some(_) => error,
        None => AuthError::Backend(format!(
            "no realm to serve: {error}; set realm in section zephyrd of zephyr.toml, or default_realm in krb5.conf"
        )),
    })
}

/// The acceptor of the domain.
pub(super) fn acceptor(
    domain: &ServerDomain,
    settings: &Server,
    config_dir: &Path,
) -> Result<Arc<dyn Acceptor>, AuthError> {
    domain.acceptor(keytab(settings, config_dir))
}

/// The service of the domain itself.
pub(super) fn service(
    domain: &ServerDomain,
    settings: &Server,
    config_dir: &Path,
) -> Result<Arc<dyn Service>, AuthError> {
    domain.service(keytab(settings, config_dir))
}

fn keytab(settings: &Server, config_dir: &Path) -> PathBuf {
    settings.keytab.clone().unwrap_or_else(|| config_dir.join("krb5.keytab"))
}

/// The realms that the configurations on this machine name, with those that the server talks with.
fn known_realms(policies: &PolicyFile, listed: &[NamedRealm]) -> Vec<String> {
    let mut realms = scope::known_realms(policies);
    realms.extend(listed.iter().map(|listed| listed.realm.clone()));
    realms
}

/// What of the policy file and of the list of other realms is not in force, although its author may think so.
pub(super) fn policy_warnings(domain: &ServerDomain, policies: &PolicyFile, listed: &[NamedRealm]) -> Vec<Problem> {
    let mut warnings = scope::warnings(policies, domain, &known_realms(policies, listed));
    warnings.extend(scope::neighbour_warnings(policies, domain, &scope::known_realms(policies), listed));
    // Where nobody can prove anything, nobody compares realms.
    if domain.domain.policy.provable
        && let Ok(realms) = domain.domain.backend.configured_realms()
        && let Some(other) = scope::other_spelling(domain, &realms)
    {
        let realm = &domain.realm;
        warnings.push(Problem::of_machine(format!(
            "the server's realm {realm} is {other} in this machine's configuration, and realms that differ in case are different"
        )));
    }
    warnings
}

/// What of the lists and of the policy for classes is not in force, although its author may think so.
pub(super) fn list_warnings(
    domain: &ServerDomain,
    policies: &PolicyFile,
    realms: &[NamedRealm],
    listed: &[NamedRealm],
    rules: Option<&Rules>,
) -> Vec<Problem> {
    let mut warnings = scope::list_warnings(policies, domain, &known_realms(policies, listed), realms);
    let classes: Vec<&[u8]> = rules.into_iter().flat_map(Rules::classes).collect();
    warnings.extend(scope::class_warnings(domain, &classes));
    warnings
}

/// Who a server is among others.
pub(super) struct Identity {
    /// The servers beside it.
    pub(super) neighbours: Neighbours,
    /// The identity of its state.
    pub(super) id: ServerId,
}

/// The configuration of the engine.
pub(super) fn engine_config(
    host: HostName,
    domain: &ServerDomain,
    bounds: Bounds,
    rules: Arc<Rules>,
    socket: &UdpSocket,
    identity: Identity,
) -> io::Result<Config> {
    let receive_buffer = socket::receive_buffer(socket)?;
    tracing::debug!("the socket's receive buffer has {receive_buffer} octets");
    Ok(Config {
        address: host.address,
        host: host.name,
        port: socket.local_addr()?.port(),
        host_manager_port: services::port(services::ZEPHYR_HM),
        version: format!(
            "Zephyr Server {} (zephyr-rs)/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        ),
        realms: Realms::local_only(domain.realm.as_bytes()),
        policy: domain.domain.policy.clone(),
        rules,
        probe_secret: probe_secret()?,
        bounds,
        neighbours: identity.neighbours,
        id: identity.id,
        in_flight: acknowledgements_in_flight(receive_buffer),
    })
}

/// A new secret for every run: nothing that was probed outlives the server.
fn probe_secret() -> io::Result<ProbeSecret> {
    Ok(ProbeSecret::new(&random_octets()?))
}

/// A new identity: nothing is kept of what the server before this one knew.
pub(super) fn server_id() -> io::Result<ServerId> {
    Ok(ServerId(u64::from_be_bytes(random_octets()?)))
}

fn random_octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut random = [0; N];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| io::Error::other("the system has no random octets"))?;
    Ok(random)
}
