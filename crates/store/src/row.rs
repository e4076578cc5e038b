//! What is stored of a call.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::reprice::Kinds;

/// One of our own words, or one that was read back.
pub type Word = Cow<'static, str>;

/// The operation of calls that were handed in as a provider's batch.
pub const BATCH: &str = "batch";

/// One call. Durations are microseconds, money is millionths of a currency's unit. Nothing of what was said is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRow {
    /// Begins with the time at which the call began.
    pub id: Id,
    /// When it began: microseconds since 1970 in UTC.
    pub begun_us: u64,
    /// What the gateway told its caller; empty for calls of the command and of programs.
    pub request_id: String,
    /// Which of our keys the caller had.
    pub key_id: Option<Arc<str>>,
    /// For whom it was made, as the caller says.
    pub user_id: Option<String>,
    /// What else the caller says of it.
    pub tags: Option<String>,
    /// `chat`, `embed`, …
    pub operation: Word,
    /// What the caller speaks.
    pub dialect: Option<Word>,
    /// The model's name as asked for.
    pub model: String,
    /// The task that it is.
    pub task: Option<String>,
    /// Who answered, or was asked last: `provider/model`.
    pub target: Option<Arc<str>>,
    /// Whether the answer came in pieces.
    pub streamed: bool,
    /// The HTTP status that the caller got, or would have got.
    pub status: u16,
    /// The kind of the error: `rate_limited`, …
    pub error: Option<Word>,
    /// Who was to blame: `caller`, `gateway`, `provider`, `network`.
    pub blame: Option<Word>,
    /// Tokens; `None` means that nobody said, which is not 0.
    pub input: Option<u64>,
    /// See the type `Usage` for this and the following.
    pub output: Option<u64>,
    /// Of `input`.
    pub cache_read: Option<u64>,
    /// Of `input`.
    pub cache_write: Option<u64>,
    /// Of `cache_write`.
    pub cache_write_5m: Option<u64>,
    /// Of `cache_write`.
    pub cache_write_1h: Option<u64>,
    /// Of `output`.
    pub reasoning: Option<u64>,
    /// Of `input`.
    pub audio_input: Option<u64>,
    /// Of `output`.
    pub audio_output: Option<u64>,
    /// Whether the tokens are a guess and not the provider's figures.
    pub usage_estimated: bool,
    /// Pictures that were made.
    pub images: Option<u64>,
    /// Milliseconds of sound.
    pub audio_ms: Option<u64>,
    /// Characters.
    pub characters: Option<u64>,
    /// Requests that it counted for.
    pub requests: Option<u64>,
    /// What it came to, in millionths.
    pub cost_micros: Option<u64>,
    /// Of this currency.
    pub currency: Option<Word>,
    /// The date of the price that was applied.
    pub price_date: Option<String>,
    /// To the beginning of the answer.
    pub first_us: Option<u64>,
    /// To its end.
    pub elapsed_us: u64,
    /// Length of the request's body.
    pub bytes_in: Option<u64>,
    /// Length of the answer's body.
    pub bytes_out: Option<u64>,
    /// How many fields a translation left out.
    pub losses: u64,
    /// The `request_id` of the call that this is a copy of.
    pub mirror_of: Option<String>,
    /// Whom it was tried with, in order.
    pub exchanges: Vec<ExchangeRow>,
    /// What was said, where that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<Box<TextsRow>>,
}

/// What was said in a call: bounded, and without secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextsRow {
    /// The request's body.
    pub request: Option<String>,
    /// The answer: its body, or, of a stream, the text that it said.
    pub answer: Option<String>,
}

impl TextsRow {
    fn weight(&self) -> u64 {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        (size_of::<TextsRow>() + length(&self.request) + length(&self.answer)) as u64
    }
}

/// One try of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeRow {
    /// Who was asked.
    pub target: Arc<str>,
    /// In which dialect.
    pub dialect: Option<Word>,
    /// Since the call's begin.
    pub started_us: u64,
    /// To its end.
    pub elapsed_us: u64,
    /// The provider's status, where it refused.
    pub status: Option<u16>,
    /// The kind of the error.
    pub error: Option<Word>,
    /// Tokens.
    pub input: Option<u64>,
    /// Tokens.
    pub output: Option<u64>,
    /// Whether these are a guess.
    pub usage_estimated: bool,
    /// What they came to, in millionths.
    pub cost_micros: Option<u64>,
    /// Of this currency.
    pub currency: Option<Word>,
    /// The other kinds of tokens, where its call had several exchanges; of a single one they are the call's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Kinds>,
}

/// Less than this is no waiting.
const NO_WAIT_US: u64 = 1000;

impl CallRow {
    /// Whether nobody had what its caller asked for, so that the names of model and target may be anything.
    pub(crate) fn led_nowhere(&self) -> bool {
        self.target.is_none() || self.error.as_deref() == Some("not_found")
    }

    /// How many bytes it takes in memory; about. Names are short, and what was said is not.
    pub(crate) fn weight(&self) -> u64 {
        let exchanges = self.exchanges.len() * size_of::<ExchangeRow>();
        (size_of::<CallRow>() + exchanges) as u64 + self.texts.as_ref().map_or(0, |texts| texts.weight())
    }

    /// Whether all that is known of its exchanges follows from the call: there was one, at once, and it went well.
    pub(crate) fn tells_its_exchanges(&self) -> bool {
        match self.exchanges.as_slice() {
            [] => true,
            [only] => {
                let rest = self.elapsed_us.abs_diff(only.started_us.saturating_add(only.elapsed_us));
                only.started_us.max(rest) < NO_WAIT_US
                    && (&self.error, &only.error, only.status) == (&None, &None, None)
                    && only.kinds.is_none()
                    && self.target.as_ref() == Some(&only.target)
                    && (self.input, self.output, self.usage_estimated) == (only.input, only.output, only.usage_estimated)
                    && (self.cost_micros, &self.currency) == (only.cost_micros, &only.currency)
            }
            _ => false,
        }
    }

    /// The exchange of a call that went well, as far as it follows from the call.
    pub(crate) fn only_exchange(&self, dialect: Option<Word>) -> Option<ExchangeRow> {
        let target = self.target.clone().filter(|_| self.error.is_none())?;
        Some(ExchangeRow {
            target,
            dialect,
            started_us: 0,
            elapsed_us: self.elapsed_us,
            status: None,
            error: None,
            input: self.input,
            output: self.output,
            usage_estimated: self.usage_estimated,
            cost_micros: self.cost_micros,
            currency: self.currency.clone(),
            kinds: None,
        })
    }

    /// A call of which nothing is known but its id, which tells when it began.
    pub fn new(id: Id) -> Self {
        CallRow {
            id,
            begun_us: 0,
            request_id: String::new(),
            key_id: None,
            user_id: None,
            tags: None,
            operation: Word::Borrowed("chat"),
            dialect: None,
            model: String::new(),
            task: None,
            target: None,
            streamed: false,
            status: 200,
            error: None,
            blame: None,
            input: None,
            output: None,
            cache_read: None,
            cache_write: None,
            cache_write_5m: None,
            cache_write_1h: None,
            reasoning: None,
            audio_input: None,
            audio_output: None,
            usage_estimated: false,
            images: None,
            audio_ms: None,
            characters: None,
            requests: None,
            cost_micros: None,
            currency: None,
            price_date: None,
            first_us: None,
            elapsed_us: 0,
            bytes_in: None,
            bytes_out: None,
            losses: 0,
            mirror_of: None,
            exchanges: Vec::new(),
            texts: None,
        }
    }
}
