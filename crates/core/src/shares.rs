//! Shares of a bounded room: who holds how much of it, and who holds most, so that nobody takes it all.

use crate::auth::{Identity, Verdict};
use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    net::IpAddr,
};

/// Whom something received is charged to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// The source address of what proves nothing. It may be forged.
    Source(IpAddr),
    /// The principal that is proven to have sent it.
    Proven(Identity),
}

impl Holder {
    /// The holder of a packet with this verdict from this address.
    pub fn new(verdict: &Verdict, from: IpAddr) -> Self {
        verdict.identity().map_or(Self::Source(from), |identity| Self::Proven(identity.clone()))
    }

    /// Whether it is a principal.
    pub const fn is_proven(&self) -> bool {
        matches!(self, Self::Proven(_))
    }
}

/// How much of a room each holder has: octets, or entries.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    held: HashMap<K, usize>,
    ranking: BTreeSet<(usize, K)>,
    total: usize,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { held: HashMap::new(), ranking: BTreeSet::new(), total: 0 }
    }
}

impl<K: Clone + Eq + Hash + Ord> Shares<K> {
    /// What all hold together.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// What this one holds.
    pub fn of(&self, holder: &K) -> usize {
        self.held.get(holder).copied().unwrap_or(0)
    }

    /// The holder of most, and how much that is.
    pub fn largest(&self) -> Option<(&K, usize)> {
        self.ranking.last().map(|(held, holder)| (holder, *held))
    }

    /// Changes what this one holds from `before` to `after`, two amounts of something that it has a part of.
    pub fn replace(&mut self, holder: &K, before: usize, after: usize) {
        let held = self.held.remove(holder).unwrap_or(0);
        self.ranking.remove(&(held, holder.clone()));
        self.total = self.total.saturating_sub(before) + after;
        let held = held.saturating_sub(before) + after;
        if held > 0 {
            self.held.insert(holder.clone(), held);
            self.ranking.insert((held, holder.clone()));
        }
    }

    /// Adds to what this one holds.
    pub fn add(&mut self, holder: &K, amount: usize) {
        self.replace(holder, 0, amount);
    }

    /// Takes from what this one holds.
    pub fn remove(&mut self, holder: &K, amount: usize) {
        self.replace(holder, amount, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_known_as_shares_change() {
        let mut shares = Shares::default();
        assert_eq!(shares.largest(), None);
        shares.add(&"a", 3);
        shares.add(&"b", 5);
        assert_eq!((shares.largest(), shares.total()), (Some((&"b", 5)), 8));
        shares.replace(&"b", 4, 1);
        assert_eq!((shares.largest(), shares.of(&"b")), (Some((&"a", 3)), 2));
        shares.remove(&"a", 3);
        assert_eq!((shares.largest(), shares.of(&"a"), shares.total()), (Some((&"b", 2)), 0, 2));
    }
}
