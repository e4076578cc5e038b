//! The conversation of a caller's request: items in a row, grouped into messages.

use serde_json::value::RawValue;

use super::super::NAME;
use super::item::{Read, read_item};
use crate::dialect::fault::read_text;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::wire::Content as Wire;
use crate::error::Result;
use crate::ir::{Content, Extra, Message, Part, Request, Role, Signature};

/// Reads `instructions` and `input`.
pub(super) fn read_input(fields: &mut Fields<'_>, request: &mut Request) -> Result<()> {
    let mut turns = Turns::default();
    if let Some(raw) = fields.raw("instructions") {
        turns.read(raw, "instructions", Role::System, request)?;
    }
    let system = turns.messages.len();
    if let Some(raw) = fields.raw("input") {
        turns.read(raw, "input", Role::User, request)?;
    }
    // Instructions alone are no question.
    request.messages = if turns.messages.len() > system { turns.messages } else { Vec::new() };
    Ok(())
}

/// The messages so far.
#[derive(Default)]
struct Turns {
    messages: Vec<Message>,
    /// The last message is one of results, and takes more of them.
    results: bool,
}

impl Turns {
    fn read(&mut self, raw: &RawValue, at: &str, role: Role, request: &Request) -> Result<()> {
        let items = match read_text(raw.get(), at)? {
            Wire::Text(text) => {
                self.messages.push(Message::text(role, text));
                return Ok(());
            }
            Wire::Parts(items) => items,
        };
        for (index, raw) in items.into_iter().enumerate() {
            match read_item(raw, &format!("{at}[{index}]"), request)? {
                Read::Message(message) => self.message(message),
                Read::Said(part) => self.said(part),
                Read::Result(part) => self.result(part),
                Read::Carried { call, signature } => self.sign(call.as_deref(), signature),
            }
        }
        Ok(())
    }

    /// A message; the model's goes on with the items before it, unless these end with a message, too.
    fn message(&mut self, message: Message) {
        self.results = false;
        match self.messages.last_mut() {
            Some(last) if message.role == Role::Assistant && last.role == Role::Assistant && !ends_with_text(last) => {
                last.parts.extend(message.parts);
                if last.extra.is_empty() {
                    last.extra = message.extra;
                }
            }
            _ => self.messages.push(message),
        }
    }

    /// Another item of the model's.
    fn said(&mut self, part: Part) {
        self.results = false;
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(part),
            _ => {
                self.messages.push(Message { role: Role::Assistant, name: None, parts: vec![part], extra: Extra::default() });
            }
        }
    }

    fn result(&mut self, part: Part) {
        match self.messages.last_mut() {
            Some(last) if self.results => last.parts.push(part),
            _ => self.messages.push(Message { role: Role::User, name: None, parts: vec![part], extra: Extra::default() }),
        }
        self.results = true;
    }

    /// A signature goes to the call with this id or, without one, to the last text.
    fn sign(&mut self, call: Option<&str>, signature: Signature) {
        let is_meant = |part: &&mut Part| match (&part.content, call) {
            (Content::ToolCall { id, .. }, Some(call)) => id == call,
            (Content::Text { .. }, None) => true,
            _ => false,
        };
        let said = self.messages.iter_mut().rev().filter(|message| message.role == Role::Assistant);
        if let Some(part) = said.flat_map(|message| message.parts.iter_mut().rev()).find(is_meant) {
            part.signature = Some(signature);
        }
    }
}

fn ends_with_text(message: &Message) -> bool {
    let is_text = |part: &Part| matches!(part.content, Content::Text { .. } | Content::Refusal { .. });
    message.parts.last().is_some_and(is_text)
}

/// Fields that only keep a wire's books: they mean nothing elsewhere, and the provider makes new ones.
pub(super) fn rest(mut fields: Fields<'_>) -> Extra {
    let _ = (fields.raw("id"), fields.raw("status"));
    fields.rest(NAME)
}
