//! A request as it goes to a provider.

use http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::{NAME, out};
use super::path::{self, Verb};
use super::{field, tool, turn};
use crate::catalog::Quirks;
use crate::dialect::{Operation, Outgoing};
use crate::error::Result;
use crate::ir::Request;
use crate::loss::Losses;

/// Fields of `extra` that are merged into an object of ours.
const MERGED: &[&str] = &["toolConfig", "inferenceConfig", "outputConfig", "additionalModelRequestFields"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Count<'a> {
    messages: &'a [out::Message<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    system: &'a [out::Block<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<&'a out::ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    additional_model_request_fields: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Input<'a> {
    input: Converse<'a>,
}

#[derive(Serialize)]
struct Converse<'a> {
    converse: Count<'a>,
}

/// Writes a request.
pub(in super::super) fn write_request(request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
    let path = path::write(&request.model, Verb::of(operation, request.stream))?;
    let mut losses = Losses::default();
    let own = request.extra.of(NAME);
    losses.add_foreign("", &request.extra, NAME);
    let merged = |name: &str| own.and_then(|own| own.get(name)).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut marks = turn::Marks::count(request, quirks, &mut losses);
    // In the order in which a cache sees them.
    let mut tool_config = tool::write_tools(request, quirks, &mut marks, &mut losses);
    tool_config.iter_mut().for_each(|config| config.extra = merged("toolConfig"));
    let turns = turn::write_messages(request, quirks, &mut marks, &mut losses)?;
    let mut body = out::Body {
        messages: turns.messages,
        system: turns.system,
        tool_config,
        additional_model_request_fields: merged("additionalModelRequestFields"),
        ..out::Body::default()
    };
    let thinking = field::write_thinking(request, quirks, turns.lacks_thinking, &mut body, &mut losses);
    let written = if operation == Operation::CountTokens {
        let converse = Count {
            messages: &body.messages,
            system: &body.system,
            tool_config: body.tool_config.as_ref(),
            additional_model_request_fields: &body.additional_model_request_fields,
        };
        serde_json::to_vec(&Input { input: Converse { converse } })
    } else {
        field::write_inference(request, thinking, merged("inferenceConfig"), quirks, &mut body, &mut losses);
        field::write_output(request, thinking, merged("outputConfig"), quirks, &mut body, &mut losses);
        field::write_rest(request, quirks, &mut body, &mut losses);
        body.extra = own.cloned().unwrap_or_default();
        body.extra.retain(|name, _| !MERGED.contains(&name.as_str()));
        serde_json::to_vec(&body)
    };
    let body = written.unwrap_or_default();
    Ok(Outgoing { method: Method::POST, path, headers: HeaderMap::new(), body, losses })
}
