//! A canonical answer as this dialect says it, with every field that its official types require.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::{NAME, PREFIX};
use super::item::{Items, write_finish};
use crate::dialect::object::Object;
use crate::dialect::{Asked, Cx};
use crate::ir::{Extra, Finish, Response, Usage};

/// What an answer tells besides its items.
#[derive(Debug)]
pub(crate) struct Reply {
    id: String,
    created: u64,
    model: String,
    extra: Map<String, Value>,
    asked: Option<Arc<Asked>>,
}

impl Reply {
    pub(crate) fn new(id: &str, model: &str, created: Option<u64>, extra: &Extra, cx: &Cx) -> Self {
        Reply {
            id: if id.is_empty() { format!("{PREFIX}{}", cx.id) } else { id.to_owned() },
            created: created.unwrap_or(cx.created),
            model: if model.is_empty() { &cx.model } else { model }.to_owned(),
            extra: extra.of(NAME).cloned().unwrap_or_default(),
            asked: cx.asked.clone(),
        }
    }

    /// The answer as it begins.
    pub(crate) fn begun(&self) -> Object {
        self.write("in_progress", &Value::Null, &[(); 0], None)
    }

    /// The answer as it ended.
    pub(crate) fn ended(&self, finish: &Finish, items: &Items, usage: Option<&Usage>) -> (&'static str, Object) {
        let (status, why) = write_finish(finish, items.is_refusal());
        (status, self.write(status, &why, items, usage))
    }

    fn write(&self, status: &str, why: &Value, output: &impl Serialize, usage: Option<&Usage>) -> Object {
        let mut out = Object::with_capacity(1024);
        out.put("id", &self.id);
        out.put("object", "response");
        out.put("created_at", &self.created);
        out.put("status", status);
        out.put("completed_at", &(status == "completed").then_some(self.created));
        out.put("error", &());
        out.put("incomplete_details", why);
        out.put("model", &self.model);
        out.put("output", output);
        out.put("usage", &usage.map(UsageOut::new));
        out.put_all(&self.extra);
        for (name, value) in self.asked.iter().flat_map(|asked| &asked.repeated) {
            out.put(name, value);
        }
        // These are the words for what was not said.
        for name in ["instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "temperature", "top_p"] {
            out.put(name, &());
        }
        for name in ["prompt_cache_key", "safety_identifier", "service_tier", "user"] {
            out.put(name, &());
        }
        out.put("background", &false);
        out.put("metadata", &Map::new());
        out.put("parallel_tool_calls", &true);
        out.put("reasoning", &json!({ "effort": null, "summary": null }));
        out.put("store", &false);
        out.put("text", &json!({ "format": { "type": "text" } }));
        out.put("tool_choice", "auto");
        out.put("tools", &[(); 0]);
        out.put("top_logprobs", &0);
        out.put("truncation", "disabled");
        out
    }
}

/// Usage, with every field that its type requires: what is not known is 0.
#[derive(Serialize)]
struct UsageOut {
    input_tokens: u64,
    input_tokens_details: InputOut,
    output_tokens: u64,
    output_tokens_details: OutputOut,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputOut {
    cached_tokens: u64,
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

#[derive(Serialize)]
struct OutputOut {
    reasoning_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_tokens: Option<u64>,
}

impl UsageOut {
    fn new(usage: &Usage) -> Self {
        UsageOut {
            input_tokens: usage.input,
            input_tokens_details: InputOut {
                cached_tokens: usage.cache_read.unwrap_or(0),
                cache_write_tokens: usage.cache_write.unwrap_or(0),
                audio_tokens: usage.audio_input,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputOut { reasoning_tokens: usage.reasoning.unwrap_or(0), audio_tokens: usage.audio_output },
            total_tokens: usage.total(),
        }
    }
}

/// Writes a whole answer. This dialect has one: of several only the first is written.
pub(crate) fn write_response(response: &Response, cx: &Cx) -> Vec<u8> {
    let reply = Reply::new(&response.id, &response.model, response.created, &response.extra, cx);
    let mut items = Items::new(cx);
    let mut finish = &Finish::default();
    if let Some(choice) = response.choices.first() {
        choice.parts.iter().for_each(|part| items.part(part));
        items.put_logprobs(&choice.logprobs);
        finish = &choice.finish;
    }
    reply.ended(finish, &items, response.usage.as_ref()).1.finish()
}
