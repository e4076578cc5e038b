//! What providers answer, in each dialect's own words, whole and streamed.

use serde_json::{Value, json};

use super::{Feature, native};
use crate::message::{self, event};

/// One piece of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// Text in two pieces.
    Text(&'static str, &'static str),
    /// Thinking and, where the dialect has one, its signature.
    Thought(&'static str, &'static str),
    /// A call of `weather` for a city.
    Call(&'static str, &'static str),
}

/// Why an answer ends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    Stop,
    Length,
    Refused,
}

/// An answer.
pub(crate) struct Sample {
    pub(crate) pieces: &'static [Piece],
    pub(crate) end: End,
    pub(crate) cached: bool,
}

use Piece::{Call, Text, Thought};

/// The answers that belong to a feature.
pub(crate) fn samples(feature: Feature) -> Vec<Sample> {
    let plain = |pieces: &'static [Piece]| Sample { pieces, end: End::Stop, cached: false };
    match feature {
        Feature::Text | Feature::Images | Feature::Errors => vec![plain(&[Text("It is ", "“rain” \\ é 🌧.")])],
        Feature::Tools => vec![
            plain(&[Call("one", "Bonn")]),
            plain(&[Text("Let me", " look.")]),
            plain(&[Text("Let me", " look."), Call("one", "Bonn"), Call("two", "Rome")]),
        ],
        Feature::Structured => vec![plain(&[Text("{\"city\":", " \"Bonn\"}")])],
        Feature::Reasoning => vec![
            plain(&[Thought("Bonn is a city.", "c2lnbmVk"), Text("It ", "rains.")]),
            plain(&[Thought("I must look.", "c2lnbmVk"), Call("one", "Bonn"), Call("two", "Rome")]),
        ],
        Feature::Endings => {
            [End::Length, End::Refused].map(|end| Sample { pieces: &[Text("I will", " not")], end, cached: false }).into()
        }
        Feature::Usage => vec![Sample { pieces: &[Text("Y", "es.")], end: End::Stop, cached: true }],
    }
}

impl Sample {
    fn calls(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Call(..)))
    }
}

fn arguments(city: &str) -> String {
    json!({"city": city}).to_string()
}

/// A whole answer.
pub(crate) fn whole(dialect: &str, sample: &Sample) -> Value {
    match dialect {
        "openai-chat" => chat_whole(sample),
        "openai-completions" => json!({"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "some-model",
            "choices": [{"text": plain(sample), "index": 0, "logprobs": null, "finish_reason": openai_end(sample)}],
            "usage": openai_usage(sample)}),
        "openai-responses" => responses_whole(sample),
        "anthropic-messages" => anthropic_whole(sample),
        "gemini" => {
            let parts: Vec<Value> = sample.pieces.iter().flat_map(gemini_parts).collect();
            gemini_chunk(parts, Some(sample))
        }
        "cohere-chat" => cohere_whole(sample),
        "ollama" | "ollama-generate" => ollama_whole(dialect, sample),
        "bedrock-converse" => bedrock_whole(sample),
        other => native::whole(other, sample),
    }
}

/// A streamed answer.
pub(crate) fn stream(dialect: &str, sample: &Sample) -> Vec<u8> {
    let text = match dialect {
        "openai-chat" => chat_stream(sample),
        "openai-completions" => completions_stream(sample),
        "openai-responses" => responses_stream(sample),
        "anthropic-messages" => anthropic_stream(sample),
        "gemini" => {
            let parts: Vec<Value> = sample.pieces.iter().flat_map(gemini_parts).collect();
            let last = gemini_chunk(vec![json!({"text": ""})], Some(sample));
            parts.into_iter().map(|part| gemini_chunk(vec![part], None)).chain([last]).map(|chunk| data(&chunk)).collect()
        }
        "cohere-chat" => cohere_stream(sample),
        "ollama" | "ollama-generate" => ollama_stream(dialect, sample),
        "bedrock-converse" => return bedrock_stream(sample),
        other => native::stream(other, sample),
    };
    text.into_bytes()
}

fn data(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}

