//! `[models.NAME]`: a name that callers may ask for, and how its calls are shared out; `[calls]`: how long calls go on.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::value::{seconds, some_seconds, some_tries, tries};
use crate::route::Strategy;

/// One alias.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alias {
    /// Whom its calls may go to; each `provider/model`, a bare model name, or a table with its share.
    pub targets: Vec<Choice>,
    /// How they share the calls.
    pub strategy: Strategy,
    /// Calls of one user, or of one session, go to one target as long as it is fit.
    pub sticky: Option<Sticky>,
    /// Instead of those of `[calls]`.
    #[serde(deserialize_with = "some_seconds")]
    pub deadline_seconds: Option<u64>,
    /// Seconds to the head of an answer, after which the next target is asked.
    #[serde(deserialize_with = "some_seconds")]
    pub first_byte_seconds: Option<u64>,
    /// Instead of those of `[calls]`.
    #[serde(deserialize_with = "some_tries")]
    pub attempts: Option<u32>,
    /// Instead of that of `[calls]`.
    pub hold_back: Option<HoldBack>,
    /// When a streamed answer breaks off after a part of it has gone out, the next target goes on with it.
    pub continue_cut: bool,
    /// Milliseconds without the head of an answer, after which another target is asked beside the first; the first good
    /// answer counts. 0: both at once.
    pub hedge_ms: Option<u64>,
    /// Who gets copies of some of its calls.
    pub mirror: Option<Mirror>,
}

/// A target that calls are tried out on: it gets copies, and nobody gets its answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// `provider/model`, or a bare model name.
    pub target: String,
    /// Of a hundred calls, how many are sent there, too; 0: none.
    pub percent: u32,
}

/// How much of a streamed answer is kept back until it is clear that it begins well. A caller sees no error that comes
/// before that: the next target is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldBack {
    /// `"none"`: nothing; the head of the answer goes on at once.
    None,
    /// `"first_byte"`: the head, until a byte follows.
    #[default]
    FirstByte,
    /// `"first_token"`: until the model has said something.
    FirstToken,
    /// `{ bytes = N }`: so many bytes.
    Bytes(usize),
    /// `{ ms = N }`: what comes in so many milliseconds.
    Ms(u64),
    /// `"all"`: the answer is a stream in form only.
    All,
}

/// One target of an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// `provider/model`, or a bare model name.
    pub target: String,
    /// Its share of the calls that its tier gets; 0: only when all others fail.
    pub weight: u32,
    /// Targets of a higher tier are asked when none of a lower one is fit.
    pub tier: u32,
}

/// What keeps calls at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// The end user that the request names.
    User,
    /// The session: `x-trunkline-session`, or the key under which a provider caches prompts.
    Session,
}

/// `[calls]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// Seconds that a caller may have to wait for an answer, or for a stream's begin, whoever gives it.
    #[serde(deserialize_with = "seconds")]
    pub deadline_seconds: u64,
    /// How often one target is asked, retries included; 1: no retries.
    #[serde(deserialize_with = "tries")]
    pub attempts: u32,
    /// The longest wait before a retry, in seconds. Who asks for more is not waited for: the next target is asked, and
    /// without one the caller is told when to come back.
    pub wait_seconds: u64,
    /// How much of a stream is kept back until it is clear that it begins well.
    pub hold_back: HoldBack,
    /// Retries for a hundred calls to a target; ten more are always there. An outage is not multiplied.
    pub retry_percent: u32,
    /// Whether whoever calls heeds by itself what targets say of their limits. See [`crate::Builder::own_pace`].
    #[serde(skip)]
    pub own_pace: bool,
}

impl Default for Calls {
    fn default() -> Self {
        Calls {
            deadline_seconds: 600,
            attempts: 3,
            wait_seconds: 10,
            hold_back: HoldBack::FirstByte,
            retry_percent: 20,
            own_pace: false,
        }
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyChoice)
    }
}

struct AnyChoice;

impl<'de> Visitor<'de> for AnyChoice {
    type Value = Choice;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"provider/model\", or { target = \"provider/model\", weight = 1, tier = 0 }")
    }

    fn visit_str<E: de::Error>(self, target: &str) -> Result<Choice, E> {
        Ok(Choice { target: target.to_owned(), weight: 1, tier: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Choice, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            target: String,
            #[serde(default = "one")]
            weight: u32,
            #[serde(default)]
            tier: u32,
        }
        let one = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Choice { target: one.target, weight: one.weight, tier: one.tier })
    }
}

fn one() -> u32 {
    1
}

impl<'de> Deserialize<'de> for HoldBack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyHoldBack)
    }
}

struct AnyHoldBack;

impl<'de> Visitor<'de> for AnyHoldBack {
    type Value = HoldBack;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"none\", \"first_byte\", \"first_token\", \"all\", { bytes = N } or { ms = N }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<HoldBack, E> {
        match word {
            "none" => Ok(HoldBack::None),
            "first_byte" => Ok(HoldBack::FirstByte),
            "first_token" => Ok(HoldBack::FirstToken),
            "all" => Ok(HoldBack::All),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HoldBack, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            bytes: Option<usize>,
            ms: Option<u64>,
        }
        match Table::deserialize(MapAccessDeserializer::new(map))? {
            Table { bytes: Some(bytes), ms: None } => Ok(HoldBack::Bytes(bytes)),
            Table { bytes: None, ms: Some(ms) } => Ok(HoldBack::Ms(ms)),
            _ => Err(de::Error::custom("hold_back: give one of `bytes` and `ms`: { bytes = N } or { ms = N }")),
        }
    }
}
