//! What a model costs, and what a call came to.

use serde::{Deserialize, Serialize};

use super::money::{Cost, Currency, Rate};
use super::week::Window;
use crate::ir::Usage;

/// Declares [`Rates`] and everything that is written with the same keys, so that no kind is known in one place only.
macro_rules! rates {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Prices by kind, each optional: a kind without one costs what the kind that it is part of costs, or is not known.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Rates { $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<Rate>,)* }

        impl Rates {
            /// Takes what the other names.
            pub fn merge(&mut self, other: &Self) {
                $(if other.$name.is_some() { self.$name = other.$name; })*
            }

            /// Forgets what the other names.
            pub fn clear(&mut self, other: &Self) {
                $(if other.$name.is_some() { self.$name = None; })*
            }

            /// The kinds that have a price, by their key.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Rate)> {
                [$((stringify!($name), self.$name),)*].into_iter().filter_map(|(kind, rate)| Some((kind, rate?)))
            }
        }

        /// One model's row as written: everything may be missing, unknown keys are errors. The same keys in
        /// `models/*.toml`, in `prices.toml` and in the `[prices."provider/model"]` tables of a configuration.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ModelPatch {
            /// The context window, in tokens: prompt and answer together.
            pub context: Option<u64>,
            /// The longest answer, in tokens.
            pub max_output: Option<u64>,
            /// What it can do.
            pub able: Option<super::ability::Abilities>,
            /// The currency of all prices of the row.
            pub currency: Option<Currency>,
            /// Other prices where the prompt is longer than `above` tokens.
            pub tiers: Option<Vec<Tier>>,
            /// Other prices for calls that were handed in as a batch.
            pub batch: Option<Rates>,
            /// Other prices at some hours.
            pub off_peak: Option<OffPeak>,
            /// Where the figures are published.
            pub source: Option<String>,
            /// When they stood there: `YYYY-MM` or `YYYY-MM-DD`.
            pub date: Option<String>,
            $($(#[$doc])* pub $name: Option<Rate>,)*
        }

        impl ModelPatch {
            /// The prices of the row itself.
            pub fn rates(&self) -> Rates {
                Rates { $($name: self.$name,)* }
            }

            /// Replaces the prices of the row itself.
            pub fn set_rates(&mut self, rates: &Rates) {
                $(self.$name = rates.$name;)*
            }
        }

        /// Prices for prompts that are longer than `above` tokens. All tokens of such a call cost that much, not only
        /// those above.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Tier {
            /// The longest prompt that is priced otherwise, in tokens.
            pub above: u64,
            /// Other prices in a batch.
            pub batch: Option<Rates>,
            $($(#[$doc])* pub $name: Option<Rate>,)*
        }

        impl Tier {
            /// The prices.
            pub fn rates(&self) -> Rates {
                Rates { $($name: self.$name,)* }
            }

            /// Replaces the prices.
            pub fn set_rates(&mut self, rates: &Rates) {
                $(self.$name = rates.$name;)*
            }
        }

        /// Prices at some hours of the week.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct OffPeak {
            /// When, in UTC.
            pub utc: Vec<Window>,
            $($(#[$doc])* pub $name: Option<Rate>,)*
        }

        impl OffPeak {
            /// Forgets the prices that the other names.
            pub fn clear(&mut self, other: &Rates) {
                $(if other.$name.is_some() { self.$name = None; })*
            }

            /// The prices.
            pub fn rates(&self) -> Rates {
                Rates { $($name: self.$name,)* }
            }
        }
    };
}

rates! {
    /// A million tokens of the prompt.
    input,
    /// A million tokens of the answer.
    output,
    /// A million tokens read from a cache.
    cache_read,
    /// A million tokens written to a cache.
    cache_write,
    /// A million tokens written to a cache for an hour.
    cache_write_1h,
    /// A million tokens of reasoning, where they do not cost what other output costs.
    reasoning,
    /// A million tokens of audio in the prompt.
    audio_input,
    /// A million tokens of audio in the answer.
    audio_output,
    /// A million tokens of images in the prompt.
    image_input,
    /// A million tokens of images in the answer.
    image_output,
    /// A million characters, where text is not counted in tokens.
    characters,
    /// One image.
    image,
    /// One second of audio.
    second,
    /// One request, whatever else it costs.
    request,
}

impl Rates {
    /// Whether any kind of token has a price.
    fn counts_tokens(&self) -> bool {
        let Self { input, output, cache_read, audio_input, audio_output, image_input, image_output, .. } = self;
        [input, output, cache_read, audio_input, audio_output, image_input, image_output].iter().any(|rate| rate.is_some())
    }
}

/// The prices of a model, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The currency of them all.
    pub currency: Currency,
    /// By the length of the prompt, the shortest first. Never empty; the first is above 0.
    pub levels: Vec<Level>,
    /// At some hours of the week, over those of the first level.
    pub off_peak: Option<OffPeak>,
}

