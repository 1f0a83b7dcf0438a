//! The driver of every node: does what the machine wants, and checks the machine after each step.

use super::{
    inspection::{has_timer, is_bounded, is_quiet},
    invariants::{Incarnation, Invariant, Violation},
    mutant::Mutant,
    process::{Effect, Process, Stimulus},
    world::{Happening, World},
};
use std::time::Duration;

/// Things that a machine may want before it wants to wait.
const MAX_EFFECTS: usize = 200_000;
impl World {
    /// Hands something to a node's program, and does what it wants then.
    pub(super) fn give(&mut self, node: usize, stimulus: Stimulus<'_>) -> Result<(), Violation> {
        let now = self.now_of(node);
        if !matches!(stimulus, Stimulus::Datagram(..) | Stimulus::Verified(_)) {
            self.history.goes_on(None);
        }
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
                        self.send(node, &transmit);
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
                Effect::Stream(order) => self.order_stream(node, order),
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
                Effect::LookUp(lookup) => match self.look_up_delay() {
                    Some(delay) => {
                        let who = self.nodes[node].incarnation(node);
                        self.later(delay, Happening::LookUpDone(who, lookup));
                    }
                    None => {
                        let answer = self.look_up(node, lookup);
                        self.hand(node, Stimulus::LookedUp(answer));
                    }
                },
                Effect::Discover => match self.look_up_delay() {
                    Some(delay) => {
                        let who = self.begin_job(node);
                        self.later(delay, Happening::DiscoveryDone(who));
                    }
                    None => {
                        let found = self.discover(node);
                        self.hand(node, Stimulus::Discovered(found));
                    }
                },
                Effect::ServerTells(event) => self.server_tells(node, &event)?,
                Effect::HostManagerTells(event) => self.host_manager_tells(node, &event)?,
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

    fn begin_job(&mut self, node: usize) -> Incarnation {
        self.nodes[node].jobs += 1;
        self.nodes[node].incarnation(node)
    }

    /// How long a job takes; `None`: it is done on the spot.
    fn job_delay(&mut self) -> Option<Duration> {
        let plan = self.scenario.driver;
        let late = self.random.chance(plan.late_jobs);
        late.then(|| self.random.between(Duration::from_millis(1), plan.longest_job))
    }

    /// How long a look-up takes; `None`: it is done on the spot.
    fn look_up_delay(&mut self) -> Option<Duration> {
        let plan = self.scenario.driver;
        let late = self.name_service.chance(plan.late_jobs);
        late.then(|| self.name_service.between(Duration::from_millis(1), plan.longest_job))
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
