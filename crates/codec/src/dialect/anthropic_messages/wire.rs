//! The structs of the wire, as they are read. Those that are written stand in [`out`](super::out).
//!
//! Flat and tolerant: every field is optional, words are strings, what is not known lands in `extra`.
//! Format: the Messages API, versions 2023-06-01 and 2026-10-21.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The body of `POST /v1/messages` and `/v1/messages/count_tokens`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RequestBody<'a> {
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<u64>,
    #[serde(borrow)]
    pub(super) messages: Option<Vec<Message<'a>>>,
    #[serde(borrow)]
    pub(super) system: Option<Blocks<'a>>,
    pub(super) stream: Option<bool>,
    pub(super) stop_sequences: Option<Vec<String>>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<&'a RawValue>>,
    pub(super) tool_choice: Option<ToolChoice>,
    #[serde(borrow)]
    pub(super) thinking: Option<&'a RawValue>,
    pub(super) output_config: Option<OutputConfig>,
    pub(super) cache_control: Option<CacheControl>,
    pub(super) metadata: Option<Metadata>,
    pub(super) service_tier: Option<String>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// One turn.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default, borrow)]
    pub(super) content: Option<Blocks<'a>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// A string, or a list of blocks that are read in a second step because each may be of a kind that we do not know.
pub(super) enum Blocks<'a> {
    Text(String),
    List(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Blocks<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Blocks<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content blocks")
            }
            fn visit_str<E>(self, text: &str) -> Result<Blocks<'de>, E> {
                Ok(Blocks::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Blocks<'de>, E> {
                Ok(Blocks::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Blocks<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = list.next_element()? {
                    blocks.push(block);
                }
                Ok(Blocks::List(blocks))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A content block of any kind.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) text: Option<String>,
    #[serde(borrow)]
    pub(super) citations: Option<&'a RawValue>,
    pub(super) cache_control: Option<CacheControl>,
    #[serde(borrow)]
    pub(super) source: Option<&'a RawValue>,
    pub(super) title: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    pub(super) tool_use_id: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
    pub(super) thinking: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) data: Option<String>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// Where an image or a document is.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) media_type: Option<String>,
    pub(super) data: Option<String>,
    pub(super) url: Option<String>,
    pub(super) file_id: Option<String>,
}

/// `citations` of a document.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CitationsConfig {
    pub(super) enabled: Option<bool>,
}

/// One source of a text, of any of the five kinds.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Citation {
    pub(super) url: Option<String>,
    pub(super) source: Option<String>,
    pub(super) title: Option<String>,
    pub(super) document_title: Option<String>,
    pub(super) cited_text: Option<String>,
    pub(super) encrypted_index: Option<String>,
}

/// A prompt-cache marker.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CacheControl {
    pub(super) ttl: Option<String>,
}

/// A tool on offer, own or the provider's.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    #[serde(borrow)]
    pub(super) input_schema: Option<&'a RawValue>,
    pub(super) strict: Option<bool>,
    pub(super) cache_control: Option<CacheControl>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// Which tool to call.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ToolChoice {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) disable_parallel_tool_use: Option<bool>,
}

/// Thinking before the answer.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Thinking {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) budget_tokens: Option<u64>,
    pub(super) display: Option<String>,
}

/// The answer's form, and how hard to think.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OutputConfig {
    pub(super) effort: Option<String>,
    pub(super) format: Option<OutputFormat>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// The answer's form.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OutputFormat {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) schema: Option<Box<RawValue>>,
}

/// Who asks.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) user_id: Option<String>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// A whole answer, and the `message` of `message_start`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Reply<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<Vec<&'a RawValue>>,
    pub(super) stop_reason: Option<String>,
    pub(super) stop_sequence: Option<String>,
    pub(super) stop_details: Option<StopDetails>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    // Named so that they do not land in `extra`.
    #[serde(rename = "role")]
    pub(super) _role: Option<Cow<'a, str>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// Why the model declined.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct StopDetails {
    pub(super) category: Option<String>,
    pub(super) explanation: Option<String>,
}

/// Tokens by kind. `null` and absent are the same.
#[derive(Clone, Copy, Deserialize, Default)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_creation_input_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
    pub(super) cache_creation: Option<CacheCreation>,
    pub(super) output_tokens_details: Option<OutputTokensDetails>,
}

/// Of the tokens written to the cache: for how long.
#[derive(Clone, Copy, Deserialize, Default)]
#[serde(default)]
pub(super) struct CacheCreation {
    pub(super) ephemeral_5m_input_tokens: Option<u64>,
    pub(super) ephemeral_1h_input_tokens: Option<u64>,
}

/// Of the output tokens: what for.
#[derive(Clone, Copy, Deserialize, Default)]
#[serde(default)]
pub(super) struct OutputTokensDetails {
    pub(super) thinking_tokens: Option<u64>,
}
