//! Forms with files in them: the model's name is found and replaced in passing, the rest is never held.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{Stream, unfold};
use http::header;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use trunkline::codec::dialect::operation::multipart::{Scan, boundary};
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::transport::{Failure, Payload, Phase};

use super::body::{check_encoding, discard, too_large};
use crate::shed::Held;

/// A caller may not take for ever between two pieces of its body.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest bodies.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What may come before the model's name, and is held until then.
    pub held: usize,
    /// The whole of it, which is not held.
    pub whole: u64,
}

/// A form whose model is known, and whose rest may still be on its way.
pub struct Form {
    /// The model's name as the caller wrote it.
    pub model: String,
    span: Range<usize>,
    held: Bytes,
    rest: Option<Upload>,
    fault: Fault,
    /// What it takes of the gateway's memory for bodies.
    kept: Held,
}

/// What went wrong with a body on its way through.
#[derive(Clone, Default)]
pub struct Fault(Arc<Mutex<Option<Error>>>);

impl Fault {
    /// The error, if there was one: it explains better than the exchange that broke for it.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Reads a form up to its model.
///
/// # Errors
/// When it is none, is too long, names no model or two, or the model's name comes too late.
pub async fn receive(
    head: &Parts,
    incoming: Incoming,
    limits: Limits,
    mut kept: Held,
) -> Result<Form, (Option<Incoming>, Error)> {
    let media = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let opened = check_encoding(head).and_then(|()| boundary(media));
    let boundary = match opened {
        Ok(boundary) => boundary,
        Err(error) => return Err((Some(incoming), error)),
    };
    let fault = Fault::default();
    let mut upload = match Upload::new(incoming, limits.whole, Some(Scan::new(&boundary)), fault.clone()) {
        Ok(upload) => upload,
        Err((incoming, error)) => return Err((Some(incoming), error)),
    };
    let mut held = BytesMut::new();
    loop {
        if let Some((span, model)) = upload.scan.as_ref().and_then(Scan::model) {
            let (span, model) = (span.clone(), model.clone());
            if model.is_empty() {
                return Err((upload.incoming.take(), missing()));
            }
            let rest = (!upload.is_over()).then_some(upload);
            return Ok(Form { model, span, held: held.freeze(), rest, fault, kept });
        }
        if held.len() > limits.held {
            let what = format!("no model was named in the first {} bytes of the form; put model before the file", limits.held);
            return Err((upload.incoming.take(), Error::bad_request(what).at("model")));
        }
        match upload.next().await {
            Some(Ok(data)) => {
                if let Err(error) = kept.grow((held.len() + data.len()) as u64) {
                    return Err((upload.incoming.take(), error));
                }
                held.extend_from_slice(&data);
            }
            Some(Err(error)) => return Err((upload.incoming.take(), error)),
            None => return Err((None, missing())),
        }
    }
}

fn missing() -> Error {
    Error::bad_request("model is required").at("model")
}

impl Form {
    /// The form for a provider that knows the model by this name. A form that is not all here can be had only once.
    pub fn payload(&mut self, model: &str) -> Payload {
        let front = self.held.slice(..self.span.start);
        let back = self.held.slice(self.span.end..);
        let pieces = vec![front, Bytes::copy_from_slice(model.as_bytes()), back];
        match self.rest.take() {
            Some(upload) => {
                self.span = 0..0;
                self.held = Bytes::new();
                upload.payload(pieces)
            }
            None => Payload::pieces(pieces),
        }
    }

    /// The whole form, held after all, for a provider that wants it in other words.
    ///
    /// # Errors
    /// When it is longer than `limit`, or breaks off.
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes> {
        if let Some(mut upload) = self.rest.take() {
            // Gone, should it break off: half a form is none.
            let mut whole = BytesMut::from(&*std::mem::take(&mut self.held));
            while let Some(data) = upload.next().await {
                let data = data?;
                if whole.len() + data.len() > limit {
                    return Err(too_large(limit as u64, "body_limit"));
                }
                self.kept.grow((whole.len() + data.len()) as u64)?;
                whole.extend_from_slice(&data);
            }
            self.held = whole.freeze();
        }
        Ok(self.held.clone())
    }

    /// It went out and cannot go out again.
    pub fn is_gone(&self) -> bool {
        self.held.is_empty()
    }

    /// What went wrong with it on its way through.
    pub fn fault(&self) -> Option<Error> {
        self.fault.take()
    }
}

/// A caller's body on its way through.
pub struct Upload {
    incoming: Option<Incoming>,
    limit: u64,
    seen: u64,
    scan: Option<Scan>,
    fault: Fault,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A provider that refuses a form has not read it to its end; closed with bytes unread, the connection would be
        // reset and its words be lost.
        if let Some(rest) = self.incoming.take().filter(|incoming| !incoming.is_end_stream())
            && tokio::runtime::Handle::try_current().is_ok()
        {
            discard(rest);
        }
    }
}

impl Upload {
    /// A body of at most `limit` bytes; `scan` watches it.
    ///
    /// # Errors
    /// When it announces that it is longer.
    pub fn new(incoming: Incoming, limit: u64, scan: Option<Scan>, fault: Fault) -> std::result::Result<Self, (Incoming, Error)> {
        if incoming.size_hint().lower() > limit {
            return Err((incoming, too_large(limit, "upload_limit")));
        }
        Ok(Upload { incoming: Some(incoming), limit, seen: 0, scan, fault })
    }

    /// Nothing more will come.
    fn is_over(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// The body behind these pieces.
    pub fn payload(self, pieces: Vec<Bytes>) -> Payload {
        let length = self.incoming.as_ref().and_then(|incoming| incoming.size_hint().exact());
        Payload::stream(pieces, self.stream(), length)
    }

    fn stream(self) -> impl Stream<Item = std::result::Result<Bytes, Failure>> + Send {
        unfold(Some(self), |upload| async move {
            let mut upload = upload?;
            match upload.next().await? {
                Ok(data) => Some((Ok(data), Some(upload))),
                Err(error) => {
                    let failure = Failure::new(Phase::Send, error.message.clone());
                    upload.fault.set(error);
                    Some((Err(failure), None))
                }
            }
        })
    }

    /// The next bytes; nothing at the end.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let incoming = self.incoming.as_mut()?;
            let frame = match tokio::time::timeout(PATIENCE, incoming.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(Error::bad_request("the body broke off before its end"))),
                Err(_) => {
                    let what = "nothing of the body arrived for a minute";
                    return Some(Err(Error::new(Kind::Timeout, Origin::Caller, what)));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            self.seen += data.len() as u64;
            if self.seen > self.limit {
                return Some(Err(too_large(self.limit, "upload_limit")));
            }
            let watched = self.scan.as_mut().map_or(Ok(()), |scan| scan.feed(&data));
            return Some(watched.map(|()| data));
        }
    }
}
