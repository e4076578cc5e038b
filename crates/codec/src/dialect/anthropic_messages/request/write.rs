//! A request as it goes to a provider.

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::super::{NAME, out};
use super::field::{self, Version};
use super::{forward, tool, turn};
use crate::catalog::Quirks;
use crate::dialect::{Operation, Outgoing};
use crate::error::{Error, Kind, Origin, Result};
use crate::ir::{Format, Request};
use crate::loss::Losses;

/// Fields of `extra` that are merged into an object of ours.
const MERGED: &[&str] = &["output_config", "metadata", "thinking"];
/// And those that the counting of tokens does not take.
const MERGED_FOR_COUNT: &[&str] =
    &["output_config", "metadata", "thinking", "container", "diagnostics", "inference_geo", "fallbacks"];

/// Writes a request.
pub(in super::super) fn write_request(request: &Request, operation: Operation, quirks: &Quirks) -> Result<Outgoing> {
    let mut losses = Losses::default();
    let version = Version::of(quirks);
    let extra = request.extra.of(NAME);
    let own = |name: &str| extra.and_then(|fields| fields.get(name));
    losses.add_foreign("", &request.extra, NAME);

    let turns = turn::write_messages(request, quirks, &mut losses)?;
    let thinking = field::decide_thinking(request, own("thinking"), quirks, turns.lacks_thinking, &mut losses);
    let (tools, tool_choice) = tool::write_tools(request, thinking.on, quirks, &mut losses);
    let mut body = out::RequestBody {
        anthropic_version: quirks.body_version.as_deref(),
        // The path of a count names no model.
        model: (quirks.body_version.is_none() || operation == Operation::CountTokens).then_some(request.model.as_str()),
        system: turns.system,
        messages: turns.messages,
        tools,
        tool_choice,
        output_config: write_output(request, thinking.effort, own("output_config"), quirks, &mut losses),
        thinking: thinking.written,
        cache_control: field::write_top_cache(request, quirks, &mut losses),
        extra: out::Rest { fields: extra, without: MERGED },
        ..out::RequestBody::default()
    };
    field::limit_cache_marks(&mut body, &mut losses);
    if operation == Operation::Chat {
        body.max_tokens = Some(thinking.max_tokens);
        body.stream = request.stream && quirks.stream_field;
        field::write_sampling(request, version, thinking.on, quirks, &mut body, &mut losses);
        field::write_rest(request, own("metadata"), quirks, &mut body, &mut losses);
    } else {
        body.extra.without = MERGED_FOR_COUNT;
    }

    let mut headers = HeaderMap::new();
    let version = quirks.api_version.as_deref().unwrap_or(Version::USUAL);
    if quirks.body_version.is_none() {
        headers.insert("anthropic-version", HeaderValue::from_str(version).map_err(|_| bad_version(version))?);
    }
    let body = serde_json::to_vec(&body).map_err(|fault| Error::new(Kind::Internal, Origin::Gateway, fault.to_string()))?;
    Ok(Outgoing { method: Method::POST, path: forward::path(operation).to_owned(), headers, body, losses })
}

fn bad_version(version: &str) -> Error {
    let message = format!("the provider's api_version {version:?} cannot stand in a header");
    Error::new(Kind::Internal, Origin::Gateway, message)
}

fn write_output<'a>(
    request: &'a Request,
    effort: Option<&'static str>,
    own: Option<&'a Value>,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Option<out::OutputConfig<'a>> {
    const FORMAT: &str = "response_format.json_schema";
    let format = match &request.format {
        Format::Text => None,
        Format::Json => {
            losses.add("format", "JSON without a schema cannot be asked for");
            None
        }
        Format::Schema { .. } if quirks.refuses(FORMAT) || quirks.refuses("response_format") => {
            losses.add("format", "the provider does not take a schema");
            None
        }
        Format::Schema { name, description, schema, strict } => {
            losses.add_if_some(name, "format.name", "a schema has no name here");
            losses.add_if_some(description, "format.description", "a schema has no description here");
            if *strict == Some(false) {
                losses.add("format.strict", "a schema always binds here");
            }
            Some(out::OutputFormat { kind: "json_schema", schema: &schema.0 })
        }
    };
    let extra = own.and_then(Value::as_object);
    (effort.is_some() || format.is_some() || extra.is_some()).then_some(out::OutputConfig { effort, format, extra })
}
