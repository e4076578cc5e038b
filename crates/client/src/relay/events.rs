//! A streamed answer as events.

use std::collections::VecDeque;

use crate::codec::dialect::{Framing, ReadStream};
use crate::codec::frame::ReadFrame;
use crate::codec::{Error, Result};
use crate::exchange::{Answer, explain};
use crate::ir::{Event, fold};
use crate::target::Target;
use crate::transport::Body;

use super::{is_stream, stalled};

/// Bytes of a provider's stream to events.
pub struct Reader {
    frames: Box<dyn ReadFrame>,
    read: Box<dyn ReadStream>,
}

impl Reader {
    /// A reader of `answer`'s dialect.
    pub fn new(answer: &Answer, frame_limit: usize) -> Self {
        let media = answer.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let framing = Framing::announced(media.unwrap_or_default()).unwrap_or(answer.dialect.upstream.framing());
        Reader::framed(answer, framing, frame_limit)
    }

    /// The same, of a stream that is cut into frames in this way.
    pub(super) fn framed(answer: &Answer, framing: Framing, frame_limit: usize) -> Self {
        let read = answer.dialect.upstream.read_stream(answer.target.quirks());
        Reader { frames: framing.reader(frame_limit), read }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// A corrupt frame, one that is too long, or the provider's own error; `out` holds what came before it.
    pub fn feed(&mut self, mut chunk: &[u8], out: &mut Vec<Event>) -> Result<()> {
        while let Some(frame) = self.frames.next(&mut chunk).map_err(|long| Error::malformed(long.to_string()))? {
            self.read.push(frame, out)?;
        }
        self.frames.fault().map_or(Ok(()), |what| Err(Error::malformed(format!("the stream is corrupt: {what}"))))
    }

    /// Input ended.
    ///
    /// # Errors
    /// `Truncated` unless the dialect's own terminator was seen.
    pub fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        if let Some(frame) = self.frames.finish().frame {
            // Half a frame does not parse; what counts then is that the stream was cut.
            let _ = self.read.push(frame, out);
        }
        self.read.finish(out)
    }
}

/// The events of one streamed answer.
pub struct Events {
    body: Option<Body>,
    reader: Reader,
    target: Target,
    ready: VecDeque<Event>,
    fault: Option<Error>,
    idle_seconds: u64,
}

impl Events {
    /// The events of `answer`; an answer that comes whole although a stream was asked for gives the same events.
    ///
    /// # Errors
    /// When it comes whole and is an error.
    pub async fn open(answer: Answer, network: &crate::config::Network) -> Result<Self> {
        if is_stream(&answer) {
            return Ok(Events::streamed(answer, network));
        }
        let mut events = Events::empty(&answer, network);
        let answer = Answer { lane: crate::exchange::Lane::Translate, ..answer };
        if let super::Whole::Read(response) = super::whole(answer, network.reply_limit).await? {
            events.ready = fold::unfold(response).into();
        }
        Ok(events)
    }

    /// The events of an answer that comes as a stream.
    pub fn streamed(answer: Answer, network: &crate::config::Network) -> Self {
        let events = Events::empty(&answer, network);
        Events { body: Some(answer.body), ..events }
    }

    fn empty(answer: &Answer, network: &crate::config::Network) -> Self {
        let reader = Reader::new(answer, network.frame_limit);
        let target = answer.target.clone();
        Events { body: None, reader, target, ready: VecDeque::new(), fault: None, idle_seconds: network.idle_seconds }
    }

    /// What has come already.
    pub(super) fn ready(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// The next event; nothing at the end. After an error nothing comes.
    ///
    /// # Errors
    /// The provider's, or that the stream broke off.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if let Some(fault) = self.fault.take() {
                self.body = None;
                return Some(Err(self.target.service.sign(fault)));
            }
            self.advance().await?;
        }
    }

    async fn advance(&mut self) -> Option<()> {
        let body = self.body.as_mut()?;
        let patience = std::time::Duration::from_secs(self.idle_seconds);
        let mut events = Vec::new();
        let fault = match tokio::time::timeout(patience, body.chunk()).await {
            // Whole all the same, if the dialect's own end has been seen.
            Err(_) => self.reader.finish(&mut events).map_err(|_| stalled(self.idle_seconds)),
            Ok(Some(Ok(chunk))) => self.reader.feed(&chunk, &mut events),
            Ok(Some(Err(failure))) => {
                self.body = None;
                self.reader.finish(&mut events).map_err(|_| explain(&failure, &self.target))
            }
            Ok(None) => {
                self.body = None;
                self.reader.finish(&mut events)
            }
        };
        self.ready.extend(events);
        self.fault = fault.err();
        Some(())
    }
}
