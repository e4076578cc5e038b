//! The same lane: bytes pass as they came, block by block, while usage is observed.

use bytes::{Bytes, BytesMut};

use crate::codec::dialect::{Framing, Observe, ReadStream};
use crate::codec::frame::event_stream::{Fault, message_len, read_message};
use crate::codec::frame::{ArrayReader, Frame, Part, ReadFrame, Splitter, SseSplitter, TooLong};
use crate::codec::{Error, Kind};

/// Forwards the bytes of a stream. Only whole blocks leave, so that an error frame can follow a cut cleanly; a caller
/// could not use half a block anyway.
pub(super) struct Sift {
    pub(super) observe: Box<dyn Observe>,
    drop_usage: bool,
    blocks: Blocks,
    suspect: Suspect,
}

/// The last frame that may be an error: copied, because most streams have none and reading is for the end.
#[derive(Default)]
struct Suspect {
    event: Option<String>,
    data: Vec<u8>,
}

impl Suspect {
    fn look(&mut self, frame: Frame<'_>, observe: &dyn Observe) {
        let is_named = frame.event.is_some_and(|name| name == "error" || name.ends_with("Exception"));
        if is_named || super::mentions_error(frame.data) || observe.may_be_error(frame) {
            self.event = frame.event.map(str::to_owned);
            self.data.clear();
            self.data.extend_from_slice(frame.data);
        }
    }
}

enum Blocks {
    /// What ends with a mark leaves when the mark has come.
    Marked {
        split: Splitter,
        held: Vec<u8>,
        joined: Vec<u8>,
        limit: usize,
    },
    Array(ArrayReader),
    EventStream {
        held: Vec<u8>,
        scratch: Vec<u8>,
        limit: usize,
    },
}

impl Sift {
    pub(super) fn new(observe: Box<dyn Observe>, framing: Framing, drop_usage: bool, limit: usize) -> Self {
        let marked = |split| Blocks::Marked { split, held: Vec::new(), joined: Vec::new(), limit };
        let blocks = match framing {
            Framing::Sse => marked(Splitter::Sse(SseSplitter::new())),
            Framing::Ndjson => marked(Splitter::Ndjson),
            Framing::Array => Blocks::Array(ArrayReader::new(limit)),
            Framing::EventStream => Blocks::EventStream { held: Vec::new(), scratch: Vec::new(), limit },
        };
        Sift { observe, drop_usage, blocks, suspect: Suspect::default() }
    }

    /// The error that the provider ended its stream with, if it did: it has reached the caller as it came, but the
    /// call has failed all the same.
    pub(super) fn fault(&self, mut read: Box<dyn ReadStream>) -> Option<Error> {
        let Suspect { event, data } = &self.suspect;
        if data.is_empty() {
            return None;
        }
        let frame = Frame { event: event.as_deref(), data };
        read.push(frame, &mut Vec::new()).err().filter(|error| error.kind != Kind::Malformed)
    }

