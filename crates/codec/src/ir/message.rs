//! Messages, their parts, and what travels along with them.

use std::borrow::Cow;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A [dialect](crate::dialect::ALL)'s name.
// Written out, the type would have to be borrowed from what is read.
pub type DialectName = &'static str;

/// One turn. System and developer texts are messages too, wherever they stand.
///
/// What [`Serialize`] writes, [`Deserialize`] reads again: a conversation can be kept. Dialects are found by their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name, where the dialect has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said, in order. Tool results are parts of a [`Role::User`] message, before any other part.
    pub parts: Vec<Part>,
    /// What we do not act on.
    #[serde(skip_serializing_if = "Extra::is_empty", default)]
    pub extra: Extra,
}

/// Who speaks. `developer` is read as [`Role::System`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// One piece of content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// A prompt-cache marker: everything up to and with this part may be cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheMark>,
    /// Opaque state that must come back with this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// What we do not act on.
    #[serde(skip_serializing_if = "Extra::is_empty", default)]
    pub extra: Extra,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Part { content, cache: None, signature: None, extra: Extra::default() }
    }
}

impl Part {
    /// A plain text part.
    pub fn text(text: impl Into<String>) -> Self {
        Content::Text { text: text.into(), citations: Vec::new() }.into()
    }
}

impl Message {
    /// A message of one text part.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message { role, name: None, parts: vec![Part::text(text)], extra: Extra::default() }
    }

    /// All text parts, one after the other.
    pub fn plain_text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|part| match &part.content {
                Content::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// The kinds of content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Text, in an answer possibly with its sources.
    Text {
        /// The text.
        text: String,
        /// Where it comes from.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        citations: Vec<Citation>,
    },
    /// A picture, sent or made.
    Image {
        /// Where it is.
        source: Source,
        /// How closely to look: `auto`, `low`, `high`, `original`.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A PDF or another document.
    Document {
        /// Where it is.
        source: Source,
        /// Its title or file name.
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Whether the answer shall cite it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cite: Option<bool>,
    },
    /// Sound, sent or made.
    Audio {
        /// Where it is.
        source: Source,
        /// What is said in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        transcript: Option<String>,
        /// The provider's name for it, to refer to it in the next turn.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// A film.
    Video {
        /// Where it is.
        source: Source,
    },
    /// The model's thinking, as far as it is shown. Its proof of origin is [`Part::signature`].
    Reasoning {
        /// The text; empty when it is withheld and only the signature is given.
        text: String,
        /// True when the text is encrypted: then the signature is the content.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        redacted: bool,
    },
    /// The model wants a tool to be called.
    ToolCall {
        /// The call's id; never empty (readers make one up from its position when the wire has none).
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments as JSON text; may be invalid JSON, because models write it. Empty means `{}`. Of a tool that takes
        /// free text ([`ToolKind::Custom`](super::ToolKind::Custom)) they are `{"input":"…"}`, whatever the wire has.
        arguments: String,
    },
    /// What the tool gave back.
    ToolResult {
        /// The id of the call.
        id: String,
        /// The tool's name, where known.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Texts, images, documents.
        parts: Vec<Part>,
        /// True when the tool failed.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        failed: bool,
    },
    /// The model declines.
    Refusal {
        /// In its words.
        text: String,
    },
    /// A block that only its own dialect knows (server tools, search results, code execution, …).
    Foreign {
        /// The dialect that it comes from.
        #[serde(deserialize_with = "read_dialect")]
        from: DialectName,
        /// The block as it came.
        #[serde(deserialize_with = "read_kept")]
        value: Raw,
    },
}

/// Where media is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An `https:` address (or a provider's own scheme).
    Url {
        /// The address.
        url: String,
        /// The media type, where said.
        #[serde(skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    /// In the request itself.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Standard base64, no line breaks, no `data:` prefix.
        data: String,
    },
    /// Uploaded before.
    File {
        /// The provider's id.
        id: String,
    },
    /// Plain text given as a document.
    Text {
        /// The text.
        text: String,
    },
}

/// Keep the prompt up to here in the provider's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMark {
    /// For how long: `5m`, `1h`, `30m`, `12h`; `None`: the provider's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

/// Opaque state, tagged with the dialect that made it; never sent to another.
///
/// Towards a caller whose dialect is not the owner's, the value travels as `tl.<owner>.<value>`
/// ([`Signature::sealed`]) in the field where that dialect keeps its own, and is recognised when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The dialect that it belongs to.
    #[serde(deserialize_with = "read_dialect")]
    pub owner: DialectName,
    /// As it came.
    pub value: String,
}

