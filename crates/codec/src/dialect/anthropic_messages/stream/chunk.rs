//! Frames that come wrapped: `{"bytes": "<base64 of a frame's data>"}`, named `chunk`, as in binary event streams.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::error::read_inband_error;
use crate::dialect::ReadStream;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::ir::Event;

/// Unwraps chunks; frames of other names pass, exceptions end the stream.
pub(in super::super) struct Chunks {
    inner: Box<dyn ReadStream>,
    data: Vec<u8>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

impl Chunks {
    pub(in super::super) fn new(inner: Box<dyn ReadStream>) -> Self {
        Chunks { inner, data: Vec::new() }
    }
}

impl ReadStream for Chunks {
    fn push(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<()> {
        match frame.event {
            Some("chunk") => {
                let broken = || Error::malformed("a chunk of the stream is not base64 in `bytes`").with_raw(frame.data);
                let chunk: Chunk<'_> = serde_json::from_slice(frame.data).map_err(|_| broken())?;
                self.data.clear();
                STANDARD.decode_vec(chunk.bytes.as_bytes(), &mut self.data).map_err(|_| broken())?;
                self.inner.push(Frame { event: None, data: &self.data }, out)
            }
            Some(name) if name.ends_with("Exception") => {
                let error = read_inband_error(frame.data);
                Err(Error { code: Some(name.to_owned()), ..error })
            }
            _ => self.inner.push(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<()> {
        self.inner.finish(out)
    }
}
