//! A provider's stream, read.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::cite::read_citation;
use super::super::error::read_inside;
use super::super::finish::read_finish;
use super::super::response::read_stop_sequence;
use super::super::{NAME, usage};
use super::is_error;
use super::open::{Body, Open};
use crate::catalog::Quirks;
use crate::dialect::ReadStream;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::{Delta, Event, Extra, PartStart, Raw, Source};

/// Blocks that may be open at once.
const MOST_OPEN: usize = 1024;

/// The state of one stream.
pub(in super::super) struct Reader {
    /// The end is told by the last event, and not by the reason of the end.
    done: bool,
    started: bool,
    finished: bool,
    ended: bool,
    called: bool,
    open: Vec<Open>,
    /// The number of the next part.
    next: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaStep<'a> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow)]
    delta: Grown<'a>,
}

/// One member, which names the kind.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Grown<'a> {
    text: Option<String>,
    tool_use: Option<ToolPiece>,
    reasoning_content: Option<Thought>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    tool_result: Option<Vec<Value>>,
    image: Option<ImagePiece>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToolPiece {
    input: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Thought {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ImagePiece {
    source: Option<ImageSource>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ImageSource {
    bytes: Option<String>,
    s3_location: Option<Place>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartStep {
    #[serde(default)]
    content_block_index: u64,
    #[serde(default)]
    start: Start,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Start {
    tool_use: Option<Map<String, Value>>,
    tool_result: Option<Map<String, Value>>,
    image: Option<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct StopStep {
    content_block_index: u64,
    stop_reason: String,
    additional_model_response_fields: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    usage: Option<usage::Wire>,
}

impl ReadStream for Reader {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let name = frame.event.unwrap_or_default();
        match name {
            "contentBlockDelta" => {
                let step: DeltaStep<'_> = read(frame)?;
                self.grow(step.content_block_index, step.delta, out)
            }
            "contentBlockStart" => self.open(read(frame)?, out),
            "contentBlockStop" => {
                let step: StopStep = read(frame)?;
                self.close(step.content_block_index, out);
                Ok(())
            }
            "messageStart" => {
                self.ensure_started(out);
                Ok(())
            }
            "messageStop" => {
                self.stop(&read::<StopStep>(frame)?, out);
                Ok(())
            }
            "metadata" => {
                self.end(&read::<Metadata>(frame)?, out);
                Ok(())
            }
            name if is_error(name) => Err(read_inside(name, frame.data)),
            _ => {
                if let Ok(data) = serde_json::from_slice::<Raw>(frame.data) {
                    self.ensure_started(out);
                    out.push(Event::Foreign { from: NAME, name: frame.event.map(str::to_owned), data });
                }
                Ok(())
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if self.finished && !self.done && !self.ended {
            self.ended = true;
            out.push(Event::End);
        }
        match (self.ended, self.finished) {
            (true, _) => Ok(()),
            (false, true) => Err(Error::truncated("the stream ended before its metadata")),
            (false, false) => Err(Error::truncated("the stream ended before its messageStop")),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(frame: Frame<'a>) -> Result<T> {
    serde_json::from_slice(frame.data)
        .map_err(|fault| Error::malformed(format!("a frame of the stream cannot be read: {fault}")).with_raw(frame.data))
}

impl Reader {
    pub(in super::super) fn new(quirks: &Quirks) -> Self {
        Reader { done: quirks.done, started: false, finished: false, ended: false, called: false, open: Vec::new(), next: 0 }
    }

    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Start { id: String::new(), model: String::new(), created: None, extra: Extra::default() });
        }
    }

    /// Opens a part that is told as it comes.
    fn begin(&mut self, start: PartStart, out: &mut Vec<Event>) -> u32 {
        let part = self.next;
        self.next += 1;
        out.push(Event::PartStart { choice: 0, part, start });
        part
    }

    fn hold(&mut self, index: u64, body: Body) -> Result<()> {
        if self.open.len() >= MOST_OPEN {
            return Err(Error::malformed("the stream opens blocks and never closes them"));
        }
        self.open.push(Open { index, body });
        Ok(())
    }

    fn open(&mut self, step: StartStep, out: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.ensure_started(out);
        let index = step.content_block_index;
        self.close(index, out);
        let foreign = |kind, fields| Body::Foreign { kind, fields, input: String::new(), content: Vec::new(), size: 0 };
        let text =
            |fields: &Map<String, Value>, name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let body = match step.start {
            Start { tool_use: Some(fields), .. } if fields.get("type").is_some_and(|kind| !kind.is_null()) => {
                foreign("toolUse", fields)
            }
            Start { tool_use: Some(fields), .. } => {
                self.called = true;
                let id = Some(text(&fields, "toolUseId")).filter(|id| !id.is_empty());
                let start =
                    PartStart::ToolCall { id: id.unwrap_or_else(|| format!("tooluse_{index}")), name: text(&fields, "name") };
                Body::Tool { part: self.begin(start, out), grown: false }
            }
            Start { tool_result: Some(fields), .. } => foreign("toolResult", fields),
            Start { image: Some(fields), .. } => Body::Image { format: text(&fields, "format"), source: None, extra: Map::new() },
            // Text and thinking need no start; should they get one, their deltas say which they are.
            Start { .. } => return Ok(()),
        };
        self.hold(index, body)
    }

    fn grow(&mut self, index: u64, grown: Grown<'_>, out: &mut Vec<Event>) -> Result<()> {
        if self.finished {
            return Ok(());
        }
        self.ensure_started(out);
        if !self.open.iter().any(|open| open.index == index) {
            let body = self.open_unannounced(&grown, out);
            self.hold(index, body)?;
        }
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else { return Ok(()) };
        match (&mut open.body, grown) {
            (Body::Text { part }, Grown { text: Some(text), .. }) => push_text(*part, text, out),
            (Body::Text { part }, Grown { citation: Some(raw), .. }) => {
                out.push(delta(*part, Delta::Citation(read_citation(raw))));
            }
            (Body::Reasoning { part, signature }, Grown { reasoning_content: Some(thought), .. }) => {
                push_text(*part, thought.text.unwrap_or_default(), out);
                signature.push_str(&thought.signature.unwrap_or_default());
            }
            (Body::Tool { part, grown }, Grown { tool_use: Some(piece), .. }) if !piece.input.is_empty() => {
                *grown = true;
                out.push(delta(*part, Delta::Arguments(piece.input)));
            }
            (body @ Body::Redacted(_), Grown { reasoning_content: Some(Thought { redacted_content: Some(data), .. }), .. }) => {
                body.push_redacted(&data)?;
            }
            (Body::Image { source, extra, .. }, Grown { image: Some(piece), .. }) => {
                extra.extend(piece.extra);
                match piece.source {
                    Some(ImageSource { bytes: Some(data), .. }) => {
                        *source = Some(Source::Base64 { media_type: String::new(), data });
                    }
                    Some(ImageSource { s3_location: Some(place), .. }) => {
                        *source = Some(Source::Url { url: place.uri, media_type: None });
                    }
                    _ => {}
                }
            }
            (body @ Body::Foreign { .. }, grown) => {
                let input = grown.tool_use.map(|piece| piece.input).unwrap_or_default();
                body.push_foreign(&input, grown.tool_result.unwrap_or_default())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a block is that had no start.
    fn open_unannounced(&mut self, grown: &Grown<'_>, out: &mut Vec<Event>) -> Body {
        match grown {
            Grown { reasoning_content: Some(Thought { redacted_content: Some(_), .. }), .. } => Body::Redacted(Vec::new()),
            Grown { reasoning_content: Some(_), .. } => {
                Body::Reasoning { part: self.begin(PartStart::Reasoning, out), signature: String::new() }
            }
            Grown { text: Some(_), .. } | Grown { citation: Some(_), .. } => {
                Body::Text { part: self.begin(PartStart::Text, out) }
            }
            _ => Body::Unknown,
        }
    }

    fn close(&mut self, index: u64, out: &mut Vec<Event>) {
        if let Some(at) = self.open.iter().rposition(|open| open.index == index) {
            self.open.remove(at).body.close(&mut self.next, out);
        }
    }

    fn stop(&mut self, step: &StopStep, out: &mut Vec<Event>) {
        self.ensure_started(out);
        if self.finished {
            return;
        }
        self.finished = true;
        for open in self.open.drain(..) {
            open.body.close(&mut self.next, out);
        }
        let stop_sequence = read_stop_sequence(step.additional_model_response_fields.as_ref());
        let finish = read_finish(&step.stop_reason, stop_sequence, self.called);
        out.push(Event::Finish { choice: 0, finish });
    }

    fn end(&mut self, metadata: &Metadata, out: &mut Vec<Event>) {
        self.ensure_started(out);
        out.extend(metadata.usage.as_ref().map(|usage| Event::Usage { usage: usage.read() }));
        if self.finished {
            self.ended = true;
            out.push(Event::End);
        }
    }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

fn push_text(part: u32, text: String, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(delta(part, Delta::Text(text)));
    }
}
