//! One exchange while it is being kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::time::Instant;

use super::file::{Asked, Content, End, Fault, Piece, Recording, Told, VERSION, write_headers, write_ms};
use super::hide::Hide;
use super::keep::{Desk, Room};
use super::{Number, Plain, With};
use crate::credential::Utc;
use crate::transport::{Body, Failure, Payload, Reply};

/// Listens in on an exchange. Handed in when the reply is over, or when nobody wants more of it.
pub(super) struct Tape {
    desk: Arc<Desk>,
    start: Instant,
    /// None once it is handed in, or given up.
    draft: Option<Box<Draft>>,
}

/// What was heard, secrets and all.
pub(super) struct Draft {
    pub(super) number: u64,
    pub(super) with: With,
    recorded: SystemTime,
    method: String,
    url: String,
    plain: Plain,
    /// As they went out.
    headers: HeaderMap,
    sent: Arc<Sent>,
    head: Option<(StatusCode, HeaderMap, Duration)>,
    pieces: Vec<(Duration, Bytes)>,
    /// Of the pieces.
    room: Room,
    end: End,
    end_at: Duration,
    fault: Option<Fault>,
}

/// The request's body, as far as it has gone out; none once that is too long to be held, or taken to be written.
struct Sent(Mutex<Option<(Vec<Bytes>, Room)>>);

impl Sent {
    fn add(&self, piece: &Bytes) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((pieces, room)) = sent.as_mut() else { return };
        if room.take(piece.len()) {
            pieces.push(piece.clone());
        } else {
            // Half a request is of no use to anybody.
            *sent = None;
        }
    }

    fn take(&self) -> Option<Bytes> {
        let (pieces, _room) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        Some(whole.freeze())
    }
}

impl Tape {
    /// Begins with a request that is about to go out.
    pub(super) fn begin(
        desk: &Arc<Desk>,
        (with, plain): (With, Plain),
        request: Request<Payload>,
        now: SystemTime,
    ) -> (Request<Payload>, Self) {
        let sent = Arc::new(Sent(Mutex::new(Some((Vec::new(), desk.room())))));
        request.body().iter().for_each(|piece| sent.add(piece));
        let draft = Draft {
            number: desk.number(),
            with,
            recorded: now,
            method: request.method().to_string(),
            url: request.uri().to_string(),
            plain,
            headers: request.headers().clone(),
            sent: Arc::clone(&sent),
            head: None,
            pieces: Vec::new(),
            room: desk.room(),
            end: End::Left,
            end_at: Duration::ZERO,
            fault: None,
        };
        let request = request.map(|payload| payload.watched(move |piece| sent.add(piece)));
        (request, Tape { desk: Arc::clone(desk), start: Instant::now(), draft: Some(Box::new(draft)) })
    }

    /// There is no reply.
    pub(super) fn fail(mut self, failure: &Failure) {
        if let Some(mut draft) = self.draft.take() {
            draft.fault = Some(Fault::write(failure, self.start.elapsed()));
            self.desk.take(draft);
        }
    }

    /// The same reply, listened to.
    pub(super) fn keep(mut self, reply: Reply) -> Reply {
        let (mut head, body) = reply.into_parts();
        let at = self.start.elapsed();
        if let Some(draft) = &mut self.draft {
            draft.head = Some((head.status, head.headers.clone(), at));
            head.extensions.insert(Number(draft.number));
        }
        let patience = body.patience();
        let stream = stream::unfold((body, self), |(mut body, mut tape)| async move {
            let next = body.chunk().await;
            tape.hear(next.as_ref());
            next.map(|next| (next, (body, tape)))
        });
        Response::from_parts(head, Body::stream(stream).within(patience))
    }

    fn hear(&mut self, next: Option<&Result<Bytes, Failure>>) {
        let at = self.start.elapsed();
        let Some(draft) = &mut self.draft else { return };
        match next {
            Some(Ok(piece)) => {
                if !draft.room.take(piece.len()) {
                    self.desk.give_up(draft, "it is too long to be held until its end");
                    self.draft = None;
                    return;
                }
                draft.pieces.push((at, piece.clone()));
                return;
            }
            Some(Err(failure)) => {
                draft.end = End::Failed;
                draft.fault = Some(Fault::write(failure, at));
            }
            None => draft.end = End::Complete,
        }
        draft.end_at = at;
        if let Some(draft) = self.draft.take() {
            self.desk.take(draft);
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        if let Some(mut draft) = self.draft.take()
            && draft.head.is_some()
        {
            draft.end_at = self.start.elapsed();
            self.desk.take(draft);
        }
    }
}

impl Draft {
    /// The file's name and its text, without any secret.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(super) fn write(self) -> Result<(String, Vec<u8>), &'static str> {
        let Draft { number, with, recorded, method, url, plain, headers, sent, .. } = self;
        let hide = Hide::new(&plain, &headers, url.split_once('?').map(|(_, query)| query));
        let name = format!("{number:06}-{}", file_name(&with.target));
        let body = sent.take().ok_or("its request is too long to be held")?;
        let mut body = hide.bytes(body).to_vec();
        plain.values.apply(&mut body);
        let request = Asked {
            method,
            url: hide.address(&url, &plain),
            path: hide.address(&plain.path, &plain),
            headers: write_headers(&hide.headers(&headers, Some(&plain))),
            body: Content::write(&body),
        };
        let fault = self.fault.map(|fault| Fault { message: hide.text(&fault.message), ..fault });
        let (reply, failed) = match self.head {
            None => (None, fault),
            Some((status, headers, at)) => {
                let pieces = hide.pieces(self.pieces).into_iter().map(|(at, piece)| Piece::write(at, &piece));
                let reply = Told {
                    status: status.as_u16(),
                    at_ms: write_ms(at),
                    headers: write_headers(&hide.headers(&headers, None)),
                    pieces: pieces.collect(),
                    end_ms: write_ms(self.end_at),
                    end: self.end,
                    failed: fault,
                };
                (Some(reply), None)
            }
        };
        let recorded = Utc::new(recorded).extended();
        let With { target, dialect, instead_of, .. } = with;
        let trunkline_recording = VERSION;
        let recording = Recording { trunkline_recording, recorded, target, dialect, instead_of, request, reply, failed };
        let mut text = serde_json::to_vec_pretty(&recording).map_err(|_| "it cannot be written as JSON")?;
        text.push(b'\n');
        // Whatever was not thought of: no file is better than one with a secret in it.
        if hide.is_in(said(&text)) {
            return Err("a secret would show in it");
        }
        Ok((name, text))
    }
}

/// What others have said, behind what we write of our own accord: a key may well be spelt as a word of ours.
fn said(text: &[u8]) -> &[u8] {
    let start = memchr::memmem::find(text, b"\n  \"request\": ").unwrap_or(0);
    text.get(start..).unwrap_or(text)
}

/// What every file system takes as a name.
fn file_name(target: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    target.chars().take(60).map(fit).collect()
}
