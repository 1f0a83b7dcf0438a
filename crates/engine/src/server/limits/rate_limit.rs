//! Rate limits per source address.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

/// A rate limit per source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Units of work in every second.
    pub(crate) per_second: usize,
    /// Units of work at once, after a pause.
    pub(crate) burst: usize,
    /// Sources that are told apart.
    pub(crate) sources: usize,
}

impl Rate {
    /// The time in which a source may cause this much work.
    fn time_for(&self, units: usize) -> Duration {
        let nanoseconds = (units as u128 * 1_000_000_000) / self.per_second.max(1) as u128;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// Rate limits of all sources, each as the moment at which its burst is available again.
///
/// A source that has made up is forgotten when there is need. When too many sources are busy at once, the further ones
/// share what one may cause.
#[derive(Debug)]
pub(crate) struct RateLimiter<K = IpAddr> {
    made_up: HashMap<K, Duration>,
    others: Duration,
    swept: Duration,
}

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self { made_up: HashMap::new(), others: Duration::ZERO, swept: Duration::ZERO }
    }
}

impl<K: Eq + Hash + Clone> RateLimiter<K> {
    /// Whether a source has so many units of its rate left.
    pub(crate) fn affords(&mut self, now: Duration, source: K, units: usize, rate: &Rate) -> bool {
        let made_up = *self.entry(now, source, rate.sources);
        made_up.max(now) + rate.time_for(units) <= now + rate.time_for(rate.burst.max(units))
    }

    /// Spends units of a source's rate; false, and nothing is spent, when it has not so many left.
    pub(crate) fn spend(&mut self, now: Duration, source: K, units: usize, rate: &Rate) -> bool {
        let affordable = self.affords(now, source.clone(), units, rate);
        if affordable {
            let made_up = self.entry(now, source, rate.sources);
            *made_up = (*made_up).max(now) + rate.time_for(units);
        }
        affordable
    }

    /// Charges a source for more units than it spent.
    pub(crate) fn charge(&mut self, now: Duration, source: K, units: usize, rate: &Rate) {
        let made_up = self.entry(now, source, rate.sources);
        let latest = now + rate.time_for(rate.burst);
        *made_up = ((*made_up).max(now) + rate.time_for(units)).min(latest.max(*made_up));
    }

    /// Gives units back that a source has spent.
    pub(crate) fn refund(&mut self, source: &K, units: usize, rate: &Rate) {
        if let Some(made_up) = self.made_up.get_mut(source) {
            *made_up = made_up.saturating_sub(rate.time_for(units));
        }
    }

    fn entry(&mut self, now: Duration, source: K, max: usize) -> &mut Duration {
        if !self.made_up.contains_key(&source) && self.made_up.len() >= max {
            // Once a second is enough: within one second nobody makes up for much.
            if now.saturating_sub(self.swept) >= Duration::from_secs(1) {
                self.made_up.retain(|_, made_up| *made_up > now);
                self.swept = now;
            }
            if self.made_up.len() >= max {
                return &mut self.others;
            }
        }
        self.made_up.entry(source).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20, sources: 3 };

    fn source(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn spent_at_once(limiter: &mut RateLimiter, now: Duration, number: u8) -> usize {
        (0..1000).take_while(|_| limiter.spend(now, source(number), 1, &RATE)).count()
    }

    #[test]
    fn a_source_may_cause_a_burst_and_then_its_rate() {
        let mut limiter = RateLimiter::default();
        let start = Duration::from_secs(100);
        assert_eq!(spent_at_once(&mut limiter, start, 1), 20);
        assert_eq!(spent_at_once(&mut limiter, start, 2), 20, "another source notices nothing");
        assert_eq!(spent_at_once(&mut limiter, start + Duration::from_secs(1), 1), 10);
        assert_eq!(spent_at_once(&mut limiter, start + Duration::from_secs(60), 1), 20, "no more than a burst");
    }

    #[test]
    fn what_costs_more_is_charged() {
        let mut limiter = RateLimiter::default();
        let start = Duration::from_secs(100);
        assert!(limiter.spend(start, source(1), 1, &RATE));
        limiter.charge(start, source(1), 9, &RATE);
        assert_eq!(spent_at_once(&mut limiter, start, 1), 10);
        limiter.charge(start, source(1), 1_000_000, &RATE);
        assert_eq!(spent_at_once(&mut limiter, start + Duration::from_secs(1), 1), 10, "debts end with the burst");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut limiter = RateLimiter::default();
        let start = Duration::from_secs(100);
        let spent: Vec<usize> = (0..6).map(|number| spent_at_once(&mut limiter, start, number)).collect();
        assert_eq!(spent, [20, 20, 20, 20, 0, 0], "those beyond the table share what one may");
        assert_eq!(limiter.made_up.len(), 3);
        let later = start + Duration::from_secs(2);
        assert_eq!(spent_at_once(&mut limiter, later, 9), 20, "who has made up makes room");
        assert_eq!(limiter.made_up.len(), 1);
    }
}
