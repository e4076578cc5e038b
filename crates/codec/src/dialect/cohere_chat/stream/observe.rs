//! A look at frames that pass by unchanged.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

use super::super::wire::UsageIn;
use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::KeyFinder;

/// In quotes: within text these would be escaped.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"message-end\""));

/// Watches one stream.
#[derive(Default)]
pub(crate) struct Watch {
    usage: Option<Usage>,
    complete: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Glance {
    r#type: Option<String>,
    delta: Option<Delta>,
    usage: Option<UsageIn>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    usage: Option<UsageIn>,
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 4]> = LazyLock::new(|| ["text", "thinking", "tool_plan", "arguments"].map(KeyFinder::new));

impl Observe for Watch {
    fn frame(&mut self, frame: Frame<'_>) {
        if self.complete || END.find(frame.data).is_none() {
            return;
        }
        let Ok(glance) = serde_json::from_slice::<Glance>(frame.data) else { return };
        if glance.r#type.as_deref() == Some("message-end") {
            self.complete = true;
            self.usage = glance.delta.and_then(|delta| delta.usage?.usage()).or(self.usage);
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
    serde_json::from_slice::<Glance>(body).ok()?.usage?.usage()
}
