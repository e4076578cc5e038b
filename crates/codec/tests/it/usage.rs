//! Tokens are those that the provider told: what is read of every answer of every dialect, whole and streamed, against the
//! figures as they stand in its bytes, found without the dialects' readers.

use serde_json::Value;
use trunkline_codec::dialect::Framing;
use trunkline_codec::ir::{Event, Usage};

use crate::fixture::{Case, STREAMS, decode, frames_of, load};

/// The figures of an answer: input, output, and, where they are told, read from a cache and reasoning.
type Told = (u64, u64, Option<u64>, Option<u64>);

/// The figure at the first of these places that has one.
fn first(value: &Value, places: &[&str]) -> Option<u64> {
    places.iter().find_map(|place| value.pointer(place)?.as_u64())
}

/// What one frame, or a whole answer, tells. `before` is what the frames before it told, where a dialect adds to it.
fn told(dialect: &str, value: &Value, before: Option<Told>) -> Option<Told> {
    let at = |place: &str| value.pointer(place).filter(|usage| usage.is_object());
    match dialect {
        "openai-chat" | "openai-completions" | "qianfan" => {
            let usage = at("/usage").or_else(|| at("/choices/0/usage")).or_else(|| at("/x_groq/usage"))?;
            let cached = ["/prompt_tokens_details/cached_tokens", "/prompt_cache_hit_tokens", "/cached_tokens"];
            let reasoning = first(usage, &["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"]);
            let (input, output) = (first(usage, &["/prompt_tokens"])?, first(usage, &["/completion_tokens"]).unwrap_or(0));
            // Some count reasoning beside the answer: the total shows it.
            let beside = reasoning.filter(|more| first(usage, &["/total_tokens"]) == Some(input + output + more));
            Some((input, output + beside.unwrap_or(0), first(usage, &cached), reasoning))
        }
        "openai-responses" => {
            let usage = at("/usage").or_else(|| at("/response/usage"))?;
            let cached = first(usage, &["/input_tokens_details/cached_tokens"]);
            let reasoning = first(usage, &["/output_tokens_details/reasoning_tokens"]);
            Some((first(usage, &["/input_tokens"])?, first(usage, &["/output_tokens"])?, cached, reasoning))
        }
        "anthropic-messages" => {
            let usage = at("/usage").or_else(|| at("/message/usage"))?;
            let read = first(usage, &["/cache_read_input_tokens"]);
            let own = first(usage, &["/input_tokens"]);
            let written = first(usage, &["/cache_creation_input_tokens"]).unwrap_or(0);
            // The last message of a stream may tell the output only.
            let input = own.map_or(before.map_or(0, |told| told.0), |own| own + read.unwrap_or(0) + written);
            let output = first(usage, &["/output_tokens"]).or(before.map(|told| told.1))?;
            Some((input, output, read.or(before.and_then(|told| told.2)), None))
        }
        "gemini" => {
            let usage = at("/usageMetadata").or_else(|| at("/usage_metadata")).or_else(|| at("/response/usageMetadata"))?;
            let of = |place: &str| first(usage, &[place]);
            let thoughts = of("/thoughtsTokenCount");
            let input = of("/promptTokenCount").unwrap_or(0) + of("/toolUsePromptTokenCount").unwrap_or(0);
            let output = of("/candidatesTokenCount").unwrap_or(0) + thoughts.unwrap_or(0);
            Some((input, output, of("/cachedContentTokenCount"), thoughts))
        }
        "bedrock-converse" => {
            let usage = at("/usage")?;
            let read = first(usage, &["/cacheReadInputTokens", "/cacheReadInputTokenCount"]);
            let written = first(usage, &["/cacheWriteInputTokens", "/cacheWriteInputTokenCount"]);
            let input = first(usage, &["/inputTokens"])? + read.unwrap_or(0) + written.unwrap_or(0);
            Some((input, first(usage, &["/outputTokens"]).unwrap_or(0), read, None))
        }
        "cohere-chat" => {
            let usage = at("/usage").or_else(|| at("/delta/usage")).or_else(|| at("/meta"))?;
            // What is paid for; the cache counts among all tokens, of which those are some.
            let of = |kind: &str| first(usage, &[&format!("/billed_units/{kind}"), &format!("/tokens/{kind}")]);
            let input = of("input_tokens")?;
            let cached = first(usage, &["/cached_tokens"]).map(|cached| cached.min(input));
            Some((input, of("output_tokens").unwrap_or(0), cached, None))
        }
        "ollama" | "ollama-generate" => {
            let (input, output) = (first(value, &["/prompt_eval_count"]), first(value, &["/eval_count"]));
            (input.is_some() || output.is_some()).then_some((input.unwrap_or(0), output.unwrap_or(0), None, None))
        }
        "dashscope" => {
            let usage = at("/usage")?;
            let cached = first(usage, &["/prompt_tokens_details/cached_tokens"]);
            let reasoning = first(usage, &["/output_tokens_details/reasoning_tokens"]);
            Some((first(usage, &["/input_tokens"])?, first(usage, &["/output_tokens"])?, cached, reasoning))
        }
        "hunyuan" => {
            let usage = at("/Usage").or_else(|| at("/Response/Usage"))?;
            let cached = first(usage, &["/PromptTokensDetails/CachedTokens"]);
            Some((first(usage, &["/PromptTokens"])?, first(usage, &["/CompletionTokens"])?, cached, None))
        }
        "spark" => {
            let usage = at("/payload/usage/text").or_else(|| at("/usage"))?;
            Some((first(usage, &["/prompt_tokens"])?, first(usage, &["/completion_tokens"])?, None, None))
        }
        other => panic!("where does {other} tell its tokens?"),
    }
}

