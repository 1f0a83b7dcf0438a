//! The seeded random number generator, the only source of chance in a simulation.

use std::time::Duration;

/// A generator of numbers (splitmix64), and what a simulation draws with it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % end).unwrap_or(0)
    }

    /// True in so many of a thousand cases.
    pub const fn chance(&mut self, per_mille: u16) -> bool {
        self.number() % 1000 < per_mille as u64
    }

    /// A time of at least `least` and less than `most`, in whole microseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX).max(1);
        least + Duration::from_micros(self.number() % width)
    }

    /// A time of at least `least` and less than `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_millis(least), Duration::from_millis(most))
    }

    /// A time of at least `least` and less than `most` seconds.
    pub fn seconds(&mut self, least: u64, most: u64) -> Duration {
        self.between(Duration::from_secs(least), Duration::from_secs(most))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }

    /// One of these, of which there is at least the first.
    pub fn one_of<T: Copy, const N: usize>(&mut self, first: T, others: [T; N]) -> T {
        let place = self.below(N + 1);
        place.checked_sub(1).and_then(|place| others.get(place).copied()).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_others() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..9).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn what_is_drawn_is_within_its_limits() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            assert!((5..7).contains(&random.seconds(5, 7).as_secs()));
            assert!(random.pick(&[1, 2, 3]).is_some() && random.below(0) == 0);
            assert!([1, 2].contains(&random.one_of(1, [2])));
        }
        assert!(random.pick::<u8>(&[]).is_none());
        assert!((0..1000).filter(|_| random.chance(100)).count() < 200);
    }
}