/// The prices from one length of prompt on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The prompt is longer than this, in tokens.
    pub above: u64,
    /// The prices.
    pub rates: Rates,
    /// What is different in a batch.
    pub batch: Option<Rates>,
}

/// What a call took: tokens, and what is counted otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Tokens.
    pub usage: Usage,
    /// Of the prompt's tokens: images, where they are counted apart.
    pub image_input: u64,
    /// Of the answer's tokens: images, where they are counted apart.
    pub image_output: u64,
    /// What is counted by the piece.
    pub pieces: Pieces,
    /// Handed in as a batch.
    pub batch: bool,
    /// When: the minute of the week in UTC, 0 is Monday 00:00. `None` is never off-peak.
    pub minute: Option<u16>,
}

/// What a call took that is not counted in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pieces {
    /// Images that were made.
    pub images: u64,
    /// Length of the audio, in milliseconds.
    pub milliseconds: u64,
    /// Characters (Unicode scalar values) of text.
    pub characters: u64,
    /// How many requests it counts for; 0 is one.
    pub requests: u64,
}

impl Pieces {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another request took.
    pub fn join(&mut self, other: Self) {
        self.images = self.images.saturating_add(other.images);
        self.milliseconds = self.milliseconds.saturating_add(other.milliseconds);
        self.characters = self.characters.saturating_add(other.characters);
        self.requests = self.requests.saturating_add(other.requests);
    }
}

impl From<Usage> for Work {
    /// One request that took so many tokens.
    fn from(usage: Usage) -> Self {
        Self { usage, ..Self::default() }
    }
}

impl Price {
    /// From a row; `None` when it has no price at all.
    pub fn from_patch(patch: &ModelPatch, currency: Currency) -> Option<Self> {
        let rates = patch.rates();
        rates.iter().next()?;
        let mut levels = vec![Level { above: 0, rates: rates.clone(), batch: patch.batch.clone() }];
        for tier in patch.tiers.iter().flatten() {
            let mut higher = rates.clone();
            higher.merge(&tier.rates());
            levels.push(Level { above: tier.above, rates: higher, batch: tier.batch.clone() });
        }
        levels.sort_by_key(|level| level.above);
        Some(Self { currency: patch.currency.unwrap_or(currency), levels, off_peak: patch.off_peak.clone() })
    }

    /// The prices of the shortest prompts.
    pub fn base(&self) -> Rates {
        self.levels.first().map(|level| level.rates.clone()).unwrap_or_default()
    }

    /// The level that a prompt of this length is on.
    fn level(&self, work: &Work) -> Option<&Level> {
        self.levels.iter().rev().find(|level| level.above == 0 || level.above < work.usage.input)
    }

    /// The prices for a call like this.
    fn rates(&self, work: &Work) -> Rates {
        let level = self.level(work);
        let mut rates = level.map(|level| level.rates.clone()).unwrap_or_default();
        let off_peak = self.off_peak.as_ref().filter(|_| level.is_none_or(|level| level.above == 0));
        if let (Some(off_peak), Some(minute)) = (off_peak, work.minute)
            && off_peak.utc.iter().any(|window| window.holds(minute))
        {
            rates.merge(&off_peak.rates());
        }
        if let Some(batch) = level.and_then(|level| level.batch.as_ref()).filter(|_| work.batch) {
            rates.merge(batch);
        }
        rates
    }

    /// What a call came to, rounded once, at the end, to the nearest millionth. `None` when something that it took has
    /// no known price.
    ///
    /// No token is paid for twice: cached and audio tokens are parts of `input`, reasoning and audio of `output`, and
    /// parts that claim more than the whole are cut to it.
    pub fn cost(&self, work: &Work) -> Option<Cost> {
        Some(Cost { currency: self.currency, micros: self.bill(work)?.micros() })
    }

    /// What a call came to that was handed in as a batch: at the row's own prices for that, else at so many hundredths of
    /// the others.
    pub fn batch_cost(&self, work: &Work, percent: u32) -> Option<Cost> {
        let is_told = self.level(work).is_some_and(|level| level.batch.is_some());
        let Bill(whole) = self.bill(&Work { batch: true, ..*work })?;
        let bill = if is_told { whole } else { whole.saturating_mul(u128::from(percent)) / 100 };
        Some(Cost { currency: self.currency, micros: Bill(bill).micros() })
    }

