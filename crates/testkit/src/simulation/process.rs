//! A running process: one of the three machines behind one interface.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::time::Now;
use zephyr_engine::{
    client::{self, Connection},
    host_manager::{self, Discovered, HostManager, Lookup, NotFound, Owner},
    machine::{Input, Machine, Output, Transmit},
    server::{
        self, Server, Verified, VerifyJob,
        peers::stream::{StreamEvent, StreamOrder},
    },
};

/// The port of a program of root's.
pub(super) const ROOT_PORT: u16 = 40_001;

/// One of the three machines.
pub(super) enum Process {
    /// A server.
    Server(Box<Server>),
    /// A host manager.
    HostManager(Box<HostManager>),
    /// A client.
    Client(Box<Connection>),
}

/// Something that happens to a process.
pub(super) enum Stimulus<'a> {
    /// A datagram has come: from where, to which address, and its octets.
    Datagram(SocketAddr, IpAddr, &'a [u8]),
    /// It is time.
    Timeout,
    /// A packet of a server's is verified.
    Verified(Verified),
    /// Something has happened to a server's stream.
    Stream(StreamEvent),
    /// A client's job is done.
    Done(client::Done),
    /// An order to a client.
    Client(client::Command),
    /// A host manager's look-up is done.
    LookedUp(host_manager::LookupAnswer),
    /// A host manager's discovery is done.
    Discovered(Result<Discovered, NotFound>),
    /// An order to a host manager.
    HostManager(host_manager::Command),
    /// An order to a server.
    Server(server::Command),
}

/// What a process wants.
pub(super) enum Effect {
    /// To send a packet.
    Transmit(Transmit),
    /// To have a packet verified.
    Verify(VerifyJob),
    /// To have something done with a stream.
    Stream(StreamOrder),
    /// To have a client's job done.
    Job(client::Job),
    /// To have a server's name looked up.
    LookUp(Lookup),
    /// To have servers discovered.
    Discover,
    /// A server tells something.
    ServerTells(server::Event),
    /// A host manager tells something.
    HostManagerTells(host_manager::event::Event),
    /// A client tells something.
    ClientTells(Box<client::Event>),
    /// To wait.
    Wait(Option<Duration>),
}

/// Whose program sends from an address.
fn owner_of(program: SocketAddr) -> Owner {
    Owner::User(if program.port() == ROOT_PORT { 0 } else { 1000 + u32::from(program.port() % 3) })
}

impl Process {
    /// Hands something to the machine. What is for another kind of machine is ignored.
    pub(super) fn handle(&mut self, now: Now, stimulus: Stimulus<'_>) {
        match self {
            Self::Server(machine) => match stimulus {
                Stimulus::Datagram(from, to, octets) => {
                    machine.handle(now, Input::Datagram { from, local: Some(to), octets });
                }
                Stimulus::Timeout => machine.handle(now, Input::Timeout),
                Stimulus::Verified(verified) => machine.handle(now, Input::Done(server::Done::Verified(verified))),
                Stimulus::Stream(event) => machine.handle(now, Input::Done(server::Done::Stream(event))),
                Stimulus::Server(command) => machine.handle(now, Input::Command(command)),
                Stimulus::Done(_)
                | Stimulus::Client(_)
                | Stimulus::HostManager(_)
                | Stimulus::LookedUp(_)
                | Stimulus::Discovered(_) => {}
            },
            Self::HostManager(machine) => match stimulus {
                Stimulus::Datagram(from, to, octets) => {
                    machine.handle(now, Input::Datagram { from, local: Some(to), octets });
                }
                Stimulus::Timeout => machine.handle(now, Input::Timeout),
                Stimulus::HostManager(command) => machine.handle(now, Input::Command(command)),
                Stimulus::LookedUp(answer) => machine.handle(now, Input::Done(host_manager::Done::Lookup(answer))),
                Stimulus::Discovered(found) => {
                    machine.handle(now, Input::Done(host_manager::Done::Discovered(found)));
                }
                Stimulus::Verified(_)
                | Stimulus::Stream(_)
                | Stimulus::Done(_)
                | Stimulus::Client(_)
                | Stimulus::Server(_) => {}
            },
            Self::Client(machine) => match stimulus {
                Stimulus::Datagram(from, to, octets) => {
                    machine.handle(now, Input::Datagram { from, local: Some(to), octets });
                }
                Stimulus::Timeout => machine.handle(now, Input::Timeout),
                Stimulus::Done(done) => machine.handle(now, Input::Done(done)),
                Stimulus::Client(command) => machine.handle(now, Input::Command(command)),
                Stimulus::Verified(_)
                | Stimulus::Stream(_)
                | Stimulus::HostManager(_)
                | Stimulus::LookedUp(_)
                | Stimulus::Discovered(_)
                | Stimulus::Server(_) => {}
            },
        }
    }

    /// The next thing that the machine wants.
    pub(super) fn poll(&mut self, now: Now) -> Effect {
        match self {
            Self::Server(machine) => loop {
                return match machine.poll(now) {
                    Output::Transmit(transmit) => Effect::Transmit(transmit),
                    Output::Job(server::Job::Verify(job)) => Effect::Verify(job),
                    Output::Job(server::Job::Stream(order)) => Effect::Stream(order),
                    // No server here knows another realm.
                    Output::Job(_) => continue,
                    Output::Event(event) => Effect::ServerTells(event),
                    Output::Wait(until) => Effect::Wait(until),
                };
            },
            Self::HostManager(machine) => loop {
                match machine.poll(now) {
                    Output::Transmit(transmit) => return Effect::Transmit(transmit),
                    Output::Job(host_manager::Job::Owner(query)) => {
                        let answer = query.answer(owner_of(query.program));
                        machine.handle(now, Input::Done(host_manager::Done::Owner(answer)));
                    }
                    Output::Job(host_manager::Job::Lookup(lookup)) => return Effect::LookUp(lookup),
                    Output::Job(host_manager::Job::Discover) => return Effect::Discover,
                    Output::Event(event) => return Effect::HostManagerTells(event),
                    Output::Wait(until) => return Effect::Wait(until),
                }
            },
            Self::Client(machine) => match machine.poll(now) {
                Output::Transmit(transmit) => Effect::Transmit(transmit),
                Output::Job(job) => Effect::Job(job),
                Output::Event(event) => Effect::ClientTells(Box::new(event)),
                Output::Wait(until) => Effect::Wait(until),
            },
        }
    }

    /// Gives back a packet that cannot be sent at the moment.
    pub(super) fn put_back(&mut self, transmit: Transmit) {
        match self {
            Self::Server(machine) => machine.put_back(transmit),
            Self::HostManager(machine) => machine.put_back(transmit),
            Self::Client(machine) => machine.put_back(transmit),
        }
    }
}
