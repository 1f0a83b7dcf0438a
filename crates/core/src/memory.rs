//! A memory of packets that is bounded in time and number, and fair: whoever fills it pushes out only his own.

use crate::shares::Shares;
use std::{collections::BTreeMap, hash::Hash, time::Duration};

/// Remembers keys, each on the account of somebody.
#[derive(Debug)]
pub(crate) struct Memory<K, H> {
    entries: BTreeMap<K, Entry<H>>,
    /// By when they are to be forgotten.
    by_due: BTreeMap<(Duration, u64), K>,
    /// By whose they are, those seen longest ago first.
    by_holder: BTreeMap<(H, u64), K>,
    shares: Shares<H>,
    noted: u64,
}

#[derive(Debug)]
struct Entry<H> {
    holder: H,
    due: Duration,
    order: u64,
}

impl<K, H> Default for Memory<K, H> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_due: BTreeMap::new(),
            by_holder: BTreeMap::new(),
            shares: Shares::default(),
            noted: 0,
        }
    }
}

impl<K: Clone + Ord, H: Clone + Eq + Hash + Ord> Memory<K, H> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The first key at or after this one.
    pub(crate) fn first_from(&self, key: &K) -> Option<&K> {
        self.entries.range(key..).next().map(|(key, _)| key)
    }

    /// Remembers a key until `due`, or longer if it was to be remembered longer.
    pub(crate) fn note(&mut self, key: K, holder: H, due: Duration) {
        let known = self.remove(&key);
        let (holder, due) = known.map_or((holder, due), |entry| (entry.holder, entry.due.max(due)));
        self.noted += 1;
        let order = self.noted;
        self.by_due.insert((due, order), key.clone());
        self.by_holder.insert((holder.clone(), order), key.clone());
        self.shares.add(&holder, 1);
        self.entries.insert(key, Entry { holder, due, order });
    }

    /// Forgets one key whose time has come.
    pub(crate) fn forget_due(&mut self, now: Duration) -> Option<K> {
        let (_, key) = self.by_due.first_key_value().filter(|((due, _), _)| *due < now)?;
        let key = key.clone();
        self.remove(&key);
        Some(key)
    }

    /// Forgets, before its time, the oldest key of whoever has most.
    pub(crate) fn forget_early(&mut self) -> Option<K> {
        let (holder, _) = self.shares.largest()?;
        let holder = holder.clone();
        let (_, key) = self.by_holder.range((holder.clone(), 0)..=(holder, u64::MAX)).next()?;
        let key = key.clone();
        self.remove(&key);
        Some(key)
    }

    fn remove(&mut self, key: &K) -> Option<Entry<H>> {
        let entry = self.entries.remove(key)?;
        self.by_due.remove(&(entry.due, entry.order));
        self.by_holder.remove(&(entry.holder.clone(), entry.order));
        self.shares.remove(&entry.holder, 1);
        Some(entry)
    }
}
