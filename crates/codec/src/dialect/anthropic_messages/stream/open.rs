//! A block of a provider's stream between its start and its stop.

use serde_json::{Map, Value};

use super::super::NAME;
use super::read::delta_tree;
use crate::error::{Error, Result};
use crate::ir::{Content, Delta, Event, PartStart, Raw};

/// Blocks that come in pieces but are told whole are gathered up to this many bytes.
const MOST_HELD: usize = 16 * 1024 * 1024;

/// The block.
pub(super) struct Open {
    /// The wire's number for it.
    pub(super) index: u64,
    /// Ours; a block that we do not know gets its own when it is told.
    pub(super) part: u32,
    pub(super) body: Body,
}

/// What it is, and what is kept of it.
#[derive(PartialEq)]
pub(super) enum Body {
    Text,
    Reasoning,
    Tool {
        /// Arguments that came whole with the start.
        input: Option<String>,
        /// Whether pieces came after it.
        grown: bool,
    },
    /// Told already.
    Whole,
    /// A kind that we do not know: gathered, because its part must come whole.
    Foreign {
        block: Map<String, Value>,
        input: String,
        size: usize,
    },
}

impl Open {
    /// Takes a delta into a block that we do not know: texts grow, everything else is replaced.
    pub(super) fn merge(&mut self, data: &[u8]) -> Result<()> {
        let Body::Foreign { block, input, size } = &mut self.body else { return Ok(()) };
        *size += data.len();
        if *size > MOST_HELD {
            return Err(Error::malformed("a block of the stream is too large"));
        }
        for (name, value) in delta_tree(data).unwrap_or_default() {
            match (name.as_str(), value) {
                ("type", _) => {}
                ("partial_json", Value::String(piece)) => input.push_str(&piece),
                ("citation", value) => match block.entry("citations").or_insert(Value::Null) {
                    Value::Array(list) => list.push(value),
                    other => *other = Value::Array(vec![value]),
                },
                (_, Value::String(piece)) => match block.entry(name).or_insert(Value::Null) {
                    Value::String(text) => text.push_str(&piece),
                    other => *other = Value::String(piece),
                },
                (_, value) => {
                    block.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// Ends the part, telling first what was held back. `next` is the number of the next part.
    pub(super) fn close(self, next: &mut u32, out: &mut Vec<Event>) {
        let mut part = self.part;
        match self.body {
            Body::Tool { input, grown: false } => {
                let json = input.unwrap_or_else(|| "{}".to_owned());
                out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(json) });
            }
            Body::Foreign { mut block, input, .. } => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    block.insert("input".to_owned(), input);
                }
                part = *next;
                *next += 1;
                let content = Box::new(Content::Foreign { from: NAME, value: Raw::of(&block) }.into());
                out.push(Event::PartStart { choice: 0, part, start: PartStart::Whole { content } });
            }
            _ => {}
        }
        out.push(Event::PartEnd { choice: 0, part });
    }
}
