//! What the local provider answers, in the `openai-chat` wire format, made once and shared by all connections.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, Sleep};

/// The first word of every reply. Text survives translation unchanged, so its arrival is the first delta's.
pub const MARKER: &[u8] = b"Lighthouse";

/// Most chunks that one stream may ask for.
pub const MOST_CHUNKS: usize = 10_000;
/// Longest delay that a model name may ask for.
const MOST_DELAY_MS: u64 = 10_000;
/// Pause of `gap`: long enough that the head is on its way before the first delta is written.
const GAP: Duration = Duration::from_micros(300);
/// How long a stream that never ends is held at most.
const MOST_OPEN: Duration = Duration::from_secs(600);

/// How the provider behaves for one request: read from the model's name.
///
/// Parts are joined with `-` after the first one: `m` answers at once, `m-50ms` after 50 ms, `m-s50` streams 50
/// chunks one millisecond apart, `m-s500-burst` streams 500 without a pause, `m-s500-ready` all 500 at once, `m-s5-gap` takes 0.3 ms between the head
/// and the first delta, `m-open` sends one delta and waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Pause before the head of the reply.
    pub delay: Duration,
    /// Content deltas of a stream.
    pub chunks: usize,
    /// No pause between deltas (each is still a write of its own).
    pub burst: bool,
    /// All deltas are there at once: each is a chunk of its own, but a write holds many.
    pub ready: bool,
    /// A short, exact pause before the first delta. It blocks the provider's thread (timers are too coarse for it),
    /// so it is for one stream at a time.
    pub gap: bool,
    /// Stay silent after the first delta.
    pub open: bool,
}

impl Behaviour {
    /// Reads a model's name; parts it does not know are ignored.
    #[must_use]
    pub fn read(model: &str) -> Self {
        let mut found = Self { delay: Duration::ZERO, chunks: 16, burst: false, ready: false, gap: false, open: false };
        for part in model.split('-').skip(1) {
            if part == "burst" {
                found.burst = true;
            } else if part == "ready" {
                found.ready = true;
            } else if part == "gap" {
                found.gap = true;
            } else if part == "open" {
                found.open = true;
            } else if let Some(ms) = part.strip_suffix("ms").and_then(|n| n.parse::<u64>().ok()) {
                found.delay = Duration::from_millis(ms.min(MOST_DELAY_MS));
            } else if let Some(chunks) = part.strip_prefix('s').and_then(|n| n.parse::<usize>().ok()) {
                found.chunks = chunks.clamp(1, MOST_CHUNKS);
            }
        }
        found
    }
}

/// The precomputed bytes.
#[derive(Clone, Debug)]
pub struct Stock {
    whole: Bytes,
    role: Bytes,
    first: Bytes,
    next: Bytes,
    end: Bytes,
    end_with_usage: Bytes,
}

impl Default for Stock {
    fn default() -> Self {
        Self::new()
    }
}

impl Stock {
    /// Writes every reply once.
    #[must_use]
    pub fn new() -> Self {
        let finish = chunk("{}", "\"stop\"");
        let usage = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
                     \"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":250,\"completion_tokens\":50,\
                     \"total_tokens\":300}}\n\n";
        let done = "data: [DONE]\n\n";
        Self {
            whole: whole_reply().into(),
            role: chunk("{\"role\":\"assistant\",\"content\":\"\"}", "null").into(),
            first: chunk("{\"content\":\"Lighthouse\"}", "null").into(),
            next: chunk("{\"content\":\" keeper\"}", "null").into(),
            end: format!("{finish}{done}").into(),
            end_with_usage: format!("{finish}{usage}{done}").into(),
        }
    }

    /// The unstreamed reply.
    #[must_use]
    pub fn whole(&self) -> Reply {
        Reply::Whole(Some(self.whole.clone()))
    }

