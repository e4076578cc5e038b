//! A caller's request on its way to a provider.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{Dialect, Head, Operation, Outgoing};
use trunkline_codec::ir::{Content, Effort, Format, Part, Request, Role, ToolKind};

use super::{Case, ask, native};

/// True when the caller's dialect has words for the feature.
pub(crate) fn check(case: &mut Case<'_>) -> bool {
    let Some(body) = ask::request(case.caller.name, case.feature) else { return false };
    for stream in [false, true] {
        let body = if stream { ask::streamed(case.caller.name, body.clone()) } else { body.clone() };
        let request = read(case.caller, &body, stream);
        case.expect(request.stream == stream, "whether a stream is asked for is misread");
        let Some(outgoing) = write(case, &request) else { return true };
        if case.provider.downstream.is_some() {
            let again = read_sent(case.provider, &outgoing);
            compare(case, &request, &again);
        } else {
            let about = |(field, _): &(String, String)| native::about(case.feature).iter().any(|start| field.starts_with(start));
            case.whole &= !case.lost.iter().any(about);
        }
        let sent: Value = serde_json::from_slice(&outgoing.body).unwrap();
        for (pointer, value) in ask::must_stand(case.provider.name, case.feature) {
            // Not every dialect can ask for a stop text or demand a call.
            let no_stop = request.stop.is_empty() && pointer.to_lowercase().contains("/stop");
            let no_choice = request.tool_choice.is_none()
                && ["/tool_choice", "/toolConfig", "/parameters/tool_choice"].iter().any(|start| pointer.starts_with(start));
            if no_stop || no_choice {
                continue;
            }
            // A budget is told as a budget where there is a word for it.
            let is_effort = ["/output_config", "/outputConfig", "/thinking/type", "/generationConfig/thinkingConfig"]
                .iter()
                .any(|start| pointer.starts_with(start));
            if is_effort && request.reasoning.as_ref().is_some_and(|asked| asked.effort.is_none()) {
                continue;
            }
            let pointer = shift(case, pointer, &sent);
            let found = sent.pointer(&pointer);
            case.expect(found == Some(&value), format_args!("{pointer} should be {value} in {sent}"));
        }
    }
    true
}

/// A system text stands before the others where it is a message.
fn shift(case: &Case<'_>, pointer: &str, sent: &Value) -> String {
    let first = sent.pointer("/messages/0/role").and_then(Value::as_str);
    match (case.provider.name, first) {
        ("openai-responses", _) if sent.pointer("/input/0/role").is_some_and(|role| role == "system") => {
            pointer.replace("/input/0", "/input/1")
        }
        ("openai-chat" | "ollama" | "cohere-chat", Some("system")) => pointer.replace("/messages/0", "/messages/1"),
        _ => pointer.to_owned(),
    }
}

pub(crate) fn read(dialect: &Dialect, body: &Value, stream: bool) -> Request {
    let (path, query) = ask::path(dialect.name, stream);
    let headers = HeaderMap::new();
    let head = Head { path, query, headers: &headers };
    let read = dialect.downstream().read_request(&head, body.to_string().as_bytes(), Operation::Chat);
    read.unwrap_or_else(|error| panic!("{}: {error}: {body}", dialect.name))
}

/// Writes for the provider and takes note of the losses.
pub(crate) fn write(case: &mut Case<'_>, request: &Request) -> Option<Outgoing> {
    match case.provider.upstream.write_request(request, Operation::Chat, &Quirks::default()) {
        Ok(outgoing) => {
            let bare = |field: &str| field.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            case.lost.extend(outgoing.losses.iter().map(|loss| (bare(&loss.field), loss.why.to_string())));
            Some(outgoing)
        }
        Err(error) => {
            case.fault(format_args!("refused: {error}"));
            None
        }
    }
}