    /// What of the stream may leave now that `chunk` has come, also when a block in it is too long.
    pub(super) fn feed(&mut self, chunk: Bytes) -> (Bytes, Result<(), Fault>) {
        let Sift { observe, drop_usage, blocks, suspect } = self;
        let (split, held, joined, limit) = match blocks {
            Blocks::Array(reader) => {
                let (mut rest, mut good) = (&chunk[..], 0);
                loop {
                    match reader.next(&mut rest) {
                        Ok(Some(frame)) => {
                            observe.frame(frame);
                            suspect.look(frame, &**observe);
                            good = chunk.len() - rest.len();
                        }
                        Ok(None) => return (chunk, Ok(())),
                        Err(long) => return (chunk.slice(..good), Err(long.into())),
                    }
                }
            }
            Blocks::EventStream { held, scratch, limit } => {
                return feed_messages(&chunk, held, *limit, &mut |bytes| {
                    let frame = read_message(bytes)?.frame(scratch);
                    observe.frame(frame);
                    suspect.look(frame, &**observe);
                    Ok(())
                });
            }
            Blocks::Marked { split, held, joined, limit } => (split, held, joined, *limit),
        };
        // Bytes before `from` were copied to `out` or dropped; those from there up to `to` may leave as they are.
        let (mut from, mut to) = (0, 0);
        let mut out = BytesMut::new();
        let read = split.reader();
        for Part { span, ends } in split.split(&chunk) {
            let part = chunk.get(span.clone()).unwrap_or_default();
            let is_begun = !held.is_empty();
            if is_begun || !ends {
                if held.len() + part.len() > limit {
                    return (join(out, &chunk, from, to), Err(TooLong { limit }.into()));
                }
                held.extend_from_slice(part);
            }
            if !ends {
                break;
            }
            if let Some(frame) = read(if is_begun { held } else { part }, joined) {
                observe.frame(frame);
                suspect.look(frame, &**observe);
            }
            let dropped = *drop_usage && observe.is_usage_only();
            if is_begun && !dropped {
                out.extend_from_slice(held);
            } else if dropped {
                out.extend_from_slice(chunk.get(from..to).unwrap_or_default());
            }
            if is_begun || dropped {
                from = span.end;
            }
            to = span.end;
            held.clear();
        }
        (join(out, &chunk, from, to), Ok(()))
    }

    /// What is left when the stream has ended.
    pub(super) fn finish(&mut self) -> Bytes {
        match &mut self.blocks {
            Blocks::Marked { split, held, joined, .. } => {
                let block = std::mem::take(held);
                if let Some(frame) = split.reader()(&block, joined) {
                    self.observe.frame(frame);
                    self.suspect.look(frame, &*self.observe);
                }
                // Half a block of a stream that was cut would swallow the error that follows it.
                let dropped = !self.observe.is_complete() || (self.drop_usage && self.observe.is_usage_only());
                if dropped { Bytes::new() } else { block.into() }
            }
            // A message that is cut says nothing.
            Blocks::EventStream { .. } => Bytes::new(),
            Blocks::Array(reader) => {
                if let Some(frame) = reader.finish().frame {
                    self.observe.frame(frame);
                    self.suspect.look(frame, &*self.observe);
                }
                Bytes::new()
            }
        }
    }
}

/// The whole messages that there are now; the front of one that is not whole yet is held. Each is shown to `take`, which
/// checks it.
fn feed_messages(
    chunk: &Bytes,
    held: &mut Vec<u8>,
    limit: usize,
    take: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
) -> (Bytes, Result<(), Fault>) {
    let (mut out, mut from, mut to) = (BytesMut::new(), 0, 0);
    let mut feed = || -> Result<(), Fault> {
        while !held.is_empty() {
            let missing = message_len(held, limit)?.saturating_sub(held.len());
            if missing == 0 {
                take(held)?;
                out.extend_from_slice(held);
                held.clear();
                break;
            }
            let rest = chunk.get(from..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            held.extend_from_slice(rest.get(..missing).unwrap_or(rest));
            from = chunk.len().min(from + missing);
        }
        to = from;
        while let Some(rest) = chunk.get(to..).filter(|rest| !rest.is_empty()) {
            // Fewer bytes than the lengths themselves take are never a message.
            let len = message_len(rest, limit)?;
            match rest.get(..len).filter(|_| rest.len() > 12) {
                Some(message) => take(message)?,
                None => {
                    held.extend_from_slice(rest);
                    return Ok(());
                }
            }
            to += len;
        }
        Ok(())
    };
    let fed = feed();
    (join(out, chunk, from, to), fed)
}

/// What was gathered, and then the chunk's own stretch; no copy when that is all.
fn join(mut out: BytesMut, chunk: &Bytes, from: usize, to: usize) -> Bytes {
    if to <= from {
        return out.freeze();
    }
    if out.is_empty() {
        return chunk.slice(from..to);
    }
    out.extend_from_slice(chunk.get(from..to).unwrap_or_default());
    out.freeze()
}
