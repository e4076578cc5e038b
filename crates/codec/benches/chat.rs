//! What `openai-chat` costs: routing's look at a request, reading and writing one, and each frame of a stream.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use http::HeaderMap;
use serde_json::json;
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Framing, Head, Operation};
use trunkline_codec::frame::Frame;
use trunkline_codec::ir::{Delta, Event, PartStart};

/// A conversation of about `kib` KiB, with tools.
fn body(kib: usize) -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog, \"and nobody\" asks it why.\n".repeat(7);
    let turns = kib * 1024 / (2 * text.len() + 80);
    let mut messages = vec![json!({"role": "system", "content": "You are a helpful assistant."})];
    for _ in 0..turns.max(1) {
        messages.push(json!({"role": "user", "content": text}));
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": text}]}));
    }
    messages.push(json!({"role": "user", "content": "And now?"}));
    let schema = json!({"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]});
    let tool = json!({"type": "function", "function": {"name": "look_up", "description": "Looks up", "parameters": schema}});
    let body =
        json!({"model": "fast", "stream": true, "max_tokens": 1024, "temperature": 0.7, "messages": messages, "tools": [tool]});
    serde_json::to_vec(&body).unwrap()
}

const DELTA: &[u8] = br#"{"id":"chatcmpl-BxYz0123456789","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2026","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" fox jumps"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aBcDeFgH"}"#;
const ARGUMENTS: &[u8] = br#"{"id":"chatcmpl-BxYz0123456789","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2026","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"wo"}}]},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const CALL: &[u8] = br#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look_up","arguments":""}}]}}]}"#;

pub(crate) fn bench(c: &mut Criterion) {
    let chat = dialect::find("openai-chat").unwrap();
    let quirks = Quirks::default();
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/chat/completions", query: None, headers: &headers };

    let mut group = c.benchmark_group("chat/request");
    for kib in [1, 16, 150] {
        let body = body(kib);
        group.throughput(Throughput::Bytes(body.len() as u64));
        let case = |what: &str| BenchmarkId::new(what, format!("{kib}k"));
        let peek = || chat.downstream().peek(&head, black_box(&body), Operation::Chat).unwrap();
        group.bench_function(case("peek"), |b| b.iter(peek));
        let peeked = peek();
        let forward = || chat.upstream.forward(&head, &peeked, black_box(&body), "gpt-4o-mini", &quirks).unwrap();
        group.bench_function(case("forward"), |b| b.iter(forward));
        let read = || chat.downstream().read_request(&head, black_box(&body), Operation::Chat).unwrap();
        group.bench_function(case("read"), |b| b.iter(read));
        let request = read();
        let write = || chat.upstream.write_request(black_box(&request), Operation::Chat, &quirks).unwrap();
        group.bench_function(case("write"), |b| b.iter(write));
    }
    group.finish();

    let mut group = c.benchmark_group("chat/stream");
    for (name, data) in [("text", DELTA), ("arguments", ARGUMENTS)] {
        let mut reader = chat.upstream.read_stream(&quirks);
        let mut events = Vec::new();
        reader.push(Frame { event: None, data: CALL }, &mut events).unwrap();
        group.bench_function(BenchmarkId::new("read", name), |b| {
            b.iter(|| {
                events.clear();
                reader.push(Frame { event: None, data: black_box(data) }, &mut events).unwrap();
                events.len()
            });
        });
    }
    let mut watch = chat.upstream.observe(&quirks);
    group.bench_function("observe", |b| b.iter(|| watch.frame(Frame { event: None, data: black_box(DELTA) })));
    let cx = Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_790_000_000,
        model: "fast".to_owned(),
        framing: Framing::Sse,
        stream_usage: false,
        asked: None,
    };
    let starts = [PartStart::Text, PartStart::ToolCall { id: "call_1".to_owned(), name: "look_up".to_owned() }];
    let deltas = [Delta::Text(" fox jumps".to_owned()), Delta::Arguments("\"wo".to_owned())];
    for ((name, start), delta) in ["text", "arguments"].into_iter().zip(starts).zip(deltas) {
        let mut writer = chat.downstream().write_stream(&cx);
        let mut out = Vec::with_capacity(4096);
        writer.push(&Event::PartStart { choice: 0, part: 0, start }, &mut out);
        let event = Event::Delta { choice: 0, part: 0, delta };
        group.bench_function(BenchmarkId::new("write", name), |b| {
            b.iter(|| {
                out.clear();
                writer.push(black_box(&event), &mut out);
                out.len()
            });
        });
    }
    group.finish();
}
