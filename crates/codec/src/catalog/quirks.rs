//! How a provider departs from its dialect, as named values.

use serde::Deserialize;

/// Departures of one provider from its dialect; every one has a default, which is the dialect's own way.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Accepts `stream_options.include_usage`.
    pub stream_usage: bool,
    /// Ends a stream with `data: [DONE]`.
    pub done: bool,
    /// The field for the output limit.
    pub max_tokens: MaxTokensField,
    /// The role of instructions.
    pub system_role: SystemRole,
    /// How thinking is asked for.
    pub reasoning: ReasoningStyle,
    /// The field that carries thinking in history.
    pub reasoning_field: ReasoningField,
    /// Whether thinking goes back to the provider.
    pub reasoning_replay: ReasoningReplay,
    /// Effort words that it takes; empty: all.
    pub efforts: Vec<String>,
    /// Request fields that it rejects, in canonical words: `seed`, `n`, `logprobs`, `response_format.json_schema`, …
    pub refuses: Vec<String>,
    /// Fields beyond the dialect that it takes: `top_k`, …
    pub accepts: Vec<String>,
    /// What `tool_choice: required` is called.
    pub required_word: String,
    /// Highest temperature, in thousandths.
    pub temperature_max: Option<u32>,
    /// Output limit to send where the dialect demands one and the caller gave none.
    pub max_tokens_default: Option<u64>,
    /// `anthropic-version` to send when translating.
    pub api_version: Option<String>,
    /// Path version of the Gemini dialect.
    pub gemini_version: String,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            stream_usage: true,
            done: true,
            max_tokens: MaxTokensField::default(),
            system_role: SystemRole::default(),
            reasoning: ReasoningStyle::default(),
            reasoning_field: ReasoningField::default(),
            reasoning_replay: ReasoningReplay::default(),
            efforts: Vec::new(),
            refuses: Vec::new(),
            accepts: Vec::new(),
            required_word: "required".to_owned(),
            temperature_max: None,
            max_tokens_default: None,
            api_version: None,
            gemini_version: "v1beta".to_owned(),
        }
    }
}

impl Quirks {
    /// Whether the provider rejects this field.
    pub fn refuses(&self, field: &str) -> bool {
        self.refuses.iter().any(|refused| refused == field)
    }

    /// Whether the provider takes this field beyond its dialect.
    pub fn accepts(&self, field: &str) -> bool {
        self.accepts.iter().any(|accepted| accepted == field)
    }
}

/// The field for the output limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The role of instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// `system`.
    #[default]
    System,
    /// `developer`.
    Developer,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningStyle {
    /// `reasoning_effort: "low"`.
    #[default]
    Effort,
    /// `thinking: {"type": "enabled"}`.
    Thinking,
    /// `enable_thinking: true`, `thinking_budget: N`.
    EnableThinking,
    /// `reasoning: {"effort": …, "max_tokens": N}`.
    ReasoningObject,
    /// It cannot be asked for.
    None,
}

/// The field that carries thinking in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningField {
    /// `reasoning_content`.
    #[default]
    ReasoningContent,
    /// `reasoning`.
    Reasoning,
}

/// Whether thinking goes back to the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReplay {
    /// Never.
    #[default]
    Never,
    /// On turns that call tools.
    Tools,
    /// Always.
    Always,
}
