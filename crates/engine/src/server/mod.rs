//! The server: subscriptions, and the delivery of notices (server behaviour).
//!
//! The way of a packet: `intake` finds out whether it is new and where it comes from ([`VerifyJob`]), and hands it to
//! the handler of its class, in `handlers`. Handlers ask `policy_check` and `acl_check` what is allowed, change
//! `state`, publish notices through `routing`, and `reply` to the sender. What is sent goes through the `pacer`; what
//! comes while there is much to send waits in the `ingress`; `limits` bound what each source may cause.

pub mod acl;
mod acl_check;
mod config;
mod confirmation;
mod counters;
mod dump;
mod event;
mod fan_outs;
mod handlers;
mod held_answers;
mod ingress;
mod inspect;
mod intake;
mod job;
mod kept;
mod limits;
mod log_event;
mod origin;
mod pacer;
pub mod peers;
mod policy_check;
mod queue_lengths;
mod realms;
mod recipients;
mod registration;
mod reply;
mod request;
mod routing;
mod server_class;
mod snapshot;
mod stamp;
mod state;
mod unreachable;
mod verification;

pub use acl_check::{Access, access};
pub use config::{Command, Config};
pub use confirmation::ProbeSecret;
pub use counters::{Counters, Gauges, Metric};
pub use event::{Cause, Change, Changed, ClientOwner, Event, Gone, Located, LogEntry, Published};
pub use held_answers::{KeeperId, Presence};
pub use inspect::{ClientView, PeerView, SubscriptionView};
pub use job::{Done, Job};
pub use kept::{Horizon, KeptAnswer, KeptDelivery, UsedAuthenticator};
pub use limits::bounds::Bounds;
pub use log_event::LogEvent;
pub use origin::{Belief, NeighbourRealm, Neighbours, Origin, PeerId, PeerKind, PeerServer, RealmId, RealmServer};
pub use pacer::acknowledgements_in_flight;
pub use peers::ours::{SessionMaker, ended::Element};
pub use queue_lengths::QueueLengths;
pub use realms::{RealmDone, RealmJob, RealmState, RealmView};
pub use server_class::ServerClass;
pub use snapshot::Source as ChangeSource;
pub use stamp::{ServerId, Stamp, VersionVector};
pub use state::subscriptions::Destination;
pub use verification::{Verified, VerifyId, VerifyJob};

use crate::{
    machine::{Input, Machine, Output, Transmit},
    server::{
        fan_outs::FanOuts,
        held_answers::HeldAnswers,
        ingress::FairQueue,
        limits::{
            amplification::Amplification, rate_limit::RateLimiter, replay_cache::ReplayCache,
            response_cache::ResponseCache,
        },
        pacer::{Lane, Paced, Pacer},
        peers::{c::CPeers, ours::Ours, stream::StreamNumbers},
        realms::OtherRealms,
        request::{Path, Source},
        stamp::StampClock,
        state::{
            checks::Checks,
            clients::{Client, ClientId, Clients},
            deliveries::{Deliveries, Due},
            hosts::Hosts,
            locations::{GoneLocation, Locations},
            probes::Probes,
            standing::ByStanding,
            subscriptions::Subscriptions,
        },
        verification::Verifications,
    },
};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::{
    notice::{OwnedPacket, Packet},
    schedule::CLIENT_SILENCE,
    time::Now,
    uid::UidSource,
};

/// Maximum number of due packets handled in one timeout, so that acknowledgements are received in between.
const MAX_DUE_PER_TIMEOUT: usize = 512;
/// Maximum number of queued packets handled in one poll, for the same reason.
const MAX_PACKETS_PER_POLL: usize = 32;

