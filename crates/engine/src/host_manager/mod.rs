//! The host manager: forwards the notices of one host's programs to a server, and the server's answers back.
//!
//! [`HostManager`] is a [`Machine`]: datagrams, time and commands in, packets and events out. Its jobs are to find out
//! whose a program's socket is ([`OwnerQuery`]), as what one user lets his programs send takes nothing from others, and
//! where its servers are ([`Lookup`]): at the start, and again whenever one does not answer.

mod check;
mod discovering;
mod discovery;
pub mod event;
mod farewells;
mod greetings;
mod lookup;
mod network_change;
mod outputs;
mod owner;
mod programs;
mod queue;
mod random;
mod reachability;
mod returning;
mod server;
mod server_answers;
mod servers;
mod shares;
mod statistics;

pub use discovery::{Candidate, Discovered, NotFound};
pub use lookup::{Located, Lookup, LookupAnswer};
pub use owner::{Certainty, Owner, OwnerAnswer, OwnerQuery};
pub use queue::MAX_PACKETS as MAX_QUEUED_PACKETS;
pub use server::{Server, Waiting};
pub use servers::Servers;
pub use statistics::Statistics;

use crate::{
    acknowledgement::acknowledgement,
    machine::{Input, Machine, Output, Transmit},
};
use bytes::Bytes;
use discovering::Discovering;
use event::{Event, LogEvent};
use farewells::Farewells;
use greetings::Greetings;
use network_change::NetworkChange;
use outputs::Outputs;
use owner::{Unowned, Users};
use queue::Queue;
use reachability::Reachability;
use returning::Returning;
use statistics::RemoteAnswers;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    fragment::Span,
    kind::Kind,
    limits::MAX_PACKET,
    notice::{Layout, Notice, OwnedPacket},
    time::Now,
    uid::UidSource,
};

/// The configuration of a host manager.
#[derive(Debug)]
pub struct Config {
    /// Its servers, or that they are to be discovered.
    pub servers: Servers,
    /// This host's address, for uids, until a look-up of its server tells another one.
    pub address: Ipv4Addr,
    /// The port it listens on.
    pub port: u16,
    /// The program and version that it tells those who ask.
    pub version: String,
    /// The machine type that it tells those who ask.
    pub machine: String,
    /// Whether the first greeting leaves the host's subscriptions alone.
    pub attach: bool,
    /// Whether programs may not flush the host.
    pub refuse_flush: bool,
    /// The address beside the loopback ones from which programs of this host send: the one that the host manager is bound
    /// to, if the system takes nothing from outside that says to be from there.
    pub own_address: Option<IpAddr>,
}

/// A command to a running host manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Flush the host: its subscriptions end, and the next packet of a program begins anew. Servers are discovered anew.
    Flush,
    /// Addresses or routes of this host have changed, or it has slept: everything about servers may be different now.
    NetworkChanged,
}

/// Work for the driver. No result is waited for: what does not depend on it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// To find out whose a program is.
    Owner(OwnerQuery),
    /// To find out where a server is. It may take as long as the name service takes.
    Lookup(Lookup),
    /// To find out which servers there are. One such job is under way at a time.
    Discover,
}

/// The result of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Of [`Job::Owner`].
    Owner(OwnerAnswer),
    /// Of [`Job::Lookup`].
    Lookup(LookupAnswer),
    /// Of [`Job::Discover`].
    Discovered(Result<Discovered, NotFound>),
}

/// A host manager.
#[derive(Debug)]
pub struct HostManager {
    servers: Servers,
    uids: UidSource,
    port: u16,
    version: String,
    machine: String,
    refuse_flush: bool,
    own_address: Option<IpAddr>,
    /// Packets of programs whose owners are not known yet.
    unowned: Unowned,
    queue: Queue,
    /// Those whose programs have used this host manager since it, or a flush, began anew.
    users: Users,
    statistics: Statistics,
    remote_answers: RemoteAnswers,
    started: Duration,
    reachability: Reachability,
    greetings: Greetings,
    farewells: Farewells,
    discovering: Discovering,
    returning: Returning,
    network_change: NetworkChange,
    /// When a program last ordered a flush or another server.
    ordered: Option<Duration>,
    outputs: Outputs,
}

impl Machine for HostManager {
    type Command = Command;
    type Job = Job;
    type Done = Done;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        match input {
            Input::Datagram { from, local, octets } => self.receive(now, from, local, octets),
            Input::Unreachable { .. } => {}
            Input::Done(Done::Owner(answer)) => self.handle_owner(now, answer),
            Input::Done(Done::Lookup(answer)) => self.handle_lookup(now, answer),
            Input::Timeout => self.handle_timeout(now),
            Input::Done(Done::Discovered(result)) => self.handle_discovered(now, result),
            Input::Command(Command::Flush) => {
                self.flush(now);
                self.discover_soon(now);
            }
            Input::Command(Command::NetworkChanged) => self.note_network_change(now),
        }
    }

    fn poll(&mut self, _: Now) -> Output<Self> {
        if let Some(event) = self.outputs.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(job) = self.outputs.jobs.pop_front() {
            return Output::Job(job);
        }
        match self.outputs.transmits.pop_front() {
            Some(transmit) => Output::Transmit(transmit),
            None => Output::Wait(self.next_timeout()),
        }
    }

    fn put_back(&mut self, transmit: Transmit) {
        self.outputs.transmits.push_front(transmit);
    }
}

/// A packet as it was received.
#[derive(Debug)]
struct Received {
    from: SocketAddr,
    /// The address of this host that it came to: what answers it goes from there.
    local: Option<IpAddr>,
    packet: OwnedPacket,
}

