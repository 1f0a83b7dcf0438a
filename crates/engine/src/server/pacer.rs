//! Pacing: no more packets are sent than can be acknowledged.
//!
//! Every delivery is acknowledged, and the system keeps only so many acknowledgements until the server reads them. A
//! large fan-out at full speed would drown its own acknowledgements and everything else that arrives. So only so many
//! packets are in flight at once; a further one goes when one is acknowledged, or has not been for some milliseconds.
//!
//! Repetitions have a lane of their own, and so has whatever goes for the first time to somebody who did not acknowledge
//! lately: those who are not there hold up each other, and nobody else.
//!
//! Deliveries are best handed in only when there [is room](Pacer::has_room) for them: whatever waits here waits in one
//! queue, whoever caused it.

use crate::machine::Transmit;
use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::uid::Uid;

pub(crate) type Key = (SocketAddr, Uid);

/// The lane of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// At once.
    Answers,
    /// When there is room to receive its acknowledgement, which has this uid.
    Deliveries(Uid),
    /// As deliveries, but to somebody who did not acknowledge lately and may not be there: must not hold up others.
    Silent(Uid),
    /// As deliveries, but not for the first time.
    Repetitions(Uid),
}

/// Timeout of a packet in flight.
const TIMEOUT: Duration = Duration::from_millis(20);
/// Octets of receive buffer that the system may use up for one acknowledgement.
const OCTETS_PER_ACK: usize = 2304;
/// A delivery that had to wait this long is reported.
const LATE_AFTER: Duration = Duration::from_millis(100);
/// A delivery that waits this long might soon be due again: shorter than the first wait for an acknowledgement.
const BEHIND_AFTER: Duration = Duration::from_secs(1);
/// Repetitions that wait; further ones are left for the next time.
const MAX_REPETITIONS: usize = 16_384;

#[derive(Debug)]
struct Queue {
    /// Packets of this lane among those that are not sorted yet.
    unsorted: usize,
    /// Since when, and what.
    waiting: VecDeque<(Duration, Uid, Transmit)>,
    in_flight: HashSet<Key>,
    /// The same and some that are acknowledged, by the time they were sent.
    order: VecDeque<(Duration, Key)>,
    max_in_flight: usize,
}

impl Queue {
    fn new(max_in_flight: usize) -> Self {
        Self {
            unsorted: 0,
            waiting: VecDeque::new(),
            in_flight: HashSet::new(),
            order: VecDeque::new(),
            max_in_flight: max_in_flight.max(1),
        }
    }

    fn has_room(&mut self, now: Duration) -> bool {
        while let Some((at, key)) = self.order.front()
            && (!self.in_flight.contains(key) || now.saturating_sub(*at) >= TIMEOUT)
        {
            self.in_flight.remove(key);
            self.order.pop_front();
        }
        self.in_flight.len() < self.max_in_flight
    }

    fn sent(&mut self, now: Duration, key: Key) {
        if self.in_flight.insert(key) {
            self.order.push_back((now, key));
        }
    }

    /// Whether one packet more would be sent at once.
    fn has_room_for_more(&mut self, now: Duration) -> bool {
        let may_send = self.waiting.is_empty() && self.has_room(now);
        may_send && self.in_flight.len().saturating_add(self.unsorted) < self.max_in_flight
    }

    /// The time at which a packet that waits here may be sent although nothing is acknowledged.
    fn next_chance(&self) -> Option<Duration> {
        self.waiting.front()?;
        Some(self.next_room())
    }

    /// The time at which there is room again although nothing is acknowledged.
    fn next_room(&self) -> Duration {
        self.order.front().map_or(Duration::ZERO, |(at, _)| *at + TIMEOUT)
    }
}

/// A packet that may be sent.
#[derive(Debug)]
pub(crate) struct Paced {
    pub(crate) transmit: Transmit,
    /// It is a delivery that had to wait for long.
    pub(crate) late: Option<Key>,
}

/// The pacer of outgoing packets.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Could not be sent just now.
    held: Option<Paced>,
    /// Of the packet handed out last: whether it was late.
    last_late: Option<Key>,
    /// Queued packets in order, not yet sorted into lanes.
    queued: VecDeque<(Lane, Transmit)>,
    deliveries: Queue,
    silent: Queue,
    repetitions: Queue,
}

/// The number of acknowledgements that may be in flight to a socket with a receive buffer of so many octets.
pub fn acknowledgements_in_flight(receive_buffer: usize) -> usize {
    // Half of the buffer is for what others send.
    (receive_buffer / OCTETS_PER_ACK / 2).clamp(8, 4096)
}