fn check(what: &str, read: Option<Usage>, told: Option<Told>) {
    let Some((input, output, cached, reasoning)) = told else { return };
    let usage = read.unwrap_or_else(|| panic!("{what}: told {told:?}, and nothing was read"));
    assert_eq!((usage.input, usage.output), (input, output), "{what}");
    // What is 0 may be left out.
    let some = |figure: Option<u64>| figure.filter(|figure| *figure > 0);
    assert_eq!(some(usage.cache_read), some(cached), "{what}: from a cache");
    if reasoning.is_some() {
        assert_eq!(some(usage.reasoning), some(reasoning), "{what}: reasoning");
    }
    assert!(!usage.estimated, "{what}: it was told");
}

/// Frames that hold JSON.
fn values(framing: Framing, bytes: &[u8]) -> Vec<Value> {
    let (frames, _) = frames_of(framing, &[bytes]);
    frames.iter().filter_map(|(_, data)| serde_json::from_slice(data).ok()).collect()
}

/// Whether anything was told.
fn check_case(case: &Case) -> (bool, bool) {
    let (name, up) = (case.dialect.name, case.dialect.upstream);
    let mut found = (false, false);
    let is_good = case.read("status.txt").is_none_or(|status| status.starts_with(b"200"));
    if let Some(body) = case.read("reply.json").filter(|_| is_good) {
        let value = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        if let Ok(response) = up.read_reply(&body, &case.quirks) {
            let told = told(name, &value, None);
            check(&case.name, response.usage, told);
            found.0 = told.is_some();
        }
    }
    for (framing, file) in STREAMS {
        let Some(bytes) = case.read(file) else { continue };
        let (events, broken) = decode(case.dialect, &case.quirks, framing, &[&bytes]);
        if broken.is_some() {
            continue;
        }
        let usage = |event: &Event| if let Event::Usage { usage } = event { Some(*usage) } else { None };
        let read = events.iter().filter_map(usage).next_back();
        let told = values(framing, &bytes).iter().fold(None, |before, value| told(name, value, before).or(before));
        check(&format!("{}, streamed", case.name), read, told);
        found.1 |= told.is_some();
    }
    found
}

#[test]
fn what_is_read_is_what_the_provider_told() {
    let mut found: std::collections::BTreeMap<&str, (usize, usize)> = std::collections::BTreeMap::new();
    let mut failed = Vec::new();
    for case in load() {
        let Ok((whole, streamed)) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check_case(&case))) else {
            failed.push(case.name);
            continue;
        };
        let counts = found.entry(case.dialect.name).or_default();
        *counts = (counts.0 + usize::from(whole), counts.1 + usize::from(streamed));
    }
    assert!(failed.is_empty(), "{failed:?}");
    for (dialect, (whole, streamed)) in found {
        // One of them is only ever streamed.
        assert!((whole > 0 || dialect == "spark") && streamed > 0, "{dialect}: {whole} whole, {streamed} streamed");
    }
}