    fn bill(&self, work: &Work) -> Option<Bill> {
        let rates = self.rates(work);
        let mut bill = Bill::default();
        let Pieces { images, milliseconds, characters, .. } = work.pieces;
        if rates.counts_tokens() {
            // What was made took tokens that nobody told of.
            if work.usage.total() == 0 && (images > 0 || milliseconds > 0 || characters > 0) {
                return None;
            }
            bill.add_input(&rates, work)?;
            bill.add_output(&rates, work)?;
        }
        bill.add_pieces(&rates, &work.pieces)?;
        Some(bill)
    }
}

/// A sum in billionths of a millionth of a unit: a rate (billionths for a million) times a number of tokens.
#[derive(Default)]
struct Bill(u128);

impl Bill {
    /// So many, each a millionth of the rate. `None`: there are some, and no price for them.
    fn add(&mut self, count: u64, rate: Option<Rate>) -> Option<()> {
        if count > 0 {
            self.0 = self.0.saturating_add(u128::from(count).saturating_mul(u128::from(rate?.nanos())));
        }
        Some(())
    }

    fn add_input(&mut self, rates: &Rates, work: &Work) -> Option<()> {
        let usage = &work.usage;
        let mut rest = usage.input;
        let mut take = |part: u64| {
            let taken = part.min(rest);
            rest -= taken;
            taken
        };
        let read = take(usage.cache_read.unwrap_or(0));
        // Some say only how much was kept for an hour.
        let for_an_hour = usage.cache_write_1h.unwrap_or(0);
        let written = take(usage.cache_write.unwrap_or(0).max(for_an_hour));
        let long = for_an_hour.min(written);
        let audio = if rates.audio_input.is_some() { take(usage.audio_input.unwrap_or(0)) } else { 0 };
        let image = if rates.image_input.is_some() { take(work.image_input) } else { 0 };
        let short_write = rates.cache_write.or(rates.input);
        self.add(read, rates.cache_read.or(rates.input))?;
        self.add(long, rates.cache_write_1h.or(short_write))?;
        self.add(written - long, short_write)?;
        self.add(audio, rates.audio_input)?;
        self.add(image, rates.image_input)?;
        self.add(rest, rates.input.or(rates.audio_input))
    }

    fn add_output(&mut self, rates: &Rates, work: &Work) -> Option<()> {
        let usage = &work.usage;
        let mut rest = usage.output;
        let mut take = |part: u64, rate: Option<Rate>| {
            let taken = if rate.is_some() { part.min(rest) } else { 0 };
            rest -= taken;
            taken
        };
        let reasoning = take(usage.reasoning.unwrap_or(0), rates.reasoning);
        let audio = take(usage.audio_output.unwrap_or(0), rates.audio_output);
        let image = take(work.image_output, rates.image_output);
        self.add(reasoning, rates.reasoning)?;
        self.add(audio, rates.audio_output)?;
        self.add(image, rates.image_output)?;
        // A model that only draws or only speaks has no price for text.
        self.add(rest, rates.output.or(rates.image_output).or(rates.audio_output))
    }

    /// What is not counted in tokens. Where tokens have a price, they stand for the rest: nothing is paid twice.
    fn add_pieces(&mut self, rates: &Rates, pieces: &Pieces) -> Option<()> {
        // One piece costs the whole rate: a million times a millionth of it. In thousandths, for the sake of seconds.
        let thousand = |rate: Option<Rate>| rate.map(|rate| Rate::from_nanos(rate.nanos().saturating_mul(1_000)));
        let free = Some(Rate::default());
        self.add(pieces.requests.max(1).saturating_mul(1_000), thousand(rates.request).or(free))?;
        if rates.counts_tokens() {
            return self.add(pieces.images.saturating_mul(1_000), thousand(rates.image).or(free));
        }
        let known = [(rates.image, pieces.images), (rates.second, pieces.milliseconds), (rates.characters, pieces.characters)];
        if rates.request.is_none() && !known.iter().any(|(rate, count)| rate.is_some() && *count > 0) {
            return None;
        }
        self.add(pieces.images.saturating_mul(1_000), thousand(rates.image).or(free))?;
        self.add(pieces.milliseconds, thousand(rates.second).or(free))?;
        self.add(pieces.characters, rates.characters.or(free))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.0.saturating_add(500_000_000) / 1_000_000_000).unwrap_or(u64::MAX)
    }
}
