//! Where a provider departs from the dialect that it speaks. Dialects ask these fields, never the provider's name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::parse::ParseError;
use super::resolve::matches;

/// Declares an enum of words with their spelling on the wire, which is also their spelling in TOML.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word as it is written in TOML (and, where it is a field's name, on the wire).
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// The openai-chat field that bounds the length of a reply.
    MaxTokensField {
        /// `max_tokens`.
        MaxTokens = "max_tokens",
        /// `max_completion_tokens`.
        MaxCompletionTokens = "max_completion_tokens",
    }
}

words! {
    /// The role under which instructions are sent.
    SystemRole {
        /// `system`.
        System = "system",
        /// `developer`.
        Developer = "developer",
    }
}

words! {
    /// How effort is asked for and how thinking is turned off.
    ReasoningStyle {
        /// `reasoning_effort: "low"`.
        Effort = "effort",
        /// `thinking: {"type": "enabled"}` or `{"type": "disabled"}`, and `reasoning_effort` beside it where `efforts`
        /// lists any.
        Thinking = "thinking",
        /// `enable_thinking: true`, with `thinking_budget` in tokens.
        EnableThinking = "enable_thinking",
        /// `reasoning: {"effort": "low"}` or `{"max_tokens": 1024}`.
        ReasoningObject = "reasoning_object",
        /// Not at all.
        None = "none",
    }
}

words! {
    /// The place in an assistant's message where its earlier reasoning is sent back. The fields are all read.
    ReasoningField {
        /// `reasoning_content`.
        ReasoningContent = "reasoning_content",
        /// `reasoning`.
        Reasoning = "reasoning",
        /// The list `reasoning_details`.
        Details = "reasoning_details",
        /// `<think>…</think>` before the text.
        Think = "think",
    }
}

words! {
    /// When earlier reasoning is sent back.
    ReasoningReplay {
        /// Never: the provider ignores it or refuses it.
        Never = "never",
        /// With assistant messages that called tools.
        Tools = "tools",
        /// The same, and a blank where there was none: the provider refuses a message that called tools without it.
        Required = "required",
        /// With every assistant message.
        Always = "always",
    }
}

words! {
    /// What each chunk of a stream holds of a text that grows.
    #[derive(Default)]
    Chunks {
        /// What is new.
        #[default]
        Delta = "delta",
        /// All of it so far.
        Whole = "whole",
        /// One of both, and the second chunk shows which.
        Either = "either",
    }
}

/// Reads a decimal (`1.5`) as thousandths (1500), so that nothing is compared as a float. `Some(Some(_))`, because a
/// patch tells "not named" from "named".
fn read_thousandths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    struct Decimal;
    impl Visitor<'_> for Decimal {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number from 0 to 1000")
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<u32, E> {
            let wrong = || E::invalid_value(de::Unexpected::Float(number), &self);
            if !(0.0..=1000.0).contains(&number) {
                return Err(wrong());
            }
            // A cast would need a lint lifted; the text of a whole number in this range always reads back.
            format!("{:.0}", number * 1000.0).parse().map_err(|_| wrong())
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<u32, E> {
            let whole = u32::try_from(number).ok().filter(|&n| n <= 1000);
            whole.map(|n| n * 1000).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
        }
    }
    deserializer.deserialize_f64(Decimal).map(|thousandths| Some(Some(thousandths)))
}

