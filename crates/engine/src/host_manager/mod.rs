//! The host manager as a state machine: packets, time and commands in, packets and events out.

pub mod event;
mod queue;
mod servers;
mod statistics;

pub use servers::{Server, Servers};
pub use statistics::Statistics;

use crate::acknowledgement::acknowledgement;
use bytes::Bytes;
use event::Event;
use queue::{Due, Queue};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    fragment::Span,
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    schedule::{GREETING, TO_SERVER},
    time::Now,
    uid::UidSource,
};

/// What the host manager's engine puts out.
pub type Outbox = crate::outbox::Outbox<Event>;

/// What a host manager is told about itself.
#[derive(Debug)]
pub struct Config {
    /// Its servers.
    pub servers: Servers,
    /// This host's address, for uids.
    pub address: Ipv4Addr,
    /// The port it listens on.
    pub port: u16,
    /// The program and version that it tells those who ask.
    pub version: String,
    /// Whether the first greeting leaves the host's subscriptions alone.
    pub attach: bool,
    /// Whether programs may not flush the host.
    pub refuse_flush: bool,
}

/// What can be asked of a running host manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Flush the host: its subscriptions end, and the next packet of a program begins anew.
    Flush,
}

/// How long a server may take to say that it is there, once it is in doubt: the last wait of a packet's schedule, so that
/// a dead server is given up when C host managers give it up.
const ASKING_WAIT: Duration = {
    let [.., last] = TO_SERVER;
    last
};
/// How long after a program's order of a flush or of another server the next one is refused.
const ORDER_PAUSE: Duration = Duration::from_secs(5);

/// The greeting that the current server has not answered.
#[derive(Clone, Copy, Debug)]
struct Greeting {
    due: Duration,
}

/// A host manager. See the crate's description for how it is driven.
#[derive(Debug)]
pub struct HostManager {
    servers: Servers,
    uids: UidSource,
    port: u16,
    version: String,
    refuse_flush: bool,
    queue: Queue,
    statistics: Statistics,
    started: Duration,
    /// No server has answered yet, or the last one was lost: packets are kept, not sent.
    looking: bool,
    /// The host's first greeting, which says that it has just started, was not answered yet.
    booting: bool,
    /// The host was flushed, and nothing was sent since.
    deactivated: bool,
    greeting: Option<Greeting>,
    /// Greetings in a row that were not answered.
    timeouts: usize,
    /// When the current server last sent anything.
    heard: Option<Duration>,
    /// Since when the current server has been asked in vain whether it is there.
    asked: Option<Duration>,
    /// When a program last ordered a flush or another server.
    ordered: Option<Duration>,
    /// Servers that take headers as long as a packet. Each is one of the list, so they are few.
    long_headers: BTreeSet<SocketAddr>,
}

impl HostManager {
    /// A host manager that greets its primary server.
    pub fn new(config: Config, now: Now, out: &mut Outbox) -> Self {
        let mut engine = Self {
            servers: config.servers,
            uids: UidSource::new(config.address),
            port: config.port,
            version: config.version,
            refuse_flush: config.refuse_flush,
            queue: Queue::default(),
            statistics: Statistics::default(),
            started: now.monotonic,
            looking: true,
            booting: !config.attach,
            deactivated: false,
            greeting: None,
            timeouts: 0,
            heard: None,
            asked: None,
            ordered: None,
            long_headers: BTreeSet::new(),
        };
        engine.greet(now, out);
        engine
    }

    /// A packet has come.
    pub fn handle(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>, out: &mut Outbox) {
        let from = SocketAddr::new(from.ip(), from.port());
        let kind = packet.notice.kind;
        if Span::of(packet).is_err() {
            return;
        }
        if kind == Kind::Stat {
            self.tell_statistics(now, from, packet, out);
            return;
        }
        // A server may be on this very host, so it is told from a program by its port as well.
        let is_server = self.servers.is_server(from);
        match kind {
            Kind::ServAck | Kind::ServNak | Kind::HmCtl if is_server => self.hear_server(now, from, packet, out),
            Kind::Unsafe | Kind::Unacked | Kind::Acked | Kind::HmCtl if !is_server && from.ip().is_loopback() => {
                self.hear_client(now, from, packet, out);
            }
            Kind::ServAck | Kind::ServNak | Kind::HmCtl => out.report(Event::NotTheServer { from }),
            _ => out.report(Event::UnknownKind { kind, from }),
        }
    }

