//! The changes that other servers of ours have not been sent yet, in the order in which they were made or came here.
//!
//! Each server hands on what it makes and what others tell it, in its order, so whoever gets a change has got all that its maker
//! knew when it was made, whichever links are down.

use crate::server::{Change, Changed, peers::stream::StreamId, stamp::Stamp};
use std::collections::VecDeque;

/// Maximum number of changes that wait, and their octets, about. A server that has not been sent them by then gets a snapshot.
const MAX_ENTRIES: usize = 65_536;
const MAX_OCTETS: usize = 16 << 20;

/// A change that waits.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) changed: Changed,
    /// The stream that it came from, to which it is not sent.
    pub(super) from: Option<StreamId>,
    /// Its number among all changes that were ever told here.
    pub(super) told: u64,
    octets: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// The number of the first.
    first: u64,
    octets: usize,
}

impl Log {
    /// Adds a change.
    pub(super) fn push(&mut self, changed: Changed, from: Option<StreamId>, told: u64) {
        let octets = octets_of(&changed.change);
        self.octets += octets;
        self.entries.push_back(Entry { changed, from, told, octets });
        while self.entries.len() > MAX_ENTRIES || self.octets > MAX_OCTETS {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.octets -= first.octets;
            self.first += 1;
        }
    }

    /// Forgets those before this number.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.first < number && !self.entries.is_empty() {
            self.forget_first();
        }
    }

    /// The number of the first that is still there.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next that will be added.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entry of this number.
    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get(place)
    }
}

/// Whether a change is of use to other servers at all.
pub(super) const fn concerns_others(change: &Change) -> bool {
    !matches!(change, Change::HostGone { .. } | Change::Ended { .. })
}

fn octets_of(change: &Change) -> usize {
    let lists = match change {
        Change::Subscribed { destinations, .. }
        | Change::RealmSubscribed { destinations, .. }
        | Change::RealmAsked { destinations, .. } => destinations.iter().map(|it| it.text().len() + 24).sum(),
        Change::Unsubscribed { destinations, stamps, .. } | Change::RealmUnsubscribed { destinations, stamps, .. } => {
            destinations.iter().map(|it| it.text().len() + 24).sum::<usize>() + stamps.len() * size_of::<Stamp>()
        }
        Change::ClientGone { stamps, .. } => stamps.len() * size_of::<Stamp>(),
        Change::Located(located) => located.machine.len() + located.time.len() + located.tty.len(),
        _ => 0,
    };
    size_of::<Entry>() + 64 + lists
}