/// What a dialect can answer with at all.
pub(crate) fn can_answer(dialect: &str, sample: &Sample) -> bool {
    match dialect {
        "openai-completions" => sample.pieces.iter().all(|piece| matches!(piece, Text(..))),
        "ollama" | "cohere-chat" => sample.end != End::Refused,
        "ollama-generate" => sample.end != End::Refused && !sample.calls(),
        name if native::NAMES.contains(&name) => native::can_answer(name, sample),
        _ => true,
    }
}

fn plain(sample: &Sample) -> String {
    let text = |piece: &Piece| match piece {
        Text(first, second) => format!("{first}{second}"),
        _ => String::new(),
    };
    sample.pieces.iter().map(text).collect()
}

fn openai_end(sample: &Sample) -> &'static str {
    match sample.end {
        End::Stop if sample.calls() => "tool_calls",
        End::Stop => "stop",
        End::Length => "length",
        End::Refused => "content_filter",
    }
}

fn openai_usage(sample: &Sample) -> Value {
    let cached = if sample.cached { 60 } else { 0 };
    json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": cached}})
}

fn chat_whole(sample: &Sample) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let mut calls = Vec::new();
    for piece in sample.pieces {
        match piece {
            Text(..) => message["content"] = json!(plain(sample)),
            Thought(text, _) => message["reasoning_content"] = json!(text),
            Call(id, city) => calls.push(json!({"id": format!("call_{id}"), "type": "function",
                "function": {"name": "weather", "arguments": arguments(city)}})),
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "some-model",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": openai_end(sample)}],
        "usage": openai_usage(sample)})
}

fn chat_stream(sample: &Sample) -> String {
    let chunk = |delta: Value, end: Value| {
        data(&json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "some-model",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": end}]}))
    };
    let mut out = chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    let mut calls = 0;
    for piece in sample.pieces {
        match piece {
            Text(first, second) => {
                out += &chunk(json!({"content": first}), Value::Null);
                out += &chunk(json!({"content": second}), Value::Null);
            }
            Thought(text, _) => out += &chunk(json!({"reasoning_content": text}), Value::Null),
            Call(id, city) => {
                let call = json!({"index": calls, "id": format!("call_{id}"), "type": "function",
                    "function": {"name": "weather", "arguments": ""}});
                out += &chunk(json!({"tool_calls": [call]}), Value::Null);
                let arguments = arguments(city);
                let (first, second) = arguments.split_at(4);
                for piece in [first, second] {
                    out += &chunk(json!({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]}), Value::Null);
                }
                calls += 1;
            }
        }
    }
    out += &chunk(json!({}), json!(openai_end(sample)));
    out += &data(&json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "some-model",
        "choices": [], "usage": openai_usage(sample)}));
    out + "data: [DONE]\n\n"
}

fn completions_stream(sample: &Sample) -> String {
    let chunk = |text: &str, end: Value| {
        data(&json!({"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "some-model",
            "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": end}]}))
    };
    let mut out = String::new();
    for piece in sample.pieces {
        let Text(first, second) = piece else { panic!("plain completions are text") };
        out += &chunk(first, Value::Null);
        out += &chunk(second, Value::Null);
    }
    out += &chunk("", json!(openai_end(sample)));
    out += &data(&json!({"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "some-model",
        "choices": [], "usage": openai_usage(sample)}));
    out + "data: [DONE]\n\n"
}

/// An answer's frame, without its items.
fn responses_answer(status: &str, output: &[Value], sample: Option<&Sample>) -> Value {
    let why = match sample.map(|sample| sample.end) {
        Some(End::Length) => json!({"reason": "max_output_tokens"}),
        Some(End::Refused) => json!({"reason": "content_filter"}),
        _ => Value::Null,
    };
    let usage = sample.map(|sample| {
        let cached = if sample.cached { 60 } else { 0 };
        json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 120})
    });
    json!({"id": "resp_1", "object": "response", "created_at": 1700000000, "status": status, "error": null,
        "incomplete_details": why, "model": "some-model", "output": output, "usage": usage, "tools": [], "metadata": {}})
}

fn responses_item(piece: &Piece) -> Value {
    match piece {
        Text(first, second) => json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": format!("{first}{second}"), "annotations": [], "logprobs": []}]}),
        Thought(text, state) => json!({"type": "reasoning", "id": "rs_1",
            "summary": [{"type": "summary_text", "text": text}], "encrypted_content": state}),
        Call(id, city) => json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
            "status": "completed", "name": "weather", "arguments": arguments(city)}),
    }
}

