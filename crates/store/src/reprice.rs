//! What calls would come to at other prices, from the tokens that are stored. No row is changed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use trunkline_codec::Result;
use trunkline_codec::catalog::{Models, Pieces, Work};
use trunkline_codec::ir::Usage;

use crate::id::Id;
use crate::logs::Wanted;
use crate::row::{BATCH, CallRow, ExchangeRow};
use crate::store::Store;

/// The kinds of an exchange's tokens that have no column of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kinds {
    /// Of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Of `cache_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<u64>,
    /// Of `cache_write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    /// Of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<u64>,
    /// Of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<u64>,
}

impl From<&Usage> for Kinds {
    fn from(usage: &Usage) -> Self {
        let Usage { cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output, .. } = *usage;
        Kinds { cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output }
    }
}

/// What calls of one target came to, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repriced {
    /// Exchanges.
    pub exchanges: u64,
    /// What they came to, as it is stored, in millionths.
    pub stored: u64,
    /// What they would come to.
    pub now: u64,
    /// Exchanges whose cost would be another one.
    pub changed: u64,
    /// Exchanges with a stored cost for which there is no price now, or in another currency.
    pub unknown: u64,
}

/// One exchange, as far as money is concerned.
struct Item {
    target: String,
    work: Work,
    is_batch: bool,
    stored: Option<(u64, String)>,
}

/// Calls that are read at one time.
const PAGE: u32 = 1000;

impl Store {
    /// The cost of all calls since then, as stored and at these prices, by target and currency. `in_batch` are the hundredths
    /// of the live price that a target's provider asks in a batch, where the model's row does not say.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn reprice(
        &mut self,
        models: &Models,
        in_batch: impl Fn(&str) -> u32,
        since: SystemTime,
    ) -> Result<BTreeMap<(String, String), Repriced>> {
        let mut sums: BTreeMap<(String, String), Repriced> = BTreeMap::new();
        let mut after = Some(Id::first_at(since));
        while let Some(id) = after {
            let calls = self.calls(&Wanted { limit: PAGE, after: Some(id), ..Wanted::default() }).await?;
            for item in calls.iter().flat_map(items) {
                let now = match item.is_batch {
                    true => models.batch_cost(&item.target, &item.work, in_batch(&item.target)),
                    false => models.cost(&item.target, &item.work),
                };
                let now = now.map(|cost| (cost.micros, cost.currency.as_str().to_owned()));
                add(&mut sums, item.target, item.stored, now);
            }
            after = calls.last().map(|call| call.id);
        }
        Ok(sums)
    }
}

type Money = Option<(u64, String)>;

fn add(sums: &mut BTreeMap<(String, String), Repriced>, target: String, stored: Money, now: Money) {
    let Some(currency) = stored.as_ref().or(now.as_ref()).map(|(_, currency)| currency.clone()) else { return };
    let now = now.filter(|(_, other)| *other == currency).map(|(micros, _)| micros);
    let stored = stored.map(|(micros, _)| micros);
    let sum = sums.entry((target, currency)).or_default();
    sum.exchanges += 1;
    sum.stored = sum.stored.saturating_add(stored.unwrap_or(0));
    sum.now = sum.now.saturating_add(now.unwrap_or(0));
    sum.changed += u64::from(now.is_some() && now != stored);
    sum.unknown += u64::from(now.is_none());
}

/// The exchanges of a call that took something.
fn items(call: &CallRow) -> Vec<Item> {
    let money = |micros: Option<u64>, currency: Option<&str>| Some((micros?, currency?.to_owned()));
    let is_batch = call.operation == BATCH;
    let usage = usage(call.input, call.output, call.usage_estimated, &kinds(call));
    let pieces = Pieces {
        images: call.images.unwrap_or(0),
        milliseconds: call.audio_ms.unwrap_or(0),
        characters: call.characters.unwrap_or(0),
        requests: call.requests.unwrap_or(0),
    };
    let at = |end_us: u64| minute(call.begun_us.saturating_add(end_us));
    let whole = |target: &str, stored| Item {
        target: target.to_owned(),
        work: Work { pieces, minute: at(call.elapsed_us), ..Work::from(usage.unwrap_or_default()) },
        is_batch,
        stored,
    };
    let took = usage.is_some() || !pieces.is_empty();
    match call.exchanges.as_slice() {
        [] => {
            let target = call.target.as_deref().filter(|_| took);
            target.map(|target| whole(target, money(call.cost_micros, call.currency.as_deref()))).into_iter().collect()
        }
        [one] if took => vec![whole(&one.target, money(one.cost_micros, one.currency.as_deref()))],
        many => {
            // What is counted by the piece is what was answered.
            let answered = many.iter().rposition(|exchange| exchange.error.is_none()).unwrap_or(many.len());
            let item = |(number, exchange): (usize, &ExchangeRow)| {
                let kinds = exchange.kinds.clone().unwrap_or_default();
                let usage = self::usage(exchange.input, exchange.output, exchange.usage_estimated, &kinds);
                let pieces = if number == answered { pieces } else { Pieces::default() };
                let end = exchange.started_us.saturating_add(exchange.elapsed_us);
                let work = Work { pieces, minute: at(end), ..Work::from(usage.unwrap_or_default()) };
                let stored = money(exchange.cost_micros, exchange.currency.as_deref());
                (usage.is_some() || !pieces.is_empty()).then(|| Item {
                    target: exchange.target.to_string(),
                    work,
                    is_batch,
                    stored,
                })
            };
            many.iter().enumerate().filter_map(item).collect()
        }
    }
}

fn kinds(call: &CallRow) -> Kinds {
    let CallRow { cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output, .. } = *call;
    Kinds { cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output }
}

fn usage(input: Option<u64>, output: Option<u64>, estimated: bool, kinds: &Kinds) -> Option<Usage> {
    if input.is_none() && output.is_none() {
        return None;
    }
    let Kinds { cache_read, cache_write, cache_write_5m, cache_write_1h, reasoning, audio_input, audio_output } = *kinds;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input,
        output,
        cache_read,
        cache_write,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        estimated,
    })
}

/// The minute of the week in UTC, of microseconds since 1970; 0 is Monday 00:00.
fn minute(micros: u64) -> Option<u16> {
    let minutes = micros / 60_000_000;
    // The epoch was a Thursday.
    u16::try_from((minutes + 3 * 24 * 60) % (7 * 24 * 60)).ok()
}