    /// A stream; `usage` adds the chunk that `stream_options.include_usage` asks for.
    #[must_use]
    pub fn stream(&self, behaviour: Behaviour, usage: bool) -> Reply {
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Reply::Stream(Box::new(Stream { stock: self.clone(), behaviour, usage, sent: 0, yielded: false, pace, hold: None }))
    }
}

/// One `data:` frame with a delta and a finish reason, both given as JSON.
fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// About one kilobyte of answer: the size of a usual short reply.
fn whole_reply() -> String {
    let text = " keepers write down the weather, the ships and the state of the lamp.".repeat(10);
    format!(
        "{{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":\
         [{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"Lighthouse{text}\",\"refusal\":null}},\
         \"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":250,\"completion_tokens\":160,\
         \"total_tokens\":410}}}}"
    )
}

/// A reply's body: known length, or chunk by chunk.
#[derive(Debug)]
pub enum Reply {
    /// All bytes at once.
    Whole(Option<Bytes>),
    /// Delta by delta.
    Stream(Box<Stream>),
}

/// A stream in progress. Between two frames it always reports "not ready" once, so that the server flushes and each
/// delta is a write of its own, as it is with a provider that computes tokens.
#[derive(Debug)]
pub struct Stream {
    stock: Stock,
    behaviour: Behaviour,
    usage: bool,
    /// Frames sent: the role, then the deltas, then the end.
    sent: usize,
    yielded: bool,
    pace: Interval,
    hold: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let paced = !self.behaviour.burst && (2..=self.behaviour.chunks).contains(&self.sent);
        if self.sent == 0 || self.behaviour.ready {
            return Poll::Ready(());
        }
        if self.behaviour.open && self.sent == 2 {
            let hold = self.hold.get_or_insert_with(|| Box::pin(tokio::time::sleep(MOST_OPEN)));
            return hold.as_mut().poll(cx);
        }
        if paced {
            return self.pace.poll_tick(cx).map(|_| ());
        }
        if self.yielded {
            self.yielded = false;
            if self.behaviour.gap && self.sent == 1 {
                std::thread::sleep(GAP);
            }
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let at = self.sent;
        self.sent += 1;
        match at {
            0 => Some(self.stock.role.clone()),
            1 => Some(self.stock.first.clone()),
            _ if at <= self.behaviour.chunks => Some(self.stock.next.clone()),
            _ if at == self.behaviour.chunks + 1 && self.usage => Some(self.stock.end_with_usage.clone()),
            _ if at == self.behaviour.chunks + 1 => Some(self.stock.end.clone()),
            _ => None,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Stream(stream) => {
                std::task::ready!(stream.poll_pause(cx));
                stream.next_frame()
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.sent > stream.behaviour.chunks + 1,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviour_is_read_from_the_name() {
        assert_eq!(Behaviour::read("m").delay, Duration::ZERO);
        assert_eq!(Behaviour::read("m-50ms").delay, Duration::from_millis(50));
        let burst = Behaviour::read("m-s500-burst");
        assert!(burst.burst && burst.chunks == 500);
        assert!(Behaviour::read("m-s500-ready").ready && !burst.ready);
        assert!(Behaviour::read("m-s5-gap").gap && !burst.gap);
        assert!(Behaviour::read("m-open").open);
        assert_eq!(Behaviour::read("m-s999999999").chunks, MOST_CHUNKS);
    }

    #[test]
    fn the_stock_is_valid_json() {
        let stock = Stock::new();
        let whole: serde_json::Value = serde_json::from_slice(&stock.whole).unwrap();
        assert!(whole["choices"][0]["message"]["content"].as_str().unwrap().starts_with("Lighthouse"));
        for frames in [&stock.role, &stock.first, &stock.next, &stock.end_with_usage] {
            for frame in std::str::from_utf8(frames).unwrap().split_terminator("\n\n") {
                let data = frame.strip_prefix("data: ").unwrap();
                assert!(data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok(), "{data}");
            }
        }
    }
}
