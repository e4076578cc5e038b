//! The order in which a call's targets are asked. Pure: candidates, how they stand, and a throw of the dice go in, an
//! order comes out.

use std::time::Duration;

use serde::Deserialize;

use super::dice::mix;
use super::standing::{Fitness, Look};

/// How the targets of an alias share its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they are written: the first that is fit gets all.
    #[default]
    Order,
    /// By chance, each as often as its weight says.
    Weighted,
    /// The faster of two drawn by chance.
    Latency,
    /// The one with the fewest calls out.
    Busy,
    /// The cheapest.
    Cost,
    /// The one with the most room left in its provider's own limits.
    Tokens,
}

/// One target as the plan sees it.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// How it stands.
    pub look: Look,
    /// Targets of a higher number are asked when none of a lower one is fit.
    pub tier: u32,
    /// Its share among its tier.
    pub weight: u32,
    /// Whether it can do what is asked, as far as is known.
    pub able: bool,
    /// Whether the conversation carries state that it cannot read: signed thinking of another dialect's models.
    pub strange: bool,
    /// What the call may come to there, in any unit that all candidates share. `None`: not known.
    pub price: Option<u64>,
    /// How much is left of what its provider allows, in thousandths. `None`: not known.
    pub room: Option<u32>,
    /// Tells it from the others of its plan, for as long as its name stays.
    pub name_hash: u64,
}

/// Latencies that are closer than this are alike: then the number of calls counts.
const ALIKE_PERCENT: u32 = 150;

