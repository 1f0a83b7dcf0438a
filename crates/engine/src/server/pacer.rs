//! Never sending more than can be heard back.
//!
//! Every delivery is acknowledged, and the system keeps only so many acknowledgements until the server reads them. A large
//! fan-out at full speed would drown its own acknowledgements and everything else that arrives. So only so many packets
//! are on their way at once; a further one goes when one is acknowledged, or has not been for some milliseconds.
//!
//! Repetitions, and whatever goes to somebody who did not acknowledge lately, have a lane of their own: those who are not
//! there hold up each other, and nobody else.

use crate::{
    outbox::{Lane, Transmit},
    server::Outbox,
};
use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};
use zephyr_core::uid::Uid;

type Key = (SocketAddr, Uid);

/// After this long without an acknowledgement a packet counts as not being on its way any more.
const TIMEOUT: Duration = Duration::from_millis(20);
/// Octets of receive buffer that the system may use up for one acknowledgement.
const OCTETS_PER_ACK: usize = 2304;
/// A delivery that had to wait this long is reported.
const LATE: Duration = Duration::from_millis(100);
/// A delivery that waits this long might soon be due again: shorter than the first wait for an acknowledgement.
const BEHIND: Duration = Duration::from_secs(1);
/// Repetitions that wait; further ones are left for the next time.
const MAX_REPETITIONS: usize = 16_384;

#[derive(Debug)]
struct Queue {
    /// Since when, and what.
    waiting: VecDeque<(Duration, Key, Transmit)>,
    on_the_way: HashSet<Key>,
    /// The same and some that are acknowledged, by the time they were sent.
    order: VecDeque<(Duration, Key)>,
    most: usize,
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), on_the_way: HashSet::new(), order: VecDeque::new(), most: most.max(1) }
    }

    fn has_room(&mut self, now: Duration) -> bool {
        while let Some((at, key)) = self.order.front()
            && (!self.on_the_way.contains(key) || now.saturating_sub(*at) >= TIMEOUT)
        {
            self.on_the_way.remove(key);
            self.order.pop_front();
        }
        self.on_the_way.len() < self.most
    }

    fn departs(&mut self, now: Duration, key: Key) {
        if self.on_the_way.insert(key) {
            self.order.push_back((now, key));
        }
    }

    /// When a packet may go although nothing is acknowledged.
    fn next_chance(&self) -> Option<Duration> {
        self.waiting.front()?;
        Some(self.order.front().map_or(Duration::ZERO, |(at, _)| *at + TIMEOUT))
    }
}

/// A packet whose turn it is.
#[derive(Debug)]
pub struct Departure {
    /// The packet.
    pub transmit: Transmit,
    /// It is a delivery that had to wait for long.
    pub late: Option<Key>,
}

/// Decides which packet goes next.
#[derive(Debug)]
pub struct Pacer {
    /// Could not be sent just now.
    held: Option<Departure>,
    deliveries: Queue,
    repetitions: Queue,
}

impl Pacer {
    /// For a socket with so many octets of receive buffer.
    pub fn new(receive_buffer: usize) -> Self {
        // Half of the buffer is for what others send.
        let acks = (receive_buffer / OCTETS_PER_ACK / 2).clamp(8, 4096);
        Self { held: None, deliveries: Queue::new(acks * 3 / 4), repetitions: Queue::new(acks / 4) }
    }

    /// The packet to send now. Whatever the engine has put out and may not go yet waits here.
    pub fn next(&mut self, now: Duration, outbox: &mut Outbox) -> Option<Departure> {
        if let Some(departure) = self.held.take() {
            return Some(departure);
        }
        for queue in [&mut self.deliveries, &mut self.repetitions] {
            if !queue.waiting.is_empty()
                && queue.has_room(now)
                && let Some((since, key, transmit)) = queue.waiting.pop_front()
            {
                queue.departs(now, key);
                let late = matches!(transmit.lane, Lane::Deliveries(_)) && now.saturating_sub(since) >= LATE;
                return Some(Departure { transmit, late: late.then_some(key) });
            }
        }
        while let Some(transmit) = outbox.next_transmit() {
            let (queue, uid) = match transmit.lane {
                Lane::Answers => return Some(Departure { transmit, late: None }),
                Lane::Deliveries(uid) => (&mut self.deliveries, uid),
                // It is pending, so its time comes again.
                Lane::Repetitions(_) if self.repetitions.waiting.len() >= MAX_REPETITIONS => continue,
                Lane::Repetitions(uid) => (&mut self.repetitions, uid),
            };
            let key = (transmit.to, uid);
            if queue.waiting.is_empty() && queue.has_room(now) {
                queue.departs(now, key);
                return Some(Departure { transmit, late: None });
            }
            queue.waiting.push_back((now, key, transmit));
        }
        None
    }

    /// The socket takes no more at the moment: this packet is the next again.
    pub fn not_yet(&mut self, departure: Departure) {
        self.held = Some(departure);
    }

    /// An acknowledgement has come.
    pub fn acknowledged(&mut self, from: SocketAddr, uid: Uid) {
        for queue in [&mut self.deliveries, &mut self.repetitions] {
            queue.on_the_way.remove(&(from, uid));
        }
    }