/// A server. It is driven as every [`Machine`].
pub struct Server {
    config: Config,
    uids: UidSource,
    started: Duration,
    clients: Clients,
    subscriptions: Subscriptions,
    deliveries: Deliveries,
    fan_outs: FanOuts,
    probes: Probes,
    checks: Checks,
    /// Probes that were ever made.
    probes_begun: u64,
    locations: Locations,
    hosts: Hosts,
    response_cache: ResponseCache,
    replay_cache: ReplayCache,
    /// Proofs that each source has had verified.
    proofs: RateLimiter,
    /// Requests to flush a host.
    host_flushes: RateLimiter<SocketAddr>,
    /// Notices that each source has sent.
    notices: ByStanding<RateLimiter<Source>>,
    /// Deliveries that each source has caused.
    caused: ByStanding<RateLimiter<Source>>,
    /// Packets to unconfirmed addresses of each host, for each principal; and for each principal in all.
    unconfirmed_of_host: RateLimiter<(IpAddr, Arc<[u8]>)>,
    unconfirmed_of_principal: RateLimiter<Arc<[u8]>>,
    /// Checks of clients of each host.
    checks_of_host: RateLimiter,
    amplification: Amplification,
    counters: Counters,
    ingress: FairQueue<(Path, OwnedPacket)>,
    verifications: Verifications,
    /// Requests handled since the start.
    handled: u64,
    /// The other servers of ours.
    ours: Ours,
    streams: StreamNumbers,
    /// Host managers were asked to go elsewhere.
    is_draining: bool,
    /// Servers of the realm that are C programs.
    c_peers: CPeers,
    /// Changes that were ever told.
    told: u64,
    held_answers: HeldAnswers,
    stamps: StampClock,
    /// Which changes are known.
    versions: VersionVector,
    /// The time of what is being handled.
    now: Now,
    pacer: Pacer,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
    realms: OtherRealms,
}

impl Machine for Server {
    type Command = Command;
    type Job = Job;
    type Done = Done;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        self.now = now;
        match input {
            Input::Datagram { from, local, octets } => self.receive(now, Path { from, local }, octets),
            Input::Unreachable { to, quoted } => self.unreachable(now, to, quoted),
            Input::Done(Done::Verified(verified)) => self.verified(now, verified),
            Input::Done(Done::Realm(done)) => self.realm_done(now, done),
            Input::Done(Done::Stream(event)) if CPeers::is_own(event.stream()) => self.c_stream(now, event),
            Input::Done(Done::Stream(event)) => {
                self.ours_stream(now, &event);
            }
            Input::Done(Done::Restored(restored)) => self.c_restored(now, restored),
            Input::Timeout => {
                self.c_timeout(now);
                self.handle_timeout(now);
            }
            Input::Command(command) => self.command(now, command),
        }
    }

    fn poll(&mut self, now: Now) -> Output<Self> {
        self.now = now;
        for _ in 0..MAX_PACKETS_PER_POLL {
            self.go_on_with_realms(now);
            if self.ours.wants_turn() {
                self.serve_ours(now);
            }
            if let Some(output) = self.next_output(now) {
                return output;
            }
            // Both in turn: neither what is to be delivered nor what has come waits for the other.
            let went_on = self.go_on(now);
            if !self.handle_next(now) && !went_on {
                let has_more = self.clear_up() || self.ours.wants_turn();
                return Output::Wait(if has_more { Some(now.monotonic) } else { self.next_timeout(now) });
            }
        }
        self.next_output(now).unwrap_or(Output::Wait(Some(now.monotonic)))
    }

    fn put_back(&mut self, transmit: Transmit) {
        self.pacer.put_back(transmit);
    }
}

impl Server {
    /// A server that knows nobody yet.
    pub fn new(mut config: Config, now: Now) -> Self {
        let realms = std::mem::take(&mut config.neighbours.realms);
        let mut server = Self {
            uids: UidSource::new(config.address),
            started: now.monotonic,
            clients: Clients::default(),
            subscriptions: Subscriptions::default(),
            deliveries: Deliveries::default(),
            fan_outs: FanOuts::default(),
            probes: Probes::default(),
            checks: Checks::default(),
            probes_begun: 0,
            locations: Locations::default(),
            hosts: Hosts::default(),
            response_cache: ResponseCache::default(),
            replay_cache: ReplayCache::new(now.wall),
            proofs: RateLimiter::default(),
            host_flushes: RateLimiter::default(),
            notices: ByStanding::default(),
            caused: ByStanding::default(),
            unconfirmed_of_host: RateLimiter::default(),
            unconfirmed_of_principal: RateLimiter::default(),
            checks_of_host: RateLimiter::default(),
            amplification: Amplification::default(),
            counters: Counters::default(),
            ingress: FairQueue::default(),
            verifications: Verifications::default(),
            handled: 0,
            ours: Ours::default(),
            streams: StreamNumbers::default(),
            is_draining: false,
            c_peers: CPeers::default(),
            told: 0,
            held_answers: HeldAnswers::default(),
            stamps: StampClock::new(config.id),
            versions: VersionVector::default(),
            now,
            pacer: Pacer::new(config.in_flight),
            jobs: VecDeque::new(),
            events: VecDeque::new(),
            realms: OtherRealms::default(),
            config,
        };
        server.set_c_peers(now);
        server.set_realms(now, realms);
        server.arrange_ours(now);
        server
    }

