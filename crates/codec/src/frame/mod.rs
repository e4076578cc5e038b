//! Bytes to frames.

/// One frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, where the framing has one.
    pub event: Option<&'a str>,
    /// The data.
    pub data: &'a [u8],
}
