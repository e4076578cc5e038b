//! Requests: a prompt becomes one message, a conversation becomes one prompt.

use serde_json::Value;
use serde_json::value::RawValue;

use super::NAME;
use crate::catalog::Quirks;
use crate::dialect::Outgoing;
use crate::dialect::fields::Fields;
use crate::dialect::openai_chat::request::{Draft, finish, read_settings, write_settings};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Content, Format, Message, Part, Request, Role};
use crate::loss::Losses;

/// Reads a caller's request. A field that only plain completions have (`suffix`, `echo`, `best_of`) is kept in `extra`.
pub(super) fn read_request(body: &[u8]) -> Result<Request> {
    let mut fields = Fields::read(body, "")?;
    let mut request = read_settings(&mut fields)?;
    request.messages = vec![Message::text(Role::User, read_prompt(fields.need("prompt")?)?)];
    request.extra = fields.rest(NAME);
    Ok(request)
}

fn read_prompt(raw: &RawValue) -> Result<String> {
    let unsupported = |what: &str| Error::new(Kind::Unsupported, Origin::Caller, what).at("prompt");
    let wrong = || Error::bad_request("prompt: expected a string or a list of strings").at("prompt");
    let mut list = match serde_json::from_str(raw.get()) {
        Ok(Value::String(prompt)) => return Ok(prompt),
        Ok(Value::Array(list)) => list,
        _ => return Err(wrong()),
    };
    match (list.pop(), list.is_empty()) {
        (Some(Value::String(prompt)), true) => Ok(prompt),
        (Some(Value::String(_)), false) => {
            Err(unsupported("prompt: this model is reached by translation, which takes one prompt; send a request for each"))
        }
        (Some(Value::Number(_) | Value::Array(_)), _) => {
            Err(unsupported("prompt: this model is reached by translation, which cannot read tokens; send the prompt as text"))
        }
        _ => Err(wrong()),
    }
}

/// Writes a request.
pub(super) fn write_request(request: &Request, quirks: &Quirks, path: &str) -> Outgoing {
    let mut draft = Draft::new(quirks);
    draft.body.put("model", &request.model);
    let prompt = write_prompt(&request.messages, &mut draft.losses);
    draft.body.put("prompt", &prompt);
    write_settings(request, &mut draft);
    draft.put("n", "n", request.n.as_ref());
    draft.body.put_some("max_tokens", request.max_tokens.as_ref());
    let sampling = &request.sampling;
    if sampling.logprobs == Some(true) || sampling.top_logprobs.is_some() {
        let top = sampling.top_logprobs.unwrap_or(0);
        draft.put("logprobs", "sampling.logprobs", Some(&top));
    }
    lose_rest(request, &mut draft.losses);
    finish(draft, request, NAME, path)
}

/// What a prompt cannot ask for.
fn lose_rest(request: &Request, losses: &mut Losses) {
    const WHY: &str = "plain completions have no such thing";
    if !request.tools.is_empty() {
        losses.add("tools", WHY);
    }
    losses.add_if_some(&request.tool_choice, "tool_choice", WHY);
    losses.add_if_some(&request.parallel_tools, "parallel_tools", WHY);
    if request.format != Format::Text {
        losses.add("format", WHY);
    }
    losses.add_if_some(&request.reasoning, "reasoning", WHY);
    losses.add_if_some(&request.speech, "speech", WHY);
    losses.add_if_some(&request.service_tier, "service_tier", WHY);
    losses.add_if_some(&request.verbosity, "verbosity", WHY);
    losses.add_if_some(&request.cache_key, "cache_key", WHY);
    losses.add_if_some(&request.cache, "cache", WHY);
    if !request.metadata.is_empty() {
        losses.add("metadata", WHY);
    }
}

/// The conversation as text: one turn of the person as it is, more with the speakers' roles before them.
fn write_prompt(messages: &[Message], losses: &mut Losses) -> String {
    let turns: Vec<(Role, String)> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| (message.role, write_turn(message, &format!("messages[{index}]"), losses)))
        .collect();
    if let [(Role::User, prompt)] = turns.as_slice() {
        return prompt.clone();
    }
    let mut lines: Vec<String> = turns
        .iter()
        .map(|(role, text)| match role {
            Role::System => text.clone(),
            Role::User => format!("User: {text}"),
            Role::Assistant => format!("Assistant: {text}"),
        })
        .collect();
    if turns.last().is_none_or(|(role, _)| *role != Role::Assistant) {
        lines.push("Assistant:".to_owned());
    }
    lines.join("\n\n")
}

fn write_turn(message: &Message, at: &str, losses: &mut Losses) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for (index, part) in message.parts.iter().enumerate() {
        match plain_text(part) {
            Some(text) => texts.push(text),
            None => losses.add(format!("{at}.parts[{index}]"), "a prompt is text"),
        }
        if part.cache.is_some() {
            losses.add(format!("{at}.parts[{index}].cache"), "a prompt has no markers");
        }
    }
    if message.name.is_some() {
        losses.add(format!("{at}.name"), "a prompt has no names");
    }
    losses.add_foreign(at, &message.extra, NAME);
    texts.concat()
}

fn plain_text(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => Some(text),
        _ => None,
    }
}