    /// What is there to be told, done or sent.
    fn next_output(&mut self, now: Now) -> Option<Output<Self>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Output::Event(event));
        }
        if let Some(job) = self.jobs.pop_front() {
            return Some(Output::Job(job));
        }
        let Paced { transmit, late } = self.pacer.next(now.monotonic)?;
        if let Some(packet) = late {
            // Its acknowledgement is waited for from now on.
            self.deliveries.sent_late(now.monotonic, packet);
        }
        Some(Output::Transmit(transmit))
    }

    /// Queues a packet to be sent at once.
    fn send(&mut self, transmit: Transmit) {
        self.pacer.push(Lane::Answers, transmit);
    }

    /// The next timeout on the monotonic clock.
    fn next_timeout(&self, now: Now) -> Option<Duration> {
        let may_repeat = self.may_repeat(now);
        let due =
            [self.deliveries.next_due(), self.probes.next_due(), self.checks.next_due()].into_iter().flatten().min();
        let room = (!self.fan_outs.is_empty()).then(|| self.pacer.next_room());
        let others = [
            self.pacer.next_chance(),
            self.held_answers.next_due(),
            self.c_peers.next_due(),
            self.realms.next_due(),
            self.next_ours_due(),
        ];
        [due.filter(|_| may_repeat), room].into_iter().chain(others).flatten().min()
    }

    /// Handles what is due, as long as there is little to send. When much is due at once, some of it stays due.
    fn handle_timeout(&mut self, now: Now) {
        self.answer_overdue(now);
        self.ours_timeout(now);
        if self.deliveries.forget_some() || !self.may_repeat(now) {
            return;
        }
        self.probe(now);
        self.check(now);
        for _ in 0..MAX_DUE_PER_TIMEOUT {
            let Some(due) = self.deliveries.take_due(now.monotonic) else { break };
            let due = match due {
                Due::Undecided { packet, client } if self.is_alive(client, now) => {
                    self.deliveries.keep(now.monotonic, packet).unwrap_or(Due::Forgotten)
                }
                due => due,
            };
            match due {
                Due::Resend { uid, transmit, transmission: 1 } => {
                    // It was held until now.
                    self.counters.delivered += 1;
                    self.pacer.push(Lane::Repetitions(uid), transmit);
                }
                Due::Resend { uid, transmit, transmission } => {
                    let to = transmit.to;
                    if let Some(client) = self.clients.at(to).and_then(|id| self.clients.get_mut(id)) {
                        client.silent = true;
                    }
                    if self.put_off(now, to, uid) {
                        continue;
                    }
                    self.counters.resent += 1;
                    self.report(LogEvent::Resent { client: to, transmission });
                    self.pacer.push(Lane::Repetitions(uid), transmit);
                }
                Due::Forgotten => self.counters.given_up += 1,
                Due::Undecided { packet, client } => {
                    self.counters.given_up += 1;
                    self.deliveries.acknowledged(&packet);
                    self.give_up(client);
                }
            }
        }
    }

    /// Gives up a client that answers no longer.
    fn give_up(&mut self, client: ClientId) {
        if let Some(gone) = self.forget_client(client, Gone::Silent) {
            self.report(LogEvent::ClientDead { client: gone.address(), principal: gone.principal.as_ref().into() });
        }
    }

    /// Forgets a client that is gone without having said so, and its locations.
    fn forget_client(&mut self, client: ClientId, why: Gone) -> Option<Client> {
        let gone = self.remove_client(client, why)?;
        self.c_kill(self.now, gone.address());
        self.counters.dead_clients += 1;
        let ended = self.locations.remove_address(gone.address(), gone.standing().is_proven());
        self.locations_gone(ended);
        Some(gone)
    }

    /// Handles a command of an operator or of the driver.
    fn command(&mut self, now: Now, command: Command) {
        match command {
            Command::Reload(rules) => {
                self.config.rules = rules;
                self.end_forbidden_subscriptions();
            }
            Command::Enforce(policy) => {
                self.config.policy = *policy;
                self.end_forbidden_subscriptions();
            }
            Command::Renew { rules, policy } => {
                (self.config.rules, self.config.policy) = (rules, *policy);
                self.end_forbidden_subscriptions();
            }
            Command::Realms(realms) => self.set_realms(now, realms),
            Command::Rebound(bounds) => self.config.bounds = *bounds,
            Command::Peers { peers, believe } => {
                self.config.neighbours.peers = peers;
                self.config.neighbours.believe = believe;
                self.arrange_ours(now);
                self.set_c_peers(now);
            }
            Command::Stored { keeper, up_to } => self.stored(keeper, up_to),
            Command::Keeper { keeper, presence } => self.keeper(keeper, presence),
            Command::Drain => self.drain(now),
            Command::EndDrain => self.is_draining = false,
            Command::Shutdown => {
                self.finish_fan_outs(now);
                self.end_all_hand_offs();
                self.say_goodbye_to_hosts(now);
                self.farewell_ours();
                self.c_leave(now);
            }
        }
    }

    /// The uptime.
    pub fn uptime(&self, now: Now) -> Duration {
        now.monotonic.saturating_sub(self.started)
    }

    /// The counters since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The current size of the server's state.
    pub fn gauges(&self) -> Gauges {
        let peers = self.peers(self.now);
        Gauges {
            clients: self.clients.len(),
            unconfirmed: self.clients.unconfirmed(),
            subscriptions: self.subscriptions.len(),
            subscription_octets: self.subscriptions.octets(),
            pending: self.deliveries.len(),
            pending_octets: self.deliveries.octets(),
            realm_pending: self.realms.outbox.len(),
            realm_pending_octets: self.realms.outbox.octets(),
            realm_subscriptions: self.realms.theirs.len(),
            realm_wishes: self.realms.wishes.len(),
            locations: self.locations.len(),
            hosts: self.hosts.len(),
            recent: self.response_cache.len(),
            replays: self.replay_cache.len(),
            held_answers: self.held_answers.len(),
            peers: peers.len(),
            peers_up: peers.iter().filter(|peer| matches!(peer.state, "up" | "tardy")).count(),
            peers_behind: peers.iter().map(|peer| peer.behind).sum(),
        }
    }

    fn is_alive(&self, client: ClientId, now: Now) -> bool {
        let silence = |last_ack| now.monotonic.saturating_sub(last_ack);
        self.clients.get(client).is_some_and(|client| silence(client.last_ack()) <= CLIENT_SILENCE)
    }

    /// Handles an acknowledgement.
    fn acknowledged(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>) {
        if !self.deliveries.acknowledged(&(from, packet.notice.uid)) {
            return;
        }
        self.counters.acknowledged += 1;
        self.earn(from.ip(), packet.octets().len());
        if let Some(id) = self.clients.at(from) {
            self.is_there(now, id);
        }
    }

    /// Forgets a client, its subscriptions and what waits for it.
    fn remove_client(&mut self, id: ClientId, why: Gone) -> Option<Client> {
        let client = self.take_client(id, why);
        self.clear_up();
        client
    }

    /// Forgets a client. From now on it gets nothing, and counts no longer; its traces are left to
    /// [`clear_up`](Self::clear_up), as there may be many.
    fn take_client(&mut self, id: ClientId, why: Gone) -> Option<Client> {
        let stamps = self.clients.get(id)?.stamps();
        let client = self.drop_client(id)?;
        self.ours.ended_client(&self.versions, client.address(), &stamps);
        self.changed(Change::ClientGone { client: client.address(), stamps, why });
        Some(client)
    }

    /// The same without telling it.
    fn drop_client(&mut self, id: ClientId) -> Option<Client> {
        let mut client = self.clients.remove(id)?;
        let payer = client.payer();
        let held = std::mem::take(&mut client.subscriptions);
        self.subscriptions.leave(id, held.into_iter().map(|held| held.destination).collect(), &payer);
        self.end_wishes_of(id);
        self.probes.end(id);
        self.checks.end(client.address().ip(), id);
        self.deliveries.forget_client(client.address(), id);
        Some(client)
    }

    /// Clears up some of what clients have left that are gone; true when there is more.
    fn clear_up(&mut self) -> bool {
        self.subscriptions.end_some() | self.deliveries.forget_some() | self.tell_of_orphans()
    }

    /// Reports which locations are gone.
    fn locations_gone(&mut self, gone: Vec<GoneLocation>) {
        for GoneLocation { user, address, stamp, .. } in gone {
            self.ours.ended(&self.versions, stamp, || Element::Location(user.clone(), address));
            self.changed(Change::LocationGone { user, address, stamp });
        }
    }
}
