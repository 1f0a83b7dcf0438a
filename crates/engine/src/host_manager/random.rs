//! Random numbers of a host manager, by a generator that need not be better than it is: hosts that start at the same moment
//! are not to do everything at the same moment.

use std::time::Duration;

/// By how much a wait is longer or shorter than it says, in hundredths.
const JITTER: u32 = 20;

/// A generator of random numbers (splitmix64): the same seed gives the same ones.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; 0 when there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap_or(0).checked_rem(end).unwrap_or(0)
    }

    /// A wait that is up to a fifth shorter or longer than this one.
    pub(super) fn jittered(&mut self, wait: Duration) -> Duration {
        const STEPS: u16 = 1000;
        let step = u32::try_from(self.below(usize::from(STEPS) + 1)).unwrap_or(0);
        let shortest = wait * (100 - JITTER) / 100;
        shortest + wait * (2 * JITTER) / 100 * step / u32::from(STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_fifth_in_both_directions() {
        let mut random = Random::new(7);
        let waits: Vec<Duration> = (0..10_000).map(|_| random.jittered(Duration::from_secs(10))).collect();
        let (least, most) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
        assert!((8000..8050).contains(&least.as_millis()), "{least:?}");
        assert!((11_950..=12_000).contains(&most.as_millis()), "{most:?}");
    }

    #[test]
    fn of_nothing_there_is_nothing_to_choose() {
        assert_eq!((Random::new(1).below(0), Random::new(1).below(1)), (0, 0));
    }
}
