//! A body that goes wrong on its way.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, Response};
use tokio::time::sleep;

use super::dice::Dice;
use super::rule::{End, Rule, Span};
use crate::transport::{Body, Failure, Phase, Reply};

/// How much garbage there is.
const GARBAGE: usize = 64;

/// The reply with its body as the rule wants it. Whoever collects it waits for a piece as long as `patience`.
pub(super) fn spoil(mut head: Parts, body: Body, rule: &Rule, dice: Dice, patience: Duration) -> Reply {
    let shortens = rule.cut_after.is_some() || rule.garbage;
    if !shortens && rule.end.is_none() && rule.between.is_zero() && rule.piece_bytes.is_none() {
        return Response::from_parts(head, body);
    }
    if shortens {
        head.headers.remove(CONTENT_LENGTH);
    }
    let stream = Spoilt {
        body: Some(body),
        ready: Bytes::new(),
        cut: Cut::of(rule, &head.headers),
        between: rule.between,
        left: rule.cut_after.or(rule.garbage.then_some(0)),
        garbage: rule.garbage,
        // Bytes that nobody understands are ended properly; a cut is a broken connection.
        end: rule.end.or((rule.cut_after.is_some() && !rule.garbage).then_some(End::Reset)),
        begun: false,
        dice,
    };
    let stream = stream::unfold(stream, |mut spoilt| async move { spoilt.next().await.map(|piece| (piece, spoilt)) });
    Response::from_parts(head, Body::stream(stream).within(patience))
}

/// Where pieces are cut from one another.
enum Cut {
    Nowhere,
    /// Behind each of these.
    Behind(&'static [u8]),
    /// So many bytes each.
    Every(usize),
}

impl Cut {
    fn of(rule: &Rule, headers: &HeaderMap) -> Self {
        let media = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
        match rule.piece_bytes {
            Some(bytes) => Cut::Every(bytes),
            // The simulator tells a stream at once; a pause belongs between its events.
            None if rule.between.is_zero() => Cut::Nowhere,
            None if media.starts_with(b"text/event-stream") => Cut::Behind(b"\n\n"),
            None if media.starts_with(b"application/x-ndjson") => Cut::Behind(b"\n"),
            None => Cut::Nowhere,
        }
    }

    /// How long the first piece of `bytes` is.
    fn end(&self, bytes: &[u8]) -> usize {
        match self {
            Cut::Nowhere => bytes.len(),
            Cut::Every(most) => bytes.len().min(*most),
            Cut::Behind(mark) => memchr::memmem::find(bytes, mark).map_or(bytes.len(), |at| at + mark.len()),
        }
    }
}

struct Spoilt {
    /// None once nothing of it is wanted any more: whoever sends it is told at once.
    body: Option<Body>,
    /// What has come and is still to be shared out.
    ready: Bytes,
    cut: Cut,
    between: Span,
    /// Bytes until it is cut.
    left: Option<u64>,
    garbage: bool,
    end: Option<End>,
    begun: bool,
    dice: Dice,
}

impl Spoilt {
    async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        if self.left == Some(0) {
            (self.body, self.left) = (None, None);
            self.ready.clear();
            if self.garbage {
                return Some(Ok((0..GARBAGE).map(|_| 0x80 | (self.dice.number() >> 57) as u8).collect()));
            }
        }
        while self.ready.is_empty() {
            let Some(body) = &mut self.body else { return self.over().await };
            match body.chunk().await {
                Some(Ok(bytes)) => self.ready = bytes,
                Some(Err(failure)) => {
                    (self.body, self.end) = (None, None);
                    return Some(Err(failure));
                }
                None => {
                    // It was over before it could be cut.
                    if self.left.take().is_some() {
                        (self.garbage, self.end) = (false, None);
                    }
                    self.body = None;
                }
            }
        }
        let mut piece = self.ready.split_to(self.cut.end(&self.ready).clamp(1, self.ready.len()));
        if std::mem::replace(&mut self.begun, true) && !self.between.is_zero() {
            sleep(self.between.draw(&mut self.dice)).await;
        }
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        Some(Ok(piece))
    }

    async fn over(&mut self) -> Option<Result<Bytes, Failure>> {
        match self.end.take()? {
            End::HalfClose => None,
            End::Reset => {
                let message = "the connection broke in the middle of the reply, as the fault plan has it";
                Some(Err(Failure::new(Phase::Body, message)))
            }
            End::Never => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::FaultPlan;
    use super::*;

    #[tokio::test]
    async fn a_long_piece_is_cut_when_it_is_asked_for() {
        let plan = FaultPlan::parse("piece_bytes = 1").unwrap();
        let body = Body::whole(vec![b'a'; 64 * 1024 * 1024]);
        let (head, ()) = Response::new(()).into_parts();
        let reply = spoil(head, body, &plan.0[0], Dice::new(0, 0), Duration::from_secs(1));
        let start = std::time::Instant::now();
        let mut body = reply.into_body();
        for _ in 0..3 {
            assert_eq!(body.chunk().await.unwrap().unwrap(), "a");
        }
        assert!(start.elapsed() < Duration::from_millis(500), "64 million pieces were cut for three");
    }
}
