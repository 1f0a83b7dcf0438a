//! Rate limits of log lines.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// A rate limit per kind of line, which counts what it suppresses.
#[derive(Debug)]
pub struct RateLimit<K> {
    kinds: HashMap<K, Kind>,
    period: Option<Instant>,
}

#[derive(Debug, Default)]
struct Kind {
    lines: u64,
    /// The first line that was not written.
    sample: Option<String>,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// Lines of one kind in one period.
    const LINES: u64 = 20;
    const PERIOD: Duration = Duration::from_secs(10);

    /// Nothing counted yet.
    pub fn new() -> Self {
        Self { kinds: HashMap::new(), period: None }
    }

    /// Whether lines of this kind are counted in this period already, or would be among the first `max` kinds.
    pub fn has_room_for(&self, kind: &K, max: usize) -> bool {
        self.kinds.len() < max || self.kinds.contains_key(kind)
    }

    /// Whether this line may be written. `K` must be one of few values: of what comes from packets only as much belongs
    /// into it as [`RateLimit::has_room_for`].
    pub fn admit(&mut self, kind: K, now: Instant, line: impl FnOnce() -> String) -> bool {
        self.period.get_or_insert(now);
        let kind = self.kinds.entry(kind).or_default();
        kind.lines += 1;
        let admitted = kind.lines <= Self::LINES;
        if !admitted {
            kind.sample.get_or_insert_with(line);
        }
        admitted
    }

    /// The time of the next summary.
    pub fn next_summary(&self) -> Option<Instant> {
        let suppressed = self.kinds.values().any(|kind| kind.sample.is_some());
        self.period.filter(|_| suppressed).map(|start| start + Self::PERIOD)
    }

    /// A summary of the lines that a finished period suppressed: one line for each kind.
    pub fn summaries(&mut self, now: Instant) -> Vec<String> {
        if self.period.is_none_or(|start| now.duration_since(start) < Self::PERIOD) {
            return Vec::new();
        }
        self.period = None;
        let summary = |kind: Kind| {
            let more = kind.lines.saturating_sub(Self::LINES);
            kind.sample.map(|sample| format!("{more} more like this: {sample}"))
        };
        self.kinds.drain().filter_map(|(_, kind)| summary(kind)).collect()
    }
}

impl<K: Hash + Eq> Default for RateLimit<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_cut_and_summed_up() {
        let mut limit = RateLimit::new();
        let start = Instant::now();
        let admitted = (0..100).filter(|number| limit.admit("flood", start, || format!("packet {number}"))).count();
        assert_eq!(admitted, 20);
        assert!(limit.admit("other", start, || "other".to_owned()));
        assert_eq!(limit.next_summary(), Some(start + Duration::from_secs(10)));
        assert!(limit.summaries(start + Duration::from_secs(9)).is_empty());
        assert_eq!(limit.summaries(start + Duration::from_secs(10)), ["80 more like this: packet 20"]);
        assert_eq!(limit.next_summary(), None);
        assert!(limit.admit("flood", start + Duration::from_secs(11), String::new), "a new period");
        assert!(limit.summaries(start + Duration::from_secs(30)).is_empty(), "nothing was left out in this one");
    }
}
