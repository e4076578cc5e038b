//! A provider's answer on its way to the caller, and back with the caller's next request.

use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{Cx, Dialect, Framing};
use trunkline_codec::ir::fold::{Fold, unfold};
use trunkline_codec::ir::{Content, Event, Part, Reason, Response};
use trunkline_codec::{Error, Result};

use super::reply::{self, End, Piece, Sample};
use super::{Case, Feature, ask, request};
use crate::law;

/// Every answer of the feature, whole and streamed.
pub(crate) fn check(case: &mut Case<'_>) {
    let plain = case.caller.name == "openai-completions";
    let toolless = matches!(case.caller.name, "openai-completions" | "ollama-generate");
    for sample in reply::samples(case.feature) {
        let calls = sample.pieces.iter().any(|piece| matches!(piece, Piece::Call(..)));
        // Who cannot ask for tools is not answered with calls.
        if !reply::can_answer(case.provider.name, &sample) || toolless && calls {
            continue;
        }
        let body = reply::whole(case.provider.name, &sample);
        let response = case.provider.upstream.read_response(body.to_string().as_bytes()).unwrap();
        let streamed = reply::stream(case.provider.name, &sample);
        let (events, broken) = read_stream(case.provider, case.provider.upstream.framing(), &streamed);
        assert_eq!(broken, None, "{}", String::from_utf8_lossy(&streamed));
        let folded = fold(&events);
        let told = expected(case.provider, &sample);
        case.expect(project(&response, false) == told, format_args!("whole: read as {}, not {told}", project(&response, false)));
        case.expect(project(&folded, false) == told, format_args!("streamed: read as {}, not {told}", project(&folded, false)));
        let told = if plain { without_thoughts(told) } else { told };
        let told = if case.caller.name.starts_with("ollama") { without_cache(told) } else { told };
        let whole = to_caller(case, &response, &told);
        let unfolded = unfold(response);
        for (events, what) in [(&events, "streamed"), (&unfolded, "whole unfolded")] {
            for framing in framings(case.caller) {
                let again = stream_to_caller(case, events, framing);
                case.expect(project(&again, false) == told, format_args!("{what}: {} instead of {told}", project(&again, false)));
                let (left, right) = (project(&whole, true), project(&again, true));
                case.expect(left == right, format_args!("{what}: not the whole answer: {right} and {left}"));
            }
        }
        if calls && matches!(case.feature, Feature::Tools | Feature::Reasoning) {
            go_on(case, &body, &sample);
        }
    }
}

pub(crate) fn framings(caller: &Dialect) -> Vec<Framing> {
    let usual = caller.upstream.framing();
    if caller.name == "gemini" { vec![usual, Framing::Array] } else { vec![usual] }
}

pub(crate) fn cx(framing: Framing) -> Cx {
    Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_700_000_000,
        model: "some-model".to_owned(),
        framing,
        stream_usage: true,
        asked: None,
    }
}

fn to_caller(case: &mut Case<'_>, response: &Response, told: &Value) -> Response {
    let written = case.caller.downstream().write_response(response, &cx(Framing::Sse));
    let again = case.caller.upstream.read_response(&written);
    let again = again.unwrap_or_else(|error| panic!("{}: {error}: {}", case.caller.name, String::from_utf8_lossy(&written)));
    let found = project(&again, false);
    case.expect(found == *told, format_args!("whole: {found} instead of {told} in {}", String::from_utf8_lossy(&written)));
    again
}

fn stream_to_caller(case: &mut Case<'_>, events: &[Event], framing: Framing) -> Response {
    let mut writer = case.caller.downstream().write_stream(&cx(framing));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.finish(&mut out);
    let text = String::from_utf8_lossy(&out);
    case.expect(is_terminated(case.caller.name, framing, &text), format_args!("the stream lacks its terminator: {text}"));
    let (events, broken) = read_stream(case.caller, framing, &out);
    case.expect(broken.is_none(), format_args!("the stream is broken: {broken:?}: {text}"));
    if broken.is_none() {
        law::check(&format!("{} → {}", case.caller.name, case.provider.name), &events, true);
    }
    fold(&events)
}

/// Whether a stream ends as its dialect's streams end well.
pub(crate) fn is_terminated(dialect: &str, framing: Framing, text: &str) -> bool {
    let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
    match (dialect, framing) {
        ("openai-chat" | "openai-completions", _) => text.ends_with("data: [DONE]\n\n"),
        ("openai-responses", _) => {
            let ends = ["event: response.completed\n", "event: response.incomplete\n"];
            ends.iter().any(|end| last.starts_with(end)) && text.ends_with("\n\n")
        }
        ("cohere-chat", _) => {
            last.starts_with("event: message-end\n") && !last.contains("\"finish_reason\":\"ERROR\"") && text.ends_with("\n\n")
        }
        ("anthropic-messages", _) => last.starts_with("event: message_stop\n") && text.ends_with("\n\n"),
        (_, Framing::Ndjson) => {
            let last: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_default();
            last["done"] == true && text.ends_with('\n')
        }
        (_, Framing::Sse) => last.contains("\"finishReason\"") && text.ends_with("\n\n"),
        (_, Framing::Array) => {
            let list = serde_json::from_str::<Vec<Value>>(text).unwrap_or_default();
            list.last().is_some_and(|last| last["candidates"][0].get("finishReason").is_some())
        }
        (_, Framing::EventStream) => text.rsplit(":event-type").next().is_some_and(|last| last.contains("metadata")),
    }
}

