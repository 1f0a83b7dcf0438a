//! Packets that the server has not answered yet (host manager, section 8).

use super::{
    Received,
    owner::{Owner, Program},
    shares::Shares,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    notice::{Notice, OwnedPacket},
    schedule::TO_SERVER,
    uid::Uid,
};

/// Timeout of a packet without an answer, from when it was first sent on or queued.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(300);
/// The wait between resends of a packet whose server is there, and does not answer it.
const SLOW_RESEND_INTERVAL: Duration = Duration::from_secs(32);
/// Maximum number of queued packets, of at most [`MAX_PACKET`](zephyr_core::limits::MAX_PACKET) octets each: what the
/// programs of a busy host send while no server answers for as long as a packet waits.
pub const MAX_PACKETS: usize = 16_384;
/// Maximum number of queued packets of one owner with the same uid: programs make uids of the time, so several may have
/// the same, but not many.
const MAX_SAME_UID: usize = 8;
/// The least of all addresses, for ranges.
const FIRST_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A packet of a program, waiting for the server's answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) packet: OwnedPacket,
    /// The program that sent it.
    program: Program,
    /// The address of this host that it came to.
    pub(super) local: Option<IpAddr>,
    pub(crate) kind: Kind,
    uid: Uid,
    queued_at: Duration,
    /// When it was first sent to the current server.
    first_sent: Duration,
    transmissions: usize,
    due: Option<Duration>,
}

impl Entry {
    /// Where the program that sent it is.
    pub(crate) const fn client(&self) -> SocketAddr {
        self.program.address
    }

    /// Whether this is the answer to it, and not to another packet with the same uid, which anybody may make. What did
    /// not fit into an answer is empty there, and the answer to an announced location has another opcode.
    fn is_answered_by(&self, answer: &Notice<'_>) -> bool {
        let notice = self.packet.notice();
        let (asked, answered) = ([notice.class, notice.instance], [answer.class, answer.instance]);
        notice.port == answer.port && (answered == asked || answered.iter().all(|name| name.is_empty()))
    }
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

/// Room for a packet in the queue.
#[derive(Debug)]
pub(crate) enum Room {
    /// There is some.
    Free,
    /// In the place of this one, which is dropped.
    Made(Box<OwnedPacket>),
    /// There is none.
    None,
}

/// The queue, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<u64, Entry>,
    by_uid: BTreeMap<(Uid, Program), u64>,
    shares: Shares,
    due: BTreeSet<(Duration, u64)>,
    last: u64,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The octets of all packets in it.
    pub(super) fn octets(&self) -> usize {
        self.entries.values().map(|entry| entry.packet.octets().len()).sum()
    }

    /// Makes room for a packet with this uid of a program.
    ///
    /// When the queue is full, whoever has most gives one up: nobody else loses anything, however many programs he
    /// lets send. It is the oldest if the server, which last sent anything at `server_sent`, has passed it over, that
    /// is, has left it unanswered while it sent others. If not, it is the newest, whose program may still be
    /// there to learn of it; but then nothing is dropped for a packet of the same program.
    pub(crate) fn make_room(&mut self, server_sent: Option<Duration>, program: Program, uid: Uid) -> Room {
        let first = Program { address: FIRST_ADDRESS, ..program };
        let is_same = |&(same, other): &(Uid, Program)| same == uid && other.owner == program.owner;
        if self.by_uid.range((uid, first)..).take_while(|(key, _)| is_same(key)).take(MAX_SAME_UID).count()
            == MAX_SAME_UID
        {
            return Room::None;
        }
        if self.entries.len() < MAX_PACKETS {
            return Room::Free;
        }
        let largest = self.shares.largest(program);
        let passed_over = self.shares.oldest(largest).filter(|number| {
            self.entries
                .get(number)
                .is_some_and(|entry| entry.due.is_some() && server_sent.is_some_and(|sent| sent > entry.first_sent))
        });
        let newest = || self.shares.newest(largest).filter(|_| largest != program);
        let dropped = passed_over.or_else(newest).and_then(|number| self.remove(number));
        dropped.map_or(Room::None, |entry| Room::Made(Box::new(entry.packet)))
    }

    pub(crate) fn contains(&self, program: Program, uid: Uid) -> bool {
        self.by_uid.contains_key(&(uid, program))
    }

    /// Queues a packet; `sent` when it is on its way to the server already.
    pub(super) fn add(&mut self, now: Duration, program: Program, received: Received, sent: bool) {
        self.last += 1;
        let Received { packet, local, .. } = received;
        let notice = packet.notice();
        let (uid, kind) = (notice.uid, notice.kind);
        self.by_uid.insert((uid, program), self.last);
        self.shares.add(program, self.last);
        let (queued_at, first_sent) = (now, now);
        let entry = Entry { packet, program, local, kind, uid, queued_at, first_sent, transmissions: 0, due: None };
        self.entries.insert(self.last, entry);
        if sent {
            self.transmitted(self.last, now);
        }
    }

    /// The server has answered; gives the packet back, the oldest if there are several such.
    pub(crate) fn answered(&mut self, answer: &Notice<'_>) -> Option<Entry> {
        let first = Program { owner: Owner::User(0), address: FIRST_ADDRESS };
        let same_uid = self.by_uid.range((answer.uid, first)..).take_while(|((uid, _), _)| *uid == answer.uid);
        let is_answered = |number: &u64| self.entries.get(number).is_some_and(|entry| entry.is_answered_by(answer));
        let number = same_uid.map(|(_, &number)| number).filter(is_answered).min()?;
        self.remove(number)
    }

    /// Stops sending until there is a server again.
    pub(crate) fn stop(&mut self) {
        self.due.clear();
        for entry in self.entries.values_mut() {
            entry.due = None;
        }
    }

    /// Sends again, as there is a server: all packets to send to it, the owners in turns, each one's oldest first. Who
    /// has few does not wait for who has many.
    pub(crate) fn restart(&mut self, now: Duration) -> Vec<Bytes> {
        let mut turns: HashMap<Owner, usize> = HashMap::new();
        let mut packets: Vec<(usize, u64, Bytes)> = Vec::with_capacity(self.entries.len());
        for (&number, entry) in &mut self.entries {
            entry.transmissions = 0;
            entry.first_sent = now;
            let turn = turns.entry(entry.program.owner).or_default();
            *turn += 1;
            packets.push((*turn, number, entry.packet.octets().clone()));
        }
        packets.sort_unstable_by_key(|&(turn, number, _)| (turn, number));
        for &(_, number, _) in &packets {
            self.transmitted(number, now);
        }
        packets.into_iter().map(|(_, _, octets)| octets).collect()
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
        self.by_uid.remove(&(entry.uid, entry.program));
        self.shares.remove(entry.program, number);
        if let Some(due) = entry.due {
            self.due.remove(&(due, number));
        }
        Some(entry)
    }
}
