//! What `openai-responses` costs: routing's look at a request, reading and writing one, and each frame of a stream.

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
    let turns = kib * 1024 / (2 * text.len() + 160);
    let mut input = Vec::new();
    for turn in 0..turns.max(1) {
        input.push(json!({"role": "user", "content": text}));
        input.push(json!({"type": "message", "id": format!("msg_{turn}"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}));
    }
    input.push(json!({"role": "user", "content": "And now?"}));
    let schema = json!({"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]});
    let tool = json!({"type": "function", "name": "look_up", "description": "Looks up", "parameters": schema, "strict": false});
    let body = json!({"model": "fast", "stream": true, "max_output_tokens": 1024, "instructions": "You are a helpful assistant.",
        "input": input, "tools": [tool]});
    serde_json::to_vec(&body).unwrap()
}

const NAME: &str = "response.output_text.delta";
const BEGUN: &[u8] = br#"{"type":"response.content_part.added","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#;

fn delta(number: u64) -> Vec<u8> {
    format!(r#"{{"type":"{NAME}","sequence_number":{number},"item_id":"msg_68ba1f0268ba1f02","output_index":0,"content_index":0,"delta":" fox jumps","logprobs":[],"obfuscation":"aBcDeFgH"}}"#).into_bytes()
}

pub(crate) fn bench(c: &mut Criterion) {
    let responses = dialect::find("openai-responses").unwrap();
    let quirks = Quirks::default();
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/responses", query: None, headers: &headers };

    let mut group = c.benchmark_group("responses/request");
    for kib in [1, 16, 150] {
        let body = body(kib);
        group.throughput(Throughput::Bytes(body.len() as u64));
        let case = |what: &str| BenchmarkId::new(what, format!("{kib}k"));
        let peek = || responses.downstream().peek(&head, black_box(&body), Operation::Chat).unwrap();
        group.bench_function(case("peek"), |b| b.iter(peek));
        let read = || responses.downstream().read_request(&head, black_box(&body), Operation::Chat).unwrap();
        group.bench_function(case("read"), |b| b.iter(read));
        let request = read();
        let write = || responses.upstream.write_request(black_box(&request), Operation::Chat, &quirks).unwrap();
        group.bench_function(case("write"), |b| b.iter(write));
    }
    group.finish();

    let mut group = c.benchmark_group("responses/stream");
    let mut reader = responses.upstream.read_stream(&quirks);
    let mut events = Vec::new();
    reader.push(Frame { event: None, data: BEGUN }, &mut events).unwrap();
    let frames = [delta(9), delta(10)];
    for data in &frames {
        reader.push(Frame { event: Some(NAME), data }, &mut events).unwrap();
    }
    group.bench_function("read", |b| {
        b.iter(|| {
            events.clear();
            reader.push(Frame { event: Some(NAME), data: black_box(&frames[1]) }, &mut events).unwrap();
        });
    });
    let mut watch = responses.upstream.observe(&quirks);
    group.bench_function("observe", |b| b.iter(|| watch.frame(Frame { event: Some(NAME), data: black_box(&frames[1]) })));

    let cx = Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 1_790_000_000,
        model: "fast".to_owned(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    };
    let delta = Event::Delta { choice: 0, part: 0, delta: Delta::Text(" fox jumps".to_owned()) };
    group.bench_function("write", |b| {
        b.iter_batched_ref(
            || {
                let mut writer = responses.downstream().write_stream(&cx);
                writer.push(&Event::PartStart { choice: 0, part: 0, start: PartStart::Text }, &mut Vec::new());
                (writer, Vec::with_capacity(1 << 20))
            },
            |(writer, out)| {
                for _ in 0..1000 {
                    writer.push(black_box(&delta), out);
                }
            },
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}