impl HostManager {
    /// A host manager that looks up its servers, and greets the primary one as soon as it knows where that is.
    pub fn new(config: Config, now: Now) -> Self {
        let mut host_manager = Self {
            servers: config.servers,
            uids: UidSource::new(config.address),
            port: config.port,
            version: config.version,
            machine: config.machine,
            refuse_flush: config.refuse_flush,
            own_address: config.own_address,
            unowned: Unowned::default(),
            queue: Queue::default(),
            // A server that is told to keep what it has of this host has it of nobody knows whom.
            users: if config.attach { Users::Several } else { Users::Nobody },
            statistics: Statistics::default(),
            remote_answers: RemoteAnswers::default(),
            started: now.monotonic,
            reachability: Reachability::new(!config.attach),
            greetings: Greetings::default(),
            farewells: Farewells::default(),
            discovering: Discovering::default(),
            returning: Returning::default(),
            network_change: NetworkChange::default(),
            ordered: None,
            outputs: Outputs::default(),
        };
        host_manager.discover_soon(now);
        host_manager.outputs.jobs.extend(host_manager.servers.lookups().into_iter().map(Job::Lookup));
        host_manager.greet(now);
        host_manager
    }

    fn receive(&mut self, now: Now, from: SocketAddr, local: Option<IpAddr>, octets: &[u8]) {
        let octets = octets.get(..MAX_PACKET).unwrap_or(octets);
        let layout = match Layout::read(octets) {
            Ok(layout) => layout,
            Err(error) => return self.outputs.tell(LogEvent::Malformed { from, error }),
        };
        let packet = layout.keep(Bytes::copy_from_slice(octets));
        if Span::of(&packet.packet()).is_err() {
            return;
        }
        // Without what IPv6 has beside address and port, which may differ from one packet of a program to the next.
        let from = SocketAddr::new(from.ip(), from.port());
        let kind = packet.notice().kind;
        let received = Received { from, local, packet };
        if kind == Kind::Stat {
            return self.tell_statistics(now, &received);
        }
        // A server may be on this very host, so it is told from a program by its port as well.
        let is_server = self.servers.is_server(from);
        if is_server && self.handle_status(now, &received) {
            return;
        }
        match kind {
            Kind::ServAck | Kind::ServNak | Kind::HmCtl if is_server => self.receive_from_server(now, &received),
            Kind::Unsafe | Kind::Unacked | Kind::Acked | Kind::HmCtl if !is_server && self.is_here(from.ip()) => {
                self.receive_from_program(received);
            }
            Kind::ServAck | Kind::ServNak | Kind::HmCtl => self.outputs.tell(LogEvent::NotTheServer { from }),
            Kind::Unsafe | Kind::Unacked | Kind::Acked if !is_server => {
                let asked = self.own_address.unwrap_or(Ipv4Addr::LOCALHOST.into());
                self.outputs.tell(LogEvent::NotFromHere { from, asked });
            }
            _ => self.outputs.tell(LogEvent::UnknownKind { kind, from }),
        }
    }

    /// Whether what comes from an address comes from a program of this host.
    fn is_here(&self, from: IpAddr) -> bool {
        from.is_loopback() || self.own_address == Some(from)
    }

    fn tell_statistics(&mut self, now: Now, received: &Received) {
        let from = received.from.ip();
        if !self.is_here(from) && !self.remote_answers.spend(now.monotonic, from) {
            return;
        }
        let body = self.statistics_body(now.monotonic);
        let packet = received.packet.packet();
        let answer = Notice { kind: Kind::HmAck, body: &body, ..packet.notice };
        if let Some(answer) = acknowledgement(&answer, &packet.claim) {
            self.outputs.send_from(received.local, received.from, answer);
        }
    }

    /// Reports that a packet is dropped unanswered.
    fn tell_expired(&mut self, packet: &OwnedPacket) {
        let notice = packet.notice();
        self.outputs.tell(LogEvent::Expired { class: notice.class.into(), opcode: notice.opcode.into() });
    }

    /// The current server's name; empty while none is known.
    pub fn server_name(&self) -> &str {
        self.servers.current().map_or("", Server::name)
    }

    /// The servers that are known.
    pub const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The current server's address and port, if they are known.
    pub fn server_address(&self) -> Option<SocketAddr> {
        self.servers.current()?.address()
    }

    /// Whether no server has answered since the start or since the last one was lost.
    pub const fn is_looking(&self) -> bool {
        self.reachability.looking
    }

    /// What it waits for while no server answers.
    pub fn waiting(&self) -> Option<Waiting> {
        let undiscovered = || self.waiting_for_discovery();
        self.is_looking().then(|| self.servers.current().map_or_else(undiscovered, Server::waiting))
    }

    /// Whether the current server said, when it last answered a greeting, that it takes headers as long as a packet.
    pub fn server_takes_long_headers(&self) -> bool {
        self.servers.current().is_some_and(|server| server.long_headers)
    }

    /// Packets that wait for an answer of the server.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Packets, jobs and events that are not handed out yet, and packets that wait for a job.
    pub fn outputs(&self) -> usize {
        let Outputs { events, jobs, transmits } = &self.outputs;
        events.len() + jobs.len() + transmits.len() + self.unowned.len()
    }

    /// The octets of all packets that it keeps: those that wait for the server's answer, for a job or for the socket. One that
    /// waits for several of these counts several times, so it never keeps more.
    pub fn octets(&self) -> usize {
        let unsent: usize = self.outputs.transmits.iter().map(|transmit| transmit.payload.len()).sum();
        self.queue.octets() + self.unowned.octets() + unsent
    }

    /// The statistics since the start.
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The uptime.
    pub fn running_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }
}
