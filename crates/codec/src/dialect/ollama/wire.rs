//! The shapes that answers have on the wire, for reading: a whole answer, or a line of a streamed one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::read_within;
use crate::dialect::openai_chat::wire::{Call, Count, Many, Scalar, Str, list_of};
use crate::error::{Error, Result};
use crate::ir::{Content, Part, Reason, Signature, TokenLogprob, TopLogprob, Usage};
use crate::ir::{Finish, Source};

/// A line of a stream, or a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) model: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) created_at: Option<Scalar<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    /// What [`Said::content`] is, where a prompt is continued.
    #[serde(borrow)]
    pub(super) response: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) thinking_details: Option<Vec<Detail<'a>>>,
    pub(super) done: Option<bool>,
    #[serde(borrow)]
    pub(super) done_reason: Option<Str<'a>>,
    pub(super) prompt_eval_count: Option<Count>,
    pub(super) eval_count: Option<Count>,
    #[serde(borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// What is said, or more of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) thinking_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    pub(super) images: Option<Many<Str<'a>>>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Many<Call<'a>>>,
}

/// Ours: what another dialect's maker needs to see again of its thinking.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Detail<'a> {
    #[serde(borrow)]
    pub(super) thinking: Option<Str<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Str<'a>>,
    pub(super) redacted: bool,
}

impl Detail<'_> {
    pub(super) fn signature(&self) -> Option<Signature> {
        self.signature.as_deref().filter(|value| !value.is_empty()).map(|value| Signature::unseal(value, super::CHAT))
    }

    pub(super) fn part(&self) -> Part {
        let text = self.thinking.as_deref().unwrap_or_default().to_owned();
        Part { signature: self.signature(), ..Content::Reasoning { text, redacted: self.redacted }.into() }
    }
}

/// A call of an answer; `position` is how many came before.
pub(super) fn read_call(call: &Call<'_>, position: usize) -> Part {
    let (name, arguments) = (call.name().to_owned(), call.arguments());
    let id = call.id().unwrap_or_else(|| made_up_id(position, &name, &arguments));
    Part { signature: call.signature(), ..Content::ToolCall { id, name, arguments }.into() }
}

/// An id for a call that came without one: the same for the same call, another one for most others of a conversation.
fn made_up_id(position: usize, name: &str, arguments: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain([0]).chain(arguments.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("call_{hash:016x}_{position}")
}

/// The probability of one token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logprob {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
    top_logprobs: Option<Vec<Logprob>>,
}

impl Logprob {
    fn read(self) -> TokenLogprob {
        let odd = |token: &str, bytes: Option<Vec<u8>>| bytes.filter(|bytes| bytes != token.as_bytes());
        let top = |item: Logprob| TopLogprob { bytes: odd(&item.token, item.bytes), logprob: item.logprob, token: item.token };
        TokenLogprob {
            bytes: odd(&self.token, self.bytes),
            logprob: self.logprob,
            token: self.token,
            top: self.top_logprobs.unwrap_or_default().into_iter().map(top).collect(),
        }
    }
}

impl<'a> Line<'a> {
    /// Reads one; an error in it is an `Err`.
    pub(super) fn read(json: &'a [u8]) -> Result<Self> {
        let line: Line<'_> = serde_json::from_slice(json).map_err(|error| {
            if json.trim_ascii_start().starts_with(b"<") {
                return Error::malformed("answered with an HTML page instead of JSON").with_raw(json);
            }
            Error::malformed(format!("the answer cannot be read: {error}")).with_raw(json)
        })?;
        match line.error {
            Some(raw) if !matches!(raw.get(), "null" | "false" | "\"\"" | "{}") => Err(read_within(json)),
            _ => Ok(line),
        }
    }

    /// The answer's text or more of it, and what else is said, in either shape.
    pub(super) fn said(&mut self) -> Said<'a> {
        let mut said = self.message.take().unwrap_or_default();
        said.content = said.content.or_else(|| self.response.take());
        said.thinking = said.thinking.or_else(|| self.thinking.take());
        said.thinking_details = said.thinking_details.or_else(|| self.thinking_details.take());
        said
    }

    /// Probabilities; what cannot be read is left out rather than fail the call.
    pub(super) fn logprobs(&self) -> Vec<TokenLogprob> {
        list_of::<Logprob>(self.logprobs).into_iter().map(Logprob::read).collect()
    }

    /// What it took; `None` when nothing is told.
    pub(super) fn usage(&self) -> Option<Usage> {
        usage(self.prompt_eval_count, self.eval_count)
    }

    /// Why it ended. Calls of tools end like everything else.
    pub(super) fn finish(&self, calls: bool) -> Finish {
        let word = self.done_reason.as_deref().unwrap_or_default();
        let reason = match word {
            "" | "stop" if calls => Reason::ToolCalls,
            "length" => Reason::Length,
            "content_filter" => Reason::Filtered,
            "error" => Reason::Failed,
            // `stop`, `load`, `unload`, and whatever comes next year.
            _ => Reason::Stop,
        };
        let usual = matches!(word, "" | "stop" | "length" | "content_filter" | "error");
        Finish { reason, stop_sequence: None, detail: (!usual).then(|| word.to_owned()) }
    }
}

pub(super) fn usage(input: Option<Count>, output: Option<Count>) -> Option<Usage> {
    let (input, output) = (input.and_then(|count| count.0), output.and_then(|count| count.0));
    // Without a count of the prompt all of it was in the cache, or nothing is known.
    let told = input.is_some() || output.is_some();
    told.then(|| Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() })
}

/// A picture in base64, whose type only its first bytes tell; an address is taken as well.
pub(super) fn read_image(text: &str) -> Content {
    let source = match text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
        None if text.starts_with("http://") || text.starts_with("https://") => {
            Source::Url { url: text.to_owned(), media_type: None }
        }
        None => Source::Base64 { media_type: guess_type(text).to_owned(), data: text.to_owned() },
    };
    Content::Image { source, detail: None }
}

/// The first bytes of the usual formats, in base64.
fn guess_type(data: &str) -> &'static str {
    const TYPES: [(&str, &str); 5] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("Qk", "image/bmp"),
    ];
    TYPES.iter().find(|(start, _)| data.starts_with(start)).map_or("image/jpeg", |(_, media_type)| media_type)
}

/// Fields of an answer that mean nothing to us, and how long things took.
pub(super) fn read_extra(json: &[u8]) -> serde_json::Map<String, Value> {
    const KNOWN: [&str; 12] = [
        "model",
        "created_at",
        "message",
        "response",
        "thinking",
        "thinking_details",
        "done",
        "done_reason",
        "prompt_eval_count",
        "eval_count",
        "logprobs",
        "error",
    ];
    let all: std::collections::BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(json).unwrap_or_default();
    all.into_iter()
        .filter(|(key, value)| !KNOWN.contains(&&**key) && value.get() != "null")
        .filter_map(|(key, value)| Some((key.into_owned(), serde_json::from_str(value.get()).ok()?)))
        .collect()
}
