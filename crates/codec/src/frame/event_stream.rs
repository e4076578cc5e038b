//! The [binary event stream](https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html)
//! (`application/vnd.amazon.eventstream`): messages of headers and a payload, each with two checksums.
//!
//! | bytes | what, big-endian |
//! |---|---|
//! | 0–3 | length of the whole message |
//! | 4–7 | length of the headers |
//! | 8–11 | CRC-32 of the eight bytes before |
//! | … | headers: length of the name (one byte), name, type (one byte), value |
//! | … | payload |
//! | last 4 | CRC-32 of everything before |

use super::{End, Frame, ReadFrame, TooLong};

/// The media type of such a stream.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";

/// Lengths and their checksum.
const PRELUDE: usize = 12;
/// A message without headers and payload.
const LEAST: usize = PRELUDE + 4;
/// The longest headers that senders may send.
const HEADERS_MAX: usize = 128 * 1024;

/// The value of a header, of one of the ten types that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Short(i16),
    /// Type 4.
    Int(i32),
    /// Type 5.
    Long(i64),
    /// Type 6, at most 64 KiB less one byte.
    Bytes(&'a [u8]),
    /// Type 7, likewise.
    Text(&'a str),
    /// Type 8: milliseconds since 1970.
    Time(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is longer than the limit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Its bytes are not what the sender sent, or no message at all.
    #[error("a message of the stream is corrupt: {0}")]
    Corrupt(&'static str),
}

/// One message whose checksums are right and whose headers can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || read_header(&mut rest).ok().flatten())
    }

    /// A header that is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.headers().find_map(|(known, value)| match value {
            Value::Text(text) if known == name => Some(text),
            _ => None,
        })
    }

    /// The message as a frame: the event's or the exception's name, and the payload. An `error` message carries its
    /// words in headers; they are put into `scratch` as `{"code":…,"message":…}`.
    pub fn frame<'f>(&self, scratch: &'f mut Vec<u8>) -> Frame<'f>
    where
        'a: 'f,
    {
        match self.text(":message-type") {
            Some("exception") => Frame { event: Some(self.text(":exception-type").unwrap_or("exception")), data: self.payload },
            Some("error") => {
                let text = |name| crate::json::quote(self.text(name).unwrap_or_default());
                scratch.clear();
                let words = format!("{{\"code\":{},\"message\":{}}}", text(":error-code"), text(":error-message"));
                scratch.extend_from_slice(words.as_bytes());
                Frame { event: Some("error"), data: scratch }
            }
            _ => Frame { event: self.text(":event-type"), data: self.payload },
        }
    }
}

/// How many bytes the message at the front of `bytes` has, as far as they tell: 12 until its lengths are there.
///
/// # Errors
/// The lengths are longer than `limit`, or corrupt.
pub fn message_len(bytes: &[u8], limit: usize) -> Result<usize, Fault> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else { return Ok(PRELUDE) };
    let [a, b, c, d, e, f, g, h, crc @ ..] = *prelude;
    if crc32fast::hash(&[a, b, c, d, e, f, g, h]) != u32::from_be_bytes(crc) {
        return Err(Fault::Corrupt("the checksum of its lengths is wrong"));
    }
    let total = u32::from_be_bytes([a, b, c, d]) as usize;
    let headers = u32::from_be_bytes([e, f, g, h]) as usize;
    if total > limit {
        return Err(TooLong { limit }.into());
    }
    if headers > HEADERS_MAX || headers.saturating_add(LEAST) > total {
        return Err(Fault::Corrupt("its lengths contradict each other"));
    }
    Ok(total)
}

/// Reads one whole message, of the length that [`message_len`] told.
///
/// # Errors
/// A wrong checksum, or headers that cannot be read.
pub fn read_message(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let total = message_len(bytes, usize::MAX)?;
    let cut = Fault::Corrupt("it is not whole");
    let (signed, crc) = bytes.split_last_chunk::<4>().filter(|_| bytes.len() == total).ok_or(cut)?;
    if crc32fast::hash(signed) != u32::from_be_bytes(*crc) {
        return Err(Fault::Corrupt("its checksum is wrong"));
    }
    let len = signed.get(4..8).and_then(|len| len.try_into().ok()).map_or(0, u32::from_be_bytes) as usize;
    let body = signed.get(PRELUDE..).ok_or(cut)?;
    let (headers, payload) = body.split_at_checked(len).ok_or(cut)?;
    let mut rest = headers;
    while read_header(&mut rest)?.is_some() {}
    Ok(Message { headers, payload })
}

/// Takes one header off the front.
fn read_header<'a>(rest: &mut &'a [u8]) -> Result<Option<(&'a str, Value<'a>)>, Fault> {
    fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], Fault> {
        let (taken, after) = rest.split_first_chunk::<N>().ok_or(Fault::Corrupt("a header is cut"))?;
        *rest = after;
        Ok(taken)
    }
    fn take_long<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Fault> {
        let (taken, after) = rest.split_at_checked(len).ok_or(Fault::Corrupt("a header is cut"))?;
        *rest = after;
        Ok(taken)
    }
    fn text(bytes: &[u8]) -> Result<&str, Fault> {
        std::str::from_utf8(bytes).map_err(|_| Fault::Corrupt("a header is not UTF-8"))
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let [len] = *take::<1>(rest)?;
    let name = text(take_long(rest, usize::from(len))?)?;
    let [kind] = *take::<1>(rest)?;
    let value = match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Byte(i8::from_be_bytes(*take(rest)?)),
        3 => Value::Short(i16::from_be_bytes(*take(rest)?)),
        4 => Value::Int(i32::from_be_bytes(*take(rest)?)),
        5 => Value::Long(i64::from_be_bytes(*take(rest)?)),
        6 | 7 => {
            let len = usize::from(u16::from_be_bytes(*take(rest)?));
            let bytes = take_long(rest, len)?;
            if kind == 6 { Value::Bytes(bytes) } else { Value::Text(text(bytes)?) }
        }
        8 => Value::Time(i64::from_be_bytes(*take(rest)?)),
        9 => Value::Uuid(*take(rest)?),
        _ => return Err(Fault::Corrupt("a header is of an unknown type")),
    };
    Ok(Some((name, value)))
}

