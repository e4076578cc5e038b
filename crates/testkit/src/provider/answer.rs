//! What the provider is told to do with one request.

use std::time::Duration;

use bytes::Bytes;

use super::Seen;

/// One stretch of a body.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes, in one write (one HTTP chunk).
    Send(Bytes),
    /// Nothing for this long.
    Pause(Duration),
    /// These bytes again and again, until the caller hangs up.
    Forever(Bytes),
}

/// What happens to the connection after the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The body is finished properly and the connection stays open for the next request.
    KeepAlive,
    /// Proper, with `connection: close`.
    Close,
    /// The socket closes (FIN) without the body's proper end.
    Cut,
    /// The socket is reset (RST), which also throws away what the caller has not read yet.
    Reset,
    /// Our half of the socket closes without the body's proper end; we go on listening.
    HalfClose,
    /// Silence, until the caller hangs up.
    Hang,
}

/// An answer, put together from left to right: `Answer::sse([a, b]).delay(ms).cut_after(10)`.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    /// `None`: the steps are raw bytes, without any head before them.
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
    /// Body with its length announced, instead of chunks.
    pub(super) whole: bool,
    pub(super) drip: Option<Duration>,
    pub(super) cut_after: Option<usize>,
    pub(super) ending: Ending,
}

impl Answer {
    /// A status with an empty body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            delay: Duration::ZERO,
            status: Some(status),
            headers: Vec::new(),
            steps: Vec::new(),
            whole: true,
            drip: None,
            cut_after: None,
            ending: Ending::KeepAlive,
        }
    }

    /// A JSON body, whole.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::status(status).header("content-type", "application/json").body(body)
    }

    /// An HTML page, such as a load balancer sends.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let page = "<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>";
        Self::status(status).header("content-type", "text/html").body(page)
    }

    /// An event stream; every item is one chunk on the wire.
    pub fn sse<B: Into<Bytes>>(chunks: impl IntoIterator<Item = B>) -> Self {
        Self::status(200).header("content-type", "text/event-stream").chunks(chunks)
    }

    /// Bytes that need not be HTTP, after which the socket closes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let mut answer = Self::status(0).ending(Ending::Cut);
        answer.status = None;
        answer.steps.push(Step::Send(bytes.into()));
        answer
    }

    /// Bytes that are surely not HTTP.
    #[must_use]
    pub fn garbage() -> Self {
        Self::raw(&b"\x00\xff\xfe this is not HTTP \x80\x81\r\n\r\n"[..])
    }

    /// No answer at all; the caller must lose patience.
    #[must_use]
    pub fn never() -> Self {
        let mut answer = Self::status(0).ending(Ending::Hang);
        answer.status = None;
        answer
    }

    /// An event stream with one frame that never ends.
    #[must_use]
    pub fn endless_frame() -> Self {
        let mut answer = Self::sse(["data: "]);
        answer.steps.push(Step::Forever(Bytes::from(vec![b'a'; 16 * 1024])));
        answer
    }

    /// Adds a header. One named `content-length` or `transfer-encoding` replaces ours, so that a head can lie.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The body in one piece, with its length in the head.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.steps = vec![Step::Send(body.into())];
        self.whole = true;
        self
    }

    /// More of the body, in chunks.
    #[must_use]
    pub fn chunks<B: Into<Bytes>>(mut self, chunks: impl IntoIterator<Item = B>) -> Self {
        self.steps.extend(chunks.into_iter().map(|chunk| Step::Send(chunk.into())));
        self.whole = false;
        self
    }

    /// Nothing for a while, between the chunks before and after.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.steps.push(Step::Pause(pause));
        self.whole = false;
        self
    }

    /// Nothing for a while before the head.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The body byte by byte, each after such a pause.
    #[must_use]
    pub const fn drip(mut self, pause: Duration) -> Self {
        self.drip = Some(pause);
        self
    }

    /// Closes the socket after this many bytes of the body (see [`Ending::Cut`]; say `ending` afterwards for another way).
    #[must_use]
    pub const fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self.ending = Ending::Cut;
        self
    }

    /// How the connection ends.
    #[must_use]
    pub const fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

/// Chooses the answer to each request.
pub trait Script: Send + Sync + 'static {
    /// The answer to this request.
    fn answer(&self, seen: &Seen, nth: usize) -> Answer;
}

impl<F: Fn(&Seen) -> Answer + Send + Sync + 'static> Script for F {
    fn answer(&self, seen: &Seen, _: usize) -> Answer {
        self(seen)
    }
}

impl Script for Answer {
    fn answer(&self, _: &Seen, _: usize) -> Answer {
        self.clone()
    }
}

impl Script for Vec<Answer> {
    fn answer(&self, _: &Seen, nth: usize) -> Answer {
        self.get(nth).or(self.last()).cloned().expect("a script needs at least one answer")
    }
}

impl<const N: usize> Script for [Answer; N] {
    fn answer(&self, _: &Seen, nth: usize) -> Answer {
        self.get(nth).or(self.last()).cloned().expect("a script needs at least one answer")
    }
}
