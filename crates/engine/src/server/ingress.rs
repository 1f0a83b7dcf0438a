//! Packets that wait until the server has time for them.
//!
//! What one source sends must not make the others wait. So every source address has a queue of its own, and the queues take
//! turns. When all room is taken, whoever has the most in it loses the newest.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
};

/// The queues of all sources. Those that are empty are not kept.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    queues: HashMap<IpAddr, VecDeque<T>>,
    /// Whose turn it is.
    turns: VecDeque<IpAddr>,
    /// The same sources by the length of their queues.
    by_length: BTreeSet<(usize, IpAddr)>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new(), by_length: BTreeSet::new(), len: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How much waits.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Lets something of a source wait among `max`; false when something had to be dropped for that: another source's newest,
    /// or this.
    pub(crate) fn push(&mut self, source: IpAddr, item: T, max: usize) -> bool {
        let own = self.queues.get(&source).map_or(0, VecDeque::len);
        let full = self.len >= max;
        if full {
            match self.by_length.last() {
                Some(&(longest, other)) if longest > own + 1 => self.drop_newest(other),
                _ => return false,
            }
        }
        self.queues.entry(source).or_default().push_back(item);
        if own == 0 {
            self.turns.push_back(source);
        }
        self.resized(source, own, own + 1);
        !full
    }

    /// What comes next of those sources that are `ready`. The others keep their turns.
    pub(crate) fn pop(&mut self, ready: impl Fn(IpAddr) -> bool) -> Option<T> {
        let turn = self.turns.iter().position(|&source| ready(source))?;
        let source = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&source)?;
        let (item, left) = (queue.pop_front(), queue.len());
        if left == 0 {
            self.queues.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.resized(source, left + 1, left);
        item
    }

    /// Of a queue of at least two.
    fn drop_newest(&mut self, source: IpAddr) {
        let Some(queue) = self.queues.get_mut(&source) else { return };
        queue.pop_back();
        let left = queue.len();
        self.resized(source, left + 1, left);
    }

    fn resized(&mut self, source: IpAddr, before: usize, now: usize) {
        self.by_length.remove(&(before, source));
        if now > 0 {
            self.by_length.insert((now, source));
        }
        self.len = (self.len + now).saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(host: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, host])
    }

    fn push(queue: &mut FairQueue<(u8, u8)>, host: u8, number: u8) -> bool {
        queue.push(source(host), (host, number), 8)
    }

    /// Hosts and numbers of what comes next.
    fn next(queue: &mut FairQueue<(u8, u8)>, count: usize) -> Vec<(u8, u8)> {
        std::iter::from_fn(|| queue.pop(|_| true)).take(count).collect()
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = FairQueue::default();
        (1..=5).for_each(|number| assert!(push(&mut queue, 1, number)));
        assert_eq!(next(&mut queue, 2), [(1, 1), (1, 2)]);
        assert!(push(&mut queue, 2, 1) && push(&mut queue, 3, 1) && push(&mut queue, 2, 2));
        assert_eq!(next(&mut queue, 9), [(1, 3), (2, 1), (3, 1), (1, 4), (2, 2), (1, 5)], "each in its own order");
        assert!(queue.is_empty() && queue.queues.is_empty() && queue.by_length.is_empty());
    }

    #[test]
    fn who_takes_the_most_room_gives_way() {
        let mut queue = FairQueue::default();
        (1..=8).for_each(|number| assert!(push(&mut queue, 1, number)));
        assert!(!push(&mut queue, 1, 9), "there is no room");
        (1..=9).for_each(|number| assert!(!push(&mut queue, 2, number), "something is dropped each time"));
        assert!(!push(&mut queue, 3, 1));
        assert_eq!(queue.len(), 8);
        assert_eq!(next(&mut queue, 9), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3), (2, 3), (1, 4)]);
        assert!(queue.is_empty() && queue.turns.is_empty());
        assert!(push(&mut queue, 2, 1) && !queue.is_empty());
    }

    #[test]
    fn who_is_not_ready_holds_up_nobody_and_keeps_his_turn() {
        let mut queue = FairQueue::default();
        for (host, number) in [(1, 1), (2, 1), (1, 2), (3, 1)] {
            assert!(push(&mut queue, host, number));
        }
        let others = |host| host != source(1);
        assert_eq!([queue.pop(others), queue.pop(others), queue.pop(others)], [Some((2, 1)), Some((3, 1)), None]);
        assert_eq!(next(&mut queue, 9), [(1, 1), (1, 2)]);
    }
}