pub(crate) fn read_stream(dialect: &Dialect, framing: Framing, bytes: &[u8]) -> (Vec<Event>, Option<Error>) {
    let mut frames = framing.reader(1 << 20);
    let mut reader = dialect.upstream.read_stream(&Quirks::default());
    let mut events = Vec::new();
    let mut read = || -> Result<()> {
        let mut rest = bytes;
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            reader.push(frame, &mut events)?;
        }
        if let Some(frame) = frames.finish().frame {
            reader.push(frame, &mut events)?;
        }
        reader.finish(&mut events)
    };
    let broken = read().err();
    (events, broken)
}

fn fold(events: &[Event]) -> Response {
    let mut fold = Fold::default();
    events.iter().cloned().for_each(|event| fold.push(event));
    fold.into_response()
}

/// What an answer says, without the dialects' ways to say it.
fn project(response: &Response, signed: bool) -> Value {
    let choice = response.choices.first().cloned().unwrap_or_default();
    let text =
        |kind: fn(&Content) -> Option<&str>| choice.parts.iter().filter_map(|part| kind(&part.content)).collect::<String>();
    let call = |part: &Part| match &part.content {
        Content::ToolCall { name, arguments, .. } => Some(json!([name, serde_json::from_str::<Value>(arguments).unwrap()])),
        _ => None,
    };
    let signature = |part: &Part| signed.then(|| part.signature.as_ref().map(|s| json!([s.owner, s.value]))).flatten();
    let finish = match choice.finish.reason {
        Reason::Stop => "stop",
        Reason::Length => "length",
        Reason::ToolCalls => "calls",
        Reason::Refusal | Reason::Filtered => "refused",
        _ => "other",
    };
    json!({
        "text": text(|content| match content { Content::Text { text, .. } | Content::Refusal { text } => Some(text), _ => None }),
        "thoughts": text(|content| match content { Content::Reasoning { text, .. } => Some(text), _ => None }),
        "calls": choice.parts.iter().filter_map(call).collect::<Vec<_>>(),
        "finish": finish,
        "usage": response.usage.map(|usage| [usage.input, usage.output, usage.cache_read.unwrap_or(0)]),
        "signatures": choice.parts.iter().filter_map(signature).collect::<Vec<_>>(),
    })
}

fn expected(provider: &Dialect, sample: &Sample) -> Value {
    let (mut text, mut thoughts, mut calls) = (String::new(), "", Vec::new());
    for piece in sample.pieces {
        match piece {
            Piece::Text(first, second) => text += &format!("{first}{second}"),
            Piece::Thought(thought, _) => thoughts = thought,
            Piece::Call(_, city) => calls.push(json!(["weather", {"city": city}])),
        }
    }
    let finish = match sample.end {
        End::Stop if calls.is_empty() => "stop",
        End::Stop => "calls",
        End::Length => "length",
        End::Refused => "refused",
    };
    assert!(reply::can_answer(provider.name, sample));
    let cached = if sample.cached && !provider.name.starts_with("ollama") && !matches!(provider.name, "qianfan" | "spark") {
        60
    } else {
        0
    };
    json!({"text": text, "thoughts": thoughts, "calls": calls, "finish": finish, "usage": [100, 20, cached], "signatures": []})
}

/// Tokens from a cache are not told apart.
fn without_cache(mut told: Value) -> Value {
    told["usage"][2] = json!(0);
    told
}

fn without_thoughts(mut told: Value) -> Value {
    told["thoughts"] = json!("");
    told
}

/// The caller sends the answer back with results: the provider gets its own calls and its own signatures.
fn go_on(case: &mut Case<'_>, body: &Value, sample: &Sample) {
    let response = case.provider.upstream.read_response(body.to_string().as_bytes()).unwrap();
    let written = case.caller.downstream().write_response(&response, &cx(Framing::Sse));
    let again = case.caller.upstream.read_response(&written).unwrap();
    let call = |part: &Part| match &part.content {
        Content::ToolCall { id, name, .. } => Some((id.clone(), name.clone())),
        _ => None,
    };
    let calls: Vec<(String, String)> = again.choices[0].parts.iter().filter_map(call).collect();
    let Some(first) = ask::request(case.caller.name, case.feature) else { return };
    let answer: Value = serde_json::from_slice(&written).unwrap();
    let next = ask::next(case.caller.name, first, &answer, &calls);
    let asked = request::read(case.caller, &next, false);
    let Some(outgoing) = request::write(case, &asked) else { return };
    if case.provider.downstream.is_none() {
        let text = String::from_utf8(outgoing.body).unwrap();
        return case.expect(!text.contains("tl."), format_args!("a sealed signature is sent on in {text}"));
    }
    let sent = request::read_sent(case.provider, &outgoing);
    let parts: Vec<&Part> = sent.messages.iter().flat_map(|message| &message.parts).collect();
    let made: Vec<&str> = parts.iter().filter_map(|part| request::call_id(part)).collect();
    let answered: Vec<&str> = parts.iter().filter_map(|part| result_id(part)).collect();
    case.expect(made == answered, format_args!("the next turn's calls {made:?} are answered as {answered:?}"));
    let text = String::from_utf8(outgoing.body).unwrap();
    let thinks = sample.pieces.iter().any(|piece| matches!(piece, Piece::Thought(..)));
    let signs = match case.provider.name {
        "anthropic-messages" | "bedrock-converse" | "openai-responses" => thinks,
        "gemini" => true,
        _ => false,
    };
    case.expect(!signs || text.contains("\"c2lnbmVk\""), format_args!("the provider's signature does not come back in {text}"));
    case.expect(!text.contains("tl."), format_args!("a sealed signature is sent on in {text}"));
}

fn result_id(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolResult { id, .. } => Some(id),
        _ => None,
    }
}
