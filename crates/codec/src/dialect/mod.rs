//! Wire formats. One folder each, always the same five files: `wire` (the structs), `request`, `response`,
//! `stream` and `error`.
//!
//! [`Upstream`] is a dialect as we speak it to a provider, [`Downstream`] as callers speak it to us.
//! Reading is tolerant (unknown fields travel in [`Extra`](crate::ir::Extra), unknown enum words and events
//! never fail a call); writing gives every field that the dialect requires, filled or null.

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::frame::{ArrayReader, EventStreamReader, Frame, NdjsonReader, ReadFrame, SseReader, event_stream};
use crate::ir::{Event, Model, Request, Response, TokenCount, Usage};
use crate::json::KeyFinder;
use crate::loss::Losses;

pub mod advice;
mod anthropic_messages;
mod aside;
mod asked;
pub mod batch;
mod bedrock_converse;
mod cohere_chat;
mod dashscope;
mod fault;
mod feature;
mod fields;
mod gemini;
pub mod headers;
mod hunyuan;
mod kept;
mod native;
mod object;
mod ollama;
mod openai_chat;
mod openai_completions;
mod openai_responses;
pub mod operation;
mod person;
mod phrase;
mod qianfan;
mod queue;
mod said;
mod shared;
mod spark;
mod time;

use native::Native;

pub use crate::json::Edit;
pub use aside::{Aside, ReadName, aside};
pub use asked::Asked;
pub use feature::Feature;
pub use kept::Kept;
pub use said::Said;

/// A wire format, both ways.
pub struct Dialect {
    /// Its name in configuration: `openai-chat`, …
    pub name: &'static str,
    /// How we speak it to providers.
    pub upstream: &'static dyn Upstream,
    /// How callers speak it to us; `None` where only providers speak it.
    pub downstream: Option<&'static dyn Downstream>,
}

impl Dialect {
    /// How callers speak it to us. No path leads to a dialect that only providers speak ([`route`]); should one be asked
    /// for all the same, its caller is answered in the most common dialect.
    pub fn downstream(&self) -> &'static dyn Downstream {
        self.downstream.unwrap_or(&openai_chat::OpenAiChat)
    }
}

/// Every dialect. The only list of them.
pub static ALL: &[Dialect] = &[
    Dialect { name: openai_chat::NAME, upstream: &openai_chat::OpenAiChat, downstream: Some(&openai_chat::OpenAiChat) },
    Dialect {
        name: openai_completions::NAME,
        upstream: &openai_completions::OpenAiCompletions,
        downstream: Some(&openai_completions::OpenAiCompletions),
    },
    Dialect {
        name: openai_responses::NAME,
        upstream: &openai_responses::OpenAiResponses,
        downstream: Some(&openai_responses::OpenAiResponses),
    },
    Dialect {
        name: anthropic_messages::NAME,
        upstream: &anthropic_messages::AnthropicMessages,
        downstream: Some(&anthropic_messages::AnthropicMessages),
    },
    Dialect { name: gemini::NAME, upstream: &gemini::Gemini, downstream: Some(&gemini::Gemini) },
    Dialect { name: cohere_chat::NAME, upstream: &cohere_chat::CohereChat, downstream: Some(&cohere_chat::CohereChat) },
    Dialect {
        name: ollama::CHAT,
        upstream: &ollama::Ollama(ollama::Shape::Chat),
        downstream: Some(&ollama::Ollama(ollama::Shape::Chat)),
    },
    Dialect {
        name: ollama::GENERATE,
        upstream: &ollama::Ollama(ollama::Shape::Generate),
        downstream: Some(&ollama::Ollama(ollama::Shape::Generate)),
    },
    Dialect {
        name: bedrock_converse::NAME,
        upstream: &bedrock_converse::BedrockConverse,
        downstream: Some(&bedrock_converse::BedrockConverse),
    },
    native(&dashscope::DASHSCOPE),
    native(&hunyuan::HUNYUAN),
    native(&qianfan::QIANFAN),
    native(&spark::SPARK),
];

/// A dialect that only providers speak.
const fn native(upstream: &'static Native) -> Dialect {
    Dialect { name: upstream.name, upstream, downstream: None }
}

