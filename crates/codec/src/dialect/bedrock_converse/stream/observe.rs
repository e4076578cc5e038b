//! Watches a stream that is forwarded as it came.

use std::sync::LazyLock;

use serde::Deserialize;

use super::super::usage;
use super::is_error;
use crate::catalog::Quirks;
use crate::dialect::Observe;
use crate::frame::Frame;
use crate::ir::Usage;
use crate::json::KeyFinder;

/// What is known of the stream so far.
pub(in super::super) struct Observer {
    /// The end is told by the last event, and not by the reason of the end.
    done: bool,
    stopped: bool,
    usage: Option<Usage>,
    complete: bool,
}

impl Observer {
    pub(in super::super) fn new(quirks: &Quirks) -> Self {
        Observer { done: quirks.done, stopped: false, usage: None, complete: false }
    }
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<usage::Wire>,
}

/// What holds the model's words.
static SAID: LazyLock<[KeyFinder; 2]> = LazyLock::new(|| ["text", "input"].map(KeyFinder::new));

impl Observe for Observer {
    fn frame(&mut self, frame: Frame<'_>) {
        match frame.event.unwrap_or_default() {
            "contentBlockDelta" | "contentBlockStart" | "contentBlockStop" | "messageStart" => {}
            "messageStop" => {
                self.stopped = true;
                self.complete |= !self.done;
            }
            "metadata" => {
                let told = serde_json::from_slice::<Metadata>(frame.data).ok().and_then(|metadata| metadata.usage);
                self.usage = told.map(|usage| usage.read()).or(self.usage);
                self.complete |= self.stopped;
            }
            name => self.complete |= is_error(name),
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