    fn hear_client(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>, out: &mut Outbox) {
        self.statistics.client_packets += 1;
        let notice = &packet.notice;
        if notice.kind == Kind::HmCtl {
            match notice.opcode {
                names::FLUSH if self.refuse_flush => out.report(Event::FlushRefused),
                opcode @ (names::FLUSH | names::NEWSERV) if !self.may_order(now) => {
                    out.report(Event::TooManyRequests { opcode: opcode.into() });
                }
                names::FLUSH => self.flush(now, out),
                names::NEWSERV => self.change_server(now, None, out),
                opcode => out.report(Event::BadRequest { opcode: opcode.into() }),
            }
            return;
        }
        let known = self.queue.contains(&notice.uid);
        if !known && self.queue.is_full_for(from) {
            let Some(given_up) = self.queue.make_room(self.heard, from) else {
                // Not acknowledged: the program learns that it was not taken.
                out.report(Event::QueueFull { from });
                return;
            };
            report_expired(&given_up, out);
        }
        if self.deactivated {
            // The greeting must come first; were it repeated later, it would flush what this packet asks for.
            self.looking = true;
            self.queue.stop();
            self.greet(now, out);
        }
        if notice.kind.wants_hmack() {
            let port = if notice.port == 0 { from.port() } else { notice.port };
            let answer = Notice { kind: Kind::HmAck, port, body: b"", ..*notice };
            if let Some(answer) = acknowledgement(&answer, &packet.claim) {
                out.send(from, answer);
            }
        }
        let octets = Bytes::copy_from_slice(packet.octets());
        if !self.looking {
            out.send(self.servers.current().address, octets.clone());
        }
        if !known {
            self.queue.add(now.monotonic, notice.uid, notice.kind, from, octets, !self.looking);
        }
    }

    /// Whether a program may order a flush or another server now. Each keeps everybody's notices back for a moment.
    fn may_order(&mut self, now: Now) -> bool {
        let may = self.ordered.is_none_or(|last| now.monotonic.saturating_sub(last) >= ORDER_PAUSE);
        if may {
            self.ordered = Some(now.monotonic);
        }
        may
    }

    fn hear_server(&mut self, now: Now, from: SocketAddr, packet: &Packet<'_>, out: &mut Outbox) {
        if from != self.servers.current().address {
            out.report(Event::NotTheServer { from });
            return;
        }
        self.statistics.server_packets += 1;
        self.heard = Some(now.monotonic);
        self.asked = None;
        self.booting = false;
        self.greeting = None;
        self.timeouts = 0;
        match packet.notice.kind {
            Kind::HmCtl => match packet.notice.opcode {
                names::SHUTDOWN => {
                    self.change_server(now, suggestion(packet.notice.body), out);
                    return;
                }
                names::PING => {
                    let pong = Notice { kind: Kind::HmAck, ..packet.notice };
                    if let Ok(pong) = pong.write(&packet.claim.echoed(), Limits::WHOLE_PACKET) {
                        out.send(from, pong);
                    }
                }
                opcode => {
                    out.report(Event::BadControl { opcode: opcode.into() });
                    return;
                }
            },
            _ => self.answer_from_server(from, packet, out),
        }
        if self.looking {
            self.looking = false;
            out.report(Event::ServerFound { name: self.servers.current().name.clone() });
            for packet in self.queue.restart(now.monotonic) {
                out.send(from, packet);
            }
        }
    }

    fn answer_from_server(&mut self, from: SocketAddr, packet: &Packet<'_>, out: &mut Outbox) {
        let notice = &packet.notice;
        // First by uid: programs use the greetings' opcodes as they like.
        if let Some(entry) = self.queue.answered(&notice.uid) {
            if entry.kind == Kind::Acked {
                out.send(entry.client, Bytes::copy_from_slice(packet.octets()));
            }
        } else if notice.instance == names::HM && matches!(notice.opcode, names::BOOT | names::ATTACH) {
            if notice.body.split(|&octet| octet == 0).any(|word| word == names::LONG_HEADERS) {
                self.long_headers.insert(from);
            } else {
                self.long_headers.remove(&from);
            }
        } else {
            out.report(Event::NotInQueue { from });
        }
    }

