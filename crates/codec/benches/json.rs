//! Scanning and editing request bodies, beside building and writing a tree.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::{Value, json};
use trunkline_codec::json::{Patch, members, pieces};

/// A chat request of about `len` bytes, whose mass is one message.
fn body(len: usize, text: &str) -> Vec<u8> {
    let content: String = text.chars().cycle().take(len.saturating_sub(500) * text.chars().count() / text.len()).collect();
    let body = json!({
        "model": "fast", "stream": true, "max_tokens": 1024, "temperature": 0.7,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": content},
        ],
        "tools": [{"type": "function", "function": {"name": "look_up", "description": "Looks a word up", "parameters":
            {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}}}],
    });
    serde_json::to_vec(&body).unwrap()
}

const PROSE: &str = "The quick brown fox jumps over the lazy dog, and nobody asks it why. ";
const CODE: &str = "fn main() {\n    println!(\"{}\", \"hello\");\n}\n";
const HAN: &str = "敏捷的棕色狐狸跳过了懒狗，没有人问为什么。";

pub(crate) fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("json");
    for (name, kib, text) in
        [("prose", 1, PROSE), ("prose", 16, PROSE), ("prose", 150, PROSE), ("code", 150, CODE), ("han", 150, HAN)]
    {
        let body = body(kib * 1024, text);
        let case = |what: &str| BenchmarkId::new(what, format!("{name}-{kib}k"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(case("scan"), |b| b.iter(|| members(black_box(&body)).unwrap()));
        let found = members(&body).unwrap();
        let patch = || {
            let mut patch = Patch::new(&body, &found);
            patch.set("model", "\"gpt-4o-mini\"").set("stream_options", r#"{"include_usage":true}"#);
            patch
        };
        group.bench_function(case("splice-copy"), |b| b.iter(|| patch().apply()));
        group.bench_function(case("splice-pieces"), |b| b.iter(|| pieces(body.len(), patch().into_edits())));
        group.bench_function(case("tree-parse"), |b| b.iter(|| serde_json::from_slice::<Value>(black_box(&body)).unwrap()));
        group.bench_function(case("tree-edit-write"), |b| {
            b.iter(|| {
                let mut tree: Value = serde_json::from_slice(black_box(&body)).unwrap();
                tree["model"] = "gpt-4o-mini".into();
                tree["stream_options"] = json!({"include_usage": true});
                serde_json::to_vec(&tree).unwrap()
            })
        });
    }
    group.finish();
}
