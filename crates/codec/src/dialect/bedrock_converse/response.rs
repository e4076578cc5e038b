//! Whole answers: a provider's read, ours written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::block::read_reply_block;
use super::error::read_inside;
use super::finish::{read_finish, write_finish};
use super::out::Block;
use super::usage::{self, write_usage};
use super::{NAME, own_extra, reply};
use crate::error::{Error, Result};
use crate::ir::{Choice, Content, Finish, Model, Part, Response, TokenCount, Usage};

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    stop_reason: Option<String>,
    usage: Option<usage::Wire>,
    message: Option<Value>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
}

/// Reads a whole answer.
pub(super) fn read_response(body: &[u8]) -> Result<Response> {
    let wire: Wire<'_> = match serde_json::from_slice(body) {
        Ok(wire) => wire,
        Err(fault) => return Err(Error::malformed(format!("the provider's answer cannot be read: {fault}")).with_raw(body)),
    };
    let Some(message) = wire.output.and_then(|output| output.message) else {
        let told = wire.message.is_some() || ["__type", "Message", "error"].iter().any(|key| wire.extra.contains_key(*key));
        return Err(match told {
            true => read_inside("", body),
            false => Error::malformed("the provider's answer has no output.message").with_raw(body),
        });
    };
    let content = message.content.unwrap_or_default();
    let parts: Vec<Part> = content.into_iter().enumerate().filter_map(|(at, raw)| read_reply_block(raw, at)).collect();
    let called = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let mut extra = wire.extra;
    extra.retain(|_, value| !value.is_null());
    let stop_sequence = read_stop_sequence(extra.get("additionalModelResponseFields"));
    let finish = read_finish(wire.stop_reason.as_deref().unwrap_or_default(), stop_sequence, called);
    Ok(Response {
        choices: vec![Choice { index: 0, parts, finish, ..Choice::default() }],
        usage: wire.usage.map(|usage| usage.read()),
        extra: own_extra(extra),
        ..Response::default()
    })
}

/// The stop text that was met, where the caller asked for the model's own field for it.
pub(super) fn read_stop_sequence(fields: Option<&Value>) -> Option<String> {
    fields?.get("stop_sequence")?.as_str().map(str::to_owned)
}

/// The usage of an answer that passes by.
pub(super) fn observe_response(body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Fields {
        usage: Option<usage::Wire>,
    }
    Some(serde_json::from_slice::<Fields>(body).ok()?.usage?.read())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'a> {
    output: OutOutput<'a>,
    stop_reason: &'static str,
    usage: usage::Out,
    metrics: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_response_fields: Option<Value>,
    #[serde(flatten)]
    extra: BTreeMap<&'a str, &'a Value>,
}

#[derive(Serialize)]
struct OutOutput<'a> {
    message: OutMessage<'a>,
}

#[derive(Serialize)]
struct OutMessage<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// Fields of an answer that only this dialect has, by their names; what stands in one of them is written apart.
const WRITTEN_APART: [&str; 2] = ["metrics", "additionalModelResponseFields"];

/// Writes a whole answer: the first of the choices, because this dialect has one.
pub(super) fn write_response(response: &Response) -> Vec<u8> {
    let choice = response.choices.iter().min_by_key(|choice| choice.index);
    let parts = choice.map(|choice| choice.parts.as_slice()).unwrap_or_default();
    let finish = choice.map(|choice| choice.finish.clone()).unwrap_or_default();
    let has = |wanted: fn(&Content) -> bool| parts.iter().any(|part| wanted(&part.content));
    let called = has(|content| matches!(content, Content::ToolCall { .. }));
    let refused = has(|content| matches!(content, Content::Refusal { .. }));
    let own = response.extra.of(NAME);
    let extra = own.into_iter().flatten().filter(|(name, _)| !WRITTEN_APART.contains(&name.as_str()));
    let out = Out {
        output: OutOutput {
            message: OutMessage { role: "assistant", content: parts.iter().flat_map(reply::write_part).collect() },
        },
        stop_reason: write_finish(&finish, called, refused),
        usage: write_usage(response.usage.as_ref()),
        metrics: own.and_then(|own| own.get("metrics")).cloned().unwrap_or_else(|| json!({"latencyMs": 0})),
        additional_model_response_fields: own
            .and_then(|own| own.get("additionalModelResponseFields"))
            .cloned()
            .or_else(|| write_stop_sequence(&finish)),
        extra: extra.map(|(name, value)| (name.as_str(), value)).collect(),
    };
    serde_json::to_vec(&out).unwrap_or_default()
}

/// The stop text that was met stands where models that tell it put it.
pub(super) fn write_stop_sequence(finish: &Finish) -> Option<Value> {
    finish.stop_sequence.as_ref().map(|text| json!({"stop_sequence": text}))
}

/// Reads the answer to a count.
pub(super) fn read_count(body: &[u8]) -> Result<TokenCount> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        input_tokens: u64,
    }
    match serde_json::from_slice::<Count>(body) {
        Ok(Count { input_tokens }) => Ok(TokenCount { input: input_tokens, estimated: false }),
        Err(_) => Err(Error::malformed("the provider's count has no inputTokens").with_raw(body)),
    }
}

/// Writes the answer to a count.
pub(super) fn write_count(count: TokenCount) -> Vec<u8> {
    format!("{{\"inputTokens\":{}}}", count.input).into_bytes()
}

fn summary(model: &Model) -> Value {
    json!({
        "modelId": model.id,
        "modelName": model.id,
        "modelArn": format!("arn:aws:bedrock:::foundation-model/{}", model.id),
        "providerName": model.owner,
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": true,
        "inferenceTypesSupported": ["ON_DEMAND"],
        "modelLifecycle": {"status": "ACTIVE"},
    })
}

/// Writes the list of models, as `GET /foundation-models` gives it.
pub(super) fn write_models(models: &[Model]) -> Vec<u8> {
    json!({"modelSummaries": models.iter().map(summary).collect::<Vec<_>>()}).to_string().into_bytes()
}

/// Writes one model, as `GET /foundation-models/{modelId}` gives it.
pub(super) fn write_model(model: &Model) -> Vec<u8> {
    json!({"modelDetails": summary(model)}).to_string().into_bytes()
}
