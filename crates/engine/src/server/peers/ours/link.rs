//! Links to the other servers of ours: who connects, and when again.
//!
//! The server with the smaller address connects. The other one does so only when nothing has come for a while: addresses may
//! look otherwise from there. A new stream takes the place of the one before it.

use super::{
    Arrival, HELLO_TIMEOUT,
    channel::{Channel, SILENCE},
    clock::ClockGap,
    wire::{self, Hello, Message},
};
use crate::server::{
    Job, KeeperId, PeerKind, PeerServer, PeerView, Presence, Server,
    log_event::LogEvent,
    peers::stream::{StreamId, StreamOrder},
};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};
use zephyr_core::{sanitize, time::Now};

/// How long a connection may take to be there, and to be proven.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(25);
/// The first wait before another try; each is twice as long as the one before it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long who should be connected to waits before he connects himself.
const PASSIVE_WAIT: Duration = Duration::from_secs(10);
/// Maximum characters that are kept of the reason why a server is not there.
const MAX_REASON: usize = 200;
/// Maximum number of reasons that are told until it was there.
const MAX_FAILURES_TOLD: usize = 8;
/// Who speaks as a C server does is told of at most this often.
const HINT_AGAIN: Duration = Duration::from_secs(3600);

/// The link to another server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: Box<str>,
    pub(super) addresses: Vec<SocketAddr>,
    /// The stream, once the other end has proven itself.
    pub(super) channel: Option<Channel>,
    /// The stream that is being connected, and since when.
    connecting: Option<(StreamId, Duration)>,
    /// Tries since it was last there.
    tries: u32,
    /// When to try.
    retry: Duration,
    /// Since when it is as it is.
    since: Duration,
    /// Its changes are of a clock that is too far ahead of the one here: it was refused, and was not there since.
    pub(super) is_ahead: bool,
    /// How far its clock was from the one here when it last connected.
    pub(super) clock: Option<ClockGap>,
    /// Whether it has ever said that it is a server of ours.
    pub(super) has_spoken: bool,
    /// Why it last was lost or not reached, until it was there.
    failure: Option<Box<str>>,
    /// Why it was not reached, as far as that was told, until it was there.
    failures_told: Vec<Box<str>>,
    /// When it, or somebody from its address, last spoke as C servers do.
    pub(super) speaks_as_c: Option<Duration>,
}

impl Link {
    pub(super) fn is_at(&self, host: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip() == host)
    }

    /// How it is, in a word.
    pub(super) fn state(&self) -> &'static str {
        match &self.channel {
            Some(channel) if channel.is_abreast => "up",
            _ if self.is_ahead => "clock ahead",
            Some(_) => "catching up",
            None if self.connecting.is_some() => "connecting",
            None => "away",
        }
    }

    /// What else is to be known of it.
    fn remarks(&self) -> Vec<String> {
        let failure = self.failure.as_ref().map(|why| sanitize::name(why.as_bytes()));
        let clock = self.clock.map(|gap| format!("when it connected, its clock was {gap}"));
        let speaks_as_c = self.speaks_as_c.filter(|_| !self.has_spoken);
        let hint =
            speaks_as_c.map(|_| "speaks as C servers do: if it is one, name it in c of section peers".to_owned());
        [failure, clock, hint].into_iter().flatten().collect()
    }

    /// It was lost or not reached; true when nobody was told of that reason since it was there.
    fn failed(&mut self, why: &str) -> bool {
        let why: Box<str> = why.chars().take(MAX_REASON).collect::<String>().into();
        self.failure = Some(why.clone());
        let is_news = self.failures_told.len() < MAX_FAILURES_TOLD && !self.failures_told.contains(&why);
        if is_news {
            self.failures_told.push(why);
        }
        is_news
    }

    /// Since when it is as it is.
    pub(super) fn since(&self) -> Duration {
        self.channel.as_ref().map_or(self.since, |channel| channel.since)
    }

    fn due(&self) -> Duration {
        match (&self.channel, self.connecting) {
            (Some(channel), _) => channel.due(),
            (None, Some((_, since))) => since + CONNECT_TIMEOUT,
            (None, None) => self.retry,
        }
    }

    /// Another try comes later.
    fn wait(&mut self, now: Duration) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.tries.min(5)).min(LONGEST_WAIT);
        self.tries = self.tries.saturating_add(1);
        self.connecting = None;
        self.retry = now + wait;
    }
}

