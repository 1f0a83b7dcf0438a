//! Packets that the server has not answered yet (host manager, section 8).

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::{kind::Kind, notice::OwnedPacket, schedule::TO_SERVER, uid::Uid};

/// Timeout of a packet without an answer, from when it was first sent on or queued.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);
/// The wait between resends of a packet whose server is there, and does not answer it.
const SLOW_RESEND_INTERVAL: Duration = Duration::from_secs(32);
/// Maximum number of queued packets.
const MAX_PACKETS: usize = 4096;
/// Maximum number of queued packets of one program, so that none keeps out the others.
const MAX_PER_PROGRAM: usize = MAX_PACKETS / 4;

/// A packet of a program, waiting for the server's answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) packet: OwnedPacket,
    /// The program that sent it.
    pub(crate) client: SocketAddr,
    pub(crate) kind: Kind,
    uid: Uid,
    queued_at: Duration,
    /// When it was first sent to the current server.
    first_sent: Duration,
    transmissions: usize,
    due: Option<Duration>,
}

/// The action on a packet that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send it to the server again.
    Resend {
        packet: Bytes,
        /// It went unanswered for so long that the server may be gone.
        doubtful: bool,
    },
    /// It is dropped.
    Expired(Box<OwnedPacket>),
}

/// The queue, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<u64, Entry>,
    by_uid: HashMap<Uid, u64>,
    of_program: HashMap<SocketAddr, usize>,
    due: BTreeSet<(Duration, u64)>,
    last: u64,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no packet of this program can be taken.
    pub(crate) fn is_full_for(&self, client: SocketAddr) -> bool {
        self.entries.len() >= MAX_PACKETS || self.has_its_share(client)
    }

    fn has_its_share(&self, client: SocketAddr) -> bool {
        self.of_program.get(&client).is_some_and(|&count| count >= MAX_PER_PROGRAM)
    }

    /// Gives up the oldest packet that the server, which last sent anything at `server_sent`, has passed over: it was
    /// sent before, and is unanswered. Such packets would else keep out others, as anybody can make as many as he
    /// likes. A program that has its share must give up one of its own.
    pub(crate) fn make_room(&mut self, server_sent: Option<Duration>, client: SocketAddr) -> Option<OwnedPacket> {
        let only_own = self.has_its_share(client);
        let is_passed_over =
            |entry: &Entry| entry.due.is_some() && server_sent.is_some_and(|sent| sent > entry.first_sent);
        let may_go = |entry: &Entry| is_passed_over(entry) && (!only_own || entry.client == client);
        let number = self.entries.iter().find(|(_, entry)| may_go(entry)).map(|(&number, _)| number)?;
        self.remove(number).map(|entry| entry.packet)
    }

    pub(crate) fn contains(&self, uid: &Uid) -> bool {
        self.by_uid.contains_key(uid)
    }

    /// Queues a packet; `sent` when it is on its way to the server already.
    pub(crate) fn add(&mut self, now: Duration, client: SocketAddr, packet: OwnedPacket, sent: bool) {
        self.last += 1;
        let notice = packet.notice();
        let (uid, kind) = (notice.uid, notice.kind);
        self.by_uid.insert(uid, self.last);
        let entry = Entry { packet, client, kind, uid, queued_at: now, first_sent: now, transmissions: 0, due: None };
        *self.of_program.entry(client).or_insert(0) += 1;
        self.entries.insert(self.last, entry);
        if sent {
            self.transmitted(self.last, now);
        }
    }

    /// The server has answered; gives the packet back.
    pub(crate) fn answered(&mut self, uid: &Uid) -> Option<Entry> {
        let number = *self.by_uid.get(uid)?;
        self.remove(number)
    }

    /// Stops sending until there is a server again.
    pub(crate) fn stop(&mut self) {
        self.due.clear();
        for entry in self.entries.values_mut() {
            entry.due = None;
        }
    }

    /// Sends again, as there is a server: all packets to send to it, oldest first.
    pub(crate) fn restart(&mut self, now: Duration) -> Vec<Bytes> {
        let numbers: Vec<u64> = self.entries.keys().copied().collect();
        for &number in &numbers {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.transmissions = 0;
                entry.first_sent = now;
            }
            self.transmitted(number, now);
        }
        self.entries.values().map(|entry| entry.packet.octets().clone()).collect()
    }

    /// The time of the next action.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let expiry = self.entries.first_key_value().map(|(_, oldest)| oldest.queued_at + TIMEOUT);
        let due = self.due.first().map(|&(due, _)| due);
        [expiry, due].into_iter().flatten().min()
    }

    /// The next action that is due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Due> {
        if let Some((&oldest, entry)) = self.entries.first_key_value()
            && entry.queued_at + TIMEOUT <= now
        {
            return self.remove(oldest).map(|entry| Due::Expired(Box::new(entry.packet)));
        }
        let &(due, number) = self.due.first()?;
        if due > now {
            return None;
        }
        self.transmitted(number, now);
        let entry = self.entries.get(&number)?;
        let doubtful = entry.transmissions >= TO_SERVER.len();
        Some(Due::Resend { packet: entry.packet.octets().clone(), doubtful })
    }

    fn transmitted(&mut self, number: u64, now: Duration) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let wait = TO_SERVER.get(entry.transmissions).copied().unwrap_or(SLOW_RESEND_INTERVAL);
        entry.transmissions += 1;
        if let Some(due) = entry.due.replace(now + wait) {
            self.due.remove(&(due, number));
        }
        self.due.insert((now + wait, number));
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.by_uid.remove(&entry.uid);
        if let Some(count) = self.of_program.get_mut(&entry.client) {
            *count -= 1;
            if *count == 0 {
                self.of_program.remove(&entry.client);
            }
        }
        if let Some(due) = entry.due {
            self.due.remove(&(due, number));
        }
        Some(entry)
    }
}
