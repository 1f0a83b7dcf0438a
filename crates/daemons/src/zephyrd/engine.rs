//! The server as a state machine: packets, time and commands in, packets and events out.

pub use super::admission::AskJudge;
use super::{
    access::Rules,
    clients::{ClientId, Clients},
    counters::{Census, Counters},
    credit::Credit,
    delivery::{Deliveries, Due, Room},
    event::Event,
    hosts::Hosts,
    locations::Locations,
    quota::Quota,
    recent::Recent,
    replay::Replays,
    reply::Request,
    subscriptions::Subscriptions,
};
use crate::outbox::Lane;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    fold::fold,
    fragment::Span,
    kind::Kind,
    notice::Packet,
    policy::Policy,
    realm::Realms,
    schedule::CLIENT_SILENCE,
    time::Now,
    uid::{Uid, UidSource},
    words,
};

pub use super::bounds::Bounds;

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
pub struct Engine {
    pub(super) config: Config,
    pub(super) uids: UidSource,
    pub(super) clients: Clients,
    pub(super) subscriptions: Subscriptions,
    pub(super) deliveries: Deliveries,
    pub(super) locations: Locations,
    pub(super) hosts: Hosts,
    pub(super) recent: Recent,
    pub(super) replays: Replays,
    pub(super) proofs: Quota,
    pub(super) host_requests: Quota,
    pub(super) notices: Quota,
    /// Deliveries that each source has caused.
    pub(super) caused: Quota,
    pub(super) credit: Credit,
    pub(super) counters: Counters,
    pub(super) started: Duration,
}

/// Due packets handled in one call of [`Engine::handle_timeout`], so that a shell can hear acknowledgements in between.
const DUE_PER_CALL: usize = 512;

impl Engine {
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
            recent: Recent::default(),
            replays: Replays::default(),
            proofs: Quota::default(),
            host_requests: Quota::default(),
            notices: Quota::default(),
            caused: Quota::default(),
            credit: Credit::default(),
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
    pub(super) fn dispatch(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> bool {
        self.earn(request.from.ip(), request.octets());
        let class = fold(request.notice.class);
        let is = |word: &[u8]| class.eq_ignore_ascii_case(word);
        if is(words::HM_CTL) {
            self.host_control(request, out);
        } else if is(words::ZEPHYR_CTL) {
            self.control(request, out);
        } else if is(words::LOGIN) {
            self.login(request, out);
        } else if is(words::USER_LOCATE) {
            self.locate(request, out);
        } else if is(words::ZEPHYR_ADMIN) {
            self.admin(request, out);
        } else {
            self.message(request, out);
            return false;
        }
        true
    }

    /// When [`Engine::handle_timeout`] wants to be called next, on the monotonic clock.
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
    pub fn census(&self) -> Census {
        Census {
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

    pub(super) fn room(&self) -> Room {
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
    pub(super) fn remove_client(&mut self, id: ClientId) -> Option<super::clients::Client> {
        let client = self.clients.remove(id)?;
        for destination in &client.subscriptions {
            self.subscriptions.remove(destination, id, client.address().ip());
        }
        self.deliveries.forget_client(client.address(), id);
        Some(client)
    }
}
