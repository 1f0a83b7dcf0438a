//! The driver of every node: it does what the machine wants, and looks whether that is as it must be.

use super::{
    invariants::{Checked, Invariant, Violation},
    mutant::Mutant,
    node::Node,
    process::{Effect, Process, Stimulus},
    world::{Happening, World},
};
use std::time::Duration;
use zephyr_core::limits::{MAX_PACKET, MAX_QUEUED};
use zephyr_engine::server::{Bounds, Server};

/// Things that a machine may want before it wants to wait.
const MAX_EFFECTS: usize = 200_000;
/// Packets that a host manager keeps at most.
const MAX_HOST_MANAGER_QUEUE: usize = 4096;
/// Packets that wait for credentials in a client at most.
const MAX_UNVERIFIED: usize = 1024;
/// Packets that a client remembers at most.
const MAX_REMEMBERED: usize = 65_536;
/// Packets that a server verifies at a time.
const MAX_VERIFICATIONS: usize = 1024;
/// Packets and events that wait in a machine at most; a burst of them is handled before the next.
const MAX_OUTPUTS: usize = 20_000;

/// The longest that a host manager without a server waits before it greets another.
const LONGEST_GREETING: Duration = Duration::from_secs(40);
/// The longest that an operation waits for anything.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest that a server waits before it sends an unacknowledged packet again, or gives it up.
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(512);

impl World {
    /// Hands something to a node's program, and does what it wants then.
    pub(super) fn give(&mut self, node: usize, stimulus: Stimulus<'_>) -> Result<(), Violation> {
        let now = self.now_of(node);
        let idle = !self.is_well && self.random.chance(self.scenario.driver.idle_timeouts);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.handle(now, stimulus);
        if idle {
            process.handle(now, Stimulus::Timeout);
        }
        self.drive(node)
    }

    fn drive(&mut self, node: usize) -> Result<(), Violation> {
        let now = self.now_of(node);
        for _ in 0..MAX_EFFECTS {
            // A driver whose socket is full waits; a program may have ended because of what it told.
            let blocked = self.nodes[node].blocked;
            let Some(process) = self.nodes[node].process.as_mut().filter(|_| !blocked) else { return Ok(()) };
            match process.poll(now) {
                Effect::Transmit(transmit) => {
                    if !self.is_well && self.random.chance(self.scenario.driver.blocked) {
                        process.put_back(transmit);
                        self.block(node);
                    } else {
                        self.send(node, transmit.to, &transmit.payload);
                    }
                }
                Effect::Verify(job) => match self.job_delay() {
                    Some(delay) => {
                        let who = self.begin_job(node);
                        self.later(delay, Happening::Verified(who, Box::new(job)));
                    }
                    None => {
                        let verified = self.verify(node, job);
                        self.hand(node, Stimulus::Verified(verified));
                    }
                },
                Effect::Job(job) => match self.job_delay() {
                    Some(delay) => {
                        let who = self.begin_job(node);
                        self.later(delay, Happening::JobDone(who, job));
                    }
                    None => {
                        let done = self.work(node, &job);
                        self.hand(node, Stimulus::Done(done));
                    }
                },
                Effect::ServerTells(event) => self.server_tells(node, &event)?,
                Effect::HostManagerTells(event) => self.tell(node, || format!("tells {event:?}")),
                Effect::ClientTells(event) => self.client_tells(node, *event)?,
                Effect::Wait(until) => return self.waits(node, until),
            }
        }
        self.checked(node, Err((Invariant::Timers, "wants more and more, and never waits".to_owned())))
    }

    fn hand(&mut self, node: usize, stimulus: Stimulus<'_>) {
        let now = self.now_of(node);
        if let Some(process) = &mut self.nodes[node].process {
            process.handle(now, stimulus);
        }
    }

    fn block(&mut self, node: usize) {
        self.nodes[node].blocked = true;
        let who = self.nodes[node].incarnation(node);
        let delay = self.random.millis(1, 60);
        self.later(delay, Happening::Writable(who));
        self.tell(node, || "cannot send at the moment".to_owned());
    }

    fn begin_job(&mut self, node: usize) -> super::invariants::Incarnation {
        self.nodes[node].jobs += 1;
        self.nodes[node].incarnation(node)
    }

    /// How long a job takes; `None`: it is done on the spot.
    fn job_delay(&mut self) -> Option<Duration> {
        let plan = self.scenario.driver;
        let late = self.random.chance(plan.late_jobs);
        late.then(|| self.random.between(Duration::from_millis(1), plan.longest_job))
    }

    fn waits(&mut self, index: usize, until: Option<Duration>) -> Result<(), Violation> {
        let until = self.mutated(index, until);
        let now = self.now_of(index).monotonic;
        self.checked(index, has_timer(&self.nodes[index], now, until))?;
        let bounds = &self.domains[self.nodes[index].domain].plan.bounds;
        self.checked(index, is_bounded(&self.nodes[index], bounds))?;
        let Some(until) = until else {
            self.nodes[index].timer = None;
            return Ok(());
        };
        let mut at = self.nodes[index].born + until;
        if at <= self.now {
            at = self.now;
        } else if !self.is_well {
            at += self.random.between(Duration::ZERO, self.scenario.driver.lateness);
        }
        self.nodes[index].timer = Some(at);
        self.later(at - self.now, Happening::Timer(index));
        Ok(())
    }

