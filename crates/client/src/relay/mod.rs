//! The body of an answer on its way to whoever asked, through its lane, with an eye on usage.
//!
//! [`whole`] takes an unstreamed answer, [`Events`] gives a streamed one to the library, [`Pipe`] gives it to a
//! caller of the gateway. [`Stitched`] makes one answer of several, [`Seam`] gives that to a caller. [`Flow`] passes on any other answer as it comes.

mod events;
mod flow;
mod hold;
mod patience;
mod pipe;
mod seam;
mod sift;
mod stitched;
mod story;

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::codec::dialect::{Cx, Dialect, Framing};
use crate::codec::{Error, Kind, Origin, Phase, Result};
use crate::exchange::{Answer, Lane, explain};
use crate::ir::{Response, Usage, fold};
use crate::monitor::reckon_whole;

pub use events::{Events, Reader};
pub use flow::Flow;
pub use hold::{Hold, hold};
pub use patience::Settings;
pub use pipe::Pipe;
pub use seam::{Listen, Seam};
pub use stitched::{GoOn, Step, Stitched};

/// A whole answer.
pub enum Whole {
    /// The provider's bytes.
    Same {
        /// The body.
        body: Bytes,
        /// The usage in it, or a guess that is marked as one.
        usage: Option<Usage>,
    },
    /// In canonical form.
    Read(Response),
}

/// Collects a whole answer of at most `limit` bytes. A body that holds an error in spite of its status, is not of
/// its dialect, or is empty, is an `Err`.
///
/// # Errors
/// Those, and a connection that breaks.
pub async fn whole(answer: Answer, limit: usize) -> Result<Whole> {
    let Answer { target, dialect, lane, body, .. } = answer;
    let body = body.collect(limit).await.map_err(|failure| explain(&failure, &target))?;
    let read = || match dialect.upstream.read_reply(&body, target.quirks()) {
        Ok(response) => Ok(response),
        Err(error) => Err(target.service.sign(describe(error, &body))),
    };
    match lane {
        Lane::Translate => read().map(Whole::Read),
        Lane::Same => {
            let usage = if looks_wrong(&body) { None } else { dialect.upstream.observe_response(&body) };
            let usage = match usage {
                Some(usage) => Some(usage),
                // Good answers tell their usage, mostly; one that does not gets a closer look.
                None => Some(reckon_whole(&read()?)),
            };
            Ok(Whole::Same { body: body.clone(), usage })
        }
    }
}

/// What kind of answer a stream's head announces.
pub fn is_stream(answer: &Answer) -> bool {
    let media = answer.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Some servers name no type at all, or a wrong one; JSON and HTML are what must not be taken for events.
    !media.starts_with("application/json") && !media.starts_with("text/html")
}

/// A cheap look for what a good answer does not have: an `error` member, an end in the middle, or no JSON at all.
fn looks_wrong(body: &[u8]) -> bool {
    let trimmed = body.trim_ascii();
    let is_object = trimmed.first() == Some(&b'{') && trimmed.last() == Some(&b'}');
    let front = body.get(..512).unwrap_or(body);
    !is_object || mentions_error(front)
}

/// Made once: that takes longer than to look through a frame.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));

/// A cheap look for the word. Good answers of some dialects have it, too: with `null`, to say that there is none.
fn mentions_error(json: &[u8]) -> bool {
    ERROR.find_iter(json).any(|at| {
        let rest = json.get(at + ERROR.needle().len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_none_or(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

/// Says what came instead of an answer.
pub(crate) fn describe(error: Error, body: &[u8]) -> Error {
    if error.kind != Kind::Malformed {
        return error;
    }
    let trimmed = body.trim_ascii();
    let message = match trimmed.first() {
        None => "answered with an empty body",
        Some(b'<') => "answered with an HTML page instead of JSON; check the provider's base_url",
        Some(b'{' | b'[') => return error.with_raw(body),
        Some(_) => "answered with something that is not JSON; check the provider's base_url",
    };
    Error { message: message.to_owned(), ..error }.with_raw(body)
}

pub(crate) fn stalled(seconds: u64) -> Error {
    let what = format!("sent nothing for {seconds} seconds in the middle of its answer");
    Error::timeout(Phase::BetweenBytes, Origin::Provider, what)
}

/// True when a stream was asked for and the provider answers with something else: a whole answer, an error, a page.
pub fn is_whole_instead(answer: &Answer, framing: Framing) -> bool {
    (answer.lane == Lane::Translate || framing != Framing::Array) && !is_stream(answer)
}

/// Reads a whole answer, whatever its lane.
///
/// # Errors
/// As [`whole`].
pub async fn read(answer: Answer, limit: usize) -> Result<Response> {
    match whole(Answer { lane: Lane::Translate, ..answer }, limit).await? {
        Whole::Read(response) => Ok(response),
        Whole::Same { .. } => Err(Error::new(Kind::Internal, Origin::Gateway, "a translated answer was not read")),
    }
}

/// Writes a whole answer as the stream that the caller asked for.
pub fn write_as_stream(response: Response, inbound: &'static Dialect, cx: &Cx) -> Bytes {
    let mut writer = inbound.downstream().write_stream(cx);
    let mut bytes = Vec::new();
    for event in fold::unfold(response) {
        writer.push(&event, &mut bytes);
    }
    writer.finish(&mut bytes);
    bytes.into()
}

/// The provider's bytes of a whole answer, unread.
///
/// # Errors
/// When the connection breaks or the answer is longer than `limit`.
pub async fn collect(answer: Answer, limit: usize) -> Result<Bytes> {
    let target = answer.target;
    answer.body.collect(limit).await.map_err(|failure| explain(&failure, &target))
}