    /// Deliveries that wait.
    pub fn waiting(&self) -> usize {
        self.deliveries.waiting.len() + usize::from(self.held.is_some())
    }

    /// Whether a delivery has waited for so long that it could be due again before it was sent.
    pub fn is_behind(&self, now: Duration) -> bool {
        self.deliveries.waiting.front().is_some_and(|(since, ..)| now.saturating_sub(*since) >= BEHIND)
    }

    /// Repetitions that wait.
    pub fn repetitions(&self) -> usize {
        self.repetitions.waiting.len()
    }

    /// When a waiting packet may go although nothing is acknowledged.
    pub fn next_chance(&self) -> Option<Duration> {
        [self.deliveries.next_chance(), self.repetitions.next_chance()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::Ipv4Addr;

    fn key(number: u16) -> Key {
        let uid = Uid { address: Ipv4Addr::LOCALHOST, seconds: 1, micros: u32::from(number) };
        (SocketAddr::from(([10, 0, 0, 1], number)), uid)
    }

    /// Room for six deliveries and two repetitions on their way.
    fn pace() -> Pacer {
        Pacer::new(16 * OCTETS_PER_ACK)
    }

    fn deliver(outbox: &mut Outbox, number: u16) {
        let (to, uid) = key(number);
        outbox.send_by(Lane::Deliveries(uid), to, Bytes::new());
    }

    fn repeat(outbox: &mut Outbox, number: u16) {
        let (to, uid) = key(number);
        outbox.send_by(Lane::Repetitions(uid), to, Bytes::new());
    }

    /// The ports of the packets that may go now.
    fn departing(pace: &mut Pacer, now: Duration, outbox: &mut Outbox) -> Vec<u16> {
        std::iter::from_fn(|| pace.next(now, outbox)).map(|departure| departure.transmit.to.port()).collect()
    }

    #[test]
    fn only_so_many_are_on_their_way() {
        let (mut pace, mut outbox) = (pace(), Outbox::new());
        (1..=10).for_each(|number| deliver(&mut outbox, number));
        outbox.send(key(99).0, Bytes::new());
        let start = Duration::from_secs(5);
        assert_eq!(departing(&mut pace, start, &mut outbox), [1, 2, 3, 4, 5, 6, 99], "an answer waits for nothing");
        assert_eq!(pace.waiting(), 4);
        pace.acknowledged(key(2).0, key(3).1);
        assert_eq!(departing(&mut pace, start, &mut outbox), [0; 0], "nobody acknowledges for others");
        pace.acknowledged(key(2).0, key(2).1);
        pace.acknowledged(key(5).0, key(5).1);
        assert_eq!(departing(&mut pace, start, &mut outbox), [7, 8]);
        assert_eq!(pace.next_chance(), Some(start + TIMEOUT));
        assert_eq!(departing(&mut pace, start + TIMEOUT, &mut outbox), [9, 10], "the dead do not stop the living");
        assert_eq!(pace.next_chance(), None);
    }

    #[test]
    fn order_is_kept_for_everybody() {
        let (mut pace, mut outbox) = (pace(), Outbox::new());
        (1..=7).for_each(|number| deliver(&mut outbox, number));
        let start = Duration::from_secs(5);
        assert_eq!(departing(&mut pace, start, &mut outbox).len(), 6);
        pace.acknowledged(key(1).0, key(1).1);
        deliver(&mut outbox, 8);
        assert_eq!(departing(&mut pace, start, &mut outbox), [7]);
    }

    #[test]
    fn repetitions_hold_up_nobody_else() {
        let (mut pace, mut outbox) = (pace(), Outbox::new());
        (1..=50).for_each(|number| repeat(&mut outbox, number));
        deliver(&mut outbox, 51);
        let start = Duration::from_secs(5);
        assert_eq!(departing(&mut pace, start, &mut outbox), [1, 2, 51]);
        assert_eq!((pace.repetitions(), pace.waiting()), (48, 0));
    }

    #[test]
    fn what_waited_for_long_is_told() {
        let (mut pace, mut outbox) = (pace(), Outbox::new());
        (1..=7).for_each(|number| deliver(&mut outbox, number));
        let start = Duration::from_secs(5);
        assert_eq!(departing(&mut pace, start, &mut outbox).len(), 6);
        let departure = pace.next(start + LATE, &mut outbox).expect("the seventh");
        assert_eq!(departure.late, Some(key(7)));
        pace.not_yet(departure);
        let again = pace.next(start + LATE, &mut outbox).expect("the seventh again");
        assert_eq!(again.late, Some(key(7)), "also when the socket did not take it at first");
    }

    #[test]
    fn what_the_socket_did_not_take_is_next() {
        let (mut pace, mut outbox) = (pace(), Outbox::new());
        (1..=2).for_each(|number| outbox.send(key(number).0, Bytes::new()));
        let first = pace.next(Duration::ZERO, &mut outbox).expect("the first");
        pace.not_yet(first);
        assert_eq!(departing(&mut pace, Duration::ZERO, &mut outbox), [1, 2]);
    }
}
