//! Building a simulation from its scenario, and starting its processes.

use super::{
    auth::Kdc,
    clock::WallClock,
    directory::Directory,
    disk::Disk,
    disturbance::Disturbance,
    invariants::Violation,
    mutant::Mutant,
    node::{Domain, HOST_MANAGER_PORT, Host, Node, Role, SERVER_PORT, User},
    process::{Process, Stimulus},
    recovery,
    scenario::DomainPlan,
    world::{Happening, World},
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use zephyr_core::realm::Realms;
use zephyr_engine::{
    client::{self, Connection, Direct, Settings},
    host_manager::{self, HostManager, Servers},
    server::{self, Bounds, KeeperId, Neighbours, PeerKind, PeerServer, Server, ServerId, SessionMaker, acl},
};

/// The first port of clients; each start takes another one.
const FIRST_CLIENT_PORT: u16 = 10_000;
/// The most seconds that the clock of a server's host is fast when it starts: units wait until the clock is set.
const MAX_FAST_AT_START: i64 = 300;
/// The most servers that get another address.
const MAX_MOVES: usize = 3;
/// The most hosts that get another address while programs run there.
const MAX_ROAMING: usize = 2;
/// How often an operator records other servers at most.
const MAX_RECORDS: usize = 4;

impl World {
    /// Makes hosts, nodes and users, and has their programs start.
    pub(super) fn build(&mut self) {
        for plan in self.scenario.domains.clone() {
            self.build_domain(plan);
        }
        self.stranger.host = self.add_host();
        for node in 0..self.nodes.len() {
            let delay = match self.nodes[node].role {
                Role::Server => self.random.millis(0, 500),
                Role::HostManager => self.random.millis(0, 2000),
                Role::Client { .. } => self.random.millis(500, 9000),
            };
            self.later(delay, Happening::Start(node));
        }
    }

    /// Decides what will happen.
    pub(super) fn plan(&mut self) {
        let active = self.scenario.active;
        for _ in 0..self.scenario.disturbances {
            let at = self.random.between(Duration::from_secs(5), active);
            let disturbance = Disturbance::draw(self);
            self.later(at, Happening::Disturbance(disturbance));
        }
        for domain in 0..self.domains.len() {
            let plan = &self.domains[domain].plan;
            let most = if plan.is_mutual() { 8 } else { usize::from(plan.disks) * 3 };
            for _ in 0..self.random.below(most + 1) {
                let at = self.random.between(Duration::from_secs(5), active);
                let disturbance = Disturbance::draw_of_servers(self, domain);
                self.later(at, Happening::Disturbance(disturbance));
            }
        }
        for _ in 0..self.name_service.below(MAX_MOVES + 1) {
            let at = self.name_service.between(Duration::from_secs(5), active);
            let disturbance = Disturbance::draw_move(self);
            self.later(at, Happening::Disturbance(disturbance));
        }
        for _ in 0..self.name_service.below(MAX_ROAMING + 1) {
            let at = self.name_service.between(Duration::from_secs(5), active);
            let disturbance = Disturbance::draw_roaming(self);
            self.later(at, Happening::Disturbance(disturbance));
        }
        for domain in 0..self.domains.len() {
            let changes = if self.domains[domain].directory.may_change() { MAX_RECORDS } else { 0 };
            for _ in 0..self.name_service.below(changes + 1) {
                let at = self.name_service.between(Duration::from_secs(5), active);
                self.later(at, Happening::Disturbance(Disturbance::OtherRecords { domain }));
            }
        }
        for _ in 0..self.scenario.attacks {
            let at = self.random.between(Duration::from_secs(5), active);
            self.later(at, Happening::Attack);
        }
        self.later(active, Happening::Heal);
        self.later(active + recovery::CHECKING, Happening::CheckAll);
        self.later(active + recovery::RETURNED, Happening::CheckBest);
        for domain in 0..self.domains.len() {
            if self.domains[domain].plan.is_mutual() {
                self.later(active + recovery::FAILING, Happening::FailAtLast(domain));
            }
        }
        self.later(active + recovery::CHECKING_AGAIN, Happening::CheckAll);
        for node in 0..self.nodes.len() {
            // Two programs of one host that send in the same microsecond give what they send the same uid.
            let apart = Duration::from_millis(u64::try_from(node).unwrap_or(0));
            self.later(active + recovery::SUBSCRIBING + apart, Happening::SubscribeAtLast(node));
            self.later(active + recovery::SENDING + apart, Happening::SendAtLast(node));
            if self.domains[self.nodes[node].domain].plan.is_mutual() {
                self.later(active + recovery::SENDING_AGAIN + apart, Happening::SendAtLast(node));
            }
        }
    }

    fn add_host(&mut self) -> usize {
        let number = u8::try_from(self.hosts.len() + 1).unwrap_or(u8::MAX);
        let offset = if self.random.chance(200) && !self.scenario.ideal {
            i64::try_from(self.random.below(240)).unwrap_or(0) - 120
        } else {
            0
        };
        self.hosts.push(Host {
            address: Ipv4Addr::new(10, 0, 0, number),
            clock: WallClock { offset },
            moved_at: None,
            forged_at: None,
        });
        self.hosts.len() - 1
    }

    fn build_domain(&mut self, plan: DomainPlan) {
        let domain = self.domains.len();
        let realm = format!("REALM{domain}.TEST");
        let servers: Vec<usize> = (0..plan.servers)
            .map(|number| {
                let host = self.add_host();
                self.nodes.push(Node::new(format!("d{domain}s{number}"), domain, host, SERVER_PORT, Role::Server));
                self.nodes.len() - 1
            })
            .collect();
        for (number, &clients) in plan.hosts.iter().enumerate() {
            let host = self.add_host();
            let name = format!("d{domain}h{number}");
            self.nodes.push(Node::new(name.clone(), domain, host, HOST_MANAGER_PORT, Role::HostManager));
            for client in 0..clients {
                let role = Role::Client { user: self.random.below(plan.users), raw: self.random.chance(100) };
                self.nodes.push(Node::new(format!("{name}c{client}"), domain, host, 0, role));
            }
        }
        let mut kdc = Kdc::new(self.random.number(), plan.encrypts, self.mutant);
        let users = (0..plan.users)
            .map(|number| {
                let principal = format!("user{number}@{realm}");
                let has_password = !self.random.chance(100) || self.scenario.ideal;
                let until = self.right_time().wall + self.ticket_life();
                let ticket = has_password.then(|| kdc.ticket(principal.as_bytes(), until));
                User { principal, ticket, has_password }
            })
            .collect();
        let directory = Directory::new(&servers, &mut self.name_service);
        self.domains.push(Domain { realm, kdc, users, servers, directory, plan });
    }

    /// How long a ticket is good.
    pub(super) fn ticket_life(&mut self) -> Duration {
        if self.scenario.short_tickets { self.random.seconds(40, 400) } else { self.random.seconds(3600, 40_000) }
    }

    /// Gives a user new tickets.
    pub(super) fn new_ticket(&mut self, domain: usize, user: usize, life: Duration) {
        let until = self.right_time().wall + life;
        let Domain { kdc, users, .. } = &mut self.domains[domain];
        let user = &mut users[user];
        if user.has_password {
            user.ticket = Some(kdc.ticket(user.principal.as_bytes(), until));
        }
    }

    /// Starts a node's program.
    pub(super) fn start(&mut self, index: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        if node.process.is_some() {
            return Ok(());
        }
        (node.starts, node.born, node.timer, node.blocked, node.jobs) = (node.starts + 1, self.now, None, false, 0);
        if let Role::Client { .. } = node.role {
            let number = u16::try_from(index).unwrap_or(0) * 200 + u16::try_from(node.starts % 200).unwrap_or(0);
            node.port = FIRST_CLIENT_PORT + number;
        }
        let clock = &mut self.hosts[self.nodes[index].host].clock;
        if self.nodes[index].role == Role::Server && clock.offset > MAX_FAST_AT_START {
            // Else it takes all proofs for as old as its start until its clock, set right, has come so far.
            clock.offset = 0;
        }
        let process = match self.nodes[index].role {
            Role::Server => Process::Server(Box::new(self.new_server(index))),
            Role::HostManager => match self.new_host_manager(index) {
                Some(machine) => Process::HostManager(Box::new(machine)),
                None => return Ok(()),
            },
            Role::Client { raw, .. } => Process::Client(Box::new(self.new_client(index, raw))),
        };
        if let Process::Server(server) = &process {
            let runs = &self.nodes[index].runs;
            self.checked(index, self.history.check_restored(self.group_of(index), server, runs))?;
        }
        self.nodes[index].process = Some(process);
        self.tell(index, || "starts".to_owned());
        if let Role::Client { .. } = self.nodes[index].role {
            self.begin_program(index)?;
        }
        self.give(index, Stimulus::Timeout)
    }

    /// A server with what its disk has of it.
    fn new_server(&mut self, index: usize) -> Server {
        let id = ServerId(match (self.mutant, self.nodes[index].runs.first()) {
            (Some(Mutant::KeepsIdentity), Some(first)) => first.0,
            _ => self.random.number(),
        });
        let domain = self.nodes[index].domain;
        if self.domains[domain].plan.disks && self.nodes[index].disk.is_none() {
            self.nodes[index].disk = Some(Disk::default());
        }
        let now = self.now_of(index);
        let config = self.server_config(index, id);
        self.nodes[index].runs.push(id);
        let mut server = Server::new(config, now);
        if let Some(disk) = &mut self.nodes[index].disk {
            disk.restore(&mut server, now);
            server.keep_with(KeeperId::Disk);
        }
        server
    }

    fn server_config(&self, index: usize, id: ServerId) -> server::Config {
        let node = &self.nodes[index];
        let Domain { realm, kdc, plan, servers, .. } = &self.domains[node.domain];
        let others = servers.iter().filter(|&&other| plan.neighbours && other != index);
        let peers = others.map(|&other| PeerServer {
            name: self.nodes[other].name.as_str().into(),
            kind: PeerKind::Ours,
            addresses: vec![self.address_of(other)],
        });
        let kdc = kdc.clone();
        let sessions = SessionMaker::new(move |key| kdc.restore(key).ok());
        let ignores = self.mutant == Some(Mutant::IgnoresBounds);
        server::Config {
            host: node.name.clone(),
            address: self.hosts[node.host].address,
            port: SERVER_PORT,
            version: "Zephyr Server simulated".to_owned(),
            realms: Realms::local_only(realm.as_bytes()),
            neighbours: Neighbours { peers: peers.collect(), sessions, ..Neighbours::default() },
            id,
            policy: plan.policy.clone(),
            rules: Arc::new(acl::Rules::new(acl::Acl::default(), acl::Defaults::usual())),
            host_manager_port: 2104,
            probe_secret: server::ProbeSecret::new(&[7; 32]),
            bounds: if ignores { Bounds::default() } else { plan.bounds },
            in_flight: self.scenario.driver.in_flight,
        }
    }

    fn new_host_manager(&mut self, index: usize) -> Option<HostManager> {
        let (domain, host) = (self.nodes[index].domain, self.nodes[index].host);
        let mut servers = self.domains[domain].servers.clone();
        let first = self.random.below(servers.len());
        servers.rotate_left(first);
        let discovers = self.domains[domain].plan.discovers;
        (self.nodes[index].discovers, self.nodes[index].first) = (discovers, servers.first().copied());
        let server = |server: &usize| host_manager::Server::new(&self.nodes[*server].name, SERVER_PORT);
        let servers: Vec<host_manager::Server> = servers.iter().map(server).collect();
        let seed = self.random.number();
        let config = host_manager::Config {
            servers: if discovers { Servers::to_discover(seed) } else { Servers::new(servers, seed)? },
            address: self.hosts[host].address,
            port: HOST_MANAGER_PORT,
            version: "0 (5) zephyr-rs".to_owned(),
            machine: "simulated".to_owned(),
            // Its host goes on while it is restarted.
            attach: self.random.chance(200) || self.nodes[index].begun,
            refuse_flush: self.random.chance(200),
            own_address: None,
        };
        Some(HostManager::new(config, self.now_of(index)))
    }

    fn new_client(&self, index: usize, raw: bool) -> Connection {
        let settings = Settings { raw, direct: Direct::Fallback, ..Settings::default() };
        let host_manager = (Ipv4Addr::LOCALHOST, HOST_MANAGER_PORT).into();
        let address = self.hosts[self.nodes[index].host].address;
        let port = self.nodes[index].port;
        Connection::new(client::Config { host_manager, port, address, settings }, self.now_of(index))
    }
}