fn responses_end(sample: &Sample) -> &'static str {
    if sample.end == End::Stop { "completed" } else { "incomplete" }
}

fn responses_whole(sample: &Sample) -> Value {
    let output: Vec<Value> = sample.pieces.iter().map(responses_item).collect();
    responses_answer(responses_end(sample), &output, Some(sample))
}

fn responses_stream(sample: &Sample) -> String {
    let mut number = 0;
    let mut event = |name: &str, mut body: Value| {
        body["type"] = json!(name);
        body["sequence_number"] = json!(number);
        number += 1;
        format!("event: {name}\n{}", data(&body))
    };
    let mut out = event("response.created", json!({"response": responses_answer("in_progress", &[], None)}));
    for (index, piece) in sample.pieces.iter().enumerate() {
        let item = responses_item(piece);
        let mut begun = item.clone();
        let at = |mut more: Value| {
            more["output_index"] = json!(index);
            more["item_id"] = item["id"].clone();
            more
        };
        let (empty, name, place, pieces) = match piece {
            Text(first, second) => ("content", "output_text", "content_index", [(*first).to_owned(), (*second).to_owned()]),
            Thought(text, _) => {
                begun["encrypted_content"] = Value::Null;
                let (first, second) = text.split_at(3);
                ("summary", "reasoning_summary_text", "summary_index", [first.to_owned(), second.to_owned()])
            }
            Call(_, city) => {
                let arguments = arguments(city);
                let (first, second) = arguments.split_at(4);
                ("arguments", "function_call_arguments", "x", [first.to_owned(), second.to_owned()])
            }
        };
        begun[empty] = if empty == "arguments" { json!("") } else { json!([]) };
        out += &event("response.output_item.added", json!({"output_index": index, "item": begun}));
        if empty == "content" {
            out += &event(
                "response.content_part.added",
                at(json!({"content_index": 0,
                "part": {"type": "output_text", "text": "", "annotations": []}})),
            );
        }
        for piece in &pieces {
            out += &event(&format!("response.{name}.delta"), at(json!({place: 0, "delta": piece})));
        }
        let whole = if empty == "arguments" { "arguments" } else { "text" };
        out += &event(&format!("response.{name}.done"), at(json!({place: 0, whole: pieces.concat()})));
        if empty == "content" {
            out += &event("response.content_part.done", at(json!({"content_index": 0, "part": item["content"][0]})));
        }
        out += &event("response.output_item.done", json!({"output_index": index, "item": item}));
    }
    let end = responses_end(sample);
    out + &event(&format!("response.{end}"), json!({"response": responses_whole(sample)}))
}

fn anthropic_end(sample: &Sample) -> &'static str {
    match sample.end {
        End::Stop if sample.calls() => "tool_use",
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Refused => "refusal",
    }
}

/// `input_tokens` leaves out what came from the cache.
fn anthropic_usage(sample: &Sample, output: u64) -> Value {
    let cached = if sample.cached { 60 } else { 0 };
    json!({"input_tokens": 100 - cached, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached, "output_tokens": output})
}

fn anthropic_whole(sample: &Sample) -> Value {
    let block = |piece: &Piece| match piece {
        Text(first, second) => json!({"type": "text", "text": format!("{first}{second}"), "citations": null}),
        Thought(text, signature) => json!({"type": "thinking", "thinking": text, "signature": signature}),
        Call(id, city) => json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": "weather", "input": {"city": city}}),
    };
    let content: Vec<Value> = sample.pieces.iter().map(block).collect();
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "some-model", "content": content,
        "stop_reason": anthropic_end(sample), "stop_sequence": null, "usage": anthropic_usage(sample, 20)})
}

