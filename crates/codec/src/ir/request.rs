//! What is asked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::message::{CacheMark, Extra, Message, Raw};

/// A chat request in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Request {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// The conversation, oldest first, system texts included.
    pub messages: Vec<Message>,
    /// The tools that may be called.
    pub tools: Vec<Tool>,
    /// Which of them must be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once; `None`: the provider's default.
    pub parallel_tools: Option<bool>,
    /// The answer's form.
    pub format: Format,
    /// Thinking before the answer.
    pub reasoning: Option<Reasoning>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Most output tokens, reasoning included.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u32>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a stream shall tell its usage; `None`: not said.
    pub stream_usage: Option<bool>,
    /// The answer as sound.
    pub speech: Option<Speech>,
    /// How much shall be said: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// An opaque id of the end user.
    pub user: Option<String>,
    /// `auto`, `default`, `flex`, `priority`, …
    pub service_tier: Option<String>,
    /// Labels for the provider's own records.
    pub metadata: BTreeMap<String, String>,
    /// Mark the last cacheable part by itself.
    pub cache: Option<CacheMark>,
    /// Requests of the same key shall meet the same prompt cache.
    pub cache_key: Option<String>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it takes.
    #[serde(flatten)]
    pub kind: ToolKind,
    /// A prompt-cache marker.
    pub cache: Option<CacheMark>,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToolKind {
    /// JSON arguments.
    Function {
        /// JSON Schema of the arguments, as written; `None`: no arguments.
        schema: Option<Raw>,
        /// Whether the schema binds the model.
        strict: Option<bool>,
    },
    /// Free text, possibly by a grammar.
    Custom {
        /// `format` as the wire has it.
        format: Option<Raw>,
    },
    /// A tool that the provider runs itself; only its own dialect can ask for it.
    Foreign {
        /// The dialect.
        from: &'static str,
        /// The declaration as it came.
        value: Raw,
    },
}

/// Which tool to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// None.
    None,
    /// As the model likes.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Tool(String),
    /// Only these; `required`: at least one of them.
    Allowed {
        /// Names.
        names: Vec<String>,
        /// Whether one must be called.
        required: bool,
    },
}

/// The answer's form.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it comes.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON by a schema.
    Schema {
        /// A name for it, `[a-zA-Z0-9_-]{1,64}`.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema, as written.
        schema: Raw,
        /// Whether it binds.
        strict: Option<bool>,
    },
}

/// Thinking before the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reasoning {
    /// On or off; `None`: as the other fields imply.
    pub enabled: Option<bool>,
    /// How hard.
    pub effort: Option<Effort>,
    /// Most tokens for it.
    pub budget: Option<u64>,
    /// Whether it shall be shown.
    pub show: Option<bool>,
}

/// How hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as the model can.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// All it has.
    Max,
}

impl Effort {
    const WORDS: [(Effort, &'static str); 7] = [
        (Effort::None, "none"),
        (Effort::Minimal, "minimal"),
        (Effort::Low, "low"),
        (Effort::Medium, "medium"),
        (Effort::High, "high"),
        (Effort::Xhigh, "xhigh"),
        (Effort::Max, "max"),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(effort, _)| *effort == self).map_or("medium", |(_, word)| word)
    }

    /// Reads the word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, w)| w.eq_ignore_ascii_case(word)).map(|(effort, _)| *effort)
    }

    /// Tokens that this effort usually stands for, where a dialect wants a budget (a convention of gateways, no spec).
    pub fn budget(self) -> u64 {
        match self {
            Effort::None => 0,
            Effort::Minimal => 1024,
            Effort::Low => 2048,
            Effort::Medium => 8192,
            Effort::High => 16384,
            Effort::Xhigh | Effort::Max => 24576,
        }
    }

    /// The effort that a budget comes nearest to.
    pub fn from_budget(tokens: u64) -> Self {
        match tokens {
            0 => Effort::None,
            1..=1024 => Effort::Minimal,
            1025..=4096 => Effort::Low,
            4097..=8192 => Effort::Medium,
            8193..=16384 => Effort::High,
            _ => Effort::Xhigh,
        }
    }
}

/// How tokens are drawn, and what is told about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sampling {
    /// 0 to 2 (to 1 in some dialects).
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// A count.
    pub top_k: Option<u64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// For the same answer twice.
    pub seed: Option<i64>,
    /// Token id → -100 to 100.
    pub logit_bias: Option<Raw>,
    /// Tell the probability of each token.
    pub logprobs: Option<bool>,
    /// And of this many others in its place.
    pub top_logprobs: Option<u32>,
}

/// The answer as sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speech {
    /// The voice's name or the dialect's voice object.
    pub voice: Option<Raw>,
    /// `wav`, `mp3`, `pcm16`, …
    pub format: Option<String>,
}
