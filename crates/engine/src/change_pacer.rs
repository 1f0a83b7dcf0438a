//! How often what changes around a machine is acted on.

use std::time::Duration;

/// Minimum time between two reactions: what changes a network seldom changes one thing alone.
const MIN_INTERVAL: Duration = Duration::from_secs(2);
/// The time between two reactions to changes that do not stop.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// How many reactions follow each other by the minimum: a machine that wakes up has its network within about ten seconds.
const PROMPT_REACTIONS: u32 = 5;
/// How long nothing must change until the next change is the first one again.
const QUIET: Duration = Duration::from_secs(60);

/// Paces the reactions to changes: prompt at first, and ever more seldom while changes go on, as of an interface that comes and goes
/// or by somebody who makes them.
#[derive(Debug, Default)]
pub(crate) struct ChangePacer {
    last_change: Option<Duration>,
    last_reaction: Option<Duration>,
    reactions: u32,
}

impl ChangePacer {
    /// Notes a change at this monotonic time, and tells when to react to it.
    pub(crate) fn change(&mut self, now: Duration) -> Duration {
        if self.last_change.is_none_or(|last| now.saturating_sub(last) >= QUIET) {
            self.reactions = 0;
        }
        self.last_change = Some(now);
        self.last_reaction.map_or(now, |last| now.max(last + self.interval()))
    }

    /// Notes a reaction.
    pub(crate) fn react(&mut self, now: Duration) {
        self.last_reaction = Some(now);
        self.reactions = self.reactions.saturating_add(1);
    }

    fn interval(&self) -> Duration {
        let doublings = self.reactions.saturating_sub(PROMPT_REACTIONS).min(u32::BITS - 1);
        MIN_INTERVAL.saturating_mul(1 << doublings).min(MAX_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which there is a reaction, when something changes in each of these seconds.
    fn reactions(pacer: &mut ChangePacer, seconds: std::ops::Range<u64>) -> Vec<u64> {
        let mut due = None;
        seconds
            .filter(|&second| {
                let now = Duration::from_secs(second);
                due = Some(pacer.change(now));
                let is_due = due.is_some_and(|due| due <= now);
                if is_due {
                    pacer.react(now);
                }
                is_due
            })
            .collect()
    }

    #[test]
    fn changes_that_do_not_stop_are_acted_on_ever_more_seldom() {
        let mut pacer = ChangePacer::default();
        assert_eq!(reactions(&mut pacer, 0..300), [0, 2, 4, 6, 8, 10, 14, 22, 38, 70, 130, 190, 250]);
        assert_eq!(reactions(&mut pacer, 358..362), [358], "not quiet for long enough");
        assert_eq!(reactions(&mut pacer, 421..426), [421, 423, 425]);
    }

    #[test]
    fn the_first_change_after_a_quiet_minute_is_acted_on_at_once() {
        let mut pacer = ChangePacer::default();
        reactions(&mut pacer, 0..100);
        let (early, late) = (Duration::from_secs(101), Duration::from_secs(170));
        assert_eq!(pacer.change(early), Duration::from_secs(130));
        assert_eq!(pacer.change(late), late);
    }
}
