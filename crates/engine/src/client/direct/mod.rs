//! A client with its way to a server: by the host manager of its machine, or directly where none answers.
//!
//! A [`Connection`] is a [`Client`] and, without a host manager on the machine, a [`HostManager`](host_manager::HostManager) of the client's own, joined in
//! memory. What the client sends to its host manager goes to that machine, and what that sends to the client comes back. What it
//! sends to servers leaves by the client's own socket, and nothing else is opened. So resending, failover and greetings are those
//! of a host manager, and the client does not know the difference.
//!
//! **Nobody else of the host is touched.** The own host manager greets with ATTACH, which ends nothing; it sends neither BOOT nor
//! FLUSH, and no DETACH, which at a C server would speak for the whole host.
//!
//! **What is believed.** Anybody can send to the client's port, with any source address that his network lets him use.
//!
//! * SERVACK and SERVNAK are handed to the own host manager, which takes them from the current server's address and port only, and
//!   passes on those that answer a packet that waits. As through a host manager, nothing proves them.
//! * What servers tell of themselves (STATUS), from the address of a known one, is for the own host manager, which asks for it when
//!   it would go back to a better server, and looks whether it has.
//! * HMCTL (SHUTDOWN, PING) counts from the current server's address and port only. From anywhere else it is what it is to any
//!   client: a packet of no kind that it knows.
//! * Acknowledgements from the host manager's address count for nothing while no host manager is used: whoever can open its port on
//!   this machine could else tell the client that its notices have arrived. Only an answer to the client's question whether the
//!   host manager is back is looked at.
//! * Notices are verified by their proof, wherever they come from, as they always are. Subscriptions and messages carry the same
//!   proof as through a host manager, which proves nothing itself: without one nothing is less authentic.
//! * A host manager that comes while none is used is one only if its socket is the system's or the user's own, as far as the system says
//!   whose it is, and if its server is one of those that are known.
//! * That nobody listens at the host manager's port is believed of this very machine only, where nobody can forge it. That nobody
//!   listens at a server's port decides nothing.

mod own;
#[cfg(test)]
mod tests;
mod way;

use super::{
    Client, Command, Config, Direct, Done, Endpoint, Event, Job, LogEvent, OperationError, QueueLengths, Settings,
    fallback::Loss,
};
use crate::{
    host_manager,
    machine::{Input, Machine, Output, Transmit},
};
use own::{OwnHostManager, OwnOutput, Place};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};
use way::Way;
use zephyr_core::{
    limits::MAX_PACKET,
    notice::{Layout, Packet, leading_uid},
    policy::Policy,
    time::Now,
};

/// A client with its way to a server; [`crate::machine`] describes how it is driven.
pub struct Connection {
    client: Client,
    direct: Direct,
    place: Place,
    way: Way,
    /// [`Job::Discover`] is under way.
    is_discovering: bool,
    /// Packets to be sent before all others.
    transmits: VecDeque<Transmit>,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
}

impl Connection {
    /// A connection that starts by asking the host manager, unless it is not to use one.
    pub fn new(config: Config, now: Now) -> Self {
        let direct = config.settings.direct;
        let place = Place { port: config.port, address: config.address };
        let mut connection = Self::of(Client::new(config, now), direct, place);
        if direct == Direct::Always {
            connection.client.shared.query = None;
            connection.discover(Loss::Silent);
        }
        connection
    }

    /// A connection that has started by the host manager, with a known endpoint and policy.
    pub fn ready(endpoint: Endpoint, policy: Policy, settings: Settings) -> Self {
        let place = Place { port: endpoint.port, address: endpoint.address };
        Self::of(Client::ready(endpoint, policy, settings), settings.direct, place)
    }

