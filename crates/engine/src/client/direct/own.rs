//! The host manager inside of a client: one of its own, which nobody else can reach.

use crate::{
    host_manager::{
        Config, Discovered, Done, HostManager, Job, Owner, Server, Servers, Waiting,
        event::{Event, LogEvent, ServerChange},
    },
    machine::{Input, Machine as _, Output, Transmit},
};
use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Notice, Packet},
    time::Now,
};

/// Whose the client is, to its own host manager: it knows no other user, so one number is as good as another.
const OWN_USER: Owner = Owner::User(1);

/// What is known of the client when it gets a host manager of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The port at which the client receives, and so its host manager.
    pub(super) port: u16,
    /// This machine's address, until a look-up tells a better one.
    pub(super) address: Ipv4Addr,
}

/// An output of [`OwnHostManager`].
pub(super) enum OwnOutput {
    /// A packet for the client.
    ToClient(Bytes),
    /// A packet for a server.
    Transmit(Transmit),
    /// To find out where a server is, or which there are.
    Job(Job),
    /// Another server, or one that answers.
    Server(ServerChange),
    /// A line of the log.
    Log(LogEvent),
    /// Nothing until this moment.
    Wait(Option<Duration>),
}

/// A host manager for one client, joined with it in memory.
pub(super) struct OwnHostManager {
    machine: HostManager,
    /// Where the client is, to its host manager: an address of this very machine.
    client: SocketAddr,
    /// Whether it was told what was discovered before it was made, and still asks for that.
    asks_for_known: bool,
}

impl OwnHostManager {
    /// A host manager that greets one of these servers.
    pub(super) fn new(discovered: Discovered, place: Place, now: Now) -> Self {
        let seed = u64::from(now.unix().1) << 16 | u64::from(place.port);
        let config = Config {
            servers: Servers::to_discover(seed),
            address: place.address,
            port: place.port,
            version: String::new(),
            machine: String::new(),
            // What the server has of this host's programs stays: others of them may use a host manager, or servers directly.
            attach: true,
            refuse_flush: true,
            own_address: None,
        };
        let client = (Ipv4Addr::LOCALHOST, place.port).into();
        let mut machine = HostManager::new(config, now);
        machine.handle(now, Input::Done(Done::Discovered(Ok(discovered))));
        Self { machine, client, asks_for_known: true }
    }

    /// Hands it a packet of its client.
    pub(super) fn receive_from_client(&mut self, now: Now, payload: &[u8]) {
        self.machine.handle(now, Input::Datagram { from: self.client, local: None, octets: payload });
    }

    /// Whether a packet from the network is for it and not for the client: answers, orders of the current server, and what
    /// servers tell of themselves. Orders of anybody else are none: from this machine they would be taken for its own client's.
    pub(super) fn takes(&self, from: SocketAddr, notice: &Notice<'_>) -> bool {
        match notice.kind {
            Kind::ServAck | Kind::ServNak => from != self.client,
            Kind::HmCtl => self.machine.server_address() == Some(from),
            // Of a better server that it has asked: it returns to that.
            _ => HostManager::is_status(notice) && self.machine.waits_for_status(from),
        }
    }

    /// Hands it a packet from the network.
    pub(super) fn receive(&mut self, now: Now, from: SocketAddr, local: Option<IpAddr>, octets: &[u8]) {
        self.machine.handle(now, Input::Datagram { from, local, octets });
    }

    /// Hands it any other input.
    pub(super) fn handle(&mut self, now: Now, input: Input<'_, HostManager>) {
        self.machine.handle(now, input);
    }

    /// Notes that the system did not send a packet to a server, and what it said.
    pub(super) fn note_unsent(&mut self, to: SocketAddr, error: &str) {
        self.machine.note_unsent(to, error);
    }

    /// The next thing that it wants.
    pub(super) fn poll(&mut self, now: Now) -> OwnOutput {
        loop {
            return match self.machine.poll(now) {
                Output::Transmit(transmit) if transmit.to == self.client => OwnOutput::ToClient(transmit.payload),
                Output::Transmit(transmit) if is_detach(&transmit.payload) => continue,
                Output::Transmit(transmit) => OwnOutput::Transmit(transmit),
                Output::Job(Job::Owner(query)) => {
                    self.machine.handle(now, Input::Done(Done::Owner(query.answer(OWN_USER))));
                    continue;
                }
                Output::Job(Job::Discover) if std::mem::take(&mut self.asks_for_known) => continue,
                Output::Job(job) => OwnOutput::Job(job),
                Output::Event(Event::Server(change)) => OwnOutput::Server(change),
                Output::Event(Event::Log(event)) => OwnOutput::Log(event),
                // Of a host that has begun, which this one never says; and that there is no server, as it begins with some.
                Output::Event(Event::Boot(_) | Event::NoServer { .. }) => continue,
                Output::Wait(until) => OwnOutput::Wait(until),
            };
        }
    }

    /// The current server's name.
    pub(super) fn server_name(&self) -> &str {
        self.machine.server_name()
    }

    /// Whether it knows a server of this name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.machine.servers().iter().map(Server::name).any(|known| known.eq_ignore_ascii_case(name))
    }

    /// While no server has an address: the current one's name, and what its look-up said.
    pub(super) fn unknown_server(&self) -> Option<(Box<str>, Box<str>)> {
        let has_address = self.machine.servers().iter().any(|server| server.address().is_some());
        match self.machine.waiting() {
            Some(Waiting::Name { name, error }) if !has_address => Some((name, error)),
            _ => None,
        }
    }

    /// Which source named its servers.
    pub(super) fn source(&self) -> &str {
        self.machine.servers().source().unwrap_or_default()
    }

    /// The current server's address and port, if they are known.
    pub(super) fn server_address(&self) -> Option<SocketAddr> {
        self.machine.server_address()
    }

    /// Whether no server answers.
    pub(super) const fn is_looking(&self) -> bool {
        self.machine.is_looking()
    }

    /// Whether no packet of the client waits for an answer of the server.
    pub(super) fn is_idle(&self) -> bool {
        self.machine.queued() == 0
    }

    /// The limits of packets that the current server takes.
    pub(super) fn limits(&self) -> Limits {
        if self.machine.server_takes_long_headers() { Limits::WHOLE_PACKET } else { Limits::COMPATIBLE }
    }

    /// Packets, jobs and events that are not handed out yet.
    pub(super) fn outputs(&self) -> usize {
        self.machine.outputs()
    }
}

/// Whether a packet tells a server that this host's manager leaves it. A server knows one manager of a host, which may be
/// another than this one; C servers ask nothing about the port that it comes from.
fn is_detach(payload: &[u8]) -> bool {
    Packet::parse(payload).is_ok_and(|packet| {
        let notice = packet.notice;
        notice.kind == Kind::HmCtl && notice.instance == names::HM && notice.opcode == names::DETACH
    })
}