fn anthropic_stream(sample: &Sample) -> String {
    let event = |name: &str, mut body: Value| {
        body["type"] = json!(name);
        format!("event: {name}\n{}", data(&body))
    };
    let mut out = event(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "some-model", "content": [], "stop_reason": null, "stop_sequence": null, "usage": anthropic_usage(sample, 1)}}),
    );
    out += &event("ping", json!({}));
    for (index, piece) in sample.pieces.iter().enumerate() {
        let (start, deltas) = match piece {
            Text(first, second) => (
                json!({"type": "text", "text": ""}),
                vec![json!({"type": "text_delta", "text": first}), json!({"type": "text_delta", "text": second})],
            ),
            Thought(text, signature) => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                vec![
                    json!({"type": "thinking_delta", "thinking": text}),
                    json!({"type": "signature_delta", "signature": signature}),
                ],
            ),
            Call(id, city) => {
                let arguments = arguments(city);
                let (first, second) = arguments.split_at(4);
                let delta = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
                (
                    json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": "weather", "input": {}}),
                    vec![delta(""), delta(first), delta(second)],
                )
            }
        };
        out += &event("content_block_start", json!({"index": index, "content_block": start}));
        for delta in deltas {
            out += &event("content_block_delta", json!({"index": index, "delta": delta}));
        }
        out += &event("content_block_stop", json!({"index": index}));
    }
    out += &event(
        "message_delta",
        json!({"delta": {"stop_reason": anthropic_end(sample), "stop_sequence": null},
        "usage": {"output_tokens": 20}}),
    );
    out + &event("message_stop", json!({}))
}

/// The signature of a thought stands on the part after it.
fn gemini_parts(piece: &Piece) -> Vec<Value> {
    match piece {
        Text(first, second) => vec![json!({"text": first}), json!({"text": second})],
        Thought(text, _) => vec![json!({"text": text, "thought": true})],
        Call("one", city) => {
            vec![json!({"functionCall": {"name": "weather", "args": {"city": city}}, "thoughtSignature": "c2lnbmVk"})]
        }
        Call(_, city) => vec![json!({"functionCall": {"name": "weather", "args": {"city": city}}})],
    }
}