/// Declares [`Quirks`] and [`QuirksPatch`] from one list, so that neither can have a field that the other lacks.
macro_rules! quirks {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr;)*) => {
        /// Where a provider departs from the dialect that it speaks. Every field has a default: what most do.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(from = "QuirksPatch")]
        pub struct Quirks { $($(#[$doc])* pub $name: $type,)* }

        impl Default for Quirks {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// [`Quirks`] as written: only what differs. Unknown keys are errors.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct QuirksPatch { $($(#[$doc])* pub $name: Option<$type>,)* }

        impl Quirks {
            /// Replaces what the patch names; lists and tables are replaced whole.
            pub fn merge(&mut self, patch: QuirksPatch) {
                $(if let Some(value) = patch.$name { self.$name = value; })*
            }
        }
    };
}

quirks! {
    /// Takes `stream_options.include_usage`. False: usage comes unasked, or never.
    stream_usage: bool = true;
    /// Ends a stream with `data: [DONE]`. False: the input just ends, after a finish reason.
    done: bool = true;
    /// The openai-chat field for the longest reply.
    max_tokens: MaxTokensField = MaxTokensField::MaxTokens;
    /// The role under which instructions are sent.
    system_role: SystemRole = SystemRole::System;
    /// How effort is asked for and thinking turned off.
    reasoning: ReasoningStyle = ReasoningStyle::Effort;
    /// The field in which earlier reasoning is sent back.
    reasoning_field: ReasoningField = ReasoningField::ReasoningContent;
    /// When earlier reasoning is sent back.
    reasoning_replay: ReasoningReplay = ReasoningReplay::Never;
    /// Thinking stands in the text, as `<think>…</think>` before the answer. It is taken out when translating.
    think_tags: bool = false;
    /// Errors come with status 200, too, so that whole answers are looked into before they count as such.
    errors_in_success: bool = false;
    /// What the chunks of a stream hold.
    chunks: Chunks = Chunks::Delta;
    /// The effort words that it takes, weakest first. Another word becomes the nearest of these, and is reported as a
    /// loss. Empty means all of them (none, beside `thinking`).
    efforts: Vec<String> = Vec::new();
    /// Request fields that it refuses or ignores, by the names in [`REQUEST_FIELDS`]: dropped, and reported as a loss.
    refuses: Vec<String> = Vec::new();
    /// Fields beyond the dialect's standard that it takes (`top_k`, `min_p`, …), by their names on the wire.
    accepts: Vec<String> = Vec::new();
    /// What `tool_choice: "required"` is called.
    required_word: String = "required".to_owned();
    /// The lowest temperature that it takes, in thousandths; a lower one is raised, and reported as a loss.
    #[serde(deserialize_with = "read_thousandths")]
    temperature_min: Option<u32> = None;
    /// The highest temperature that it takes, in thousandths; a higher one is lowered, and reported as a loss.
    #[serde(deserialize_with = "read_thousandths")]
    temperature_max: Option<u32> = None;
    /// The longest reply, in tokens, where the dialect demands a bound and the caller gave none.
    max_tokens_default: Option<u64> = None;
    /// The `anthropic-version` to send when translating; `None` is `2023-06-01`.
    api_version: Option<String> = None;
    /// The `anthropic_version` that stands in the body of an anthropic-messages request, where the model stands in the
    /// path (see [`Provider::paths`](super::Provider::paths)) and not in the body. A caller's request is then translated.
    body_version: Option<String> = None;
    /// Takes `stream` in the body. False: the path says it.
    stream_field: bool = true;
    /// The version segment of the gemini dialect's paths, one of [`GEMINI_VERSIONS`]; empty: none.
    gemini_version: String = "v1beta".to_owned();
    /// Fields that have another name here: a name of [`REQUEST_FIELDS`] to the name on the wire (`seed = "random_seed"`).
    rename: BTreeMap<String, String> = BTreeMap::new();
    /// Fields that are sent with every translated openai-chat request, unless the caller set them.
    body: Map<String, Value> = Map::new();
    /// The end of the path for a model (`*` patterns allowed in its name), where a dialect's paths differ by model.
    endpoints: BTreeMap<String, String> = BTreeMap::new();
    /// What differs for some models, by patterns (`*` only) of the provider's own names for them.
    models: BTreeMap<String, QuirksPatch> = BTreeMap::new();
}

impl Quirks {
    /// Whether a request field, by its name in [`REQUEST_FIELDS`], must be dropped.
    pub fn refuses(&self, field: &str) -> bool {
        self.refuses.iter().any(|refused| refused == field)
    }

    /// Whether a field beyond the dialect's standard may be sent.
    pub fn accepts(&self, field: &str) -> bool {
        self.accepts.iter().any(|accepted| accepted == field)
    }

    /// Checks the words that the types cannot, those of the models too. `id` is the provider's.
    pub(super) fn check(&self, id: &str) -> Result<(), ParseError> {
        for field in self.refuses.iter().chain(self.rename.keys()) {
            if !REQUEST_FIELDS.contains(&field.as_str()) {
                return Err(ParseError::unknown(id, "request field", field, REQUEST_FIELDS));
            }
        }
        let version = self.gemini_version.as_str();
        if !GEMINI_VERSIONS.contains(&version) {
            return Err(ParseError::unknown(id, "gemini_version", version, GEMINI_VERSIONS));
        }
        for (pattern, patch) in &self.models {
            if patch.models.is_some() {
                return Err(ParseError::wrong(id, format!("`models` stands within `models.\"{pattern}\"`")));
            }
            Self::from(patch.clone()).check(id)?;
        }
        Ok(())
    }

    /// The quirks of one model: what the patterns in `models` say that match its name, on top of the provider's. Where
    /// several do, the longest has the last word.
    pub fn of_model(&self, model: &str) -> Cow<'_, Self> {
        let mut special: Vec<_> = self.models.iter().filter(|(pattern, _)| matches(pattern, model)).collect();
        if special.is_empty() {
            return Cow::Borrowed(self);
        }
        special.sort_by_key(|(pattern, _)| pattern.len());
        let mut quirks = self.clone();
        special.into_iter().for_each(|(_, patch)| quirks.merge(patch.clone()));
        Cow::Owned(quirks)
    }

    /// The end of the path for a model, where one is listed; the longest matching pattern counts.
    pub fn endpoint(&self, model: &str) -> Option<&str> {
        let listed = self.endpoints.iter().filter(|(pattern, _)| matches(pattern, model));
        listed.max_by_key(|(pattern, _)| pattern.len()).map(|(_, endpoint)| endpoint.as_str())
    }

    /// The name of a request field on this provider's wire.
    pub fn field<'a>(&'a self, name: &'a str) -> &'a str {
        self.rename.get(name).map_or(name, String::as_str)
    }
}

impl From<QuirksPatch> for Quirks {
    fn from(patch: QuirksPatch) -> Self {
        let mut quirks = Self::default();
        quirks.merge(patch);
        quirks
    }
}

/// The version segments that the gemini dialect's paths may have.
pub const GEMINI_VERSIONS: &[&str] = &["v1", "v1beta", ""];

/// The canonical names of what a request may ask for, as used in `refuses` and `rename`. A name after a dot is one
/// value of the field before it; the last rows are kinds of content.
pub const REQUEST_FIELDS: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "stop",
    "seed",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
    "service_tier",
    "store",
    "prediction",
    "verbosity",
    "reasoning",
    "prompt_cache_key",
    "safety_identifier",
    "tools",
    "tools.strict",
    "tools.custom",
    "parallel_tool_calls",
    "tool_choice",
    "tool_choice.none",
    "tool_choice.required",
    "tool_choice.named",
    "tool_choice.allowed",
    "response_format",
    "response_format.json_object",
    "response_format.json_schema",
    "name",
    "cache_control",
    "image_url",
    "image_base64",
    "audio",
    "file",
    "video",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let mut quirks = Quirks::default();
        let patch = "max_tokens = 'max_completion_tokens'\ntemperature_max = 1.5\ntemperature_min = 0.01\nrefuses = ['n']\nbody = { a = [1, true] }\nrename = { seed = 'random_seed' }";
        quirks.merge(toml::from_str(patch).unwrap());
        assert_eq!(quirks.max_tokens.as_str(), "max_completion_tokens");
        assert_eq!(quirks.temperature_max, Some(1500));
        assert_eq!(quirks.temperature_min, Some(10));
        assert!(quirks.refuses("n") && !quirks.refuses("seed"));
        assert_eq!((quirks.field("seed"), quirks.field("stop")), ("random_seed", "stop"));
        assert_eq!(quirks.body.get("a"), Some(&serde_json::json!([1, true])));
        assert!(quirks.stream_usage);
        quirks.merge(toml::from_str("temperature_max = 2").unwrap());
        assert_eq!(quirks.temperature_max, Some(2000));
        assert_eq!(quirks.max_tokens, MaxTokensField::MaxCompletionTokens);
    }

    #[test]
    fn a_model_has_quirks_of_its_own() {
        let text = "refuses = ['n']\ndone = false\n[models.'o*']\nrefuses = ['temperature']\n[models.'o3-mini*']\nrefuses = []\nthink_tags = true";
        let quirks: Quirks = toml::from_str(text).unwrap();
        assert!(matches!(quirks.of_model("gpt-4o"), Cow::Borrowed(same) if same.refuses("n")));
        let (o1, o3) = (quirks.of_model("o1"), quirks.of_model("o3-mini-high"));
        assert!(o1.refuses("temperature") && !o1.refuses("n") && !o1.think_tags && !o1.done);
        assert!(o3.refuses.is_empty() && o3.think_tags && !o3.done);
        assert!(toml::from_str::<Quirks>("[models.'o*']\nrefuse = []").is_err());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for wrong in ["stream_usag = true", "reasoning = 'efort'", "temperature_max = -1", "temperature_max = 'hot'"] {
            assert!(toml::from_str::<Quirks>(wrong).is_err(), "{wrong}");
        }
    }
}
