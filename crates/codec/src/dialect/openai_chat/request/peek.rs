//! The few fields that routing needs, and the few bytes that the same lane changes.

use std::ops::Range;

use crate::catalog::Quirks;
use crate::dialect::fault::{expected, read_members};
use crate::dialect::person::read_user;
use crate::dialect::{Edit, Forward, Framing, Operation, Peek};
use crate::error::{Error, Kind, Origin, Result};
use crate::json::{self, Member};

/// Where the end user stands.
pub(crate) const USER: [&str; 2] = ["user", "safety_identifier"];

/// Looks at a request whose main field is `main`: a list, or whatever `is_main` allows.
pub(crate) fn peek(body: &[u8], operation: Operation, main: &'static str, is_main: fn(json::Kind) -> bool) -> Result<Peek> {
    if operation != Operation::Chat {
        return Err(Error::new(Kind::Unsupported, Origin::Caller, "this dialect cannot count tokens"));
    }
    let members = read_members(body)?;
    let seen = Seen { body, members: &members };
    let (model, model_span) = seen.text("model")?.filter(|(model, _)| !model.is_empty()).ok_or_else(|| required("model"))?;
    match json::find(body, &members, main) {
        None => return Err(required(main)),
        Some(member) if !is_main(member.kind) => {
            let what = if main == "messages" { "a list of messages" } else { "a string or a list of strings" };
            return Err(expected(main, what, member.kind));
        }
        Some(_) => {}
    }
    let max_tokens = match seen.number("max_completion_tokens")? {
        Some(number) => Some(number),
        None => seen.number("max_tokens")?,
    };
    let stream_usage = seen.value("stream_options").is_some_and(|(span, _)| {
        let include = body.get(span.clone()).and_then(|options| json::member(options, "include_usage"));
        include.and_then(|inner| body.get(span.start + inner.start..span.start + inner.end)) == Some(b"true".as_slice())
    });
    Ok(Peek {
        operation,
        model,
        model_span: Some(model_span),
        stream: seen.flag("stream")?.unwrap_or(false),
        max_tokens,
        framing: Framing::Sse,
        stream_usage,
        user: read_user(body, &members, &USER),
    })
}

/// The error for a member that must be there.
pub(crate) fn required(field: &str) -> Error {
    Error::bad_request(format!("{field} is required")).at(field)
}

/// A body and where its members are.
pub(crate) struct Seen<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) members: &'a [Member],
}

impl Seen<'_> {
    /// The span of a member's value; null counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<(Range<usize>, json::Kind)> {
        let member = json::find(self.body, self.members, key)?;
        (member.kind != json::Kind::Null).then(|| (member.value.clone(), member.kind))
    }

    /// A member that must be text, and its span, if it is there.
    pub(crate) fn text(&self, key: &'static str) -> Result<Option<(String, Range<usize>)>> {
        let Some((span, kind)) = self.value(key) else { return Ok(None) };
        let text = self.body.get(span.clone()).and_then(json::unquote);
        text.map(|text| Some((text.into_owned(), span))).ok_or_else(|| expected(key, "a string", kind))
    }

    /// A member that must be a whole number, if it is there.
    pub(crate) fn number(&self, key: &'static str) -> Result<Option<u64>> {
        let Some((span, kind)) = self.value(key) else { return Ok(None) };
        let digits = self.body.get(span).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or_else(|| expected(key, "a whole number", kind))
    }

    /// A member that must be true or false, if it is there.
    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>> {
        let Some((span, kind)) = self.value(key) else { return Ok(None) };
        match self.body.get(span) {
            Some(b"true") => Ok(Some(true)),
            Some(b"false") => Ok(Some(false)),
            _ => Err(expected(key, "true or false", kind)),
        }
    }
}

/// Same lane: the model's name, and the question for usage where the caller did not put it.
pub(crate) fn forward(path: &str, peek: &Peek, body: &[u8], model: &str, quirks: &Quirks) -> Forward {
    let Forward { path, mut edits, .. } = forward_model(path, peek, model);
    let Some(after) = peek.model_span.as_ref().map(|span| span.end) else {
        return Forward { path, edits, drop_usage: false };
    };
    let drop_usage = peek.stream && quirks.stream_usage && !peek.stream_usage;
    if drop_usage {
        edits.push(ask_usage(body, after));
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    }
    Forward { path, edits, drop_usage }
}

/// Same lane: the model's name and nothing else.
pub(crate) fn forward_model(path: &str, peek: &Peek, model: &str) -> Forward {
    let renamed = peek.model_span.clone().filter(|_| peek.model != model);
    let edits = renamed.map(|span| Edit { span, with: json::quote(model).into_bytes() }).into_iter().collect();
    Forward { path: path.to_owned(), edits, drop_usage: false }
}

/// Sets `stream_options.include_usage`; `after` is the end of some member, where another may be put.
fn ask_usage(body: &[u8], after: usize) -> Edit {
    // Looking for the word is much faster than looking through the members, and it is mostly not there.
    let word = memchr::memmem::find(body, b"stream_options");
    let Some(span) = word.and_then(|_| json::member(body, "stream_options")) else {
        return Edit { span: after..after, with: br#","stream_options":{"include_usage":true}"#.to_vec() };
    };
    let options = body.get(span.clone()).unwrap_or_default();
    let Ok(members) = json::members_any(options) else {
        return Edit { span, with: br#"{"include_usage":true}"#.to_vec() };
    };
    let mut patch = json::Patch::new(options, &members);
    patch.set("include_usage", "true");
    Edit { span, with: patch.apply() }
}
