//! A sketch of how long calls took: how many fell into each bucket, sixteen buckets an octave.
//!
//! A percentile read from it is off by 3.2 % at most, and sketches can be added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many durations there were, by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sketch(BTreeMap<i64, u64>);

/// The bucket of a duration.
fn bucket(micros: u64) -> i64 {
    if micros < 16 {
        return micros as i64;
    }
    let octave = 63 - micros.leading_zeros();
    i64::from(octave - 3) * 16 + ((micros >> (octave - 4)) & 15) as i64
}

/// The middle of a bucket.
fn middle(bucket: i64) -> u64 {
    let Ok(bucket) = u64::try_from(bucket) else { return 0 };
    if bucket < 16 {
        return bucket;
    }
    let shift = (bucket / 16 - 1).min(59);
    ((16 + bucket % 16) << shift) + ((1 << shift) >> 1)
}

impl Sketch {
    /// Of one duration.
    pub(crate) fn of(micros: u64) -> Self {
        Sketch(BTreeMap::from([(bucket(micros), 1)]))
    }

    /// As it is stored. What cannot be read is none.
    pub(crate) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// To be stored.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Counts one duration.
    pub fn count(&mut self, micros: u64) {
        *self.0.entry(bucket(micros)).or_default() += 1;
    }

    /// Adds what another has counted.
    pub fn join(&mut self, other: &Sketch) {
        for (bucket, more) in &other.0 {
            let count = self.0.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// The duration that `percent` of all do not exceed, in microseconds; `None` where there are none.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.0.values().sum();
        let rank = (all.saturating_mul(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_are_near() {
        let mut last = -1;
        for micros in (0..5_000).chain((1..40_000).map(|n| n * 15_013)) {
            let bucket = bucket(micros);
            assert!(bucket == last || micros >= 5_000 || bucket == last + 1, "{micros}: {bucket} after {last}");
            last = bucket;
            let off = middle(bucket).abs_diff(micros);
            assert!(off * 1000 <= micros * 32, "{micros}: {}", middle(bucket));
        }
        assert!(middle(bucket(u64::MAX)) > u64::MAX / 2);
    }

    #[test]
    fn percentiles_are_those_of_the_list() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.percentile(50), None);
        (1..=1000).for_each(|n| sketch.count(n * 1000));
        for (percent, exact) in [(50, 500_000_u64), (90, 900_000), (99, 990_000), (100, 1_000_000)] {
            let told = sketch.percentile(percent).unwrap();
            assert!(told.abs_diff(exact) * 1000 <= exact * 32, "{percent}: {told}");
        }
    }
}