/// The dialect of this name.
pub fn find(name: &str) -> Option<&'static Dialect> {
    ALL.iter().find(|dialect| dialect.name == name)
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An answer to a conversation or a prompt.
    Chat,
    /// The number of tokens of a request.
    CountTokens,
    /// Vectors for texts.
    Embed,
    /// Pictures from a text.
    ImageGenerate,
    /// Pictures from pictures and a text.
    ImageEdit,
    /// Sound from a text.
    Speak,
    /// What is said in a sound.
    Transcribe,
    /// What is said in a sound, in English.
    TranslateAudio,
    /// Documents in the order of their relevance to a query.
    Rerank,
    /// Whether texts or pictures are harmful.
    Moderate,
}

impl Operation {
    /// Every operation's name in configuration.
    pub const KEYS: [(Operation, &'static str); 10] = [
        (Operation::Chat, "chat"),
        (Operation::CountTokens, "count_tokens"),
        (Operation::Embed, "embed"),
        (Operation::ImageGenerate, "image_generate"),
        (Operation::ImageEdit, "image_edit"),
        (Operation::Speak, "speak"),
        (Operation::Transcribe, "transcribe"),
        (Operation::TranslateAudio, "translate_audio"),
        (Operation::Rerank, "rerank"),
        (Operation::Moderate, "moderate"),
    ];

    /// Whether a request that got lost may be sent again unasked: nobody wants to pay twice for a picture or a sound.
    pub const fn may_be_repeated(self) -> bool {
        matches!(self, Operation::Chat | Operation::CountTokens | Operation::Embed | Operation::Rerank | Operation::Moderate)
    }

    /// Its name in configuration.
    pub fn key(self) -> &'static str {
        Self::KEYS.iter().find(|(operation, _)| *operation == self).map_or("", |(_, key)| key)
    }
}

/// The head of a caller's request.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The path, percent-encoded as it came.
    pub path: &'a str,
    /// The query without `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// The few fields that routing and admission need, without building a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    /// What is wanted.
    pub operation: Operation,
    /// The model's name as the caller wrote it, unescaped.
    pub model: String,
    /// Where its JSON string stands in the body, quotes included; `None` when it stands in the path.
    pub model_span: Option<std::ops::Range<usize>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The output limit, where given.
    pub max_tokens: Option<u64>,
    /// How a streamed answer is framed for the caller.
    pub framing: Framing,
    /// Whether the caller asked for usage in a stream (always true where the dialect always tells it).
    pub stream_usage: bool,
    /// For whom the request is made, where the body says so.
    pub user: Option<String>,
}

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events: `text/event-stream`.
    Sse,
    /// One JSON array, an element a frame: `application/json`.
    Array,
    /// One JSON value a line: `application/x-ndjson`.
    Ndjson,
    /// Binary messages with checksums: `application/vnd.amazon.eventstream`.
    EventStream,
}

impl Framing {
    /// The `Content-Type` of a stream.
    pub const fn content_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream; charset=utf-8",
            Framing::Array => "application/json; charset=utf-8",
            Framing::Ndjson => "application/x-ndjson",
            Framing::EventStream => event_stream::MEDIA_TYPE,
        }
    }

    /// The framing that a `Content-Type` leaves no doubt of.
    pub fn announced(content_type: &str) -> Option<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case(event_stream::MEDIA_TYPE).then_some(Framing::EventStream)
    }

    /// A reader of such a stream, which refuses a frame of more than `limit` bytes.
    pub fn reader(self, limit: usize) -> Box<dyn ReadFrame> {
        match self {
            Framing::Sse => Box::new(SseReader::new(limit)),
            Framing::Array => Box::new(ArrayReader::new(limit)),
            Framing::Ndjson => Box::new(NdjsonReader::new(limit)),
            Framing::EventStream => Box::new(EventStreamReader::new(limit)),
        }
    }
}

/// A request as it goes to a provider. The credential is added later.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `POST`, mostly.
    pub method: Method,
    /// Path and query, appended to the provider's base URL: `/chat/completions`.
    pub path: String,
    /// Headers of the dialect (`anthropic-version`); not the credential, not `content-type`.
    pub headers: HeaderMap,
    /// JSON.
    pub body: Vec<u8>,
    /// What could not be said.
    pub losses: Losses,
}

/// What the same lane does to a caller's request: nothing but this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Path and query, appended to the provider's base URL.
    pub path: String,
    /// Replacements of body spans, in order and without overlap.
    pub edits: Vec<Edit>,
    /// True when usage was asked for on the caller's behalf: the extra chunk is taken out of the answer again.
    pub drop_usage: bool,
}

