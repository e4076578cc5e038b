//! Bytes to frames: one type a stream format, for any chunking, in bounded memory.
//!
//! A network hands over bytes in chunks that end anywhere. A [`ReadFrame`] takes chunks and gives frames, the same ones
//! wherever the cuts fall. A frame that lies within one chunk is borrowed from it; only a frame that spans chunks is
//! copied. Every byte is looked at a fixed number of times, however small the chunks are.
//!
//! ```
//! use trunkline_codec::frame::{ReadFrame, SseReader};
//!
//! let mut reader = SseReader::new(1 << 20);
//! let mut seen = Vec::new();
//! for chunk in [&b"data: {\"a\":1}\n\ndata: [DO"[..], b"NE]\n"] {
//!     let mut rest = chunk;
//!     while let Some(frame) = reader.next(&mut rest)? {
//!         seen.push(frame.data.to_vec());
//!     }
//! }
//! let end = reader.finish();
//! assert_eq!(seen, [b"{\"a\":1}"]);
//! assert_eq!(end.frame.map(|frame| frame.data), Some(&b"[DONE]"[..]));
//! # Ok::<(), trunkline_codec::frame::TooLong>(())
//! ```

mod array;
pub mod event_stream;
mod ndjson;
mod split;
mod sse;

pub use array::ArrayReader;
pub use event_stream::EventStreamReader;
pub use ndjson::NdjsonReader;
pub use split::{Part, Splitter, SseSplitter};
pub use sse::{SseReader, read_block};

/// One frame of a stream: what a dialect reads an event from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, in the formats that name them.
    pub event: Option<&'a str>,
    /// The payload, as it came. Not checked: it may not even be UTF-8.
    pub data: &'a [u8],
}

/// What was left when the input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End<'a> {
    /// A last frame, whose end only the end of the input marked. If `cut`, it may lack its rear part.
    pub frame: Option<Frame<'a>>,
    /// Whether the input ended where the format does not let it end: within a line, an element or an array.
    pub cut: bool,
}

/// A frame was longer than the reader's limit. The stream cannot be read on from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// Reads the frames of one stream.
pub trait ReadFrame: Send {
    /// The next frame, taking what it reads off the front of `rest`; nothing if that needs the next chunk, in which
    /// case all of `rest` has been taken.
    ///
    /// # Errors
    /// A frame is longer than the limit.
    fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Result<Option<Frame<'a>>, TooLong>;

    /// The input has ended: what is left. The reader is as new afterwards.
    fn finish(&mut self) -> End<'_>;

    /// What is wrong with the stream, in the formats that can tell: from then on [`next`](Self::next) takes what comes
    /// and gives nothing.
    fn fault(&self) -> Option<&'static str> {
        None
    }
}