impl Server {
    /// Takes the list of servers as the configuration has it now.
    pub(crate) fn arrange_ours(&mut self, now: Now) {
        let own = SocketAddr::new(self.config.address.into(), self.config.port);
        let listed: Vec<PeerServer> =
            self.config.neighbours.peers.iter().filter(|it| it.kind == PeerKind::Ours).cloned().collect();
        let gone: Vec<StreamId> = self
            .ours
            .links
            .iter()
            .filter(|link| !listed.iter().any(|server| server.name == link.name))
            .filter_map(|link| link.channel.as_ref().map(|channel| channel.stream).or(link.connecting.map(|it| it.0)))
            .collect();
        for stream in gone {
            self.close_stream(stream);
            self.ours_closed(now, stream, "it is not in the list any more");
        }
        self.ours.links.retain(|link| listed.iter().any(|server| server.name == link.name));
        for server in listed {
            match self.ours.links.iter_mut().find(|link| link.name == server.name) {
                Some(link) => link.addresses = server.addresses,
                None => {
                    // What was used there until now is not known here.
                    self.replay_cache.raise_horizon(now.wall);
                    let is_passive = server.addresses.first().is_some_and(|&other| other < own);
                    let wait = if is_passive { PASSIVE_WAIT } else { Duration::ZERO };
                    self.ours.links.push(Link {
                        name: server.name,
                        addresses: server.addresses,
                        channel: None,
                        connecting: None,
                        tries: 0,
                        retry: now.monotonic + wait,
                        since: now.monotonic,
                        is_ahead: false,
                        clock: None,
                        has_spoken: false,
                        failure: None,
                        failures_told: Vec::new(),
                        speaks_as_c: None,
                    });
                }
            }
        }
    }

    /// Another server of ours, as operators see it.
    pub(crate) fn view_of_our_peer(&self, now: Now, server: &PeerServer) -> Option<PeerView> {
        let link = self.ours.links.iter().find(|link| link.name == server.name)?;
        Some(PeerView {
            name: server.name.clone(),
            kind: PeerKind::Ours,
            addresses: server.addresses.clone(),
            state: link.state(),
            since: now.monotonic.saturating_sub(link.since()),
            is_known: link.has_spoken,
            remarks: link.remarks(),
            behind: link.channel.as_ref().map_or(0, |channel| channel.behind(self.ours.log.end())),
        })
    }

    /// When something is due for another server.
    pub(crate) fn next_ours_due(&self) -> Option<Duration> {
        let arrivals = self.ours.arrivals.values().map(|arrival| arrival.channel.since + HELLO_TIMEOUT);
        let links = self.ours.links.iter().filter(|link| !link.addresses.is_empty() || link.channel.is_some());
        links.map(Link::due).chain(arrivals).min()
    }

