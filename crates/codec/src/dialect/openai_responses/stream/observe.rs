//! A look at frames that pass by unchanged.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::wire::Tokens;
use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::{self, KeyFinder};

/// Watches one stream.
#[derive(Default)]
pub(crate) struct Watch {
    usage: Option<Usage>,
    complete: bool,
}

/// As much of an answer as matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    usage: Option<Tokens>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    r#type: Option<String>,
    response: Option<Glance>,
    error: Option<IgnoredAny>,
}

/// What the frames hold that may end a stream.
static RESPONSE: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("response"));
static ERROR: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("error"));
static MESSAGE: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("message"));

/// The names of the events that end a stream.
pub(super) fn is_last(name: &str) -> bool {
    matches!(name, "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" | "error")
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 1]> = LazyLock::new(|| ["delta"].map(KeyFinder::new));

impl Observe for Watch {
    fn frame(&mut self, frame: Frame<'_>) {
        let may_end = match frame.event {
            Some(name) => is_last(name),
            // Frames without a name are not by the book; their data says the same. Deltas have none of these.
            None => RESPONSE.is_set(frame.data) || ERROR.is_set(frame.data) || MESSAGE.is_set(frame.data),
        };
        if !may_end {
            return;
        }
        let Ok(step) = serde_json::from_slice::<Step>(frame.data) else { return };
        if step.r#type.as_deref().or(frame.event).map_or(step.error.is_some(), is_last) {
            self.complete = true;
            let usage = step.response.and_then(|answer| answer.usage);
            self.usage = usage.and_then(|tokens| tokens.usage()).or(self.usage);
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
}

/// The usage of a whole answer, without reading the rest of it.
pub(crate) fn observe_response(body: &[u8]) -> Option<Usage> {
    let span = json::member(body, "usage")?;
    serde_json::from_slice::<Tokens>(body.get(span)?).ok()?.usage()
}
