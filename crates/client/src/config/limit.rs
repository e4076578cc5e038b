//! `[limits."provider"]`, `[limits."provider/model"]`: how much goes to a provider, or to one model of it, at most.

use std::num::{NonZeroU32, NonZeroU64};

use serde::Deserialize;

use super::Config;
use crate::route::LimitRules;

/// Calls that may wait for each that may be out, where the configuration does not say.
const WAITING_FOR_EACH: u32 = 10;
/// Calls that may wait where only the pace is limited.
const WAITING: u32 = 1000;

/// One entry of `[limits]`. What is not given is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Calls that may be out at once; a stream is out until its end.
    pub in_flight: Option<NonZeroU32>,
    /// Calls that may wait for their turn; 0: none. Ten times `in_flight`, or 1000 where only the pace is limited.
    pub queue: Option<u32>,
    /// Calls that may begin in a minute: so many at once, and so many more a minute, evenly.
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens, of input and output together, in a minute: likewise.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Whether what the provider's answers tell of its own limits counts. Yes by default.
    pub learn: Option<bool>,
}

impl Limit {
    /// Calls that may wait.
    pub fn queue(&self) -> u32 {
        let usual = self.in_flight.map_or(WAITING, |most| most.get().saturating_mul(WAITING_FOR_EACH));
        self.queue.unwrap_or(usual)
    }

    /// Whether calls may have to wait because of it.
    pub fn holds(&self) -> bool {
        self.in_flight.is_some() || self.requests_per_minute.is_some() || self.tokens_per_minute.is_some()
    }
}

impl Config {
    /// The limits of one provider and of its models.
    pub(crate) fn limits_of(&self, provider: &str) -> LimitRules {
        let whole = self.limits.get(provider).copied().unwrap_or_default();
        let own = self.limits.iter().filter_map(|(name, limit)| {
            let (id, model) = name.split_once('/')?;
            (id == provider).then(|| (model.to_owned(), *limit))
        });
        LimitRules { whole, models: own.collect() }
    }
}
