//! Dialects that only providers speak and no caller does. Each is told by how it differs from openai-chat, in whose
//! words requests are written first and answers are read in the end; only what lies between is the dialect's own.

mod chat;
mod value;

use http::HeaderMap;

use super::openai_chat::wire::Answer;
use super::openai_chat::{cannot_count, response, stream};
use super::{Forward, Framing, Head, Observe, Operation, Outgoing, Peek, ReadStream, Upstream};
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Origin, Result};
use crate::frame::Frame;
use crate::ir::{Event, Request, Response, TokenCount, Usage, fold};

pub(crate) use chat::Chat;
pub(crate) use value::{camel, merge_turns, pair_functions};

/// A dialect by how it differs.
pub(crate) struct Native {
    /// Its name in configuration.
    pub(crate) name: &'static str,
    /// How its streams are framed.
    pub(crate) framing: Framing,
    /// What it has no field for, beside what none of these has: names of quirks' `refuses`.
    pub(crate) absent: &'static [&'static str],
    /// Adds its own departures to the provider's.
    pub(crate) bend: fn(&mut Quirks),
    /// Rearranges a request.
    pub(crate) write: fn(Chat, &Request, &Quirks) -> Outgoing,
    /// Reads a whole answer or a frame of one, which is the same but for its `delta`s; an error in it is an `Err`.
    pub(crate) read: ReadAnswer,
    /// Reads an error answer.
    pub(crate) read_error: fn(u16, &[u8]) -> Error,
}

type ReadAnswer = for<'a> fn(&'a [u8]) -> Result<Answer<'a>>;

/// What none of these dialects has a field for.
const ABSENT: [&str; 12] = [
    "frequency_penalty",
    "logit_bias",
    "metadata",
    "service_tier",
    "store",
    "verbosity",
    "prompt_cache_key",
    "name",
    "file",
    "tools.strict",
    "tools.custom",
    "tool_choice.allowed",
];

impl Upstream for Native {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        if operation != Operation::Chat {
            return Err(cannot_count(self.name));
        }
        let mut bent = quirks.clone();
        bent.stream_usage = false;
        bent.refuses.extend(ABSENT.iter().chain(self.absent).map(|word| (*word).to_owned()));
        (self.bend)(&mut bent);
        Ok((self.write)(Chat::write(request, &bent, self.name)?, request, &bent))
    }

    fn forward(&self, _: &Head<'_>, _: &Peek, _: &[u8], _: &str, _: &Quirks) -> Result<Forward> {
        Err(Error::new(Kind::Internal, Origin::Gateway, format!("no caller speaks {}", self.name)))
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        self.read_reply(body, &Quirks::default())
    }

    fn read_reply(&self, body: &[u8], quirks: &Quirks) -> Result<Response> {
        if self.framing == Framing::Ndjson {
            return gather(Reader::new(self, quirks), body);
        }
        let answer = (self.read)(body)?;
        if answer.choices.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::malformed("the answer has no choices").with_raw(body));
        }
        response::read_whole(answer, b"{}", self.name, quirks)
    }

    fn has_errors_in_success(&self, _: &Quirks) -> bool {
        // All that come as a whole; messages one after another have their errors among them.
        self.framing != Framing::Ndjson
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(self.name))
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        Box::new(Reader::new(self, quirks))
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        (self.read_error)(status, body)
    }

    fn observe(&self, _: &Quirks) -> Box<dyn Observe> {
        Box::new(Unseen)
    }

    fn observe_response(&self, _: &[u8]) -> Option<Usage> {
        None
    }
}

/// Reads one stream. It is over when the input ends after a finish: none of these dialects has a terminator.
struct Reader {
    read: ReadAnswer,
    chat: stream::Reader,
}

impl Reader {
    fn new(dialect: &Native, quirks: &Quirks) -> Self {
        Reader { read: dialect.read, chat: stream::Reader::new(dialect.name, quirks).without_done() }
    }
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        // Older servers of some of these dialects were seen to send the terminator of openai-chat all the same.
        if data.is_empty() || data == b"[DONE]" || frame.event == Some("done") {
            return Ok(());
        }
        if frame.event == Some("error") {
            let nothing = || Error::malformed("an error without words").with_raw(data);
            return Err((self.read)(data).err().unwrap_or_else(nothing));
        }
        let mut answer = (self.read)(data)?;
        for choice in answer.choices.iter_mut().flatten() {
            choice.delta = choice.delta.take().or_else(|| choice.message.take().map(|message| *message));
        }
        self.chat.answer(answer, b"{}", out)
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        self.chat.finish(out)
    }
}

/// A dialect that only streams: the whole answer from all of its messages, one a line.
fn gather(mut reader: Reader, body: &[u8]) -> Result<Response> {
    let (mut events, mut fold) = (Vec::new(), fold::Fold::default());
    for line in body.split(|byte| *byte == b'\n') {
        reader.push(Frame { event: None, data: line }, &mut events)?;
    }
    reader.finish(&mut events)?;
    events.into_iter().for_each(|event| fold.push(event));
    Ok(fold.into_response())
}

/// An error that was read from the body alone, with the status of its head.
pub(crate) fn with_status(mut error: Error, status: u16) -> Error {
    error.status = Some(status);
    if error.kind == Kind::Server {
        error.set_kind(Kind::from_status(status));
    }
    error
}

/// Nothing passes by unchanged where caller and provider never speak the same dialect.
struct Unseen;

impl Observe for Unseen {
    fn frame(&mut self, _: Frame<'_>) {}

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn is_complete(&self) -> bool {
        false
    }
}