    /// Does what is due for other servers.
    pub(crate) fn ours_timeout(&mut self, now: Now) {
        let is_late = |arrival: &Arrival| arrival.channel.since + HELLO_TIMEOUT <= now.monotonic;
        let late: Vec<StreamId> =
            self.ours.arrivals.iter().filter(|(_, arrival)| is_late(arrival)).map(|(&stream, _)| stream).collect();
        for stream in late {
            self.ours.arrivals.remove(&stream);
            self.close_stream(stream);
        }
        for place in 0..self.ours.links.len() {
            let Some(link) = self.ours.links.get_mut(place) else { return };
            if link.due() > now.monotonic {
                continue;
            }
            if let Some(channel) = &mut link.channel {
                let stream = channel.stream;
                if channel.heard + SILENCE <= now.monotonic {
                    self.lose(now, stream, "it says nothing");
                } else if channel.keep_alive_due() <= now.monotonic {
                    wire::write(&Message::KeepAlive, &mut channel.out);
                    channel.kept_alive(now.monotonic);
                    self.ours.wants_turn = true;
                }
            } else if let Some((stream, _)) = link.connecting {
                self.lose(now, stream, "it does not answer in time");
            } else {
                self.connect(now, place);
            }
        }
    }

    fn connect(&mut self, now: Now, place: usize) {
        let stream = self.streams.next();
        let Some(link) = self.ours.links.get_mut(place) else { return };
        let count = u32::try_from(link.addresses.len().max(1)).unwrap_or(1);
        let address = link.addresses.get((link.tries % count) as usize);
        let Some(&to) = address else { return link.wait(now.monotonic) };
        link.connecting = Some((stream, now.monotonic));
        self.jobs.push_back(Job::Stream(StreamOrder::Connect { stream, to }));
    }

    /// A connection that was wanted is there.
    pub(super) fn ours_connected(&mut self, now: Now, stream: StreamId) -> bool {
        let is_it = |link: &Link| link.connecting.is_some_and(|(connecting, _)| connecting == stream);
        let Some(place) = self.ours.links.iter().position(is_it) else { return false };
        let mut channel = Channel::new(stream, now.monotonic);
        wire::write(&Message::Hello(self.hello(now)), &mut channel.out);
        self.attach(now, place, channel);
        true
    }

    /// Something has come from somebody who has not said who he is.
    pub(super) fn ours_arrived(&mut self, now: Now, stream: StreamId) {
        let Some(arrival) = self.ours.arrivals.get(&stream) else { return };
        let from = arrival.from;
        let place = match wire::read(&mut arrival.channel.incoming.as_slice()) {
            Ok(None) => return,
            Ok(Some(Message::Hello(Hello { port, .. }))) => {
                let address = SocketAddr::new(from, port);
                self.ours.links.iter().position(|link| link.addresses.contains(&address))
            }
            Ok(Some(_)) | Err(_) => None,
        };
        let (Some(place), Some(arrival)) = (place, self.ours.arrivals.remove(&stream)) else {
            self.ours.arrivals.remove(&stream);
            return self.close_stream(stream);
        };
        let mut channel = arrival.channel;
        wire::write(&Message::Hello(self.hello(now)), &mut channel.out);
        self.attach(now, place, channel);
        self.read_messages(now, stream);
    }

    fn hello(&self, now: Now) -> Hello {
        let program = self.config.version.clone();
        let clock = Some(now.wall);
        Hello { version: wire::VERSION, server: self.config.id, port: self.config.port, program, clock }
    }

    /// A stream takes the place of what there was.
    fn attach(&mut self, now: Now, place: usize, channel: Channel) {
        let stream = channel.stream;
        let Some(link) = self.ours.links.get_mut(place) else { return self.close_stream(stream) };
        let other = link.connecting.take().map(|(connecting, _)| connecting).filter(|&connecting| connecting != stream);
        let before = link.channel.replace(channel);
        link.since = now.monotonic;
        let name = link.name.clone();
        if let Some(other) = other {
            self.close_stream(other);
        }
        if let Some(before) = before {
            self.close_stream(before.stream);
            self.keeper_of(place, Presence::Away);
            self.report(LogEvent::PeerLost { name, why: "it has connected anew".into() });
        }
        self.ours.wants_turn = true;
    }