/// Writes one header. A name of more than 255 bytes or a value of more than 65535 is cut.
pub fn write_header(name: &str, value: Value<'_>, out: &mut Vec<u8>) {
    fn long(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
        let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
        out.push(kind);
        out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    fn fixed(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(kind);
        out.extend_from_slice(bytes);
    }
    let name = name.get(..usize::from(u8::MAX)).unwrap_or(name).as_bytes();
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.get(..usize::from(u8::MAX)).unwrap_or(name));
    match value {
        Value::Bool(set) => out.push(u8::from(!set)),
        Value::Byte(number) => fixed(2, &number.to_be_bytes(), out),
        Value::Short(number) => fixed(3, &number.to_be_bytes(), out),
        Value::Int(number) => fixed(4, &number.to_be_bytes(), out),
        Value::Long(number) => fixed(5, &number.to_be_bytes(), out),
        Value::Bytes(bytes) => long(6, bytes, out),
        Value::Text(text) => long(7, text.as_bytes(), out),
        Value::Time(millis) => fixed(8, &millis.to_be_bytes(), out),
        Value::Uuid(bytes) => fixed(9, &bytes, out),
    }
}

/// Writes one message: `headers` as [`write_header`] wrote them, and the payload that `write` adds.
pub fn write_message(headers: &[u8], out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    out.extend_from_slice(headers);
    write(out);
    let total = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX).to_be_bytes();
    let len = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_be_bytes();
    if let Some((prelude, _)) = out.get_mut(start..).and_then(|message| message.split_first_chunk_mut::<PRELUDE>()) {
        let (lengths, crc) = prelude.split_at_mut(8);
        lengths.copy_from_slice([total, len].as_flattened());
        crc.copy_from_slice(&crc32fast::hash(lengths).to_be_bytes());
    }
    let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_be_bytes());
}

/// Reads an event stream: a frame a message, its name that of the event or the exception, its data the payload.
///
/// A stream with a wrong checksum, or one that is no event stream, gives no frame any more: see [`ReadFrame::fault`].
#[derive(Debug)]
pub struct EventStreamReader {
    /// The front of a message that spans chunks.
    held: Vec<u8>,
    /// What `held` has was given out with the last frame.
    given: bool,
    scratch: Vec<u8>,
    limit: usize,
    fault: Option<&'static str>,
}

impl EventStreamReader {
    /// A reader at the start of a stream, which refuses a message of more than `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { held: Vec::new(), given: false, scratch: Vec::new(), limit, fault: None }
    }

    fn clear(&mut self) {
        if self.given {
            self.held.clear();
            self.given = false;
        }
    }

    /// Takes the current message's bytes off `rest`; the message, if it lies in the chunk as a whole, and whether it
    /// is complete.
    fn take<'c>(&mut self, rest: &mut &'c [u8]) -> Result<(Option<&'c [u8]>, bool), Fault> {
        if self.held.is_empty() {
            let len = message_len(rest, self.limit)?;
            if let Some((message, after)) = rest.split_at_checked(len).filter(|_| len >= LEAST) {
                *rest = after;
                return Ok((Some(message), true));
            }
        }
        loop {
            let len = message_len(&self.held, self.limit)?;
            let missing = len.saturating_sub(self.held.len());
            if missing == 0 && len >= LEAST {
                return Ok((None, true));
            }
            let (part, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.held.extend_from_slice(part);
            *rest = after;
            if part.len() < missing {
                return Ok((None, false));
            }
        }
    }
}

impl ReadFrame for EventStreamReader {
    fn next<'a, 'c: 'a>(&'a mut self, rest: &mut &'c [u8]) -> Result<Option<Frame<'a>>, TooLong> {
        self.clear();
        if self.fault.is_some() || rest.is_empty() {
            *rest = &[];
            return Ok(None);
        }
        let taken = self.take(rest);
        let read = match taken {
            Ok((_, false)) => return Ok(None),
            Ok((Some(message), true)) => read_message(message),
            Ok((None, true)) => {
                self.given = true;
                read_message(&self.held)
            }
            Err(fault) => Err(fault),
        };
        match read {
            Ok(message) => Ok(Some(message.frame(&mut self.scratch))),
            Err(Fault::TooLong(long)) => Err(long),
            Err(Fault::Corrupt(what)) => {
                self.fault = Some(what);
                *rest = &[];
                Ok(None)
            }
        }
    }

    fn finish(&mut self) -> End<'_> {
        self.clear();
        let cut = self.fault.is_some() || !self.held.is_empty();
        *self = Self::new(self.limit);
        End { frame: None, cut }
    }

    fn fault(&self) -> Option<&'static str> {
        self.fault
    }
}
