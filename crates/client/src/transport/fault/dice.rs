//! Chance that can be had again: the same seed and the same call, the same throws.

/// The throws of one call.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

/// The golden ratio in 64 bits, by which SplitMix64 steps.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Dice {
    /// For the `nth` call, from 0: whoever throws between two calls changes nothing for the second.
    pub(super) const fn new(seed: u64, nth: u64) -> Self {
        Dice(mix(seed.wrapping_add(STEP)) ^ mix(nth.wrapping_mul(STEP).wrapping_add(1)))
    }

    /// Any number.
    pub(super) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// At least 0, less than 1.
    pub(super) fn fraction(&mut self) -> f64 {
        // As many bits as a fraction of this kind holds.
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// At least `low`, at most `high`.
    pub(super) const fn within(&mut self, low: u64, high: u64) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(width) => low + self.number() % width,
            None => self.number(),
        }
    }
}

/// SplitMix64's finaliser: neighbours in, strangers out.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn throws_are_even_and_the_same_each_time() {
        let hits = |seed: u64| (0..10_000).filter(|nth| Dice::new(seed, *nth).fraction() < 0.1).collect::<Vec<u64>>();
        for seed in [0, 1, 7, u64::MAX] {
            assert!((900..1100).contains(&hits(seed).len()), "{} of seed {seed}", hits(seed).len());
            assert_eq!(hits(seed), hits(seed));
        }
        assert_ne!(hits(1), hits(2));
        let mut dice = Dice::new(3, 3);
        let mut seen = [0; 3];
        (0..3000).for_each(|_| seen[usize::try_from(dice.within(5, 7) - 5).unwrap()] += 1);
        assert!(seen.iter().all(|count| *count > 850), "{seen:?}");
        assert_eq!(dice.within(9, 9), 9);
        dice.within(0, u64::MAX);
    }
}
