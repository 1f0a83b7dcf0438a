//! The server as a state machine: packets, time and commands in, packets and events out.

pub mod acl;
mod acl_check;
mod counters;
mod dump;
pub mod event;
mod handlers;
pub mod ingress;
mod inspect;
mod intake;
mod limits;
pub mod pacer;
mod policy_check;
mod reply;
mod state;

pub use counters::{Counters, Gauges, IoCounters, Metric};
pub use inspect::{ClientView, SubscriptionView};
pub use intake::AskJudge;
pub use limits::bounds::Bounds;

use crate::{
    outbox::Lane,
    server::{
        acl::Rules,
        event::Event,
        limits::{
            amplification::Amplification, rate_limit::RateLimiter, replay_cache::ReplayCache,
            response_cache::ResponseCache,
        },
        reply::Request,
        state::hosts::Hosts,
        state::{
            clients::{ClientId, Clients},
            deliveries::{Deliveries, Due, Room},
            locations::Locations,
            subscriptions::Subscriptions,
        },
    },
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    fold::fold,
    fragment::Span,
    kind::Kind,
    names,
    notice::Packet,
    policy::Policy,
    realm::Realms,
    schedule::CLIENT_SILENCE,
    time::Now,
    uid::{Uid, UidSource},
};

/// What the server's engine puts out.
pub type Outbox = crate::outbox::Outbox<Event>;

/// What a server is told about itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its host name, the sender of its own notices.
    pub host: String,
    /// Its address, for uids and for those who ask.
    pub address: Ipv4Addr,
    /// The port it listens on.
    pub port: u16,
    /// The program and version that it tells those who ask.
    pub version: String,
    /// Its realm.
    pub realms: Realms,
    /// What its domain demands.
    pub policy: Policy,
    /// Who may do what, and what every subscriber gets.
    pub rules: Arc<Rules>,
    /// How much it holds.
    pub bounds: Bounds,
}

/// What can be asked of a running server.
#[derive(Clone, Debug)]
pub enum Command {
    /// Other rules from now on, also for those who subscribed under the old ones.
    Reload(Arc<Rules>),
    /// Another policy from now on, also for those who subscribed under the old one.
    Enforce(Box<Policy>),
    /// Both at once: what clients subscribed to is looked through only once.
    Renew {
        /// As for `Reload`.
        rules: Arc<Rules>,
        /// As for `Enforce`.
        policy: Box<Policy>,
    },
    /// Other bounds from now on. What is there already stays.
    Rebound(Bounds),
    /// The server is about to end: tell the host managers.
    Shutdown,
}

/// A server. See the crate's description for how it is driven.
pub struct Server {
    pub(crate) config: Config,
    pub(crate) uids: UidSource,
    pub(crate) clients: Clients,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) deliveries: Deliveries,
    pub(crate) locations: Locations,
    pub(crate) hosts: Hosts,
    pub(crate) recent: ResponseCache,
    pub(crate) replays: ReplayCache,
    pub(crate) proofs: RateLimiter,
    pub(crate) host_requests: RateLimiter,
    pub(crate) notices: RateLimiter,
    /// Deliveries that each source has caused.
    pub(crate) caused: RateLimiter,
    pub(crate) credit: Amplification,
    pub(crate) counters: Counters,
    pub(crate) started: Duration,
}

/// Due packets handled in one call of [`Server::handle_timeout`], so that a shell can hear acknowledgements in between.
const DUE_PER_CALL: usize = 512;

impl Server {
    /// A server that knows nobody yet.
    pub fn new(config: Config, now: Now) -> Self {
        Self {
            uids: UidSource::new(config.address),
            config,
            clients: Clients::default(),
            subscriptions: Subscriptions::default(),
            deliveries: Deliveries::default(),
            locations: Locations::default(),
            hosts: Hosts::default(),
            recent: ResponseCache::default(),
            replays: ReplayCache::default(),
            proofs: RateLimiter::default(),
            host_requests: RateLimiter::default(),
            notices: RateLimiter::default(),
            caused: RateLimiter::default(),
            credit: Amplification::default(),
            counters: Counters::default(),
            started: now.monotonic,
        }
    }

    /// A packet has come. Its answer, and what else it causes, goes to `out`. The judge is asked only about what is new
    /// and wants something.
    pub fn handle(&mut self, now: Now, from: SocketAddr, packet: Packet<'_>, judge: AskJudge<'_>, out: &mut Outbox) {
        let from = SocketAddr::new(from.ip(), from.port());
        self.deliveries.forget_some();
        self.counters.received += 1;
        if let Err(reason) = Span::of(&packet) {
            self.counters.dropped += 1;
            out.report(Event::Dropped { reason, from });
            return;
        }
        match packet.notice.kind {
            kind @ (Kind::Stat | Kind::Other(_)) => {
                self.counters.bad_kinds += 1;
                out.report(Event::BadKind { kind, from });
            }
            // Nothing was asked of anybody: whoever sends this has made it up, and it never reaches a class handler.
            kind @ (Kind::ServAck | Kind::ServNak | Kind::HmAck) => {
                self.counters.stray_answers += 1;
                out.report(Event::StrayAnswer { kind, from });
            }
            Kind::ClientAck => self.acknowledged(now, from, &packet),
            Kind::Unsafe | Kind::Unacked | Kind::Acked | Kind::HmCtl => self.admit(now, from, packet, judge, out),
        }
    }

