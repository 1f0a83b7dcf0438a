//! The choice of a server (host manager, section 6): those of the lowest priority come first, and among equals the weights
//! decide (RFC 2782).

use super::{Server, Servers};
use std::net::IpAddr;

/// Choices away from the primary before it is tried again.
const CHOICES_BEFORE_PRIMARY: u32 = 3;
/// One choice in so many times the sum of all weights falls on a server without weight.
const UNWEIGHTED_ONE_IN: usize = 100;

impl Servers {
    /// The current server does not answer where it was asked, or says that it goes: others come first, and it is at another
    /// of its addresses the next time.
    pub(in crate::host_manager) fn blame_current(&mut self) {
        if let Some(current) = self.current_mut() {
            current.silent = true;
            current.take_next_address();
        }
    }

    /// Everything may be different now: those that did not answer may.
    pub(in crate::host_manager) fn forgive_all(&mut self) {
        for server in &mut self.list {
            server.silent = false;
        }
    }

    /// Chooses another server: the suggested one if it is in the list, now and then the primary, else one of those that were
    /// not silent the last time.
    pub(in crate::host_manager) fn choose(&mut self, suggestion: Option<IpAddr>) {
        let is_suggested = |server: &Server| server.address().is_some_and(|address| Some(address.ip()) == suggestion);
        if let Some(place) = self.list.iter().position(is_suggested) {
            self.current = place;
            return;
        }
        let others = self.others();
        self.choices += 1;
        if self.choices > CHOICES_BEFORE_PRIMARY && !self.better().is_empty() {
            self.choices = 0;
            self.current = self.pick(&others).unwrap_or(self.current);
            return;
        }
        let is_heard = |place: &usize| self.list.get(*place).is_some_and(|server| !server.silent);
        let heard: Vec<usize> = others.iter().copied().filter(is_heard).collect();
        if heard.is_empty() {
            // A round is over, and another begins.
            for place in &others {
                if let Some(server) = self.list.get_mut(*place) {
                    server.silent = false;
                }
            }
        }
        self.current = self.pick(if heard.is_empty() { &others } else { &heard }).unwrap_or(self.current);
    }

    /// Chooses the first server whose address is known; whether there is one.
    pub(in crate::host_manager) fn choose_known(&mut self) -> bool {
        let known: Vec<usize> = (0..self.list.len())
            .filter(|&place| self.list.get(place).is_some_and(|server| server.address().is_some()))
            .collect();
        let first = known.into_iter().min_by_key(|&place| self.rank(place));
        self.current = first.unwrap_or(self.current);
        first.is_some()
    }

    /// Chooses the server at this place.
    pub(in crate::host_manager) fn choose_place(&mut self, place: usize) {
        if place < self.list.len() {
            (self.current, self.choices) = (place, 0);
        }
    }

    /// The places of the servers that are to be preferred to the current one, the best first.
    pub(in crate::host_manager) fn better(&self) -> Vec<usize> {
        let current = self.rank(self.current);
        let mut better: Vec<usize> = self.others().into_iter().filter(|&place| self.rank(place) < current).collect();
        better.sort_by_key(|&place| (self.rank(place), place));
        better
    }

    /// How much a server is to be preferred, the lower the more: by its priority; and one that has no weight, while equals of
    /// it have, is being drained.
    fn rank(&self, place: usize) -> Option<(u16, bool)> {
        let server = self.list.get(place)?;
        let is_equal = |other: &&Server| other.priority == server.priority;
        let is_drained = server.weight == 0 && self.list.iter().filter(is_equal).any(|other| other.weight > 0);
        Some((server.priority, is_drained))
    }

    /// The places of the other servers, from the current one on, without other names of it.
    pub(super) fn others(&self) -> Vec<usize> {
        let Some(current) = self.current() else { return Vec::new() };
        let places = (1..self.list.len()).map(|step| (self.current + step) % self.list.len());
        places.filter(|&place| self.list.get(place).is_some_and(|server| !server.is_same(current))).collect()
    }

    /// One of those of the lowest priority among these, by their weights (RFC 2782).
    pub(super) fn pick(&mut self, places: &[usize]) -> Option<usize> {
        let servers = || places.iter().filter_map(|&place| Some((place, self.list.get(place)?)));
        let first = servers().map(|(_, server)| server.priority).min()?;
        let equals: Vec<(usize, u16)> = servers()
            .filter(|(_, server)| server.priority == first)
            .map(|(place, server)| (place, server.weight))
            .collect();
        let unweighted: Vec<usize> =
            equals.iter().filter(|(_, weight)| *weight == 0).map(|&(place, _)| place).collect();
        let total: usize = equals.iter().map(|&(_, weight)| usize::from(weight)).sum();
        let point = self.random.below(total * UNWEIGHTED_ONE_IN + 1);
        if point == 0 && !unweighted.is_empty() {
            let step = self.random.below(unweighted.len());
            return unweighted.get(step).copied();
        }
        let mut point = point.div_ceil(UNWEIGHTED_ONE_IN);
        for &(place, weight) in &equals {
            let weight = usize::from(weight);
            if weight > 0 && point <= weight {
                return Some(place);
            }
            point = point.saturating_sub(weight);
        }
        equals.first().map(|&(place, _)| place)
    }
}
