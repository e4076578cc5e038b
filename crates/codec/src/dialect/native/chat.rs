//! A request in the words of openai-chat, to be rearranged.

use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::super::Outgoing;
use super::super::openai_chat;
use crate::catalog::Quirks;
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::Request;
use crate::loss::Losses;

/// The body that openai-chat would have, field by field.
pub(crate) struct Chat {
    /// What is asked.
    pub(crate) fields: Map<String, Value>,
    /// What cannot be.
    pub(crate) losses: Losses,
    dialect: &'static str,
}

impl Chat {
    /// Writes the request. Fields that only callers of another dialect know are losses, unless the provider takes them.
    pub(super) fn write(request: &Request, quirks: &Quirks, dialect: &'static str) -> Result<Self> {
        let outgoing = openai_chat::request::write_request(request, quirks);
        let wrong = |_| Error::new(Kind::Internal, Origin::Gateway, "a request was written that is no JSON object");
        let fields = serde_json::from_slice(&outgoing.body).map_err(wrong)?;
        let mut chat = Chat { fields, losses: outgoing.losses, dialect };
        for name in request.extra.of(openai_chat::NAME).into_iter().flat_map(Map::keys) {
            if !quirks.accepts(name) && chat.fields.remove(name).is_some() {
                chat.lose(name.clone());
            }
        }
        if request.speech.is_some() {
            chat.fields.remove("modalities");
            chat.fields.remove("audio");
            chat.lose("speech");
        }
        Ok(chat)
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.shift_remove(name)
    }

    /// Takes a field out whose value is a list.
    pub(crate) fn take_list(&mut self, name: &str) -> Vec<Value> {
        match self.take(name) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        }
    }

    /// Moves a field to where the dialect has it.
    pub(crate) fn pass(&mut self, name: &str, to: &mut Map<String, Value>, key: &str) {
        if let Some(value) = self.take(name) {
            to.insert(key.to_owned(), value);
        }
    }

    /// Drops a field; `canonical` is what the loss is called.
    pub(crate) fn drop(&mut self, name: &str, canonical: &'static str) {
        if self.take(name).is_some() {
            self.lose(canonical);
        }
    }

    /// Notes something that the dialect has no words for.
    pub(crate) fn lose(&mut self, field: impl Into<std::borrow::Cow<'static, str>>) {
        self.losses.add(field, format!("{} has no words for it", self.dialect));
    }

    /// The request, ready to go.
    pub(crate) fn finish(self, path: String, headers: HeaderMap, body: &Value) -> Outgoing {
        Outgoing { method: Method::POST, path, headers, body: body.to_string().into_bytes(), losses: self.losses }
    }
}
