//! A look at lines that pass by unchanged.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::wire::usage;
use crate::dialect::Observe;
use crate::dialect::openai_chat::wire::Count;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::KeyFinder;

static DONE: LazyLock<KeyFinder> = LazyLock::new(|| KeyFinder::new("done"));
/// Said by a last line also where the first `done` of it is a word of a tool call's arguments.
static END: LazyLock<[KeyFinder; 2]> = LazyLock::new(|| ["error", "done_reason"].map(KeyFinder::new));

/// Watches one stream.
#[derive(Default)]
pub(crate) struct Watch {
    usage: Option<Usage>,
    complete: bool,
}

/// As much of a line as matters here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    done: Option<bool>,
    prompt_eval_count: Option<Count>,
    eval_count: Option<Count>,
    error: Option<IgnoredAny>,
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 4]> = LazyLock::new(|| ["content", "response", "thinking", "arguments"].map(KeyFinder::new));

impl Observe for Watch {
    fn frame(&mut self, frame: Frame<'_>) {
        let done = |at: usize| frame.data.get(at..).is_some_and(|value| value.starts_with(b"true"));
        if self.complete || !(DONE.find(frame.data).is_some_and(done) || END.iter().any(|word| word.is_set(frame.data))) {
            return;
        }
        let Ok(glance) = serde_json::from_slice::<Glance>(frame.data) else { return };
        self.usage = usage(glance.prompt_eval_count, glance.eval_count).or(self.usage);
        self.complete |= glance.done == Some(true) || glance.error.is_some();
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
    let glance: Glance = serde_json::from_slice(body).ok()?;
    usage(glance.prompt_eval_count, glance.eval_count)
}
