//! The same lane: which model is asked, and the caller's own request with that name changed.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::fault::{expected, read_members};
use super::super::gemini::path;
use super::super::person::read_user;
use super::super::{Edit, Forward, Framing, Head, Operation, Peek};
use super::{GEMINI, PLACES, provider_path};
use crate::catalog::Quirks;
use crate::error::{Error, Result};
use crate::json;

/// Looks at the model's name in a caller's request whose body is JSON. It is empty where none is named: then something else
/// has to say who is meant.
///
/// # Errors
/// When the body is no JSON object, holds nothing, or a key is repeated.
pub fn peek(dialect: &str, operation: Operation, head: &Head<'_>, body: &[u8]) -> Result<Peek> {
    let members = read_members(body)?;
    let is = |key: &str, wanted: &[u8]| {
        json::find(body, &members, key).is_some_and(|member| body.get(member.value.clone()) == Some(wanted))
    };
    let mut peek = Peek {
        operation,
        model: String::new(),
        model_span: None,
        stream: is("stream", b"true") || is("stream_format", b"\"sse\""),
        max_tokens: None,
        framing: Framing::Sse,
        stream_usage: true,
        user: read_user(body, &members, &["user"]),
    };
    if dialect == GEMINI {
        (peek.model, _) = path::read(head.path)?;
        return Ok(peek);
    }
    if members.is_empty() {
        return Err(Error::bad_request("model is required").at("model"));
    }
    let member = json::find(body, &members, "model");
    peek.model_span = member.map(|member| member.value.clone());
    if let Some(member) = member.filter(|member| member.kind != json::Kind::Null) {
        let text = body.get(member.value.clone()).and_then(json::unquote);
        peek.model = text.ok_or_else(|| expected("model", "a string", member.kind))?.into_owned();
    }
    Ok(peek)
}

/// The path and the declared edits for a caller's request that stays as it is; `model` is the provider's own name.
/// Of a form, whose body is not looked at here, only the path is of use.
///
/// # Errors
/// When the model's name cannot stand in a path.
pub fn forward(
    (dialect, operation): (&str, Operation),
    head: &Head<'_>,
    peek: &Peek,
    body: &[u8],
    model: &str,
    quirks: &Quirks,
) -> Result<Forward> {
    if dialect == GEMINI {
        let mut forward = path::forward(head, model, quirks)?;
        forward.edits = gemini_edits(body, model);
        return Ok(forward);
    }
    let own = PLACES.iter().find(|place| place.dialect == dialect && place.caller == head.path);
    let path = own.map_or_else(|| provider_path(dialect, operation), |place| place.provider).to_owned();
    let quoted = json::quote(model);
    let edit = match peek.model_span.clone() {
        Some(span) => Some(Edit { span, with: quoted.into_bytes() }).filter(|_| peek.model != model),
        None => memchr::memchr(b'{', body).map(|brace| {
            // What comes behind is another member: a request without any has been refused.
            let with = format!("\"model\":{quoted},").into_bytes();
            Edit { span: brace + 1..brace + 1, with }
        }),
    };
    Ok(Forward { path, edits: edit.into_iter().collect(), drop_usage: false })
}

/// The model's name stands in gemini's bodies once more, and must be that of the path.
fn gemini_edits(body: &[u8], model: &str) -> Vec<Edit> {
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(borrow, default)]
        model: Option<&'a RawValue>,
        #[serde(borrow, default)]
        requests: Vec<One<'a>>,
    }
    let Ok(one) = serde_json::from_slice::<One<'_>>(body) else { return Vec::new() };
    let name = json::quote(&path::resource(model));
    let models = one.model.into_iter().chain(one.requests.iter().filter_map(|request| request.model));
    let wrong = models.map(RawValue::get).filter(|text| *text != name);
    let edits = wrong.filter_map(|text| {
        let start = (text.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        Some(Edit { span: start..start + text.len(), with: name.clone().into_bytes() })
    });
    edits.collect()
}