impl Pacer {
    /// Sends as much as causes so many acknowledgements at once.
    pub(crate) fn new(in_flight: usize) -> Self {
        Self {
            held: None,
            last_late: None,
            queued: VecDeque::new(),
            deliveries: Queue::new(in_flight.saturating_mul(3) / 4),
            // Few of those acknowledge: half of the receive buffer is left all the same.
            silent: Queue::new(in_flight / 4),
            repetitions: Queue::new(in_flight / 4),
        }
    }

    /// Whether a delivery that is queued now is sent at once.
    pub(crate) fn has_room(&mut self, now: Duration) -> bool {
        self.deliveries.has_room_for_more(now)
    }

    /// The same for one to somebody who did not acknowledge lately.
    pub(crate) fn has_room_for_silent(&mut self, now: Duration) -> bool {
        self.silent.has_room_for_more(now)
    }

    /// When there is room for deliveries although nothing is acknowledged.
    pub(crate) fn next_room(&self) -> Duration {
        self.deliveries.next_room()
    }

    /// Queues a packet.
    pub(crate) fn push(&mut self, lane: Lane, transmit: Transmit) {
        match lane {
            Lane::Answers => {}
            Lane::Deliveries(_) => self.deliveries.unsorted += 1,
            Lane::Silent(_) => self.silent.unsorted += 1,
            Lane::Repetitions(_) => self.repetitions.unsorted += 1,
        }
        self.queued.push_back((lane, transmit));
    }

