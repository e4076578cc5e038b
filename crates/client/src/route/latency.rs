//! How long a target takes until it answers: a moving average that believes bad news at once and good news slowly
//! ("peak EWMA", as Finagle has it: <https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/>).

use std::time::Duration;

/// What was seen longer ago than this counts for a third.
const MEMORY: Duration = Duration::from_secs(10);

/// The average of one target. Times are those of [`crate::clock::Clock::ticks`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// Seconds; `None` before the first answer.
    average: Option<f64>,
    at: Duration,
}

impl Latency {
    /// An answer took this long.
    pub(crate) fn add(&mut self, sample: Duration, now: Duration) {
        let sample = sample.as_secs_f64();
        self.average = Some(match self.average {
            Some(average) if sample < average => {
                let old = self.fade(now);
                sample + (average - sample) * old
            }
            _ => sample,
        });
        self.at = now;
    }

    /// Whether there has been no answer yet.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.average.is_none()
    }

    /// What the next answer may be expected to take. Without news the memory fades, so that a target that was slow gets
    /// another chance some day.
    pub(crate) fn expect(&self, now: Duration) -> Option<Duration> {
        self.average.map(|average| Duration::from_secs_f64(average * self.fade(now)))
    }

    /// How much of what was known at the last answer still counts.
    fn fade(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.at).as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_counts_at_once_and_fades() {
        let ms = Duration::from_millis;
        let mut latency = Latency::default();
        assert_eq!(latency.expect(ms(5)), None);
        latency.add(ms(50), ms(100));
        latency.add(ms(500), ms(200));
        assert_eq!(latency.expect(ms(200)), Some(ms(500)));
        latency.add(ms(50), ms(300));
        assert!(latency.expect(ms(300)).unwrap() > ms(450), "one good answer proves little");
        assert!(latency.expect(ms(30_300)).unwrap() < ms(50), "but nothing is held against it for ever");
        for at in 0..1000 {
            latency.add(ms(50), ms(400 + at * 50));
        }
        assert!(latency.expect(ms(50_400)).unwrap() < ms(55));
    }
}
