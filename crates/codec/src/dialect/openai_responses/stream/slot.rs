//! A part that is open while its stream is written.

use crate::dialect::openai_chat::free_text::Unwrap;
use crate::ir::Signature;

/// What grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    Reasoning {
        redacted: bool,
    },
    Call {
        id: String,
    },
    /// A call of a tool that takes free text.
    Custom {
        id: String,
    },
    /// Told already; only a signature may follow.
    Told,
}

/// A part that is open.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) part: u32,
    pub(super) kind: Kind,
    /// Which item it belongs to.
    pub(super) item: usize,
    /// Which piece of that.
    pub(super) index: usize,
    /// Whether any of it was told.
    pub(super) grown: bool,
    /// Whether its item ends with it.
    pub(super) ends_item: bool,
    /// To be carried by an item behind.
    pub(super) signature: Option<Signature>,
    /// Takes the free text out of a call's arguments.
    pub(super) unwrap: Unwrap,
    /// The members that say where it stands, each with a comma in front.
    pub(super) place: Vec<u8>,
    /// What a delta's frame begins with, up to its text.
    head: Vec<u8>,
    /// What follows the text, up to the frame's number.
    tail: &'static [u8],
}

impl Slot {
    /// `id` is the item's.
    pub(super) fn new(part: u32, kind: Kind, item: usize, index: usize, id: &str) -> Self {
        let (name, key) = match &kind {
            Kind::Text => ("response.output_text.delta", "content_index"),
            Kind::Refusal => ("response.refusal.delta", "content_index"),
            Kind::Reasoning { .. } => ("response.reasoning_summary_text.delta", "summary_index"),
            Kind::Call { .. } => ("response.function_call_arguments.delta", ""),
            Kind::Custom { .. } => ("response.custom_tool_call_input.delta", ""),
            Kind::Told => ("", ""),
        };
        let mut place = format!(",\"item_id\":{},\"output_index\":{item}", serde_json::Value::from(id));
        if !key.is_empty() {
            place.push_str(&format!(",\"{key}\":{index}"));
        }
        Slot {
            part,
            item,
            index,
            grown: false,
            ends_item: false,
            signature: None,
            unwrap: Unwrap::default(),
            head: format!("event: {name}\ndata: {{\"type\":\"{name}\"{place},\"delta\":").into_bytes(),
            tail: if kind == Kind::Text { b",\"logprobs\":[],\"sequence_number\":" } else { b",\"sequence_number\":" },
            place: place.into_bytes(),
            kind,
        }
    }

    pub(super) fn is_thought(&self) -> bool {
        matches!(self.kind, Kind::Reasoning { .. })
    }

    /// A frame with more of its text.
    pub(super) fn write_delta(&self, text: &str, number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        let _ = serde_json::to_writer(&mut *out, text);
        out.extend_from_slice(self.tail);
        let _ = serde_json::to_writer(&mut *out, &number);
        out.extend_from_slice(b"}\n\n");
    }
}