/// The candidates' positions in the order in which they are asked.
///
/// Those that can do it come before those that cannot; of these the fit ones, then those on trial, at rest, and at rest
/// by their provider's own word; of these those that can read what the conversation carries; of these the lower tiers;
/// of these it is as the strategy says. Nobody is left out. `seed` decides what is
/// left to chance. What is `sticky` (a user, a session) always finds the same order as long as the same targets are fit.
pub fn plan(strategy: Strategy, candidates: &[Candidate], sticky: Option<u64>, seed: u64) -> Vec<usize> {
    if let [_] = candidates {
        return vec![0];
    }
    let mut chance = Chance(seed);
    let mut ranked: Vec<(Rank, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| {
            let class = class(&candidate.look.fitness, &mut chance);
            let group = Group { unable: !candidate.able, class, strange: candidate.strange, tier: candidate.tier };
            let within = match sticky {
                // Rendezvous hashing: one that goes takes nobody else's place along.
                Some(who) => spread(mix(who ^ candidate.name_hash), candidate.weight),
                None => within(strategy, candidate, at, &mut chance),
            };
            (Rank { group, within }, at)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut order: Vec<usize> = ranked.iter().map(|(_, at)| *at).collect();
    if strategy == Strategy::Latency && sticky.is_none() {
        prefer_fast(&ranked, &mut order, candidates, &mut chance);
    }
    order
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    group: Group,
    within: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    unable: bool,
    class: u64,
    strange: bool,
    tier: u32,
}

fn class(fitness: &Fitness, chance: &mut Chance) -> u64 {
    match fitness {
        Fitness::Fit => 0,
        Fitness::Recovering(percent) if chance.below(100) < u64::from(*percent) => 0,
        Fitness::Recovering(_) => 1,
        Fitness::OnTrial => 2,
        // Who is fit again sooner is asked sooner, but not by a hair's breadth: in steps of a second.
        Fitness::Resting { left, hard, .. } => 3 + left.as_secs().min(1 << 20) + if *hard { 1 << 21 } else { 0 },
    }
}

fn within(strategy: Strategy, candidate: &Candidate, at: usize, chance: &mut Chance) -> u64 {
    match strategy {
        Strategy::Order => u64::try_from(at).unwrap_or(u64::MAX),
        Strategy::Weighted => spread(chance.throw(), candidate.weight),
        Strategy::Latency => chance.throw(),
        Strategy::Busy => {
            (u64::from(candidate.look.in_flight) << 32) / u64::from(candidate.weight.max(1)) + chance.below(1 << 16)
        }
        Strategy::Cost => candidate.price.unwrap_or(u64::MAX),
        Strategy::Tokens => (u64::from(1001 - candidate.room.unwrap_or(1000).min(1000)) << 32) + chance.below(1 << 16),
    }
}

/// A place by chance, the smaller the greater the weight: of several, each is first as often as its share
/// (Efraimidis and Spirakis: an exponential draw at the rate of the weight).
fn spread(number: u64, weight: u32) -> u64 {
    if weight == 0 {
        return u64::MAX;
    }
    // In (0, 1]: the logarithm of 0 is nowhere.
    let fraction = ((number >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let draw = -fraction.ln() / f64::from(weight);
    // 2^56 leaves room for the longest draw; order is all that counts.
    (draw * (1_u64 << 56) as f64) as u64
}

/// Of the first two, drawn by chance within their group, the faster goes first; of two alike, the one with fewer calls.
fn prefer_fast(ranked: &[(Rank, usize)], order: &mut [usize], candidates: &[Candidate], chance: &mut Chance) {
    let [(first, one), (second, other), ..] = ranked else { return };
    if first.group != second.group {
        return;
    }
    let look = |at: &usize| candidates.get(*at).map(|candidate| &candidate.look);
    let (Some(one), Some(other)) = (look(one), look(other)) else { return };
    let swap = match (one.latency, other.latency) {
        // Whoever is not known yet is tried.
        (Some(_), None) => true,
        (None, _) => false,
        (Some(a), Some(b)) if alike(a, b) => (other.in_flight, chance.below(2)) < (one.in_flight, 1),
        (Some(a), Some(b)) => b < a,
    };
    if swap {
        order.swap(0, 1);
    }
}

fn alike(a: Duration, b: Duration) -> bool {
    a.max(b) <= a.min(b) * ALIKE_PERCENT / 100
}

/// Throws that follow from the seed.
struct Chance(u64);

impl Chance {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        u64::try_from((u128::from(self.throw()) * u128::from(end)) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Candidate {
        Candidate { weight: 1, able: true, ..Candidate::default() }
    }

    fn resting(seconds: u64, hard: bool) -> Candidate {
        let fitness = Fitness::Resting { left: Duration::from_secs(seconds), hard, why: String::new() };
        Candidate { look: Look { fitness, ..Look::default() }, ..fit() }
    }

    fn firsts(strategy: Strategy, candidates: &[Candidate]) -> Vec<u32> {
        let mut counts = vec![0; candidates.len()];
        for seed in 0..10_000 {
            let order = plan(strategy, candidates, None, seed * 7919);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..candidates.len()).collect::<Vec<_>>(), "everybody once");
            counts[order[0]] += 1;
        }
        counts
    }

    #[test]
    fn the_fit_come_first_then_the_able_then_the_tiers() {
        let tiered = |tier| Candidate { tier, ..fit() };
        let unable = Candidate { able: false, ..fit() };
        let candidates = [unable, resting(1, true), tiered(2), resting(90, false), tiered(1), resting(1, false)];
        assert_eq!(plan(Strategy::Order, &candidates, None, 1), [4, 2, 5, 3, 1, 0]);
    }

    #[test]
    fn those_who_can_read_what_the_conversation_carries_come_first_if_they_are_fit() {
        let strange = Candidate { strange: true, ..fit() };
        let candidates = [strange.clone(), Candidate { tier: 3, ..fit() }, resting(9, false), strange];
        assert_eq!(plan(Strategy::Order, &candidates, None, 1), [1, 0, 3, 2]);
    }

    #[test]
    fn weights_are_shares() {
        let of = |weight| Candidate { weight, ..fit() };
        let counts = firsts(Strategy::Weighted, &[of(1), of(3), of(0), of(6)]);
        assert_eq!(counts[2], 0);
        assert!((900..1100).contains(&counts[0]) && (2850..3150).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn the_slow_are_left_alone_and_the_alike_share() {
        let of = |ms, in_flight| {
            let latency = Some(Duration::from_millis(ms));
            Candidate { look: Look { latency, in_flight, fitness: Fitness::Fit }, ..fit() }
        };
        let counts = firsts(Strategy::Latency, &[of(50, 3), of(500, 0), of(60, 3)]);
        assert_eq!(counts[1], 0, "{counts:?}");
        assert!(counts[0].abs_diff(counts[2]) < 400, "{counts:?}");
        let counts = firsts(Strategy::Latency, &[of(50, 9), of(60, 1)]);
        assert_eq!(counts[0], 0, "alike: the one with fewer calls");
    }

    #[test]
    fn the_idle_the_cheap_and_the_roomy_are_preferred() {
        let busy = |in_flight| Candidate { look: Look { in_flight, ..Look::default() }, ..fit() };
        assert_eq!(firsts(Strategy::Busy, &[busy(5), busy(2), busy(9)])[1], 10_000);
        let price = |price| Candidate { price, ..fit() };
        assert_eq!(firsts(Strategy::Cost, &[price(None), price(Some(9)), price(Some(3))])[2], 10_000);
        let room = |room| Candidate { room, ..fit() };
        assert_eq!(firsts(Strategy::Tokens, &[room(Some(100)), room(Some(900)), room(Some(0))])[1], 10_000);
    }

    #[test]
    fn who_sticks_stays_and_moves_only_when_it_must() {
        let candidates: Vec<_> = (0..5).map(|at| Candidate { name_hash: mix(at + 100), ..fit() }).collect();
        let mut counts = [0; 5];
        for who in 0..5000 {
            let order = plan(Strategy::Weighted, &candidates, Some(mix(who)), who);
            assert_eq!(order, plan(Strategy::Weighted, &candidates, Some(mix(who)), who + 1));
            counts[order[0]] += 1;
            let mut fewer = candidates.clone();
            fewer[order[0]] = Candidate { name_hash: candidates[order[0]].name_hash, ..resting(9, false) };
            let moved = plan(Strategy::Weighted, &fewer, Some(mix(who)), who);
            assert_eq!(moved[..4], order[1..], "the others keep their places");
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn who_recovers_gets_a_share() {
        let recovering = Candidate { look: Look { fitness: Fitness::Recovering(20), ..Look::default() }, ..fit() };
        let counts = firsts(Strategy::Order, &[recovering, fit()]);
        assert!((1800..2200).contains(&counts[0]), "{counts:?}");
    }
}
