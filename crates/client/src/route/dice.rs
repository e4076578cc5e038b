//! Chance, as an argument: the same seed throws the same.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Throws numbers. Many threads may throw at once.
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Dice {
    /// Dice that throw the same as all others of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Dice(AtomicU64::new(seed))
    }

    /// Dice that nobody can foresee.
    #[must_use]
    pub fn loaded_by_chance() -> Self {
        let mut seed = [0; 8];
        // Without a source of randomness the order of targets is foreseeable, which harms nobody.
        let _ = getrandom::fill(&mut seed);
        Dice::new(u64::from_ne_bytes(seed))
    }

    /// Any number, each as likely as the next.
    pub fn throw(&self) -> u64 {
        mix(self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&self, end: u64) -> u64 {
        // The high half of a product: no modulo, and no bias that could be noticed.
        u64::try_from((u128::from(self.throw()) * u128::from(end)) >> 64).unwrap_or(0)
    }
}

/// `SplitMix64`'s finaliser: neighbours in, strangers out.
#[must_use]
pub const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_no_number_is_preferred() {
        let (one, other) = (Dice::new(7), Dice::new(7));
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            let number = one.below(10);
            assert_eq!(number, other.below(10));
            counts[usize::try_from(number).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(one.below(0), 0);
    }
}