    /// When [`HostManager::handle_timeout`] wants to be called next, on the monotonic clock.
    pub fn next_timeout(&self) -> Option<Duration> {
        let greeting = self.greeting.map(|greeting| greeting.due);
        let verdict = self.asked.map(|asked| asked + ASKING_WAIT);
        [greeting, verdict, self.queue.next_due()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut Outbox) {
        if self.greeting.is_some_and(|greeting| greeting.due <= now.monotonic) {
            self.timeouts += 1;
            self.change_server(now, None, out);
        }
        if self.asked.is_some_and(|asked| asked + ASKING_WAIT <= now.monotonic) {
            self.change_server(now, None, out);
        }
        while let Some(due) = self.queue.take_due(now.monotonic) {
            match due {
                Due::Resend { packet, doubtful } => {
                    out.send(self.servers.current().address, packet);
                    // What a server does not answer shows nothing about it; that it does not answer a greeting does.
                    if doubtful && self.asked.is_none() {
                        self.asked = Some(now.monotonic);
                        self.tell_server(now, names::ATTACH, out);
                    }
                }
                Due::Expired(packet) => report_expired(&packet, out),
            }
        }
    }

    /// Does what an operator asks.
    pub fn command(&mut self, now: Now, command: Command, out: &mut Outbox) {
        match command {
            Command::Flush => self.flush(now, out),
        }
    }

    fn flush(&mut self, now: Now, out: &mut Outbox) {
        self.tell_server(now, names::FLUSH, out);
        self.deactivated = true;
    }

    fn change_server(&mut self, now: Now, suggestion: Option<IpAddr>, out: &mut Outbox) {
        self.looking = true;
        self.heard = None;
        self.asked = None;
        self.queue.stop();
        self.tell_server(now, names::DETACH, out);
        let old = self.servers.current().name.clone();
        self.servers.choose(suggestion);
        self.statistics.server_changes += 1;
        out.report(Event::ServerLost { old, new: self.servers.current().name.clone() });
        self.greet(now, out);
    }

    /// Greets the current server, and waits for its answer.
    fn greet(&mut self, now: Now, out: &mut Outbox) {
        let opcode = if self.booting || self.deactivated { names::BOOT } else { names::ATTACH };
        self.booting |= self.deactivated;
        self.deactivated = false;
        self.tell_server(now, opcode, out);
        let round = self.timeouts / self.servers.len();
        let [.., longest] = GREETING;
        let wait = GREETING.get(round).copied().unwrap_or(longest);
        self.greeting = Some(Greeting { due: now.monotonic + wait });
    }

    fn tell_server(&mut self, now: Now, opcode: &[u8], out: &mut Outbox) {
        let uid = self.uids.next(&now);
        let notice = Notice {
            kind: Kind::HmCtl,
            uid,
            multiuid: uid,
            port: self.port,
            class: names::ZEPHYR_CTL,
            instance: names::HM,
            opcode,
            sender: names::HM,
            multinotice: b"0/0",
            address: self.uids.address().into(),
            ..Notice::EMPTY
        };
        // A notice of nothing but short words always fits.
        if let Ok(packet) = notice.write(&Claim::NONE, Limits::COMPATIBLE) {
            out.send(self.servers.current().address, packet);
        }
    }

    fn tell_statistics(&self, now: Now, from: SocketAddr, packet: &Packet<'_>, out: &mut Outbox) {
        let body = self.statistics_body(now.monotonic);
        let answer = Notice { kind: Kind::HmAck, body: &body, ..packet.notice };
        if let Some(answer) = acknowledgement(&answer, &packet.claim) {
            out.send(from, answer);
        }
    }

    /// The current server's name.
    pub fn server_name(&self) -> &str {
        &self.servers.current().name
    }

    /// Whether no server has answered since the start or since the last one was lost.
    pub fn is_looking(&self) -> bool {
        self.looking
    }

    /// Whether the current server said, when it last answered a greeting, that it takes headers as long as a packet.
    pub fn server_takes_long_headers(&self) -> bool {
        self.long_headers.contains(&self.servers.current().address)
    }

    /// Packets that wait for an answer of the server.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// What was counted.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// How long it has been at work.
    pub fn running_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }
}

/// Says that a packet is dropped unanswered.
fn report_expired(packet: &[u8], out: &mut Outbox) {
    let notice = Packet::parse(packet).map_or(Notice::EMPTY, |packet| packet.notice);
    out.report(Event::Expired { class: notice.class.into(), opcode: notice.opcode.into() });
}

/// The server that a dying one names in its farewell.
fn suggestion(body: &[u8]) -> Option<IpAddr> {
    let text = body.split(|&octet| octet == 0).next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}