fn gemini_chunk(parts: Vec<Value>, last: Option<&Sample>) -> Value {
    let mut chunk = json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "modelVersion": "some-model", "responseId": "r1"});
    if let Some(sample) = last {
        chunk["candidates"][0]["finishReason"] = json!(match sample.end {
            End::Stop => "STOP",
            End::Length => "MAX_TOKENS",
            End::Refused => "SAFETY",
        });
        chunk["usageMetadata"] = json!({"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120});
        if sample.cached {
            chunk["usageMetadata"]["cachedContentTokenCount"] = json!(60);
        }
    }
    chunk
}

fn cohere_end(sample: &Sample) -> Value {
    let word = match sample.end {
        End::Stop if sample.calls() => "TOOL_CALL",
        End::Stop => "COMPLETE",
        _ => "MAX_TOKENS",
    };
    let mut usage =
        json!({"billed_units": {"input_tokens": 100, "output_tokens": 20}, "tokens": {"input_tokens": 171, "output_tokens": 23}});
    if sample.cached {
        usage["cached_tokens"] = json!(60);
    }
    json!({"finish_reason": word, "usage": usage})
}

fn cohere_call(id: &str, arguments: &str) -> Value {
    json!({"id": format!("weather_{id}"), "type": "function", "function": {"name": "weather", "arguments": arguments}})
}

/// What is said before tools are called is the plan.
fn cohere_whole(sample: &Sample) -> Value {
    let mut message = json!({"role": "assistant"});
    let (mut content, mut calls) = (Vec::new(), Vec::new());
    for piece in sample.pieces {
        match piece {
            Text(..) if sample.calls() => message["tool_plan"] = json!(plain(sample)),
            Text(..) => content.push(json!({"type": "text", "text": plain(sample)})),
            Thought(text, _) => content.push(json!({"type": "thinking", "thinking": text})),
            Call(id, city) => calls.push(cohere_call(id, &arguments(city))),
        }
    }
    if !content.is_empty() {
        message["content"] = json!(content);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let mut whole = json!({"id": "c1", "message": message});
    whole.as_object_mut().unwrap().extend(cohere_end(sample).as_object().unwrap().clone());
    whole
}

fn cohere_stream(sample: &Sample) -> String {
    let mut out = String::new();
    let mut event = |name: &str, mut body: Value| {
        body["type"] = json!(name);
        out += &format!("event: {name}\n{}", data(&body));
    };
    let message = |index: usize, message: Value| json!({"index": index, "delta": {"message": message}});
    event(
        "message-start",
        json!({"id": "c1", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
    );
    let (mut block, mut call) = (0, 0);
    for piece in sample.pieces {
        match piece {
            Text(first, second) if sample.calls() => {
                [first, second]
                    .iter()
                    .for_each(|text| event("tool-plan-delta", json!({"delta": {"message": {"tool_plan": text}}})));
            }
            Text(first, second) => {
                event("content-start", message(block, json!({"content": {"type": "text", "text": ""}})));
                [first, second]
                    .iter()
                    .for_each(|text| event("content-delta", message(block, json!({"content": {"text": text}}))));
                event("content-end", json!({"index": block}));
                block += 1;
            }
            Thought(text, _) => {
                event("content-start", message(block, json!({"content": {"type": "thinking", "thinking": ""}})));
                event("content-delta", message(block, json!({"content": {"thinking": text}})));
                event("content-end", json!({"index": block}));
                block += 1;
            }
            Call(id, city) => {
                event("tool-call-start", message(call, json!({"tool_calls": cohere_call(id, "")})));
                let arguments = arguments(city);
                let (first, second) = arguments.split_at(4);
                [first, second].iter().for_each(|text| {
                    event("tool-call-delta", message(call, json!({"tool_calls": {"function": {"arguments": text}}})));
                });
                event("tool-call-end", json!({"index": call}));
                call += 1;
            }
        }
    }
    event("message-end", json!({"id": "c1", "delta": cohere_end(sample)}));
    out
}

fn ollama_line(dialect: &str, said: Value, last: Option<&Sample>) -> Value {
    let mut line = json!({"model": "some-model", "created_at": "2023-11-14T22:13:20.5Z", "done": last.is_some()});
    if dialect == "ollama" {
        line["message"] = json!({"role": "assistant", "content": ""});
        line["message"].as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
    } else {
        line["response"] = said.get("content").cloned().unwrap_or_else(|| json!(""));
        if let Some(thinking) = said.get("thinking") {
            line["thinking"] = thinking.clone();
        }
    }
    if let Some(sample) = last {
        line["done_reason"] = json!(if sample.end == End::Length { "length" } else { "stop" });
        for (key, value) in [("total_duration", 9), ("prompt_eval_count", 100), ("eval_count", 20), ("eval_duration", 5)] {
            line[key] = json!(value);
        }
    }
    line
}

fn ollama_call(city: &str) -> Value {
    json!({"function": {"name": "weather", "arguments": {"city": city}}})
}

fn ollama_whole(dialect: &str, sample: &Sample) -> Value {
    let mut said = json!({"content": plain(sample)});
    let mut calls = Vec::new();
    for piece in sample.pieces {
        match piece {
            Text(..) => {}
            Thought(text, _) => said["thinking"] = json!(text),
            Call(_, city) => calls.push(ollama_call(city)),
        }
    }
    if !calls.is_empty() {
        said["tool_calls"] = json!(calls);
    }
    ollama_line(dialect, said, Some(sample))
}

fn ollama_stream(dialect: &str, sample: &Sample) -> String {
    let mut out = String::new();
    let mut line = |said: Value, last| out += &format!("{}\n", ollama_line(dialect, said, last));
    for piece in sample.pieces {
        match piece {
            Text(first, second) => [first, second].into_iter().for_each(|text| line(json!({"content": text}), None)),
            Thought(text, _) => line(json!({"thinking": text}), None),
            Call(_, city) => line(json!({"tool_calls": [ollama_call(city)]}), None),
        }
    }
    line(json!({}), Some(sample));
    out
}

fn bedrock_end(sample: &Sample) -> &'static str {
    match sample.end {
        End::Stop if sample.calls() => "tool_use",
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Refused => "content_filtered",
    }
}

/// `inputTokens` leaves out what came from the cache.
fn bedrock_usage(sample: &Sample) -> Value {
    let cached = if sample.cached { 60 } else { 0 };
    json!({"inputTokens": 100 - cached, "outputTokens": 20, "totalTokens": 120, "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0})
}

fn bedrock_whole(sample: &Sample) -> Value {
    let block = |piece: &Piece| match piece {
        Text(first, second) => json!({"text": format!("{first}{second}")}),
        Thought(text, signature) => json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}),
        Call(id, city) => json!({"toolUse": {"toolUseId": format!("tooluse_{id}"), "name": "weather", "input": {"city": city}}}),
    };
    let content: Vec<Value> = sample.pieces.iter().map(block).collect();
    json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": bedrock_end(sample),
        "usage": bedrock_usage(sample), "metrics": {"latencyMs": 7}})
}

fn bedrock_stream(sample: &Sample) -> Vec<u8> {
    let mut messages = vec![event("messageStart", json!({"role": "assistant", "p": "abc"}))];
    for (index, piece) in sample.pieces.iter().enumerate() {
        let deltas = match piece {
            Text(first, second) => vec![json!({"text": first}), json!({"text": second})],
            Thought(text, signature) => {
                vec![json!({"reasoningContent": {"text": text}}), json!({"reasoningContent": {"signature": signature}})]
            }
            Call(id, city) => {
                let start = json!({"toolUse": {"toolUseId": format!("tooluse_{id}"), "name": "weather"}});
                messages.push(event("contentBlockStart", json!({"contentBlockIndex": index, "start": start})));
                let arguments = arguments(city);
                let (first, second) = arguments.split_at(4);
                ["", first, second].map(|text| json!({"toolUse": {"input": text}})).to_vec()
            }
        };
        let delta = |delta| event("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta, "p": "abcdef"}));
        messages.extend(deltas.into_iter().map(delta));
        messages.push(event("contentBlockStop", json!({"contentBlockIndex": index})));
    }
    messages.push(event("messageStop", json!({"stopReason": bedrock_end(sample)})));
    messages.push(event("metadata", json!({"usage": bedrock_usage(sample), "metrics": {"latencyMs": 7}})));
    message::write_all(&Value::Array(messages))
}

/// A refused request, as a provider words it.
pub(crate) fn error(dialect: &str, status: u16) -> Value {
    let message = "no, not now";
    let pick = |rate: &'static str, request: &'static str, key: &'static str, busy: &'static str| match status {
        429 => rate,
        400 => request,
        401 => key,
        _ => busy,
    };
    match dialect {
        "openai-chat" | "openai-completions" | "openai-responses" => {
            let word = pick("rate_limit_error", "invalid_request_error", "authentication_error", "server_error");
            json!({"error": {"message": message, "type": word, "param": null, "code": null}})
        }
        "anthropic-messages" => {
            let word = pick("rate_limit_error", "invalid_request_error", "authentication_error", "overloaded_error");
            json!({"type": "error", "error": {"type": word, "message": message}, "request_id": "req_1"})
        }
        "gemini" => {
            let word = pick("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNAUTHENTICATED", "UNAVAILABLE");
            json!({"error": {"code": status, "message": message, "status": word}})
        }
        "cohere-chat" => json!({"id": "e1", "message": message}),
        "ollama" | "ollama-generate" => json!({"error": message}),
        "bedrock-converse" => json!({"message": message}),
        other => native::error(other, status),
    }
}

/// The same within a stream that began well.
pub(crate) fn error_frame(dialect: &str) -> Vec<u8> {
    let body = error(dialect, 429);
    let text = match dialect {
        "anthropic-messages" => format!("event: error\n{}", data(&body)),
        "openai-responses" => {
            let flat = json!({"type": "error", "sequence_number": 9, "code": "rate_limit_exceeded",
                "message": body["error"]["message"], "param": null});
            format!("event: error\n{}", data(&flat))
        }
        "bedrock-converse" => return message::write_all(&json!([{"exception": "throttlingException", "payload": body}])),
        "cohere-chat" => {
            let end = json!({"type": "message-end", "id": "c1", "delta": {"finish_reason": "ERROR", "error": body["message"]}});
            format!("event: message-end\n{}", data(&end))
        }
        "ollama" | "ollama-generate" => format!("{body}\n"),
        other => native::error_frame(other).unwrap_or_else(|| data(&body)),
    };
    text.into_bytes()
}