    fn of(mut client: Client, direct: Direct, place: Place) -> Self {
        client.set_fallback(direct != Direct::Never);
        Self {
            client,
            direct,
            place,
            way: Way::HostManager,
            is_discovering: false,
            transmits: VecDeque::new(),
            jobs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The client's identity and addresses, as far as they are known.
    pub const fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// The domain's policy; until it is known, the default one for Kerberos.
    pub const fn policy(&self) -> &Policy {
        self.client.policy()
    }

    /// Whether the client has started.
    pub fn is_ready(&self) -> bool {
        self.client.is_ready()
    }

    /// The lengths of the queues, those of a host manager of its own among them.
    pub fn queue_lengths(&self) -> QueueLengths {
        let mut lengths = self.client.queue_lengths();
        lengths.transmits += self.transmits.len();
        lengths.events += self.events.len();
        if let Way::Direct(direct) = &self.way {
            lengths.transmits += direct.own.outputs();
        }
        lengths
    }

    /// Hands a packet to whom it concerns.
    fn receive(&mut self, now: Now, from: SocketAddr, local: Option<IpAddr>, octets: &[u8]) {
        let whole = octets.get(..MAX_PACKET).unwrap_or(octets);
        let is_host_manager = self.client.endpoint().is_host_manager(from);
        if is_host_manager
            && let Some(query) = self.way.query()
            && let Ok(packet) = Packet::parse(whole)
            && let Some(status) = query.handle_answer(now, &packet)
        {
            return self.handle_status(now, &status);
        }
        if let Way::Direct(direct) = &mut self.way
            && let Ok(layout) = Layout::read(whole)
        {
            let (kind, packet) = (layout.kind(), layout.of(whole));
            if direct.own.takes(from, &packet.notice) {
                return direct.own.receive(now, from, local, whole);
            }
            if is_host_manager && kind.is_acknowledgement() {
                return self.events.push_back(Event::Log(LogEvent::StrayAcknowledgement { from, kind }));
            }
        }
        self.client.handle(now, Input::Datagram { from, local, octets });
    }

    /// Handles that nobody listened where a packet was sent.
    fn handle_unreachable(&mut self, now: Now, to: SocketAddr, quoted: &[u8]) {
        let is_host_manager = to == self.client.endpoint().host_manager && to.ip().is_loopback();
        if is_host_manager && let Some(uid) = leading_uid(quoted) {
            self.handle_refused_question(now, uid);
        }
        match &mut self.way {
            Way::Direct(direct) => direct.own.handle(now, Input::Unreachable { to, quoted }),
            _ => self.client.handle(now, Input::Unreachable { to, quoted }),
        }
    }

    fn handle_command(&mut self, now: Now, command: Command) {
        match (command, &mut self.way) {
            (Command::NotSent { to, error }, Way::Direct(direct)) => direct.own.note_unsent(to, &error),
            // Of the question whether it is back.
            (Command::CannotSend(_), Way::Direct(_)) => {}
            (command @ Command::CannotSend(_), Way::Asking(_)) => {
                self.client.handle(now, Input::Command(command));
                self.discover(Loss::Refused);
            }
            (Command::NetworkChanged, Way::Direct(direct)) => {
                direct.own.handle(now, Input::Command(host_manager::Command::NetworkChanged));
                self.client.handle(now, Input::Command(Command::NetworkChanged));
            }
            (command, _) => self.client.handle(now, Input::Command(command)),
        }
    }

    fn handle_done(&mut self, now: Now, done: Done) {
        match (done, &mut self.way) {
            (Done::Discovered(result), _) => self.handle_discovered(now, result),
            (Done::HostManagerOwner(trust), _) => self.handle_host_manager_owner(now, trust),
            (Done::Lookup(answer), Way::Direct(direct)) => {
                direct.own.handle(now, Input::Done(host_manager::Done::Lookup(answer)));
            }
            (done, _) => self.client.handle(now, Input::Done(done)),
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.client.handle(now, Input::Timeout);
        if let Way::Direct(direct) = &mut self.way {
            direct.own.handle(now, Input::Timeout);
        }
        self.handle_way_timeout(now);
    }

    /// What a program is told: a server that was spoken to directly is named where it has not answered.
    fn told(&self, event: Event) -> Event {
        match (event, &self.way) {
            (Event::Finished { id, outcome: Err(OperationError::TimedOut) }, Way::Direct(direct)) => {
                let silent = || OperationError::ServerSilent(direct.server().to_string().into());
                let unknown = |(name, reason)| OperationError::ServerUnknown { name, reason };
                Event::Finished { id, outcome: Err(direct.own.unknown_server().map_or_else(silent, unknown)) }
            }
            (event, _) => event,
        }
    }

    /// The next output of the own host manager that leaves this machine; `None` once something has come to the client from it.
    fn poll_own(&mut self, now: Now) -> Option<Output<Self>> {
        let Way::Direct(direct) = &mut self.way else { return Some(Output::Wait(self.way.deadline())) };
        match direct.own.poll(now) {
            OwnOutput::ToClient(payload) => {
                let from = self.client.endpoint().host_manager;
                self.client.handle(now, Input::Datagram { from, local: None, octets: &payload });
            }
            OwnOutput::Transmit(transmit) => return Some(Output::Transmit(transmit)),
            OwnOutput::Job(host_manager::Job::Lookup(lookup)) => return Some(Output::Job(Job::Lookup(lookup))),
            OwnOutput::Job(host_manager::Job::Discover) => {
                if !std::mem::replace(&mut self.is_discovering, true) {
                    return Some(Output::Job(Job::Discover));
                }
            }
            // Answered inside.
            OwnOutput::Job(host_manager::Job::Owner(_)) => {}
            OwnOutput::Server(change) => self.handle_server_change(now, change),
            OwnOutput::Log(event) => return Some(Output::Event(Event::Log(LogEvent::Relay(event)))),
            OwnOutput::Wait(until) => {
                return Some(Output::Wait([until, self.way.deadline()].into_iter().flatten().min()));
            }
        }
        None
    }
}

impl Machine for Connection {
    type Command = Command;
    type Job = Job;
    type Done = Done;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<'_, Self>) {
        match input {
            Input::Datagram { from, local, octets } => self.receive(now, from, local, octets),
            Input::Unreachable { to, quoted } => self.handle_unreachable(now, to, quoted),
            Input::Done(done) => self.handle_done(now, done),
            Input::Timeout => self.handle_timeout(now),
            Input::Command(command) => self.handle_command(now, command),
        }
        if let Some(loss) = self.client.take_loss() {
            self.handle_loss(now, loss);
        }
    }

    fn poll(&mut self, now: Now) -> Output<Self> {
        loop {
            if let Some(transmit) = self.transmits.pop_front() {
                return Output::Transmit(transmit);
            }
            if let Some(job) = self.jobs.pop_front() {
                return Output::Job(job);
            }
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            let client_until = match (self.client.poll(now), &mut self.way) {
                (Output::Transmit(transmit), Way::Direct(direct))
                    if transmit.to == self.client.endpoint().host_manager =>
                {
                    direct.own.receive_from_client(now, &transmit.payload);
                    continue;
                }
                (Output::Transmit(transmit), _) => return Output::Transmit(transmit),
                (Output::Job(job), _) => return Output::Job(job),
                (Output::Event(event), _) => return Output::Event(self.told(event)),
                (Output::Wait(until), _) => until,
            };
            match self.poll_own(now) {
                Some(Output::Wait(until)) => return Output::Wait([client_until, until].into_iter().flatten().min()),
                Some(output) => return output,
                None => {}
            }
        }
    }

    fn put_back(&mut self, transmit: Transmit) {
        self.transmits.push_front(transmit);
    }
}
