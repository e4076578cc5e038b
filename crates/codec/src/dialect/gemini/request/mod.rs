//! Requests: `generateContent` and `countTokens`, read from callers and written for providers.

mod config;
pub(crate) mod path;
mod tool;
pub(crate) mod turn;

use http::{HeaderMap, Method};
use serde_json::Map;

use crate::catalog::Quirks;
use crate::dialect::fault::read_json;
use crate::dialect::gemini::NAME;
use crate::dialect::gemini::own_extra;
use crate::dialect::gemini::text::{Object, nested};
use crate::dialect::gemini::wire::{Body, value};
use crate::dialect::{Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Request, Role};
use crate::loss::Losses;

use self::path::Verb;

/// Reads a caller's request.
pub(crate) fn read(head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Request> {
    let (model, verb) = path::read(head.path)?;
    let outer: Body<'_> = read_json(body, "")?;
    let mut request = match (operation, outer.inner) {
        (Operation::CountTokens, Some(inner)) => read_body(read_json(inner.get().as_bytes(), "generateContentRequest")?)?,
        _ => read_body(outer)?,
    };
    request.model = model;
    request.stream = verb == Verb::Stream;
    request.stream_usage = Some(true).filter(|_| request.stream);
    Ok(request)
}

fn read_body(body: Body<'_>) -> Result<Request> {
    if let Some(key) = body.repeated {
        return Err(Error::bad_request(format!("the key \"{key}\" is repeated")).at(key));
    }
    let contents = body.contents.filter(|contents| !contents.0.is_empty());
    let contents = contents.ok_or_else(|| Error::bad_request("contents is required").at("contents"))?;
    let mut request = Request::default();
    let mut conversation = turn::Conversation::default();
    if let Some(system) = body.system {
        conversation.push_system(system);
    }
    contents.0.into_iter().enumerate().try_for_each(|(at, turn)| conversation.push(turn, at))?;
    request.messages = conversation.finish();
    let mut extra = Map::new();
    tool::read(body.tools.map(|tools| tools.0).unwrap_or_default(), &mut request)?;
    if let Some(choice) = body.tool_config {
        tool::read_config(choice, &mut request, &mut extra);
    }
    if let Some(settings) = body.config {
        config::read(settings, &mut request, &mut extra);
    }
    request.service_tier = body.service_tier.map(|tier| match &*tier {
        "standard" => "default".to_owned(),
        other => other.to_owned(),
    });
    for (key, raw) in body.rest {
        // The model stands in the path; a copy of it in the body says nothing more.
        if key != "model" {
            extra.insert(key.into_owned(), value(raw));
        }
    }
    request.extra = own_extra(extra);
    Ok(request)
}

/// Writes a request for a provider.
pub(crate) fn write(request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
    let verb = match operation {
        Operation::CountTokens => Verb::Count,
        _ if request.stream => Verb::Stream,
        _ => Verb::Generate,
    };
    let mut place = path::write(&request.model, verb, quirks)?;
    if verb == Verb::Stream {
        place.push_str("?alt=sse");
    }
    let mut losses = Losses::default();
    let mut body = Vec::with_capacity(1024);
    match operation {
        Operation::CountTokens => write_count(request, quirks, &mut body, &mut losses)?,
        _ => {
            let mut object = Object::new(&mut body);
            write_body(request, quirks, &mut object, &mut losses)?;
            object.end();
        }
    }
    Ok(Outgoing { method: Method::POST, path: place, headers: HeaderMap::new(), body, losses })
}

/// Contents alone, or the whole request inside when there is more to count; never both.
fn write_count(request: &Request, quirks: &Quirks, out: &mut Vec<u8>, losses: &mut Losses) -> Result<()> {
    let mut outer = Object::new(out);
    let plain = request.tools.is_empty() && request.messages.iter().all(|message| message.role != Role::System);
    if plain {
        turn::write(request, quirks, &mut outer, losses)?;
    } else {
        let mut inner = outer.object("generateContentRequest");
        inner.put("model", &path::resource(&request.model));
        turn::write(request, quirks, &mut inner, losses)?;
        tool::write(request, &mut inner, losses);
        tool::write_config(request, &mut inner);
        inner.end();
    }
    outer.end();
    Ok(())
}

fn write_body(request: &Request, quirks: &Quirks, body: &mut Object<'_>, losses: &mut Losses) -> Result<()> {
    turn::write(request, quirks, body, losses)?;
    tool::write(request, body, losses);
    tool::write_config(request, body);
    body.object_if("generationConfig", |settings| config::write(request, quirks, settings, losses));
    if request.parallel_tools == Some(false) {
        losses.add("parallel_tools", "gemini may always call several tools at once");
    }
    losses.add_if_some(&request.user, "user", "not supported by gemini");
    losses.add_if_some(&request.verbosity, "verbosity", "not supported by gemini");
    losses.add_if_some(&request.cache_key, "cache_key", "not supported by gemini");
    losses.add_if_some(&request.cache, "cache", "gemini caches by itself or by a resource of its own");
    if !request.metadata.is_empty() {
        losses.add("metadata", "not supported by gemini");
    }
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some(_) if quirks.refuses("service_tier") => losses.add("service_tier", "this provider does not take it"),
        Some("default" | "standard") => body.put("serviceTier", "standard"),
        Some(tier @ ("flex" | "priority")) => body.put("serviceTier", tier),
        Some(_) => losses.add("service_tier", "gemini knows standard, flex and priority"),
    }
    losses.add_foreign("", &request.extra, NAME);
    body.put_all(nested(&request.extra, "", &["generationConfig.", "toolConfig."]));
    Ok(())
}
