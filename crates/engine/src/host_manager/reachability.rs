//! Reachability of the server: greetings, signs that it is up, and failover (host manager, sections 4 and 6).
//!
//! A server that does not answer is looked up again each time it is greeted, and once more before it is given up: its
//! name may have another address by now. Greetings wait for no look-up; what one finds is greeted at once. Of a name with
//! several addresses the next one is asked each time.

use super::{
    HostManager, Job,
    check::Check,
    event::{Boot, Event, ServerChange},
    lookup::LookupAnswer,
    owner::Users,
    queue::Due,
    server::Server,
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
    schedule::GREETING,
    time::Now,
    uid::{Uid, UidSource},
};

/// Why the current server is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It does not answer: it may be at another address.
    Silent,
    /// It says itself that it goes.
    Gone {
        /// The server that it names in its place.
        suggestion: Option<IpAddr>,
    },
    /// A program says so.
    Ordered,
    /// The server at this place of the list is better, and answers.
    Better(usize),
}

/// A server that is being left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) name: Box<str>,
    address: Option<SocketAddr>,
}

impl Left {
    pub(super) fn new(server: &Server) -> Self {
        Self { name: server.name().into(), address: server.address() }
    }
}

/// The reachability of the current server.
#[derive(Debug)]
pub(super) struct Reachability {
    /// No server has answered yet, or the last one was lost: packets are kept, not sent.
    pub(super) looking: bool,
    /// The host was flushed, and nothing was sent since.
    pub(super) deactivated: bool,
    /// When the current server last answered anything.
    pub(super) last_received: Option<Duration>,
    /// The host's first greeting, which says that it has just started, was not answered yet.
    booting: bool,
    /// When the greeting that the current server has not answered is given up.
    pub(super) greeting_due: Option<Duration>,
    /// Greetings in a row that were not answered.
    pub(super) timeouts: usize,
    /// The current server is being asked whether it is there.
    pub(super) check: Option<Check>,
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
            check: None,
        }
    }

    /// The current server has answered a greeting or a packet; gives back what it was being asked for.
    pub(super) const fn answered(&mut self, now: Duration) -> Option<Check> {
        self.last_received = Some(now);
        self.booting = false;
        self.greeting_due = None;
        self.timeouts = 0;
        self.check.take()
    }

    /// The time at which the current server is greeted again, or given up.
    fn next_timeout(&self) -> Option<Duration> {
        [self.greeting_due, self.check.as_ref().map(Check::due)].into_iter().flatten().min()
    }
}

