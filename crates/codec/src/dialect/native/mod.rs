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

/// How a dialect differs.
pub(crate) trait Variant: Copy + Send + Sync + 'static {
    /// Its name in configuration.
    const NAME: &'static str;

    /// How its streams are framed.
    const FRAMING: Framing = Framing::Sse;

    /// Adds the dialect's own departures to the provider's: what it has no field for is refused.
    fn bend(self, quirks: &mut Quirks);

    /// Rearranges a request.
    fn write(self, chat: Chat, request: &Request, quirks: &Quirks) -> Result<Outgoing>;

    /// Reads a whole answer or a frame of one, which is the same but for its `delta`s; an error in it is an `Err`.
    fn read<'a>(self, body: &'a [u8]) -> Result<Answer<'a>>;

    /// Reads an error answer.
    fn read_error(self, status: u16, body: &[u8]) -> Error;
}

/// A dialect by its difference.
pub(crate) struct Native<V>(pub(crate) V);

impl<V: Variant> Upstream for Native<V> {
    fn write_request(&self, request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
        if operation != Operation::Chat {
            return Err(cannot_count(V::NAME));
        }
        let mut bent = quirks.clone();
        bent.stream_usage = false;
        // Newer than all of these dialects.
        bent.refuses.extend(["verbosity", "prompt_cache_key"].map(str::to_owned));
        self.0.bend(&mut bent);
        self.0.write(Chat::write(request, &bent, V::NAME)?, request, &bent)
    }

    fn forward(&self, _: &Head<'_>, _: &Peek, _: &[u8], _: &str, _: &Quirks) -> Result<Forward> {
        Err(Error::new(Kind::Internal, Origin::Gateway, format!("no caller speaks {}", V::NAME)))
    }

    fn framing(&self) -> Framing {
        V::FRAMING
    }

    fn can(&self, operation: Operation) -> bool {
        operation == Operation::Chat
    }

    fn read_response(&self, body: &[u8]) -> Result<Response> {
        self.read_reply(body, &Quirks::default())
    }

    fn read_reply(&self, body: &[u8], quirks: &Quirks) -> Result<Response> {
        if V::FRAMING == Framing::Ndjson {
            return gather(Reader::new(self.0, quirks), body);
        }
        let answer = self.0.read(body)?;
        if answer.choices.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::malformed("the answer has no choices").with_raw(body));
        }
        response::read_whole(answer, b"{}", V::NAME, quirks)
    }

    fn has_errors_in_success(&self, _: &Quirks) -> bool {
        // All that come as a whole; messages one after another have their errors among them.
        V::FRAMING != Framing::Ndjson
    }

    fn read_count(&self, _: &[u8]) -> Result<TokenCount> {
        Err(cannot_count(V::NAME))
    }

    fn read_stream(&self, quirks: &Quirks) -> Box<dyn ReadStream> {
        Box::new(Reader::new(self.0, quirks))
    }

    fn classify(&self, status: u16, _: &HeaderMap, body: &[u8]) -> Error {
        self.0.read_error(status, body)
    }

    fn observe(&self, _: &Quirks) -> Box<dyn Observe> {
        Box::new(Unseen)
    }

    fn observe_response(&self, _: &[u8]) -> Option<Usage> {
        None
    }
}

/// Reads one stream. It is over when the input ends after a finish: none of these dialects has a terminator.
struct Reader<V> {
    variant: V,
    chat: stream::Reader,
}

impl<V: Variant> Reader<V> {
    fn new(variant: V, quirks: &Quirks) -> Self {
        Reader { variant, chat: stream::Reader::new(V::NAME, quirks).without_done() }
    }
}

impl<V: Variant> ReadStream for Reader<V> {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        let data = frame.data.trim_ascii();
        // Older servers of some of these dialects were seen to send the terminator of openai-chat all the same.
        if data.is_empty() || data == b"[DONE]" || frame.event == Some("done") {
            return Ok(());
        }
        if frame.event == Some("error") {
            return Err(self
                .variant
                .read(data)
                .err()
                .unwrap_or_else(|| Error::malformed("an error without words").with_raw(data)));
        }
        let mut answer = self.variant.read(data)?;
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
fn gather<V: Variant>(mut reader: Reader<V>, body: &[u8]) -> Result<Response> {
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
