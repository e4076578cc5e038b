//! Watches a stream that is forwarded as it came.

use std::sync::LazyLock;

use memchr::memmem;
use serde::Deserialize;

use super::super::wire;
use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::KeyFinder;

/// What is known of the stream so far.
#[derive(Default)]
pub(in super::super) struct Observer {
    usage: Option<wire::Usage>,
    complete: bool,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    usage: Option<wire::Usage>,
    #[serde(default)]
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    usage: Option<wire::Usage>,
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 3]> = LazyLock::new(|| ["text", "thinking", "partial_json"].map(KeyFinder::new));

impl Observe for Observer {
    fn frame(&mut self, frame: Frame<'_>) {
        match frame.event {
            Some("content_block_delta" | "content_block_start" | "content_block_stop" | "ping") => return,
            Some("message_stop" | "error") => self.complete = true,
            Some("message_start" | "message_delta") => {}
            // Frames without a name are not by the book; their data says the same.
            _ => self.complete |= ends(frame.data),
        }
        if memmem::find(frame.data, b"\"usage\"").is_none() {
            return;
        }
        let Ok(step) = serde_json::from_slice::<Step>(frame.data) else { return };
        let told = step.usage.or(step.message.and_then(|message| message.usage));
        if let Some(told) = told {
            self.usage.get_or_insert_default().merge(told);
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| usage.read())
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn said_in(&self) -> &'static [KeyFinder] {
        &*SAID
    }
}

/// Whether a frame without a name is an end.
fn ends(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", borrow, default)]
        kind: std::borrow::Cow<'a, str>,
    }
    (memmem::find(data, b"message_stop").is_some() || memmem::find(data, b"\"error\"").is_some())
        && serde_json::from_slice::<Typed<'_>>(data).is_ok_and(|typed| matches!(&*typed.kind, "message_stop" | "error"))
}