/// What was sent, read as the provider would.
pub(crate) fn read_sent(provider: &Dialect, outgoing: &Outgoing) -> Request {
    let path =
        format!("/v1{}", outgoing.path.strip_prefix("/v1beta").or(outgoing.path.strip_prefix("/v1")).unwrap_or(&outgoing.path));
    let (path, query) = path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
    let head = Head { path, query, headers: &outgoing.headers };
    let again = provider.downstream().read_request(&head, &outgoing.body, Operation::Chat);
    again.unwrap_or_else(|error| panic!("{}: {error}: {}", provider.name, String::from_utf8_lossy(&outgoing.body)))
}

/// Each thing that was asked is asked again, or is among the losses.
fn compare(case: &mut Case<'_>, asked: &Request, sent: &Request) {
    let (asked, mut sent) = (project(asked), project(sent));
    if matches!(case.provider.name, "openai-completions" | "ollama-generate") {
        // A prompt has no turns: each text must stand in it.
        let prompt = sent["texts"].to_string();
        let inside = |text: &Value| prompt.contains(text[1].as_str().unwrap());
        case.expect(asked["texts"].as_array().unwrap().iter().all(inside), format_args!("a text is missing in {prompt}"));
        sent.insert("texts".to_owned(), asked["texts"].clone());
    }
    for (key, value) in &asked {
        let path = match key.as_str() {
            "calls" | "results" | "images" | "texts" => "messages[",
            other => other,
        };
        let lost = case.lost.iter().any(|(field, _)| field.starts_with(path));
        case.whole &= sent[key] == *value;
        case.expect(lost || sent[key] == *value, format_args!("{key} was {value} and became {} without a loss", sent[key]));
    }
}

/// What a request asks for, without the dialects' ways to say it.
fn project(request: &Request) -> Map<String, Value> {
    let parts = || request.messages.iter().flat_map(|message| message.parts.iter().map(move |part| (message.role, part)));
    let text = |(role, part): (Role, &Part)| match &part.content {
        Content::Text { text, .. } => Some(json!([role, text])),
        _ => None,
    };
    // Ids may be made anew; which call a result answers may not change.
    let ids: Vec<&str> = parts().filter_map(|(_, part)| call_id(part)).collect();
    let result = |(_, part): (Role, &Part)| match &part.content {
        Content::ToolResult { id, parts, failed, .. } => {
            let texts: Vec<Value> = parts.iter().filter_map(|part| text((Role::User, part))).collect();
            Some(json!([ids.iter().position(|known| known == id), texts, failed]))
        }
        _ => None,
    };
    let call = |(_, part): (Role, &Part)| match &part.content {
        Content::ToolCall { name, arguments, .. } => Some(json!([name, serde_json::from_str::<Value>(arguments).unwrap()])),
        _ => None,
    };
    let image = |(_, part): (Role, &Part)| match &part.content {
        Content::Image { source, .. } => Some(json!([source])),
        _ => None,
    };
    let tool = |tool: &trunkline_codec::ir::Tool| match &tool.kind {
        ToolKind::Function { schema, .. } => json!([tool.name, tool.description, schema]),
        _ => Value::Null,
    };
    let format = match &request.format {
        Format::Schema { schema, .. } => json!({"schema": schema}),
        other => json!(other),
    };
    let effort = request.reasoning.as_ref().map(|asked| asked.effort.or(asked.budget.map(Effort::from_budget)));
    let Value::Object(fields) = json!({
        "texts": parts().filter_map(text).collect::<Vec<_>>(),
        "calls": parts().filter_map(call).collect::<Vec<_>>(),
        "results": parts().filter_map(result).collect::<Vec<_>>(),
        "images": parts().filter_map(image).collect::<Vec<_>>(),
        "tools": request.tools.iter().map(tool).collect::<Vec<_>>(),
        "tool_choice": request.tool_choice,
        "format": format,
        "reasoning": effort,
        "max_tokens": request.max_tokens,
        "sampling": [request.sampling.temperature, request.sampling.top_p],
        "stop": request.stop,
        "stream": request.stream,
    }) else {
        unreachable!()
    };
    fields
}

pub(crate) fn call_id(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolCall { id, .. } => Some(id),
        _ => None,
    }
}