/// A dialect as we speak it to a provider.
pub trait Upstream: Sync {
    /// Writes a request: path, headers, body, losses. Fails when the request cannot be carried at all.
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing>;

    /// Same lane: the path and the declared edits for a caller's request that stays as it is.
    /// `model` is the provider's own name for the model.
    fn forward(&self, head: &Head<'_>, peek: &Peek, body: &[u8], model: &str, quirks: &Quirks) -> Result<Forward>;

    /// Whether a caller's own bytes may go to such a provider: the same lane.
    fn forwards(&self, _quirks: &Quirks) -> bool {
        true
    }

    /// How a provider frames the streams that it is asked for when a request was translated.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Whether the provider side of this dialect can do this operation.
    fn can(&self, operation: Operation) -> bool;

    /// Reads a whole answer. A body that holds an error in spite of its status 200 is an `Err`.
    fn read_response(&self, body: &[u8]) -> Result<Response>;

    /// Reads a whole answer of a provider with these quirks.
    fn read_reply(&self, body: &[u8], quirks: &Quirks) -> Result<Response> {
        let _ = quirks;
        self.read_response(body)
    }

    /// Whether errors that are about the whole call come with a status of success, too: in a whole JSON answer, even
    /// where a stream was asked for. Then [`read_reply`](Self::read_reply) tells them from good ones.
    fn has_errors_in_success(&self, quirks: &Quirks) -> bool {
        quirks.errors_in_success
    }

    /// Reads the answer of [`Operation::CountTokens`].
    fn read_count(&self, body: &[u8]) -> Result<TokenCount>;

    /// Reads a streamed answer, frame by frame.
    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream>;

    /// Reads an error answer; any body, also HTML and none at all. `now` is the Unix time in seconds: a wait that is told
    /// as a point in time is counted from it, unless the answer has a `Date`.
    fn read_error(&self, status: u16, headers: &HeaderMap, body: &[u8], now: u64) -> Error {
        let error = self.classify(status, headers, body);
        let retry = advice::read(&error, status, headers, body, now);
        Error { retry, ..error }
    }

    /// The dialect's part of [`Upstream::read_error`]: kind, words, code and field. When to try again is not read here.
    fn classify(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Error;

    /// Same lane: watches a stream that passes by.
    fn observe(&self, quirks: &Quirks) -> Box<dyn Observe>;

    /// Same lane: the usage of a whole answer that passes by; a cheap look, no tree.
    fn observe_response(&self, body: &[u8]) -> Option<Usage>;
}

/// A dialect as callers speak it to us.
pub trait Downstream: Sync {
    /// Looks at the few fields that routing needs. Refuses what is not JSON, repeated keys, wrong types.
    fn peek(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek>;

    /// Reads the whole request.
    fn read_request(&self, head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request>;

    /// What the writer of a translated answer must know of the request; `None`: nothing.
    fn recall(&self, _body: &[u8]) -> Option<Arc<Asked>> {
        None
    }

    /// What is said of answers that are kept for later ones; `None` where the dialect has no such.
    fn kept(&self, _body: &[u8]) -> Option<Kept> {
        None
    }

    /// Whether a request may go on from an answer that was kept: a glance that is right when it says no.
    fn may_go_on(&self, _body: &[u8]) -> bool {
        false
    }

    /// What an answer may hold that this dialect has no words for.
    fn lacks(&self) -> &'static [Feature] {
        &[]
    }

    /// Writes a whole answer.
    fn write_response(&self, response: &Response, cx: &Cx) -> Vec<u8>;

    /// Writes a streamed answer, event by event.
    fn write_stream(&self, cx: &Cx) -> Box<dyn WriteStream>;

    /// Writes an error's body; its status is [`Error::caller_status`].
    fn write_error(&self, error: &Error, request_id: &str) -> Vec<u8>;

    /// The headers of the dialect that an error's answer has beside its body.
    fn error_headers(&self, _error: &Error) -> HeaderMap {
        HeaderMap::new()
    }

    /// Writes the error frame that ends a broken stream (and nothing else: never a terminator of success),
    /// for streams that were forwarded as they came.
    fn write_stream_error(&self, error: &Error, cx: &Cx) -> Vec<u8>;

    /// Writes the answer of [`Operation::CountTokens`].
    fn write_count(&self, count: TokenCount) -> Vec<u8>;

    /// Writes the list of models.
    fn write_models(&self, models: &[Model]) -> Vec<u8>;

    /// Writes one model.
    fn write_model(&self, model: &Model) -> Vec<u8>;
}

/// What an answer's writer must be told, because nothing is made up in here.
#[derive(Clone, Debug, PartialEq)]
pub struct Cx {
    /// An id for answers that come without one: 24 characters of `[a-z0-9]`.
    pub id: String,
    /// The gateway's id of the call, for error bodies that carry one.
    pub request_id: String,
    /// Unix seconds.
    pub created: u64,
    /// The model's name for answers that come without one.
    pub model: String,
    /// How a stream is framed.
    pub framing: Framing,
    /// Whether the caller wants usage in a stream where that is an option.
    pub stream_usage: bool,
    /// What [`Downstream::recall`] found in the request; `None` where it was not asked.
    pub asked: Option<Arc<Asked>>,
}

impl Cx {
    /// Whether the caller declared a tool as one that takes free text.
    pub(crate) fn is_custom(&self, tool: &str) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.is_custom(tool))
    }
}

/// Frames in, events out. One a stream.
pub trait ReadStream: Send {
    /// Takes one frame. `Err` ends the stream: the frame is corrupt or is the provider's error.
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()>;

