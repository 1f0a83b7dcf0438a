//! Faults injected beside packet loss: partitions, crashes, clock jumps, blocked sockets.

use super::{
    invariants::Violation,
    network::{Cut, SlowLink},
    node::{HOST_MANAGER_PORT, Role},
    process::{ROOT_PORT, Stimulus},
    world::{Datagram, Happening, World},
};
use std::{net::Ipv4Addr, time::Duration};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice},
};
use zephyr_engine::{client, host_manager, server};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disturbance {
    /// A program crashes, and starts again after this long; what it knew is lost.
    Crash {
        /// Which.
        node: usize,
        /// When it starts again.
        back: Duration,
        /// Whether it says goodbye before, if it is one that does.
        orderly: bool,
    },
    /// Hosts do not reach each other for this long.
    Partition(Cut),
    /// The clock of a host jumps by so many seconds.
    ClockJump {
        /// Which host.
        host: usize,
        /// Seconds forward.
        by: i64,
    },
    /// A user gets new tickets, or destroys them.
    Tickets {
        /// The domain.
        domain: usize,
        /// The user.
        user: usize,
        /// Whether there are new ones.
        new: bool,
    },
    /// A program of a host orders its host manager to flush the host, or to take another server.
    LocalOrder {
        /// The host.
        host: usize,
        /// Whether it is to take another server.
        another: bool,
    },
    /// An operator orders a host to be flushed.
    Flush {
        /// Its host manager, if that node is one.
        node: usize,
    },
    /// A program crashes, and its disk is lost, if it has one.
    DiskLost {
        /// Which.
        node: usize,
        /// When it starts again.
        back: Duration,
    },
    /// A server crashes when it has answered the next request that changes something.
    CrashAfterAnswer {
        /// The server.
        node: usize,
        /// When it starts again.
        back: Duration,
    },
    /// All servers of a domain crash at once.
    PowerCut {
        /// The domain.
        domain: usize,
        /// When the first starts again.
        back: Duration,
    },
    /// Two servers do not reach each other for this long, or one of them a host.
    Split(Cut),
    /// A host is slow to reach.
    Slow(SlowLink),
    /// A stream of a server breaks.
    StreamBroken {
        /// The server.
        node: usize,
    },
    /// A host with programs gets another address: they are told, now or later, or not at all.
    Roam {
        /// Which.
        host: usize,
        /// When they are told.
        told: Option<Duration>,
    },
    /// An operator records other servers of a domain, or other priorities.
    OtherRecords {
        /// The domain.
        domain: usize,
    },
    /// The host of a server gets another address, which its name has from then on.
    Move {
        /// The server.
        node: usize,
    },
}

/// The network of the addresses that hosts move to; those that they begin with are in another one.
const SECOND_NETWORK: [u8; 2] = [10, 1];

impl Disturbance {
    /// Something that could go wrong in this world.
    pub(super) fn draw(world: &mut World) -> Self {
        let (patient, nodes) = (world.scenario.patient, world.nodes.len());
        let node = world.random.below(nodes);
        let random = &mut world.random;
        match random.below(11) {
            0..=3 => {
                let back = if random.chance(200) { random.seconds(30, 120) } else { random.millis(10, 15_000) };
                Self::Crash { node, back, orderly: random.chance(300) }
            }
            4..=6 => {
                let (host, other) = (random.below(world.hosts.len()), random.below(world.hosts.len()));
                let other = random.chance(300).then_some(other);
                let until = if patient { random.seconds(30, 900) } else { random.seconds(1, 90) };
                let [outward, inward] = random.one_of([true, true], [[true, false], [false, true]]);
                Self::Partition(Cut { host, other, outward, inward, until })
            }
            7 => {
                let far = random.one_of(30, [400, 4000, 90_000]);
                let by = if random.chance(500) { far } else { -far };
                Self::ClockJump { host: random.below(world.hosts.len()), by }
            }
            8 => {
                let domain = random.below(world.domains.len());
                let user = random.below(world.domains[domain].users.len());
                Self::Tickets { domain, user, new: random.chance(700) }
            }
            9 => Self::LocalOrder { host: random.below(world.hosts.len()), another: random.chance(700) },
            _ => Self::Flush { node },
        }
    }
}

impl Disturbance {
    /// Something that could go wrong with a domain of several servers.
    pub(super) fn draw_of_servers(world: &mut World, domain: usize) -> Self {
        let patient = world.scenario.patient;
        let servers = &world.domains[domain].servers;
        let random = &mut world.random;
        let node = random.pick(servers).copied().unwrap_or_default();
        let other = random.pick(servers).copied().unwrap_or_default();
        let back = if random.chance(300) { random.seconds(20, 90) } else { random.millis(10, 8000) };
        let host = world.nodes[node].host;
        match random.below(10) {
            0 => Self::Crash { node, back, orderly: random.chance(300) },
            1 => Self::CrashAfterAnswer { node, back },
            2 => Self::DiskLost { node, back },
            3 => Self::PowerCut { domain, back },
            4..=6 => {
                let until = if patient { random.seconds(20, 600) } else { random.seconds(1, 80) };
                let far = if random.chance(700) { world.nodes[other].host } else { random.below(world.hosts.len()) };
                let [outward, inward] = random.one_of([true, true], [[true, true], [true, false], [false, true]]);
                Self::Split(Cut { host, other: Some(far), outward, inward, until })
            }
            7 => Self::Slow(SlowLink { host, by: random.millis(50, 3000), until: random.seconds(5, 60) }),
            8 => {
                let far = random.one_of(1, [30, 200, 4000]);
                Self::ClockJump { host, by: if random.chance(500) { far } else { -far } }
            }
            _ => Self::StreamBroken { node },
        }
    }

