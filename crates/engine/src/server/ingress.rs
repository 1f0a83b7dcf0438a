//! Packets that wait until there is less to send.
//!
//! What one source sends must not make the others wait. So every source address has a line of its own, and the lines take
//! turns. When all room is taken, whoever has the most packets in it loses the newest of them.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

/// A packet that waits, with its source.
type Packet = (SocketAddr, Box<[u8]>);

/// The lines of all sources. Those that are empty are not kept.
#[derive(Debug, Default)]
pub struct FairQueue {
    lines: HashMap<IpAddr, VecDeque<Packet>>,
    /// Whose line is next.
    turns: VecDeque<IpAddr>,
    /// The same sources by the length of their lines.
    by_length: BTreeSet<(usize, IpAddr)>,
    count: usize,
}

impl FairQueue {
    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Lets a packet wait among `most`; false when one had to be dropped for that: another source's, or this one.
    pub fn enter(&mut self, from: SocketAddr, octets: &[u8], most: usize) -> bool {
        let host = from.ip();
        let own = self.lines.get(&host).map_or(0, VecDeque::len);
        let full = self.count >= most;
        if full {
            match self.by_length.last() {
                Some(&(longest, other)) if longest > own + 1 => self.drop_newest(other),
                _ => return false,
            }
        }
        let line = self.lines.entry(host).or_default();
        line.push_back((from, octets.into()));
        if own == 0 {
            self.turns.push_back(host);
        }
        self.resized(host, own, own + 1);
        !full
    }

    /// The packet whose turn it is.
    pub fn pop(&mut self) -> Option<Packet> {
        let host = self.turns.pop_front()?;
        let line = self.lines.get_mut(&host)?;
        let (packet, left) = (line.pop_front(), line.len());
        if left == 0 {
            self.lines.remove(&host);
        } else {
            self.turns.push_back(host);
        }
        self.resized(host, left + 1, left);
        packet
    }

    /// Of a line of at least two.
    fn drop_newest(&mut self, host: IpAddr) {
        let Some(line) = self.lines.get_mut(&host) else { return };
        line.pop_back();
        let left = line.len();
        self.resized(host, left + 1, left);
    }

    fn resized(&mut self, host: IpAddr, before: usize, now: usize) {
        self.by_length.remove(&(before, host));
        if now > 0 {
            self.by_length.insert((now, host));
        }
        self.count = (self.count + now).saturating_sub(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(room: &mut FairQueue, host: u8, number: u8) -> bool {
        room.enter(SocketAddr::from(([10, 0, 0, host], 2104)), &[host, number], 8)
    }

    /// Hosts and numbers of the next packets.
    fn next(room: &mut FairQueue, count: usize) -> Vec<(u8, u8)> {
        let packets = std::iter::from_fn(|| room.pop()).take(count);
        packets.map(|(_, octets)| (octets[0], octets[1])).collect()
    }

    #[test]
    fn sources_take_turns() {
        let mut room = FairQueue::default();
        (1..=5).for_each(|number| assert!(enter(&mut room, 1, number)));
        assert_eq!(next(&mut room, 2), [(1, 1), (1, 2)]);
        assert!(enter(&mut room, 2, 1) && enter(&mut room, 3, 1) && enter(&mut room, 2, 2));
        assert_eq!(next(&mut room, 9), [(1, 3), (2, 1), (3, 1), (1, 4), (2, 2), (1, 5)], "each in its own order");
        assert!(room.is_empty() && room.lines.is_empty() && room.by_length.is_empty());
    }

    #[test]
    fn who_takes_the_most_room_gives_way() {
        let mut room = FairQueue::default();
        (1..=8).for_each(|number| assert!(enter(&mut room, 1, number)));
        assert!(!enter(&mut room, 1, 9), "there is no room");
        (1..=9).for_each(|number| assert!(!enter(&mut room, 2, number), "something is dropped each time"));
        assert!(!enter(&mut room, 3, 1));
        assert_eq!(room.len(), 8);
        assert_eq!(next(&mut room, 9), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3), (2, 3), (1, 4)]);
        assert!(room.is_empty() && room.turns.is_empty());
        assert!(enter(&mut room, 2, 1) && !room.is_empty());
    }
}
