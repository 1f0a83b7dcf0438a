//! The scenario that a seed stands for: nodes, network conditions, and when faults are injected.

use super::{network::Conditions, random::Random};
use std::time::Duration;
use zephyr_core::policy::{Demand, FailedProof, Policy};
use zephyr_engine::server::Bounds;

/// A domain: servers that share keys, users, and hosts whose host managers know all of its servers.
#[derive(Clone, Debug)]
pub struct DomainPlan {
    /// Its servers.
    pub servers: usize,
    /// Whether its servers know each other. Where they do not, its hosts go over to another server when theirs is gone, and
    /// that is all.
    pub neighbours: bool,
    /// Whether its servers have disks.
    pub disks: bool,
    /// Its users.
    pub users: usize,
    /// Its hosts: how many clients each has.
    pub hosts: Vec<usize>,
    /// What it demands.
    pub policy: Policy,
    /// How much its servers hold.
    pub bounds: Bounds,
    /// Whether its host managers ask a name service which servers there are; otherwise a list names them.
    pub discovers: bool,
    /// Whether what is proven is encrypted as well.
    pub encrypts: bool,
}

/// What drivers do beyond the plain loop.
#[derive(Clone, Copy, Debug)]
pub struct DriverPlan {
    /// Jobs that are done later, of a thousand; the others are done on the spot.
    pub late_jobs: u16,
    /// The longest that a job takes.
    pub longest_job: Duration,
    /// Jobs that fail for reasons of their own, of a thousand.
    pub failed_jobs: u16,
    /// Packets for which the socket has no room at the moment, of a thousand.
    pub blocked: u16,
    /// How late a driver may wake up.
    pub lateness: Duration,
    /// Times out of a thousand that a machine is told the time although it is not the one it wanted.
    pub idle_timeouts: u16,
    /// Acknowledgements that fit into the receive buffer of a server.
    pub in_flight: usize,
}

/// All that is decided before a simulation begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The domains.
    pub domains: Vec<DomainPlan>,
    /// The network, until it heals.
    pub network: Conditions,
    /// The drivers.
    pub driver: DriverPlan,
    /// When everything heals and nobody orders anything any more.
    pub active: Duration,
    /// The mean time between two orders of a program.
    pub pause: Duration,
    /// Things that go wrong.
    pub disturbances: usize,
    /// Whether disturbances may last for as long as anybody waits for anything.
    pub patient: bool,
    /// Deeds of the stranger.
    pub attacks: usize,
    /// Whether the tickets of users last only for minutes.
    pub short_tickets: bool,
    /// Whether servers hold so little that users notice.
    pub cramped: bool,
    /// Whether all users can prove who they are, and all clocks are right.
    pub ideal: bool,
}

impl Scenario {
    /// What this seed means.
    pub fn draw(random: &mut Random) -> Self {
        let patient = random.chance(100);
        let cramped = random.chance(250);
        let active = if patient { random.seconds(1200, 2400) } else { random.seconds(100, 300) };
        Self {
            domains: (0..=random.below(2)).map(|_| DomainPlan::draw(random, cramped)).collect(),
            network: Conditions::draw(random),
            driver: DriverPlan::draw(random),
            active,
            pause: if patient { random.seconds(60, 120) } else { random.seconds(8, 30) },
            disturbances: random.below(12),
            patient,
            attacks: random.one_of(0, [5, 20, 60]),
            short_tickets: random.chance(300),
            cramped,
            ideal: false,
        }
    }
}