    /// A server that gets another address.
    pub(super) fn draw_move(world: &mut World) -> Self {
        let domain = world.name_service.below(world.domains.len());
        let servers = &world.domains[domain].servers;
        Self::Move { node: servers[world.name_service.below(servers.len())] }
    }
}

impl Disturbance {
    /// A host with programs that gets another address.
    pub(super) fn draw_roaming(world: &mut World) -> Self {
        let managers: Vec<usize> =
            world.nodes.iter().filter(|node| node.role == Role::HostManager).map(|it| it.host).collect();
        let random = &mut world.name_service;
        let host = random.pick(&managers).copied().unwrap_or_default();
        let told = random.millis(0, 8000);
        Self::Roam { host, told: random.chance(800).then_some(told) }
    }
}

impl World {
    /// Something goes wrong.
    pub(super) fn disturb(&mut self, disturbance: Disturbance) -> Result<(), Violation> {
        self.trace.add(self.now, "world", || format!("{disturbance:?}"));
        match disturbance {
            Disturbance::Crash { node, back, orderly } => {
                if orderly && self.nodes[node].role == Role::Server {
                    self.give(node, Stimulus::Server(server::Command::Shutdown))?;
                    self.end_in_order(node);
                }
                if self.nodes[node].process.is_some() {
                    self.crash(node);
                    self.later(back, Happening::Start(node));
                }
                Ok(())
            }
            Disturbance::DiskLost { node, back } => {
                if self.nodes[node].process.is_some() {
                    self.crash(node);
                    self.later(back, Happening::Start(node));
                }
                self.lose_disk(node);
                Ok(())
            }
            Disturbance::CrashAfterAnswer { node, back } => {
                self.nodes[node].dies_of_answer = Some(back);
                Ok(())
            }
            Disturbance::PowerCut { domain, back } => {
                for node in self.domains[domain].servers.clone() {
                    if self.nodes[node].process.is_some() {
                        self.crash(node);
                        let back = back + self.random.millis(0, 5000);
                        self.later(back, Happening::Start(node));
                    }
                }
                Ok(())
            }
            Disturbance::Slow(link) => {
                self.network.slow_down(SlowLink { until: self.now + link.until, ..link });
                Ok(())
            }
            Disturbance::StreamBroken { node } => {
                self.break_stream(node);
                Ok(())
            }
            Disturbance::Partition(cut) | Disturbance::Split(cut) => {
                self.network.cut(Cut { until: self.now + cut.until, ..cut });
                Ok(())
            }
            Disturbance::ClockJump { host, by } => {
                self.hosts[host].clock.offset += by;
                Ok(())
            }
            Disturbance::Tickets { domain, user, new } => {
                if new {
                    let life = self.ticket_life();
                    self.new_ticket(domain, user, life);
                } else {
                    self.domains[domain].users[user].ticket = None;
                }
                Ok(())
            }
            Disturbance::LocalOrder { host, another } => {
                self.order_locally(host, Duration::ZERO, if another { names::NEWSERV } else { names::FLUSH });
                Ok(())
            }
            Disturbance::Move { node } => {
                // Servers that know each other know where they are.
                if !self.domains[self.nodes[node].domain].plan.neighbours {
                    self.move_host(self.nodes[node].host);
                }
                Ok(())
            }
            Disturbance::Roam { host, told } => {
                self.move_host(host);
                if let Some(told) = told {
                    self.later(told, Happening::NetworkTold(host));
                }
                Ok(())
            }
            Disturbance::OtherRecords { domain } => {
                self.change_directory(domain);
                Ok(())
            }
            Disturbance::Flush { node } => self.give(node, Stimulus::HostManager(host_manager::Command::Flush)),
        }
    }

    /// The programs of a host hear that its network is another one.
    pub(super) fn network_told(&mut self, host: usize) -> Result<(), Violation> {
        let there: Vec<usize> = (0..self.nodes.len()).filter(|&node| self.nodes[node].host == host).collect();
        for node in there {
            self.tell(node, || "hears that the network has changed".to_owned());
            match self.nodes[node].role {
                Role::HostManager => {
                    self.give(node, Stimulus::HostManager(host_manager::Command::NetworkChanged))?;
                }
                Role::Client { .. } => self.give(node, Stimulus::Client(client::Command::NetworkChanged))?,
                Role::Server => {}
            }
        }
        Ok(())
    }

    /// Gives a host an address that nobody has had.
    fn move_host(&mut self, host: usize) {
        self.moves += 1;
        self.hosts[host].moved_at = Some(self.now);
        let [first, second] = SECOND_NETWORK;
        self.hosts[host].address = Ipv4Addr::new(first, second, 0, u8::try_from(self.moves).unwrap_or(u8::MAX));
    }

    /// A program of root's gives a host manager an order.
    pub(super) fn order_locally(&mut self, host: usize, after: Duration, opcode: &[u8]) {
        let notice = Notice { kind: Kind::HmCtl, class: names::HM_CTL, opcode, ..Notice::EMPTY };
        if let Ok(payload) = notice.write(&Claim::NONE, Limits::COMPATIBLE) {
            let from = (Ipv4Addr::LOCALHOST, ROOT_PORT).into();
            let to = (Ipv4Addr::LOCALHOST, HOST_MANAGER_PORT).into();
            let datagram = Datagram { from, host, to, payload };
            self.later(after + Duration::from_micros(20), Happening::Arrival(Box::new(datagram)));
        }
    }
}