impl HostManager {
    /// The next timeout on the monotonic clock.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let times = [
            self.reachability.next_timeout(),
            self.queue.next_due(),
            self.discovering.next_due(),
            self.returning.next_due(),
            self.network_change.next_due(),
        ];
        times.into_iter().flatten().min()
    }

    /// Handles what is due.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.handle_network_change(now);
        self.discover_if_due(now);
        if self.reachability.greeting_due.is_some_and(|due| due <= now.monotonic) {
            self.reachability.timeouts += 1;
            self.tell_waiting();
            self.discover_as_none_answers(now);
            self.change_server(now, Change::Silent);
        }
        self.go_on_with_check(now);
        self.probe_if_due(now);
        while let Some(due) = self.queue.take_due(now.monotonic) {
            match due {
                Due::Resend { packet, doubtful } => {
                    if let Some(server) = self.server_address() {
                        self.outputs.send(server, packet);
                    }
                    // What a server does not answer shows nothing about it; that it does not answer a greeting does.
                    if doubtful && self.reachability.check.is_none() {
                        self.check(now, Check::for_packet(now.monotonic));
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

    /// Leaves the current server for another one, or for the same at another address.
    pub(super) fn change_server(&mut self, now: Now, change: Change) {
        let Some(current) = self.servers.current() else { return };
        let left = Left::new(current);
        let has_moved = current.newer().is_some();
        match change {
            Change::Silent if has_moved => {}
            Change::Silent => {
                self.servers.blame_current();
                self.servers.choose(None);
            }
            Change::Gone { suggestion } => {
                self.servers.blame_current();
                self.servers.choose(suggestion);
            }
            Change::Ordered => self.servers.choose(None),
            Change::Better(place) => self.servers.choose_place(place),
        }
        self.returning.left(change);
        let new = self.server_name().into();
        let old = left.name.clone();
        let change = if matches!(change, Change::Better(_)) {
            ServerChange::Returning { old, new }
        } else {
            ServerChange::Lost { old, new }
        };
        self.leave(now, &left, change);
    }

    /// Takes leave of a server, and greets the one that is the current one by now.
    pub(super) fn leave(&mut self, now: Now, left: &Left, change: ServerChange) {
        let had_server = !self.reachability.looking;
        self.reachability.looking = true;
        self.reachability.last_received = None;
        self.reachability.check = None;
        self.queue.stop();
        if let Some(address) = left.address {
            self.tell(now, address, names::DETACH);
        }
        self.statistics.server_changes += 1;
        if had_server {
            self.outputs.tell(change);
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
        self.take_own_address();
        if !looking {
            return self.plan_return(now);
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
        } else if self.servers.current().is_some_and(Server::has_no_address) {
            self.tell_waiting();
            if self.servers.choose_known() {
                self.statistics.server_changes += 1;
                self.greet(now);
            }
        }
    }

    /// Notes that the system did not send a packet, and what it said.
    pub fn note_unsent(&mut self, to: SocketAddr, error: &str) {
        if let Some(server) = self.servers.current_mut().filter(|server| server.address() == Some(to)) {
            server.unsent = Some(error.into());
        }
    }

    /// Has the current server's name looked up, unless that is being done.
    pub(super) fn look_up(&mut self) {
        self.outputs.jobs.extend(self.servers.lookup().map(Job::Lookup));
    }

    fn tell_moved(&mut self, address: SocketAddr) {
        let name = self.server_name().into();
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
        self.take_own_address();
        let state = &mut self.reachability;
        state.booting |= state.deactivated;
        state.deactivated = false;
        if self.servers.is_empty() {
            state.greeting_due = None;
            return;
        }
        let opcode = if state.booting { names::BOOT } else { names::ATTACH };
        let round = state.timeouts / self.servers.addresses();
        let [.., longest] = GREETING;
        let wait = GREETING.get(round).copied().unwrap_or(longest);
        state.greeting_due = Some(now.monotonic + self.servers.jittered(wait));
        if let Some(server) = self.servers.current_mut() {
            server.unsent = None;
        }
        self.tell_server(now, opcode);
    }

    /// Takes over this host's address towards the current server, which may be another one by now.
    fn take_own_address(&mut self) {
        let local = self.servers.current().and_then(Server::local);
        if let Some(local) = local.filter(|local| *local != self.uids.address()) {
            self.uids = UidSource::new(local);
        }
    }

    /// Tells the current server something, if it is known where it is.
    pub(super) fn tell_server(&mut self, now: Now, opcode: &[u8]) {
        if let Some(server) = self.server_address() {
            let uid = self.tell(now, server, opcode);
            if matches!(opcode, names::BOOT | names::ATTACH) {
                self.greetings.sent(server, uid);
            }
        }
    }

    fn tell(&mut self, now: Now, server: SocketAddr, opcode: &[u8]) -> Uid {
        let notice = Notice {
            kind: Kind::HmCtl,
            class: names::ZEPHYR_CTL,
            instance: names::HM,
            opcode,
            multinotice: b"0/0",
            ..Notice::EMPTY
        };
        self.send_own(now, server, notice)
    }

    /// Sends a server a notice of the host manager's own, and gives back its uid.
    pub(super) fn send_own(&mut self, now: Now, server: SocketAddr, notice: Notice<'_>) -> Uid {
        let uid = self.uids.next(&now);
        let notice = Notice {
            uid,
            multiuid: uid,
            port: self.port,
            sender: names::HM,
            address: self.uids.address().into(),
            ..notice
        };
        // A notice of nothing but short fields always fits.
        if let Ok(packet) = notice.write(&Claim::NONE, Limits::COMPATIBLE) {
            self.outputs.send(server, packet);
        }
        uid
    }
}
