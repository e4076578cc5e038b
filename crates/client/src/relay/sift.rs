//! The same lane: bytes pass as they came, block by block, while usage is observed.

use bytes::{Bytes, BytesMut};

use crate::codec::dialect::{Framing, Observe, ReadStream, Said};
use crate::codec::frame::event_stream::{Fault, message_len, read_message};
use crate::codec::frame::{ArrayReader, Frame, Part, ReadFrame, Splitter, SseSplitter, TooLong};
use crate::codec::{Error, Kind, json};
use crate::ir::Usage;
use crate::monitor::reckon;

/// Forwards the bytes of a stream. Only whole blocks leave, so that an error frame can follow a cut cleanly; a caller
/// could not use half a block anyway.
pub(super) struct Sift {
    pub(super) observe: Box<dyn Observe>,
    drop_usage: bool,
    blocks: Blocks,
    suspect: Suspect,
    said: Said,
}

/// The last frame that may be an error: copied, because most streams have none and reading is for the end.
#[derive(Default)]
struct Suspect {
    event: Option<String>,
    data: Vec<u8>,
    /// It has a member `error`, by which callers know it.
    is_plain: bool,
}

impl Suspect {
    fn look(&mut self, frame: Frame<'_>, observe: &dyn Observe) {
        let is_named = frame.event.is_some_and(|name| name == "error" || name.ends_with("Exception"));
        let is_plain = super::mentions_error(frame.data);
        if is_named || is_plain || observe.may_be_error(frame) {
            self.is_plain = is_plain;
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
    /// Elements of an array leave when they are whole.
    Array {
        reader: ArrayReader,
        held: Vec<u8>,
        begun: bool,
        /// It is one, and not objects without it.
        is_list: bool,
    },
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
            Framing::Array => Blocks::Array { reader: ArrayReader::new(limit), held: Vec::new(), begun: false, is_list: false },
            Framing::EventStream => Blocks::EventStream { held: Vec::new(), scratch: Vec::new(), limit },
        };
        let said = Said::new(observe.said_in());
        Sift { observe, drop_usage, blocks, suspect: Suspect::default(), said }
    }

    /// The error that the provider ended its stream with, if it did: it has reached the caller as it came, but the
    /// call has failed all the same.
    pub(super) fn fault(&self, mut read: Box<dyn ReadStream>) -> Option<Error> {
        let Suspect { event, data, .. } = &self.suspect;
        if data.is_empty() {
            return None;
        }
        let frame = Frame { event: event.as_deref(), data };
        read.push(frame, &mut Vec::new()).err().filter(|error| error.kind != Kind::Malformed)
    }

    /// What the answer took so far, unless it is `broken` by what was told so far.
    pub(super) fn used(&self, broken: bool) -> Usage {
        reckon(self.observe.usage(), self.said.bytes(), !broken && self.observe.is_complete())
    }

    /// Whether that error is told in words of the dialect. If not, callers would take its frame for one that they need not
    /// know, and the end that follows for silence.
    pub(super) fn is_told(&self) -> bool {
        self.suspect.is_plain || matches!(self.blocks, Blocks::EventStream { .. })
    }

    /// An array has not even begun for the caller: its error has nothing to go on from.
    pub(super) fn is_unbegun(&self) -> bool {
        matches!(self.blocks, Blocks::Array { begun: false, .. })
    }

    /// What of the stream may leave now that `chunk` has come, also when a block in it is too long.
    pub(super) fn feed(&mut self, chunk: Bytes) -> (Bytes, Result<(), Fault>) {
        let Sift { observe, drop_usage, blocks, suspect, said } = self;
        let (split, held, joined, limit) = match blocks {
            Blocks::Array { reader, held, begun, is_list } => {
                let (mut rest, mut good) = (&chunk[..], 0);
                let fed = loop {
                    match reader.next(&mut rest) {
                        Ok(Some(frame)) => {
                            observe.frame(frame);
                            suspect.look(frame, &**observe);
                            said.frame(frame.data);
                            good = chunk.len() - rest.len();
                        }
                        Ok(None) => break Ok(()),
                        Err(long) => break Err(long.into()),
                    }
                };
                let mut out = BytesMut::new();
                if good > 0 {
                    let front = if held.is_empty() { &chunk[..] } else { held.as_slice() };
                    *is_list |= !*begun && front.trim_ascii_start().starts_with(b"[");
                    *begun = true;
                    out.extend_from_slice(held);
                    held.clear();
                }
                held.extend_from_slice(chunk.get(good..).unwrap_or_default());
                return (join(out, &chunk, 0, good), fed);
            }
            Blocks::EventStream { held, scratch, limit } => {
                return feed_messages(&chunk, held, *limit, &mut |bytes| {
                    let frame = read_message(bytes)?.frame(scratch);
                    observe.frame(frame);
                    suspect.look(frame, &**observe);
                    said.frame(frame.data);
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
                said.frame(frame.data);
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
                let mut block = std::mem::take(held);
                let last = split.reader()(&block, joined).filter(|frame| is_whole(frame.data));
                let is_frame = last.is_some();
                if let Some(frame) = last {
                    self.observe.frame(frame);
                    self.suspect.look(frame, &*self.observe);
                    self.said.frame(frame.data);
                }
                // Half a block of a stream that was cut would swallow the error that follows it.
                let dropped = !self.observe.is_complete() || (self.drop_usage && self.observe.is_usage_only());
                if dropped {
                    return Bytes::new();
                }
                // Readers that go by the book leave out a last frame that nothing ends: to them the end would be missing.
                if is_frame {
                    block.extend_from_slice(split.missing_end(&block));
                }
                block.into()
            }
            // A message that is cut says nothing.
            Blocks::EventStream { .. } => Bytes::new(),
            Blocks::Array { reader, held, is_list, .. } => {
                if let Some(frame) = reader.finish().frame.filter(|frame| is_whole(frame.data)) {
                    self.observe.frame(frame);
                    self.suspect.look(frame, &*self.observe);
                    self.said.frame(frame.data);
                }
                if !self.observe.is_complete() {
                    // The error that follows closes it.
                    return Bytes::new();
                }
                match held.trim_ascii().last() {
                    // All has been said, and only the array's own end is missing.
                    last if last != Some(&b']') && *is_list => Bytes::from_static(b"\n]"),
                    _ => std::mem::take(held).into(),
                }
            }
        }
    }
}

/// Whether the data of a frame that nothing ends is all of it. Its name alone may look like the end of the stream.
fn is_whole(data: &[u8]) -> bool {
    match data.first() {
        None => false,
        Some(b'{' | b'[') => data == b"[DONE]" || json::check(data).is_ok(),
        Some(_) => true,
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
