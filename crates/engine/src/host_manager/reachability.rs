//! Reachability of the server: greetings, signs that it is up, and failover (host manager, sections 4 and 6).
//!
//! A server that does not answer is looked up again each time it is greeted, and once more before it is given up: its
//! name may have another address by now. Greetings wait for no look-up; what one finds is greeted at once. Of a name with
//! several addresses the next one is asked each time.

use super::{
    HostManager, Job,
    event::{Boot, Event, ServerChange},
    lookup::LookupAnswer,
    owner::Users,
    queue::Due,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice},
    schedule::{GREETING, TO_SERVER},
    time::Now,
    uid::UidSource,
};

/// Timeout of a server that is probed: the last wait of a packet's schedule, so that
/// a dead server is given up when C host managers give it up.
const PROBE_TIMEOUT: Duration = {
    let [.., last] = TO_SERVER;
    last
};

/// Why the current server is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It does not answer: it may be at another address.
    Silent,
    /// It says so itself, or a program does.
    Ordered {
        /// The server that it names in its place.
        suggestion: Option<IpAddr>,
    },
}

/// The reachability of the current server.
#[derive(Debug)]
pub(super) struct Reachability {
    /// No server has answered yet, or the last one was lost: packets are kept, not sent.
    pub(super) looking: bool,
    /// The host was flushed, and nothing was sent since.
    pub(super) deactivated: bool,
    /// When the current server last sent anything.
    pub(super) last_received: Option<Duration>,
    /// The host's first greeting, which says that it has just started, was not answered yet.
    booting: bool,
    /// When the greeting that the current server has not answered is given up.
    greeting_due: Option<Duration>,
    /// Greetings in a row that were not answered.
    timeouts: usize,
    /// Since when the current server has been asked in vain whether it is there.
    asked: Option<Duration>,
}

impl Reachability {
    pub(super) const fn new(booting: bool) -> Self {
        Self {
            looking: true,
            deactivated: false,
            last_received: None,
            booting,
            greeting_due: None,
            timeouts: 0,
            asked: None,
        }
    }

    /// The current server has sent something.
    pub(super) const fn received(&mut self, now: Duration) {
        self.last_received = Some(now);
        self.asked = None;
        self.booting = false;
        self.greeting_due = None;
        self.timeouts = 0;
    }

    /// The time at which the current server is given up.
    fn next_timeout(&self) -> Option<Duration> {
        let answer = self.asked.map(|asked| asked + PROBE_TIMEOUT);
        [self.greeting_due, answer].into_iter().flatten().min()
    }
}

