//! Log lines on standard error, and the limit on how many a hostile network can cause.

use std::{
    collections::HashMap,
    hash::Hash,
    io::IsTerminal,
    time::{Duration, Instant},
};
use tracing_subscriber::EnvFilter;

/// Turns debug lines on and off while the program runs.
pub struct DebugSwitch(Box<dyn Fn(bool) + Send + Sync>);

impl DebugSwitch {
    /// Debug lines are written from now on, or no longer.
    pub fn set(&self, on: bool) {
        (self.0)(on);
    }
}

/// Begins to write log lines to standard error, in colours only to a terminal. `RUST_LOG` overrules `debug`.
pub fn start(debug: bool) -> DebugSwitch {
    let filter = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| level(debug));
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second start in one process, as in tests, keeps the first one's log.
    let _ = builder.try_init();
    DebugSwitch(Box::new(move |on| {
        // Fails only when the log is gone already.
        let _ = handle.reload(level(on));
    }))
}

fn level(debug: bool) -> EnvFilter {
    EnvFilter::new(if debug { "debug" } else { "info" })
}

/// Lets each kind of event through a limited number of times per period.
#[derive(Debug)]
pub struct RateLimit<K> {
    counts: HashMap<K, u64>,
    period: Option<Instant>,
}

impl<K: Hash + Eq> RateLimit<K> {
    /// Lines of one kind in one period.
    const LINES: u64 = 20;
    const PERIOD: Duration = Duration::from_secs(10);

    /// Nothing counted yet.
    pub fn new() -> Self {
        Self { counts: HashMap::new(), period: None }
    }

    /// Whether this event may be written. `K` must be one of few values; details of packets do not belong into it.
    ///
    /// The second value is how many events of the last period were not written, said once per period.
    pub fn admit(&mut self, kind: K, now: Instant) -> (bool, u64) {
        let mut suppressed = 0;
        if self.period.is_none_or(|start| now.duration_since(start) >= Self::PERIOD) {
            suppressed = self.counts.drain().map(|(_, count)| count.saturating_sub(Self::LINES)).sum();
            self.period = Some(now);
        }
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        (*count <= Self::LINES, suppressed)
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
    fn a_flood_of_one_kind_is_cut_and_counted() {
        let mut limit = RateLimit::new();
        let start = Instant::now();
        let admitted = (0..100).filter(|_| limit.admit("flood", start).0).count();
        assert_eq!(admitted, 20);
        assert_eq!(limit.admit("other", start), (true, 0));
        assert_eq!(limit.admit("flood", start + Duration::from_secs(11)), (true, 80));
    }
}
