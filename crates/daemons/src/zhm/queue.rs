//! Packets that the server has not answered yet (host manager, section 8).

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::{kind::Kind, schedule::TO_SERVER, uid::Uid};

/// How long a packet waits for an answer, from when it was first sent on or taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
/// The wait between resends of a packet whose server answers others, or was already changed because of it.
const SLOW: Duration = Duration::from_secs(32);
/// Packets that wait at most.
pub(super) const MOST: usize = 4096;

/// A packet of a program, waiting for the server's answer.
#[derive(Debug)]
pub(super) struct Entry {
    /// The datagram as it came.
    pub(super) packet: Bytes,
    /// The program that sent it.
    pub(super) client: SocketAddr,
    pub(super) kind: Kind,
    uid: Uid,
    taken: Duration,
    /// When it was first sent to the current server.
    first_sent: Duration,
    transmissions: usize,
    /// Whether a server was already given up because of it.
    blamed: bool,
    due: Option<Duration>,
}

/// What is to be done with a packet whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Send it to the server again.
    Resend(Bytes),
    /// The server does not answer, neither this packet nor any other since it was first sent.
    ServerSilent,
    /// It is dropped.
    Expired(Bytes),
}

/// The queue, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<u64, Entry>,
    by_uid: HashMap<Uid, u64>,
    due: BTreeSet<(Duration, u64)>,
    last: u64,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= MOST
    }

    /// Gives up the oldest packet that the server, last heard at `heard`, has passed over: it was sent before, and is
    /// unanswered. Such packets would else keep out others, as anybody can make as many as he likes.
    pub(super) fn make_room(&mut self, heard: Option<Duration>) -> Option<Bytes> {
        let is_passed_over = |entry: &Entry| entry.due.is_some() && heard.is_some_and(|heard| heard > entry.first_sent);
        let number = self.entries.iter().find(|(_, entry)| is_passed_over(entry)).map(|(&number, _)| number)?;
        self.remove(number).map(|entry| entry.packet)
    }

    pub(super) fn contains(&self, uid: &Uid) -> bool {
        self.by_uid.contains_key(uid)
    }

    /// Takes a packet; `sent` when it is on its way to the server already.
    pub(super) fn add(&mut self, now: Duration, uid: Uid, kind: Kind, client: SocketAddr, packet: Bytes, sent: bool) {
        self.last += 1;
        self.by_uid.insert(uid, self.last);
        let entry = Entry {
            packet,
            client,
            kind,
            uid,
            taken: now,
            first_sent: now,
            transmissions: 0,
            blamed: false,
            due: None,
        };
        self.entries.insert(self.last, entry);
        if sent {
            self.transmitted(self.last, now);
        }
    }

    /// The server has answered; gives the packet back.
    pub(super) fn answered(&mut self, uid: &Uid) -> Option<Entry> {
        let number = *self.by_uid.get(uid)?;
        self.remove(number)
    }

    /// Nothing is sent until there is a server again.
    pub(super) fn stop(&mut self) {
        self.due.clear();
        for entry in self.entries.values_mut() {
            entry.due = None;
        }
    }

    /// There is a server: all packets to send to it, oldest first.
    pub(super) fn restart(&mut self, now: Duration) -> Vec<Bytes> {
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for &number in &numbers {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.transmissions = 0;
                entry.first_sent = now;
            }
            self.transmitted(number, now);
        }
        self.entries.values().map(|entry| entry.packet.clone()).collect()
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let expiry = self.entries.first_key_value().map(|(_, oldest)| oldest.taken + PATIENCE);
        let due = self.due.first().map(|&(due, _)| due);
        [expiry, due].into_iter().flatten().min()
    }

    /// What is to be done now, one thing at a time. `heard` is when the server last sent anything.
    pub(super) fn take_due(&mut self, now: Duration, heard: Option<Duration>) -> Option<Due> {
        if let Some((&oldest, entry)) = self.entries.first_key_value()
            && entry.taken + PATIENCE <= now
        {
            return self.remove(oldest).map(|entry| Due::Expired(entry.packet));
        }
        let &(due, number) = self.due.first()?;
        if due > now {
            return None;
        }
        let entry = self.entries.get_mut(&number)?;
        let server_is_alive = heard.is_some_and(|heard| heard > entry.first_sent);
        if entry.transmissions >= TO_SERVER.len() && !server_is_alive && !entry.blamed {
            entry.blamed = true;
            return Some(Due::ServerSilent);
        }
        let packet = entry.packet.clone();
        self.transmitted(number, now);
        Some(Due::Resend(packet))
    }

    fn transmitted(&mut self, number: u64, now: Duration) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let wait = TO_SERVER.get(entry.transmissions).copied().unwrap_or(SLOW);
        entry.transmissions += 1;
        if let Some(due) = entry.due.replace(now + wait) {
            self.due.remove(&(due, number));
        }
        self.due.insert((now + wait, number));
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.by_uid.remove(&entry.uid);
        if let Some(due) = entry.due {
            self.due.remove(&(due, number));
        }
        Some(entry)
    }
}
