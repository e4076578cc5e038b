//! The structs of the wire, as they are written: to providers in requests, to callers in answers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The body of a request.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    pub(super) messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inference_config: Option<Inference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) request_metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<Tier<'a>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// One turn.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: Vec<Block<'a>>,
    #[serde(flatten)]
    pub(super) extra: Option<&'a Map<String, Value>>,
}

/// A content block: an object of one member, which names the kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    Document(Document<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(Reasoning<'a>),
    CitationsContent(Cited<'a>),
    GuardContent(Guard<'a>),
    CachePoint(CachePoint),
    #[serde(untagged)]
    Raw(&'a RawValue),
}

impl<'a> Block<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Block::Text(text.into())
    }
}

/// A picture, a film or a sound.
#[derive(Serialize)]
pub(super) struct Media<'a> {
    pub(super) format: Cow<'a, str>,
    pub(super) source: Source<'a>,
    #[serde(flatten)]
    pub(super) extra: Option<&'a Map<String, Value>>,
}

/// Where media is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source<'a> {
    Bytes(Cow<'a, str>),
    #[serde(rename_all = "camelCase")]
    S3Location {
        uri: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        bucket_owner: Option<&'a Value>,
    },
    Text(&'a str),
}

/// A document; its name is required and must be one of a kind.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<Cow<'a, str>>,
    pub(super) name: String,
    pub(super) source: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citations: Option<Enabled>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// Whether something is wanted.
#[derive(Serialize)]
pub(super) struct Enabled {
    pub(super) enabled: bool,
}

/// A call of a tool.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) name: &'a str,
    pub(super) input: Cow<'a, RawValue>,
    #[serde(flatten)]
    pub(super) extra: Option<&'a Map<String, Value>>,
}

/// What a tool gave back.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub(super) tool_use_id: Cow<'a, str>,
    pub(super) content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
    #[serde(flatten)]
    pub(super) extra: Option<&'a Map<String, Value>>,
}

/// Thinking, shown or encrypted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Cow<'a, str>>,
    },
    RedactedContent(Cow<'a, str>),
}

/// Text with its sources.
#[derive(Serialize)]
pub(super) struct Cited<'a> {
    pub(super) content: [Line<'a>; 1],
    pub(super) citations: Vec<Citation<'a>>,
}

/// A piece of text that can be nothing else.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
}

/// One source of a text; `Own` as it came.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Citation<'a> {
    Own(&'a RawValue),
    #[serde(rename_all = "camelCase")]
    Web {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source_content: Option<[Line<'a>; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Location<'a>>,
    },
}

/// Where a source is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Location<'a> {
    Web { url: &'a str },
}

/// Content that a guardrail looks at.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Guard<'a> {
    Text {
        text: &'a str,
        #[serde(flatten)]
        extra: Option<&'a Map<String, Value>>,
    },
    Image(Media<'a>),
}

/// A prompt-cache marker.
#[derive(Clone, Copy, Serialize)]
pub(super) struct CachePoint {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<&'static str>,
}

/// Length, dice and stop texts.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<&'a str>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// The tools, and which of them to call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Choice<'a>>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// A tool, or a cache marker behind the tools that it covers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Tool<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint),
    #[serde(untagged)]
    Raw(&'a RawValue),
}

/// A tool of the caller's own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolSpec<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
    pub(super) input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
    #[serde(flatten)]
    pub(super) extra: Option<&'a Map<String, Value>>,
}

/// What a tool takes.
#[derive(Serialize)]
pub(super) struct Schema<'a> {
    pub(super) json: Cow<'a, RawValue>,
}

/// Which tool to call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Choice<'a> {
    Auto {},
    Any {},
    Tool { name: &'a str },
}

/// The answer's form, and how hard to think.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text_format: Option<TextFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<&'a str>,
    #[serde(flatten)]
    pub(super) extra: Map<String, Value>,
}

/// The answer's form.
#[derive(Serialize)]
pub(super) struct TextFormat<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) structure: Structure<'a>,
}

/// A form by a schema, which is a string here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Structure<'a> {
    JsonSchema {
        schema: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    },
}

/// How urgent.
#[derive(Serialize)]
pub(super) struct Tier<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
}