    /// Hands a request to who knows; true when it was about its own host, and not only a notice for others.
    pub(crate) fn dispatch(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> bool {
        self.earn(request.from.ip(), request.octets());
        let class = fold(request.notice.class);
        let is = |word: &[u8]| class.eq_ignore_ascii_case(word);
        if is(names::HM_CTL) {
            self.host_control(request, out);
        } else if is(names::ZEPHYR_CTL) {
            self.control(request, out);
        } else if is(names::LOGIN) {
            self.login(request, out);
        } else if is(names::USER_LOCATE) {
            self.locate(request, out);
        } else if is(names::ZEPHYR_ADMIN) {
            self.admin(request, out);
        } else {
            self.message(request, out);
            return false;
        }
        true
    }

    /// When [`Server::handle_timeout`] wants to be called next, on the monotonic clock.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.deliveries.next_due()
    }

    /// Does what is due. When much is due at once, some of it stays due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outbox) {
        if self.deliveries.forget_some() {
            return;
        }
        for _ in 0..DUE_PER_CALL {
            let Some(due) = self.deliveries.take_due(now.monotonic) else { break };
            let due = match due {
                Due::Undecided { packet, client } if self.is_alive(client, now) => {
                    self.deliveries.keep(now.monotonic, packet).unwrap_or(Due::Forgotten)
                }
                due => due,
            };
            match due {
                Due::Resend { packet: (to, uid), payload, transmission } => {
                    self.counters.resent += 1;
                    if let Some(client) = self.clients.at(to).and_then(|id| self.clients.get_mut(id)) {
                        client.silent = true;
                    }
                    out.report(Event::Resent { client: to, transmission });
                    out.send_by(Lane::Repetitions(uid), to, payload);
                }
                Due::Forgotten => self.counters.given_up += 1,
                Due::Undecided { packet, client } => {
                    self.counters.given_up += 1;
                    self.deliveries.acknowledged(&packet);
                    if let Some(gone) = self.remove_client(client) {
                        self.counters.dead_clients += 1;
                        self.locations.remove_address(gone.address());
                        out.report(Event::ClientDead {
                            client: gone.address(),
                            principal: gone.principal.as_ref().into(),
                        });
                    }
                }
            }
        }
    }

    /// A packet to a client went out only now, as others had to go first: its acknowledgement is waited for from now on.
    pub fn sent_late(&mut self, now: Now, to: SocketAddr, uid: Uid) {
        self.deliveries.sent_late(now.monotonic, (to, uid));
    }

    /// Does what an operator or the shell asks.
    pub fn command(&mut self, now: Now, command: Command, out: &mut Outbox) {
        match command {
            Command::Reload(rules) => {
                self.config.rules = rules;
                self.end_forbidden_subscriptions(out);
            }
            Command::Enforce(policy) => self.enforce(*policy, out),
            Command::Renew { rules, policy } => {
                (self.config.rules, self.config.policy) = (rules, *policy);
                self.end_forbidden_subscriptions(out);
            }
            Command::Rebound(bounds) => self.config.bounds = bounds,
            Command::Shutdown => self.say_goodbye_to_hosts(now, out),
        }
    }

    /// How long it has been running.
    pub fn uptime(&self, now: Now) -> Duration {
        now.monotonic.saturating_sub(self.started)
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How much of everything there is.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            clients: self.clients.len(),
            subscriptions: self.subscriptions.len(),
            subscription_octets: self.subscriptions.octets(),
            pending: self.deliveries.len(),
            pending_octets: self.deliveries.octets(),
            locations: self.locations.len(),
            hosts: self.hosts.len(),
            recent: self.recent.len(),
            replays: self.replays.len(),
        }
    }

    pub(crate) fn room(&self) -> Room {
        Room {
            per_destination: self.config.bounds.pending_per_destination,
            host_octets: self.config.bounds.pending_octets_per_host,
            principal_octets: self.config.bounds.pending_octets_per_principal,
            client_octets: self.config.bounds.delivery_octets,
            answer_octets: self.config.bounds.answer_octets,
        }
    }

    fn is_alive(&self, client: ClientId, now: Now) -> bool {
        let silence = |last_ack| now.monotonic.saturating_sub(last_ack);
        self.clients.get(client).is_some_and(|client| silence(client.last_ack()) <= CLIENT_SILENCE)
    }

    fn acknowledged(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>) {
        if !self.deliveries.acknowledged(&(from, packet.notice.uid)) {
            return;
        }
        self.counters.acknowledged += 1;
        self.earn(from.ip(), packet.octets().len());
        if let Some(client) = self.clients.at(from).and_then(|id| self.clients.get_mut(id)) {
            client.acknowledged(now.monotonic);
        }
    }

    /// Forgets a client, its subscriptions and what waits for it.
    pub(crate) fn remove_client(&mut self, id: ClientId) -> Option<crate::server::state::clients::Client> {
        let client = self.clients.remove(id)?;
        for destination in &client.subscriptions {
            self.subscriptions.remove(destination, id, client.address().ip());
        }
        self.deliveries.forget_client(client.address(), id);
        Some(client)
    }
}