    /// What the machine wants, or what a fault makes of it.
    fn mutated(&mut self, node: usize, until: Option<Duration>) -> Option<Duration> {
        match (self.mutant, &self.nodes[node].process) {
            (Some(Mutant::LosesTimers), Some(Process::HostManager(_))) if self.random.chance(50) => None,
            (Some(Mutant::NeverRests), Some(Process::Server(_))) => Some(Duration::ZERO),
            _ => until,
        }
    }

    /// In the end nobody has anything left to do.
    pub(super) fn check_quiescence(&self) -> Result<(), Violation> {
        if let Err((client, invariant, seen)) = self.checker.all_finished() {
            return self.checked(client.node, Err((invariant, seen)));
        }
        (0..self.nodes.len()).try_for_each(|index| self.checked(index, is_quiet(&self.nodes[index])))
    }
}

/// Whether whoever has something to do has also said when.
fn has_timer(node: &Node, now: Duration, until: Option<Duration>) -> Checked {
    let (busy, longest) = match &node.process {
        None => return Ok(()),
        Some(Process::Server(server)) => {
            let queues = server.queue_lengths();
            let stuck = queues.ingress > 0 && node.jobs == 0;
            let busy = server.gauges().pending > 0 || queues.to_send > 0 || queues.repetitions > 0;
            (busy || stuck, LONGEST_RETRANSMISSION)
        }
        Some(Process::HostManager(machine)) if machine.is_looking() => (true, LONGEST_GREETING),
        Some(Process::HostManager(machine)) => (machine.queued() > 0, LONGEST_WAIT),
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            if queues.unverified > 0 && node.jobs == 0 && client.is_ready() {
                return Err((Invariant::Timers, format!("packets wait for a job that nobody does: {queues:?}")));
            }
            (queues.operations > 0 && node.jobs == 0, LONGEST_WAIT)
        }
    };
    if busy && until.is_none_or(|until| until > now + longest) {
        return Err((
            Invariant::Timers,
            format!("has something to do, and wants to wait until {until:?} (it is {now:?})"),
        ));
    }
    Ok(())
}

/// Whether everything is as small as it must be.
fn is_bounded(node: &Node, bounds: &Bounds) -> Checked {
    let amounts = match &node.process {
        None => return Ok(()),
        Some(Process::Server(server)) => amounts_of_server(server, bounds),
        Some(Process::HostManager(machine)) => {
            vec![("queue", machine.queued(), MAX_HOST_MANAGER_QUEUE), ("outputs", machine.outputs(), MAX_OUTPUTS)]
        }
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            vec![
                ("arrived", queues.arrived, MAX_QUEUED / MAX_PACKET),
                ("unverified", queues.unverified, MAX_UNVERIFIED),
                ("incomplete octets", queues.incomplete_octets, MAX_QUEUED),
                ("remembered", queues.remembered, MAX_REMEMBERED),
                ("outputs", queues.transmits + queues.events, MAX_OUTPUTS),
            ]
        }
    };
    match amounts.into_iter().find(|(_, amount, most)| amount > most) {
        Some((what, amount, most)) => Err((Invariant::Bounded, format!("{what}: {amount}, at most {most} is allowed"))),
        None => Ok(()),
    }
}

/// What a server has of everything, and may have.
fn amounts_of_server(server: &Server, bounds: &Bounds) -> Vec<(&'static str, usize, usize)> {
    let (gauges, queues) = (server.gauges(), server.queue_lengths());
    vec![
        ("clients", gauges.clients, bounds.clients),
        ("subscriptions", gauges.subscriptions, bounds.clients.saturating_mul(bounds.subscriptions_per_client)),
        // One is added as long as there is any room.
        ("subscription octets", gauges.subscription_octets, bounds.subscription_octets + MAX_PACKET),
        ("pending octets", gauges.pending_octets, bounds.delivery_octets + bounds.answer_octets),
        ("locations", gauges.locations, bounds.locations),
        ("hosts", gauges.hosts, bounds.hosts),
        ("responses", gauges.recent, bounds.recent_packets),
        ("authenticators", gauges.replays, bounds.replays),
        ("ingress", queues.ingress, bounds.waiting_packets),
        ("verifications", queues.verifications, MAX_VERIFICATIONS),
        ("to send", queues.to_send + queues.repetitions, MAX_OUTPUTS),
        ("outputs", queues.jobs + queues.events, MAX_OUTPUTS),
    ]
}

/// Whether nothing is left to do.
fn is_quiet(node: &Node) -> Checked {
    let left = match &node.process {
        None => None,
        Some(Process::Server(server)) => {
            let (pending, queues) = (server.gauges().pending, server.queue_lengths());
            (pending > 0 || queues != Default::default()).then(|| format!("{pending} pending, {queues:?}"))
        }
        Some(Process::HostManager(machine)) => {
            let (queued, looking) = (machine.queued(), machine.is_looking());
            (queued > 0 || looking).then(|| format!("{queued} packets, looking for a server: {looking}"))
        }
        Some(Process::Client(client)) => {
            let queues = client.queue_lengths();
            (queues.operations + queues.unverified + queues.transmits > 0).then(|| format!("{queues:?}"))
        }
    };
    left.map_or(Ok(()), |left| Err((Invariant::Timers, format!("in the end something is left: {left}"))))
}
