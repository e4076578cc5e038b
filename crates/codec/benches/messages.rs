//! Translating anthropic-messages: figures are for one stream of 256 deltas, elements are deltas; and for one request
//! of about 100 KB.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use serde_json::json;
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{self, Cx, Framing, Head, Operation};
use trunkline_codec::frame::Frame;
use trunkline_codec::ir::Event;

const DELTAS: usize = 256;

fn frames() -> Vec<(&'static str, String)> {
    let message = json!({"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 10, "output_tokens": 1}});
    let mut frames = vec![("message_start", json!({"type": "message_start", "message": message}).to_string())];
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    frames.push(("content_block_start", block.to_string()));
    for n in 0..DELTAS {
        let delta = json!({"type": "text_delta", "text": format!(" word{n}\n")});
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        frames.push(("content_block_delta", delta.to_string()));
    }
    frames.push(("content_block_stop", json!({"type": "content_block_stop", "index": 0}).to_string()));
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 256}});
    frames.push(("message_delta", end.to_string()));
    frames.push(("message_stop", json!({"type": "message_stop"}).to_string()));
    frames
}

pub(crate) fn bench(c: &mut Criterion) {
    let dialect = dialect::find("anthropic-messages").unwrap();
    let quirks = Quirks::default();
    let frames = frames();
    let read = || {
        let mut reader = dialect.upstream.read_stream(&quirks);
        let mut events: Vec<Event> = Vec::with_capacity(DELTAS + 16);
        for (name, data) in &frames {
            reader.push(Frame { event: Some(name), data: black_box(data.as_bytes()) }, &mut events).unwrap();
        }
        events
    };
    let events = read();
    let cx = Cx {
        id: "abcdefghijklmnopqrstuvwx".to_owned(),
        request_id: "req_1".to_owned(),
        created: 0,
        model: "m".to_owned(),
        framing: Framing::Sse,
        stream_usage: true,
        asked: None,
    };
    let mut group = c.benchmark_group("messages");
    group.throughput(Throughput::Elements(DELTAS as u64));
    group.bench_function("read_stream", |b| b.iter(read));
    group.bench_function("write_stream", |b| {
        b.iter(|| {
            let mut writer = dialect.downstream().write_stream(&cx);
            let mut out = Vec::with_capacity(64 * 1024);
            events.iter().for_each(|event| writer.push(black_box(event), &mut out));
            writer.finish(&mut out);
            out
        });
    });
    group.bench_function("observe", |b| {
        b.iter(|| {
            let mut observe = dialect.upstream.observe(&quirks);
            for (name, data) in &frames {
                observe.frame(Frame { event: Some(name), data: black_box(data.as_bytes()) });
            }
            observe.usage()
        });
    });
    let turns = (0..50).flat_map(|n| {
        let text = format!("Line {n} of \"some\" text.\n").repeat(40);
        [json!({"role": "user", "content": text}), json!({"role": "assistant", "content": [{"type": "text", "text": text}]})]
    });
    let turns: Vec<_> = turns.chain([json!({"role": "user", "content": "End."})]).collect();
    let body = json!({"model": "m", "max_tokens": 100, "messages": turns}).to_string().into_bytes();
    let headers = http::HeaderMap::new();
    let head = Head { path: "/v1/messages", query: None, headers: &headers };
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("peek", |b| b.iter(|| dialect.downstream().peek(&head, black_box(&body), Operation::Chat)));
    group.bench_function("read_request", |b| {
        b.iter(|| dialect.downstream().read_request(&head, black_box(&body), Operation::Chat).unwrap());
    });
    let request = dialect.downstream().read_request(&head, &body, Operation::Chat).unwrap();
    group.bench_function("write_request", |b| {
        b.iter(|| dialect.upstream.write_request(black_box(&request), Operation::Chat, &quirks).unwrap());
    });
    group.finish();
}