const SEAL: &str = "tl.";

impl Signature {
    /// How this signature is written for `dialect`: bare for its owner, tagged for everybody else.
    pub fn sealed(&self, dialect: &str) -> String {
        if self.owner == dialect { self.value.clone() } else { format!("{SEAL}{}.{}", self.owner, self.value) }
    }

    /// Reads what [`Signature::sealed`] wrote; an untagged value belongs to `dialect`.
    pub fn unseal(value: &str, dialect: &'static str) -> Self {
        let tagged = value.strip_prefix(SEAL).and_then(|rest| rest.split_once('.'));
        match tagged.and_then(|(owner, value)| Some((crate::dialect::find(owner)?.name, value))) {
            Some((owner, value)) => Signature { owner, value: value.to_owned() },
            None => Signature { owner: dialect, value: value.to_owned() },
        }
    }
}

/// Where a piece of an answer comes from. Fields that the wire did not give are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The address of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The words that are cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cited_text: Option<String>,
    /// First character of the answer's text that it supports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// One past the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// The dialect that `raw` is written in.
    #[serde(skip_serializing_if = "str::is_empty", default, deserialize_with = "read_dialect")]
    pub from: DialectName,
    /// As it came.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "read_kept_piece")]
    pub raw: Option<Raw>,
}

/// Fields that we do not act on, tagged with the dialect that they came from; they come out again where
/// that dialect is spoken, and are a [`Loss`](crate::Loss) elsewhere. Without any, it does not matter whose they are not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Extra {
    /// The dialect.
    #[serde(deserialize_with = "read_dialect")]
    pub from: DialectName,
    /// The fields.
    pub fields: Map<String, Value>,
}

impl Extra {
    /// Fields of `dialect`.
    pub fn new(from: &'static str, fields: Map<String, Value>) -> Self {
        Extra { from, fields }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields, if they are `dialect`'s own.
    pub fn of(&self, dialect: &str) -> Option<&Map<String, Value>> {
        (self.from == dialect && !self.is_empty()).then_some(&self.fields)
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && (self.from == other.from || self.is_empty())
    }
}

/// A piece of JSON kept exactly as it was written. Two are equal when their values are.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Raw(pub Box<RawValue>);

impl Raw {
    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Wraps JSON text; `None` when it is not JSON.
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        RawValue::from_string(text.into()).ok().map(Raw)
    }

    /// Any serialisable value; `null` when it cannot be written.
    pub fn of(value: &impl Serialize) -> Self {
        serde_json::value::to_raw_value(value).map_or_else(|_| Raw(RawValue::NULL.to_owned()), Raw)
    }

    /// The value as a tree.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.get()).unwrap_or(Value::Null)
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get() || self.value() == other.value()
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Raw)
    }
}

/// A dialect by its name; one that is not known (any more) is nobody's.
fn read_dialect<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    Ok(crate::dialect::find(&name).map_or("", |dialect| dialect.name))
}

/// Of a value inside of others that are told apart by a member, the text is gone by the time that it is read.
fn read_kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
    Value::deserialize(deserializer).map(|value| Raw::of(&value))
}

fn read_kept_piece<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw>, D::Error> {
    Ok(Option::<Value>::deserialize(deserializer)?.map(|value| Raw::of(&value)))
}
