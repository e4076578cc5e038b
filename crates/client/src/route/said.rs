//! What a call says, looked into only if where it goes depends on it, and then once.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use memchr::memmem;

use super::feature::{Features, MEDIA};
use super::text::asked;
use crate::codec::dialect::{Head, Operation};
use crate::codec::{Dialect, Error, Result};
use crate::ir::Request;

/// The request of a call, as far as it is there to be looked into.
#[derive(Clone, Copy)]
pub enum Said<'a> {
    /// Not at all: only what is wanted is known.
    Unread(Operation),
    /// In canonical form.
    Request(&'a Request, Operation),
    /// As the caller wrote it.
    Raw {
        /// In this dialect.
        dialect: &'static Dialect,
        /// The head.
        head: Head<'a>,
        /// The body.
        body: &'a [u8],
        /// What is wanted.
        operation: Operation,
        /// The output limit, where it was seen.
        max_tokens: Option<u64>,
    },
}

impl Default for Said<'_> {
    fn default() -> Self {
        Said::Unread(Operation::Chat)
    }
}

impl fmt::Debug for Said<'_> {
    /// Without the caller's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation().key())
    }
}

impl<'a> Said<'a> {
    /// What is wanted.
    pub fn operation(&self) -> Operation {
        match self {
            Said::Unread(operation) | Said::Request(_, operation) | Said::Raw { operation, .. } => *operation,
        }
    }

    /// Whether one of these words stands in it; without a body, whether anything is there to be looked into.
    pub(super) fn may_hold(&self, words: &[&str]) -> bool {
        match self {
            Said::Unread(_) => false,
            Said::Request(..) => true,
            Said::Raw { body, .. } => words.iter().any(|word| memmem::find(body, word.as_bytes()).is_some()),
        }
    }

    /// A number of tokens that the prompt will not be estimated at more than, told without reading it; and the output
    /// limit.
    pub(super) fn bounds(&self) -> (u64, Option<u64>) {
        match self {
            Said::Unread(_) => (0, None),
            Said::Request(request, _) => (u64::MAX, request.max_tokens),
            Said::Raw { max_tokens, .. } if self.may_hold(MEDIA) => (u64::MAX, *max_tokens),
            // A token is counted for four bytes of text, and a few for a message, which takes more bytes than that.
            Said::Raw { body, max_tokens, .. } => (body.len() as u64 / 2, *max_tokens),
        }
    }

    fn read(&self) -> Result<Option<Cow<'a, Request>>> {
        Ok(match *self {
            Said::Unread(_) => None,
            Said::Request(request, _) => Some(Cow::Borrowed(request)),
            Said::Raw { dialect, head, body, operation, .. } => {
                Some(Cow::Owned(dialect.downstream().read_request(&head, body, operation)?))
            }
        })
    }
}

/// What was found in a request, each thing when it is asked for and then kept.
pub(super) struct Sight<'a> {
    pub(super) said: Said<'a>,
    request: OnceCell<Result<Option<Cow<'a, Request>>>>,
    features: OnceCell<Features>,
    asked: OnceCell<String>,
}

impl<'a> Sight<'a> {
    pub(super) fn new(said: Said<'a>) -> Self {
        Sight { said, request: OnceCell::new(), features: OnceCell::new(), asked: OnceCell::new() }
    }

    /// The request; `None` when there is nothing to be looked into.
    pub(super) fn request(&self) -> Result<Option<&Request>> {
        let read = self.request.get_or_init(|| self.said.read());
        read.as_ref().map(Option::as_deref).map_err(Error::clone)
    }

    /// What it needs and how long it is.
    pub(super) fn features(&self) -> Result<Option<&Features>> {
        Ok(self.request()?.map(|request| self.features.get_or_init(|| Features::of(request))))
    }

    /// The user's last words.
    pub(super) fn asked(&self) -> Result<Option<&str>> {
        Ok(self.request()?.map(|request| self.asked.get_or_init(|| asked(request)).as_str()))
    }
}
