//! A look at frames that pass by unchanged.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::wire::{BaseResp, Tokens};
use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::word::has_usage;
use crate::json::{self, KeyFinder};

static ERROR: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("error"));
static FINISH: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("finish_reason"));

/// Watches one stream.
pub(crate) struct Watch {
    /// Whether the provider ends a stream with `[DONE]`; else the last choice's end is the end.
    done: bool,
    usage: Option<Usage>,
    complete: bool,
    usage_only: bool,
}

/// As much of a frame as matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    choices: Option<Vec<Piece>>,
    usage: Option<Tokens>,
    error: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Piece {
    usage: Option<Tokens>,
    finish_reason: Option<String>,
}

impl Watch {
    pub(crate) fn new(done: bool) -> Self {
        Watch { done, usage: None, complete: false, usage_only: false }
    }

    fn look(&mut self, data: &[u8]) {
        let Ok(glance) = serde_json::from_slice::<Glance>(data) else { return };
        let choices = glance.choices.unwrap_or_default();
        let tokens = glance.usage.or_else(|| choices.iter().find_map(|choice| choice.usage));
        let usage = tokens.and_then(|tokens| tokens.usage());
        self.usage_only = choices.is_empty() && glance.usage.is_some();
        self.usage = usage.or(self.usage);
        self.complete |= glance.error.is_some();
        let ended = |choice: &Piece| choice.finish_reason.as_deref().is_some_and(|word| !matches!(word, "" | "null"));
        self.complete |= !self.done && choices.iter().any(ended);
    }
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 6]> =
    LazyLock::new(|| ["content", "reasoning_content", "reasoning", "arguments", "refusal", "text"].map(KeyFinder::new));

// Made once: that takes longer than to look through a frame.
static BASE_RESP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"base_resp\""));
static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"choices\""));
static CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"code\""));

impl Observe for Watch {
    fn frame(&mut self, frame: Frame<'_>) {
        self.usage_only = false;
        let data = frame.data.trim_ascii();
        if data == b"[DONE]" {
            self.complete = true;
        } else if has_usage(data) || ERROR.is_set(data) || (!self.done && FINISH.is_set(data)) {
            self.look(data);
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn said_in(&self) -> &'static [KeyFinder] {
        &*SAID
    }

    fn may_be_error(&self, frame: Frame<'_>) -> bool {
        let holds = |word: &Finder<'_>| word.find(frame.data).is_some();
        holds(&BASE_RESP) || (!holds(&CHOICES) && holds(&CODE))
    }

    fn is_usage_only(&self) -> bool {
        self.usage_only
    }
}

/// The usage of a whole answer, without reading the rest of it.
pub(crate) fn observe_response(body: &[u8]) -> Option<Usage> {
    if is_failed(body) || !has_choices(body) {
        return None;
    }
    let told = json::member(body, "usage").and_then(|span| serde_json::from_slice::<Tokens>(body.get(span)?).ok());
    if let Some(usage) = told.and_then(|tokens| tokens.usage()) {
        return Some(usage);
    }
    // Some providers tell it beside the answer's text.
    let glance: Glance = serde_json::from_slice(body).ok()?;
    glance.choices?.iter().find_map(|choice| choice.usage)?.usage()
}

/// Whether anything is answered: what has been counted is not.
fn has_choices(body: &[u8]) -> bool {
    let mut values = CHOICES.find_iter(body).filter_map(|at| {
        let rest = body.get(at + CHOICES.needle().len()..)?.trim_ascii_start();
        rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    });
    let first = values.next().and_then(|value| value.strip_prefix(b"["));
    first.is_some_and(|list| !list.trim_ascii_start().starts_with(b"]"))
}

/// Whether a status at the end of the body says that the answer is none.
fn is_failed(body: &[u8]) -> bool {
    const LATE: usize = 512;
    let end = body.get(body.len().saturating_sub(LATE)..).unwrap_or(body);
    if BASE_RESP.find(end).is_none() {
        return false;
    }
    let base = json::member(body, "base_resp").and_then(|span| serde_json::from_slice::<BaseResp<'_>>(body.get(span)?).ok());
    base.and_then(|base| base.status_code?.number()).is_some_and(|code| code != 0)
}
