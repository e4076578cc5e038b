//! Reading frames: figures are for one stream of 256 events; elements are events.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::Value;
use trunkline_codec::frame::{ArrayReader, ReadFrame, SseReader, SseSplitter, read_block};
use trunkline_codec::json::word::has_usage;

const EVENTS: usize = 256;

/// One delta of a chat stream, about 250 bytes.
fn delta(n: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_50cad350e4","choices":[{{"index":0,"delta":{{"content":" word{n}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
    )
}

fn count(mut reader: impl ReadFrame, chunks: &[&[u8]]) -> usize {
    let mut frames = 0;
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(frame) = reader.next(&mut rest).unwrap() {
            frames += usize::from(!black_box(frame).data.is_empty());
        }
    }
    frames
}

pub(crate) fn bench(c: &mut Criterion) {
    let sse: String = (0..EVENTS).map(|n| format!("data: {}\n\n", delta(n))).collect();
    let array = format!("[{}]", (0..EVENTS).map(delta).collect::<Vec<_>>().join("\n,\n"));
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for size in [64, 1400, 16 * 1024] {
        let chunks: Vec<&[u8]> = sse.as_bytes().chunks(size).collect();
        group.bench_function(BenchmarkId::new("sse-read", size), |b| b.iter(|| count(SseReader::new(1 << 20), &chunks)));
        let chunks: Vec<&[u8]> = array.as_bytes().chunks(size).collect();
        group.bench_function(BenchmarkId::new("array-read", size), |b| b.iter(|| count(ArrayReader::new(1 << 20), &chunks)));
    }
    let one_each: Vec<&[u8]> = sse.split_inclusive("\n\n").map(str::as_bytes).collect();
    group.bench_function("sse-read/one-a-chunk", |b| b.iter(|| count(SseReader::new(1 << 20), &one_each)));
    group.bench_function("sse-split-and-find-usage/one-a-chunk", |b| {
        b.iter(|| {
            let mut splitter = SseSplitter::new();
            let parts =
                |chunk| splitter.split(chunk).filter(|part| has_usage(chunk.get(part.span.clone()).unwrap_or_default())).count();
            one_each.iter().copied().map(parts).sum::<usize>()
        })
    });
    group.bench_function("parse-each-as-tree", |b| {
        b.iter(|| {
            let mut joined = Vec::new();
            for block in &one_each {
                let frame = read_block(block, &mut joined).unwrap();
                black_box(serde_json::from_slice::<Value>(frame.data).unwrap());
            }
        })
    });
    group.finish();
}