impl HostManager {
    /// The next timeout on the monotonic clock.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        [self.reachability.next_timeout(), self.queue.next_due()].into_iter().flatten().min()
    }

    /// Handles what is due.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        if self.reachability.greeting_due.is_some_and(|due| due <= now.monotonic) {
            self.reachability.timeouts += 1;
            self.tell_waiting();
            self.change_server(now, Change::Silent);
        }
        if self.reachability.asked.is_some_and(|asked| asked + PROBE_TIMEOUT <= now.monotonic) {
            self.change_server(now, Change::Silent);
        }
        while let Some(due) = self.queue.take_due(now.monotonic) {
            match due {
                Due::Resend { packet, doubtful } => {
                    if let Some(server) = self.servers.current().address() {
                        self.outputs.send(server, packet);
                    }
                    // What a server does not answer shows nothing about it; that it does not answer a greeting does.
                    if doubtful && self.reachability.asked.is_none() {
                        self.reachability.asked = Some(now.monotonic);
                        self.tell_server(now, names::ATTACH);
                        self.look_up();
                    }
                }
                Due::Expired(packet) => self.tell_expired(&packet),
            }
        }
    }

    pub(super) fn flush(&mut self, now: Now) {
        self.tell_server(now, names::FLUSH);
        self.reachability.deactivated = true;
        self.users = Users::Nobody;
        self.outputs.tell(Event::Boot(Boot::Due));
    }

    pub(super) fn change_server(&mut self, now: Now, change: Change) {
        let had_server = !self.reachability.looking;
        self.reachability.looking = true;
        self.reachability.last_received = None;
        self.reachability.asked = None;
        self.queue.stop();
        self.tell_server(now, names::DETACH);
        let old: Box<str> = self.servers.current().name().into();
        match change {
            Change::Silent if self.servers.current().newer().is_some() => {}
            Change::Silent => {
                self.servers.take_next_address();
                self.servers.choose(None);
            }
            Change::Ordered { suggestion } => self.servers.choose(suggestion),
        }
        self.statistics.server_changes += 1;
        if had_server {
            self.outputs.tell(ServerChange::Lost { old, new: self.servers.current().name().into() });
        }
        if let Some(moved) = self.servers.move_on() {
            self.tell_moved(moved.to);
        }
        self.look_up();
        self.greet(now);
    }

    /// A look-up is done: a server that has not answered until now is greeted where it was found.
    pub(super) fn handle_lookup(&mut self, now: Now, answer: LookupAnswer) {
        let looking = self.reachability.looking;
        let moved = self.servers.looked_up(answer, !looking);
        if !looking {
            return;
        }
        if let Some(moved) = moved {
            match moved.from {
                Some(old) => {
                    self.tell(now, old, names::DETACH);
                    self.tell_moved(moved.to);
                }
                // What was not asked was not silent.
                None => self.reachability.timeouts = 0,
            }
            self.greet(now);
        } else if self.servers.current().has_no_address() {
            self.tell_waiting();
            if self.servers.choose_known() {
                self.statistics.server_changes += 1;
                self.greet(now);
            }
        }
    }

    /// Notes that the system did not send a packet, and what it said.
    pub fn note_unsent(&mut self, to: SocketAddr, error: &str) {
        let server = self.servers.current_mut();
        if server.address() == Some(to) {
            server.unsent = Some(error.into());
        }
    }

    /// Has the current server's name looked up, unless that is being done.
    fn look_up(&mut self) {
        self.outputs.jobs.extend(self.servers.lookup().map(Job::Lookup));
    }

    fn tell_moved(&mut self, address: SocketAddr) {
        let name = self.servers.current().name().into();
        self.outputs.tell(ServerChange::Moved { name, address });
    }

    /// Tells what is waited for, if that is news.
    fn tell_waiting(&mut self) {
        if let Some(waiting) = self.servers.tell_waiting() {
            self.outputs.tell(ServerChange::Waiting(waiting));
        }
    }

    /// Greets the current server, and waits for its answer; while nobody knows where it is, for its address.
    pub(super) fn greet(&mut self, now: Now) {
        if let Some(local) = self.servers.current().local().filter(|local| *local != self.uids.address()) {
            self.uids = UidSource::new(local);
        }
        let state = &mut self.reachability;
        state.booting |= state.deactivated;
        state.deactivated = false;
        let opcode = if state.booting { names::BOOT } else { names::ATTACH };
        let round = state.timeouts / self.servers.addresses();
        let [.., longest] = GREETING;
        let wait = GREETING.get(round).copied().unwrap_or(longest);
        state.greeting_due = Some(now.monotonic + wait);
        self.servers.current_mut().unsent = None;
        self.tell_server(now, opcode);
    }

    /// Tells the current server something, if it is known where it is.
    fn tell_server(&mut self, now: Now, opcode: &[u8]) {
        if let Some(server) = self.servers.current().address() {
            self.tell(now, server, opcode);
        }
    }

    fn tell(&mut self, now: Now, server: SocketAddr, opcode: &[u8]) {
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
        // A notice of nothing but short fields always fits.
        if let Ok(packet) = notice.write(&Claim::NONE, Limits::COMPATIBLE) {
            self.outputs.send(server, packet);
        }
    }
}