    /// The packet to send now.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Paced> {
        let paced = self.held.take().or_else(|| self.due(now));
        self.last_late = paced.as_ref().and_then(|paced| paced.late);
        paced
    }

    fn due(&mut self, now: Duration) -> Option<Paced> {
        let lanes = [(&mut self.deliveries, true), (&mut self.silent, true), (&mut self.repetitions, false)];
        for (queue, paces) in lanes {
            if !queue.waiting.is_empty()
                && queue.has_room(now)
                && let Some((since, uid, transmit)) = queue.waiting.pop_front()
            {
                let key = (transmit.to, uid);
                queue.sent(now, key);
                let late = paces && now.saturating_sub(since) >= LATE_AFTER;
                return Some(Paced { transmit, late: late.then_some(key) });
            }
        }
        while let Some((lane, transmit)) = self.queued.pop_front() {
            let (queue, uid) = match lane {
                Lane::Answers => return Some(Paced { transmit, late: None }),
                Lane::Deliveries(uid) => (&mut self.deliveries, uid),
                Lane::Silent(uid) => (&mut self.silent, uid),
                Lane::Repetitions(uid) => (&mut self.repetitions, uid),
            };
            queue.unsorted = queue.unsorted.saturating_sub(1);
            if matches!(lane, Lane::Repetitions(_)) && queue.waiting.len() >= MAX_REPETITIONS {
                // It is pending, so its time comes again.
                continue;
            }
            let key = (transmit.to, uid);
            if queue.waiting.is_empty() && queue.has_room(now) {
                queue.sent(now, key);
                return Some(Paced { transmit, late: None });
            }
            queue.waiting.push_back((now, uid, transmit));
        }
        None
    }

    /// The socket takes no more at the moment: the packet handed out last is the next again.
    pub(crate) fn put_back(&mut self, transmit: Transmit) {
        self.held = Some(Paced { transmit, late: self.last_late });
    }

    /// Handles an acknowledgement.
    pub(crate) fn acknowledged(&mut self, from: SocketAddr, uid: Uid) {
        for queue in [&mut self.deliveries, &mut self.silent, &mut self.repetitions] {
            queue.in_flight.remove(&(from, uid));
        }
    }

    /// The number of queued packets, without queued repetitions.
    pub(crate) fn waiting(&self) -> usize {
        self.queued.len() + self.deliveries.waiting.len() + self.silent.waiting.len() + usize::from(self.held.is_some())
    }

    /// Whether a delivery has waited for so long that it could be due again before it was sent.
    pub(crate) fn is_behind(&self, now: Duration) -> bool {
        self.deliveries.waiting.front().is_some_and(|(since, ..)| now.saturating_sub(*since) >= BEHIND_AFTER)
    }

    /// The number of queued repetitions.
    pub(crate) fn repetitions(&self) -> usize {
        self.repetitions.waiting.len()
    }

    /// When a waiting packet may go although nothing is acknowledged.
    pub(crate) fn next_chance(&self) -> Option<Duration> {
        [&self.deliveries, &self.silent, &self.repetitions].into_iter().filter_map(Queue::next_chance).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::{IpAddr, Ipv4Addr};

    fn key(number: u16) -> Key {
        let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: u32::from(number) };
        (SocketAddr::from(([10, 0, 0, 1], number)), uid)
    }

    /// Room for six deliveries and two repetitions in flight.
    fn pacer() -> Pacer {
        Pacer::new(acknowledgements_in_flight(16 * OCTETS_PER_ACK))
    }

    /// The address that everything goes from.
    const HERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)));

    fn packet(number: u16) -> Transmit {
        Transmit { to: key(number).0, local: HERE, payload: Bytes::new() }
    }

    fn deliver(pacer: &mut Pacer, number: u16) {
        pacer.push(Lane::Deliveries(key(number).1), packet(number));
    }

    fn repeat(pacer: &mut Pacer, number: u16) {
        pacer.push(Lane::Repetitions(key(number).1), packet(number));
    }

    /// The ports of the packets that may go now.
    fn sent(pacer: &mut Pacer, now: Duration) -> Vec<u16> {
        let all = std::iter::from_fn(|| pacer.next(now));
        all.inspect(|paced| assert_eq!(paced.transmit.local, HERE)).map(|paced| paced.transmit.to.port()).collect()
    }

    #[test]
    fn only_so_many_are_in_flight() {
        let mut pacer = pacer();
        (1..=10).for_each(|number| deliver(&mut pacer, number));
        pacer.push(Lane::Answers, packet(99));
        let start = Duration::from_secs(5);
        assert_eq!(sent(&mut pacer, start), [1, 2, 3, 4, 5, 6, 99], "an answer waits for nothing");
        assert_eq!(pacer.waiting(), 4);
        pacer.acknowledged(key(2).0, key(3).1);
        assert_eq!(sent(&mut pacer, start), [0; 0], "nobody acknowledges for others");
        pacer.acknowledged(key(2).0, key(2).1);
        pacer.acknowledged(key(5).0, key(5).1);
        assert_eq!(sent(&mut pacer, start), [7, 8]);
        assert_eq!(pacer.next_chance(), Some(start + TIMEOUT));
        assert_eq!(sent(&mut pacer, start + TIMEOUT), [9, 10], "the dead do not stop the living");
        assert_eq!(pacer.next_chance(), None);
    }

    #[test]
    fn order_is_kept_for_everybody() {
        let mut pacer = pacer();
        (1..=7).for_each(|number| deliver(&mut pacer, number));
        let start = Duration::from_secs(5);
        assert_eq!(sent(&mut pacer, start).len(), 6);
        pacer.acknowledged(key(1).0, key(1).1);
        deliver(&mut pacer, 8);
        assert_eq!(sent(&mut pacer, start), [7]);
    }

    #[test]
    fn repetitions_hold_up_nobody_else() {
        let mut pacer = pacer();
        (1..=50).for_each(|number| repeat(&mut pacer, number));
        deliver(&mut pacer, 51);
        let start = Duration::from_secs(5);
        assert_eq!(sent(&mut pacer, start), [1, 2, 51]);
        assert_eq!((pacer.repetitions(), pacer.waiting()), (48, 0));
    }

    #[test]
    fn there_is_room_for_as_many_as_would_go_at_once() {
        let mut pacer = pacer();
        let start = Duration::from_secs(5);
        for number in 1..=6 {
            assert!(pacer.has_room(start), "{number}");
            deliver(&mut pacer, number);
        }
        assert!(!pacer.has_room(start), "what is not sorted yet counts");
        assert!(pacer.has_room_for_silent(start), "those who do not acknowledge have a lane of their own");
        assert_eq!(sent(&mut pacer, start).len(), 6);
        assert!(!pacer.has_room(start));
        assert_eq!(pacer.next_room(), start + TIMEOUT);
        pacer.acknowledged(key(1).0, key(1).1);
        assert!(pacer.has_room(start));
        deliver(&mut pacer, 7);
        assert!(!pacer.has_room(start) && pacer.has_room(start + TIMEOUT));
    }

    #[test]
    fn what_waited_for_long_is_told() {
        let mut pacer = pacer();
        (1..=7).for_each(|number| deliver(&mut pacer, number));
        let start = Duration::from_secs(5);
        assert_eq!(sent(&mut pacer, start).len(), 6);
        let paced = pacer.next(start + LATE_AFTER).expect("the seventh");
        assert_eq!(paced.late, Some(key(7)));
        pacer.put_back(paced.transmit);
        let again = pacer.next(start + LATE_AFTER).expect("the seventh again");
        assert_eq!(again.late, Some(key(7)), "also when the socket did not take it at first");
    }

    #[test]
    fn what_the_socket_did_not_take_is_next() {
        let mut pacer = pacer();
        (1..=2).for_each(|number| pacer.push(Lane::Answers, packet(number)));
        let first = pacer.next(Duration::ZERO).expect("the first");
        pacer.put_back(first.transmit);
        assert_eq!(sent(&mut pacer, Duration::ZERO), [1, 2]);
    }
}