    /// A stream is not open any more.
    pub(super) fn ours_closed(&mut self, now: Now, stream: StreamId, why: &str) -> bool {
        let is_it = |link: &Link| {
            link.channel.as_ref().is_some_and(|channel| channel.stream == stream)
                || link.connecting.is_some_and(|(connecting, _)| connecting == stream)
        };
        let Some(place) = self.ours.links.iter().position(is_it) else { return false };
        let own = SocketAddr::new(self.config.address.into(), self.config.port);
        let Some(link) = self.ours.links.get_mut(place) else { return false };
        let was_there = link.channel.take_if(|channel| channel.stream == stream).is_some();
        link.wait(now.monotonic);
        let is_news = link.failed(why);
        if was_there {
            link.since = now.monotonic;
            if link.addresses.first().is_some_and(|&other| other < own) {
                link.retry += PASSIVE_WAIT;
            }
            let name = link.name.clone();
            self.counters.peers_lost += 1;
            self.report(LogEvent::PeerLost { name, why: why.into() });
            self.keeper_of(place, Presence::Away);
            self.ours.wants_turn = true;
        } else if is_news {
            let name = link.name.clone();
            self.report(LogEvent::PeerNotReached { name, why: why.into() });
        }
        true
    }

    /// Ends a stream, for a reason of our own.
    pub(super) fn lose(&mut self, now: Now, stream: StreamId, why: &str) {
        self.close_stream(stream);
        self.ours_closed(now, stream, why);
    }

    pub(super) fn close_stream(&mut self, stream: StreamId) {
        self.jobs.push_back(Job::Stream(StreamOrder::Close { stream }));
    }

    /// All that a server knows is known here: it is there.
    pub(super) fn ours_is_there(&mut self, stream: StreamId) {
        let links = self.ours.links.iter_mut();
        let of_stream = links.into_iter().find(|link| link.channel.as_ref().is_some_and(|it| it.stream == stream));
        if let Some(link) = of_stream {
            link.tries = 0;
            link.is_ahead = false;
            link.failure = None;
            link.failures_told.clear();
        }
    }

    /// Another server has said who it is, and what time it is there.
    pub(super) fn ours_has_spoken(&mut self, now: Now, stream: StreamId, clock: Option<SystemTime>) {
        let links = self.ours.links.iter_mut();
        let of_stream = links.into_iter().find(|link| link.channel.as_ref().is_some_and(|it| it.stream == stream));
        let Some(link) = of_stream else { return };
        link.has_spoken = true;
        link.clock = clock.and_then(|theirs| ClockGap::between(theirs, now.wall));
        if let Some(gap) = link.clock {
            let name = link.name.clone();
            self.report(LogEvent::PeerClock { name, gap });
        }
    }

    /// Somebody at the address of a server of ours speaks as C servers do. Nothing proves that: it is only a hint.
    pub(crate) fn ours_speaks_as_c(&mut self, now: Now, from: SocketAddr) {
        let Some(link) = self.ours.links.iter_mut().find(|link| link.addresses.contains(&from)) else { return };
        if link.speaks_as_c.is_none_or(|last| last + HINT_AGAIN <= now.monotonic) {
            link.speaks_as_c = Some(now.monotonic);
            let name = link.name.clone();
            self.report(LogEvent::PeerSpeaksAsC { name });
        }
    }

    /// The name of a server that answers wait for.
    pub(crate) fn keeper_name(&self, id: KeeperId) -> Option<Box<str>> {
        let place = (0..self.ours.links.len()).find(|&place| self.keeper_id(place) == Some(id))?;
        self.ours.links.get(place).map(|link| link.name.clone())
    }

    /// By what name answers wait for a server.
    pub(super) fn keeper_id(&self, place: usize) -> Option<KeeperId> {
        self.ours.links.get(place)?.addresses.first().map(|&address| KeeperId::Peer(address))
    }

    pub(super) fn keeper_of(&mut self, place: usize, presence: Presence) {
        if let Some(id) = self.keeper_id(place) {
            self.keeper(id, presence);
        }
    }
}
