//! When servers are discovered, and what follows from it (host manager, section 2): at the start, ever more slowly while there
//! is none or none answers, when what was discovered holds no more, after a change of the network, and on order.

use super::{
    HostManager, Job,
    discovery::{Discovered, NotFound},
    event::{Event, LogEvent, ServerChange},
    reachability::Left,
    server::Waiting,
};
use std::time::Duration;
use zephyr_core::time::Now;

/// Minimum time between two discoveries.
const MIN_INTERVAL: Duration = Duration::from_secs(2);
/// The first wait while there is no server; each one is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait while there is no server.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// What is discovered holds at least so long, whatever its source says: name services say 0.
const MIN_VALIDITY: Duration = Duration::from_secs(30);
/// What is discovered holds at most so long.
const MAX_VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// The state of the discovery.
#[derive(Debug, Default)]
pub(super) struct Discovering {
    /// When the last one began.
    began: Option<Duration>,
    is_under_way: bool,
    /// When the next one is to begin.
    due: Option<Duration>,
    /// Discoveries in a row after which no server answered.
    attempts: u32,
    /// Whether one has ended.
    has_ended: bool,
    /// Why the last one found none.
    reason: Option<Box<str>>,
}

impl Discovering {
    /// The next timeout; none while one is under way, as its end decides.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.filter(|_| !self.is_under_way)
    }

    /// Wants one at this moment, or as soon after it as may be.
    fn want_at(&mut self, at: Duration) {
        let at = self.began.map_or(at, |began| at.max(began + MIN_INTERVAL));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// A server answers: the next time, the waits begin anew.
    pub(super) const fn found(&mut self) {
        self.attempts = 0;
    }

    /// The next wait, before it varies.
    fn next_wait(&mut self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.attempts)).min(LONGEST_WAIT);
        self.attempts = self.attempts.saturating_add(1);
        wait
    }
}

impl HostManager {
    /// Has servers discovered as soon as may be.
    pub(super) fn discover_soon(&mut self, now: Now) {
        if self.servers.are_discovered() {
            self.discovering.attempts = 0;
            self.discovering.want_at(now.monotonic);
            self.discover_if_due(now);
        }
    }

    /// None of the known servers answers: there may be others by now.
    pub(super) fn discover_as_none_answers(&mut self, now: Now) {
        if self.servers.are_discovered() && !self.discovering.is_under_way {
            self.discover_later(now);
        }
    }

    /// Has servers discovered when it is time for that.
    pub(super) fn discover_if_due(&mut self, now: Now) {
        if self.discovering.next_due().is_some_and(|due| due <= now.monotonic) {
            self.discovering.began = Some(now.monotonic);
            self.discovering.is_under_way = true;
            self.discovering.due = None;
            self.outputs.jobs.push_back(Job::Discover);
        }
    }

    /// Has servers discovered after a wait, each longer than the one before, unless that is wanted sooner.
    fn discover_later(&mut self, now: Now) {
        let wait = self.discovering.next_wait();
        self.discovering.want_at(now.monotonic + self.servers.jittered(wait).min(LONGEST_WAIT));
    }

    /// A discovery has ended.
    pub(super) fn handle_discovered(&mut self, now: Now, result: Result<Discovered, NotFound>) {
        let is_first = !std::mem::replace(&mut self.discovering.has_ended, true);
        self.discovering.is_under_way = false;
        match result {
            Ok(found) if found.candidates.is_empty() => {
                let reason = format!("{} names no server", found.source).into();
                self.handle_not_found(now, is_first, NotFound::NoServer(reason));
            }
            Ok(found) => {
                self.discovering.reason = None;
                if let Some(valid_for) = found.valid_for {
                    self.discovering.want_at(now.monotonic + valid_for.clamp(MIN_VALIDITY, MAX_VALIDITY));
                }
                self.take_over(now, found);
            }
            Err(not_found) => self.handle_not_found(now, is_first, not_found),
        }
        // What was wanted while it was under way.
        self.discover_if_due(now);
    }

    fn handle_not_found(&mut self, now: Now, is_first: bool, not_found: NotFound) {
        let reason: Box<str> = not_found.reason().into();
        let is_news = self.discovering.reason.as_ref() != Some(&reason);
        self.discovering.reason = Some(reason.clone());
        self.discover_later(now);
        if self.servers.is_empty() {
            if is_first && matches!(not_found, NotFound::NoServer(_)) {
                self.outputs.tell(Event::NoServer { reason: reason.clone() });
            }
            if is_news {
                self.outputs.tell(ServerChange::Waiting(Waiting::Discovery { reason: Some(reason) }));
            }
        } else if is_news {
            self.outputs.tell(LogEvent::NotDiscovered { reason });
        }
    }

    /// Takes over the servers that were discovered. The current one stays if it is among them, else it is left.
    fn take_over(&mut self, now: Now, found: Discovered) {
        let had_none = self.servers.is_empty();
        let replaced = self.servers.replace(found);
        if replaced.is_news {
            let source = self.servers.source().unwrap_or_default().into();
            let servers = self.servers.iter().map(|server| server.name().into()).collect();
            self.outputs.tell(ServerChange::Discovered { source, servers });
        }
        if let Some(old) = replaced.left {
            let (old, new) = (Left::new(&old), self.server_name().into());
            let change = ServerChange::Lost { old: old.name.clone(), new };
            self.leave(now, &old, change);
        } else if had_none {
            self.greet(now);
        }
        self.outputs.jobs.extend(self.servers.lookups().into_iter().map(Job::Lookup));
        self.plan_return(now);
    }

    /// What is waited for while no server is known.
    pub(super) fn waiting_for_discovery(&self) -> Waiting {
        Waiting::Discovery { reason: self.discovering.reason.clone() }
    }
}