    /// Input ended. `Kind::Truncated` unless the dialect's own terminator was seen; pushes what is still due.
    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()>;
}

/// Events in, bytes out. One a stream.
pub trait WriteStream: Send {
    /// Writes one event.
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);

    /// Writes the terminator of a stream that ended well.
    fn finish(&mut self, out: &mut Vec<u8>);

    /// Writes the error that ends a stream that did not; never a terminator of success, never an invented finish.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>);
}

/// Watches the frames of a stream that passes by unchanged.
pub trait Observe: Send {
    /// Looks at one frame; must cost next to nothing for a frame that tells no usage.
    fn frame(&mut self, frame: Frame<'_>);

    /// The usage so far, if any was told.
    fn usage(&self) -> Option<Usage>;

    /// True once the dialect's own terminator (or its error frame) was seen.
    fn is_complete(&self) -> bool;

    /// Whether this frame may be the provider's error although it has no member of that name: then it is read when the
    /// stream is over.
    fn may_be_error(&self, frame: Frame<'_>) -> bool {
        let _ = frame;
        false
    }

    /// The members of a frame that hold what the model says: text, thinking, arguments of tools.
    fn said_in(&self) -> &'static [KeyFinder] {
        &[]
    }

    /// True when the frame just seen is the extra usage chunk that the caller did not ask for.
    fn is_usage_only(&self) -> bool {
        false
    }
}

/// The dialect and operation that a path belongs to; `None` for a path of nobody's.
///
/// `POST /v1/chat/completions`, `/v1/completions`, `/v1/responses`, `/v1/responses/input_tokens`, `/v1/messages`, `/v1/messages/count_tokens`,
/// `/v1/models/{model}:generateContent | :streamGenerateContent | :countTokens`, the last ones also under `/v1beta`;
/// `/v2/chat`, `/api/chat`, `/api/generate`; `/model/{modelId}/converse | /converse-stream | /count-tokens`.
pub fn route(path: &str) -> Option<(&'static Dialect, Operation)> {
    let (name, operation) = match path {
        "/v1/chat/completions" => ("openai-chat", Operation::Chat),
        "/v1/completions" => ("openai-completions", Operation::Chat),
        "/v1/responses" => ("openai-responses", Operation::Chat),
        "/v1/responses/input_tokens" => ("openai-responses", Operation::CountTokens),
        "/v1/messages" => ("anthropic-messages", Operation::Chat),
        "/v2/chat" => (cohere_chat::NAME, Operation::Chat),
        "/api/chat" => (ollama::CHAT, Operation::Chat),
        "/api/generate" => (ollama::GENERATE, Operation::Chat),
        "/v1/messages/count_tokens" => ("anthropic-messages", Operation::CountTokens),
        _ if path.starts_with("/model/") => match path.rsplit_once('/')?.1 {
            "converse" | "converse-stream" => ("bedrock-converse", Operation::Chat),
            "count-tokens" => ("bedrock-converse", Operation::CountTokens),
            _ => return None,
        },
        _ => {
            let model = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
            match model.rsplit_once(':')?.1 {
                "generateContent" | "streamGenerateContent" => ("gemini", Operation::Chat),
                "countTokens" => ("gemini", Operation::CountTokens),
                _ => return None,
            }
        }
    };
    Some((find(name)?, operation))
}