impl Scenario {
    /// Nothing goes wrong, and nothing depends on chance that strangers' packets could shift: what programs see follows from
    /// what is sent to them.
    pub fn calm(random: &mut Random) -> Self {
        let hosts = (0..2 + random.below(2)).map(|_| 1 + random.below(2)).collect();
        // Strangers may try everything.
        let policy = Policy { receive: Demand::Optional, login: Demand::Optional, ..policy(random) };
        let plan = DomainPlan {
            servers: 1,
            neighbours: false,
            disks: false,
            users: 3,
            hosts,
            policy,
            bounds: calm_bounds(),
            discovers: false,
            encrypts: random.chance(300),
        };
        Self {
            domains: vec![plan],
            network: Conditions::EXACT,
            driver: DriverPlan::PLAIN,
            active: Duration::from_secs(120),
            pause: Duration::from_secs(1),
            disturbances: 0,
            patient: false,
            attacks: 0,
            short_tickets: false,
            cramped: false,
            ideal: true,
        }
    }
}

impl DomainPlan {
    /// Whether there are several servers that know each other.
    pub(super) const fn is_mutual(&self) -> bool {
        self.neighbours && self.servers > 1
    }

    fn draw(random: &mut Random, cramped: bool) -> Self {
        Self {
            servers: random.one_of(1, [1, 2, 2, 3, 3, 4, 5]),
            neighbours: random.chance(700),
            disks: random.chance(700),
            users: 2 + random.below(3),
            hosts: (0..=random.below(3)).map(|_| 1 + random.below(2)).collect(),
            policy: policy(random),
            discovers: random.chance(500),
            bounds: if cramped { small_bounds(random) } else { Bounds::default() },
            encrypts: random.chance(300),
        }
    }
}

impl DriverPlan {
    /// The plain loop: all jobs are done on the spot.
    pub const PLAIN: Self = Self {
        late_jobs: 0,
        longest_job: Duration::ZERO,
        failed_jobs: 0,
        blocked: 0,
        lateness: Duration::ZERO,
        idle_timeouts: 0,
        in_flight: 64,
    };

    fn draw(random: &mut Random) -> Self {
        Self {
            late_jobs: random.one_of(0, [100, 500, 1000]),
            longest_job: random.one_of(Duration::from_millis(50), [Duration::from_secs(1), Duration::from_secs(8)]),
            failed_jobs: random.one_of(0, [0, 20]),
            blocked: random.one_of(0, [0, 5, 100]),
            lateness: random
                .one_of(Duration::from_micros(100), [Duration::from_millis(30), Duration::from_millis(900)]),
            idle_timeouts: random.one_of(0, [50, 300]),
            in_flight: random.one_of(usize::MAX, [8, 64]),
        }
    }
}

fn policy(random: &mut Random) -> Policy {
    let mut policy = Policy::KERBEROS;
    policy.failed_proof = random.one_of(FailedProof::Show, [FailedProof::Refuse, FailedProof::Drop]);
    policy.send = random.one_of(Demand::Optional, [Demand::Optional, Demand::Required]);
    policy
}

/// Room enough for the programs of a calm world, and soon full for everybody else.
fn calm_bounds() -> Bounds {
    Bounds {
        clients: 120,
        clients_per_host: 60,
        subscription_octets: 40_000,
        answer_octets: 400_000,
        locations: 100,
        replay_cache_entries: 4000,
        response_cache_entries: 128,
        hosts: 40,
        ..Bounds::default()
    }
}

fn small_bounds(random: &mut Random) -> Bounds {
    let mut some = |least: usize, more: usize| least + random.below(more);
    Bounds {
        clients: some(2, 6),
        clients_per_host: some(1, 4),
        clients_per_principal: some(1, 4),
        subscriptions_per_client: some(2, 8),
        subscriptions_per_principal: some(4, 12),
        subscription_octets: some(400, 2000),
        pending_per_destination: some(2, 10),
        pending_octets_per_host: some(4000, 8000),
        delivery_octets: some(1200, 4000),
        answer_octets: some(1200, 4000),
        locations: some(1, 4),
        locations_per_user: some(1, 3),
        replay_cache_entries: some(8, 32),
        response_cache_entries: some(8, 64),
        ingress_queue_packets: some(16, 64),
        hosts: some(1, 4),
        ..Bounds::default()
    }
}
