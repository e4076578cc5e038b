//! What a request says is told to the provider, or reported as lost: each field, towards each dialect.

use http::HeaderMap;
use serde_json::{Value, json};
use trunkline_codec::catalog::Quirks;
use trunkline_codec::dialect::{ALL, Head, Operation, find};
use trunkline_codec::ir::{Format, Message, Raw, Request, Role, Speech, Tool, ToolChoice, ToolKind};

/// A field's canonical name, a request that says it, and the words of which one must be in what is sent.
type Field = (&'static str, fn(&mut Request), &'static [&'static str]);

/// Every field beside the model and the conversation, with values that nothing else has.
const FIELDS: &[Field] = &[
    ("tools", |request| request.tools[0].name = "marked".to_owned(), &["\"marked\""]),
    (
        "tool_choice",
        |request| request.tool_choice = Some(ToolChoice::Tool("weather".to_owned())),
        &["choice", "Choice", "Config"],
    ),
    ("parallel_tools", |request| request.parallel_tools = Some(false), &["parallel"]),
    ("format", |request| request.format = schema(), &["marked_schema"]),
    ("sampling.temperature", |request| request.sampling.temperature = Some(0.375), &["0.375"]),
    ("sampling.top_p", |request| request.sampling.top_p = Some(0.625), &["0.625"]),
    ("sampling.top_k", |request| request.sampling.top_k = Some(47), &[":47"]),
    ("sampling.frequency_penalty", |request| request.sampling.frequency_penalty = Some(0.8125), &["0.8125"]),
    ("sampling.presence_penalty", |request| request.sampling.presence_penalty = Some(0.8125), &["0.8125"]),
    ("sampling.seed", |request| request.sampling.seed = Some(424_242), &["424242"]),
    ("sampling.logit_bias", |request| request.sampling.logit_bias = Raw::parse("{\"1\":77}"), &[":77"]),
    ("sampling.logprobs", |request| request.sampling.logprobs = Some(true), &["ogprobs", "Logprobs"]),
    (
        "sampling.top_logprobs",
        |request| (request.sampling.logprobs, request.sampling.top_logprobs) = (Some(true), Some(7)),
        &[":7"],
    ),
    ("max_tokens", |request| request.max_tokens = Some(7_654), &["7654"]),
    ("stop", |request| request.stop = vec!["marked".to_owned()], &["\"marked\""]),
    ("n", |request| request.n = Some(3), &[":3"]),
    ("speech", |request| request.speech = Some(Speech { voice: Some(Raw::of(&"marked")), format: None }), &["\"marked\""]),
    ("verbosity", |request| request.verbosity = Some("marked".to_owned()), &["\"verbosity\":\"marked\""]),
    ("user", |request| request.user = Some("marked".to_owned()), &["\"marked\""]),
    ("service_tier", |request| request.service_tier = Some("flex".to_owned()), &["\"flex\""]),
    ("metadata", |request| drop(request.metadata.insert("label".to_owned(), "marked".to_owned())), &["\"marked\""]),
    ("cache_key", |request| request.cache_key = Some("marked".to_owned()), &["cache_key\":\"marked\""]),
];

fn schema() -> Format {
    let schema = json!({"type": "object", "properties": {"marked_schema": {"type": "string"}}});
    Format::Schema { name: None, description: None, schema: Raw::of(&schema), strict: None }
}

fn asking() -> Request {
    let kind = ToolKind::Function { schema: None, strict: None };
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: None,
        kind: kind.clone(),
        cache: None,
        extra: Default::default(),
    };
    Request {
        model: "some-model".to_owned(),
        messages: vec![Message::text(Role::User, "Hello.")],
        tools: vec![tool("weather"), tool("time")],
        ..Request::default()
    }
}

#[test]
fn every_field_is_told_or_lost() {
    let mut faults = Vec::new();
    for (field, set, words) in FIELDS {
        let mut request = asking();
        set(&mut request);
        for dialect in ALL {
            let sent = dialect.upstream.write_request(&request, Operation::Chat, &Quirks::default()).unwrap();
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            let told = words.iter().any(|word| body.to_string().contains(word));
            // A loss of one member is a loss of the field.
            let lost = sent.losses.iter().any(|loss| loss.field.starts_with(field));
            if !told && !lost {
                faults.push(format!("{field} towards {}: {body}", dialect.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn read(dialect: &str, body: &Value) -> Request {
    let headers = HeaderMap::new();
    let head = Head { path: "/v1/any", query: None, headers: &headers };
    find(dialect).unwrap().downstream().read_request(&head, body.to_string().as_bytes(), Operation::Chat).unwrap()
}

/// What both dialects of one maker have words for is carried from one to the other.
#[test]
fn words_of_chat_and_responses_are_carried_both_ways() {
    let chat =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "verbosity": "low", "prompt_cache_key": "k"});
    let responses = json!({"model": "m", "input": "hi", "text": {"verbosity": "low"}, "prompt_cache_key": "k"});
    for (from, body, to) in [("openai-chat", &chat, "openai-responses"), ("openai-responses", &responses, "openai-chat")] {
        let request = read(from, body);
        let sent = find(to).unwrap().upstream.write_request(&request, Operation::Chat, &Quirks::default()).unwrap();
        assert!(sent.losses.is_empty(), "{from} to {to}: {:?}", sent.losses);
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["prompt_cache_key"], "k", "{to}");
        assert_eq!(body.pointer("/verbosity").or(body.pointer("/text/verbosity")), Some(&json!("low")), "{to}");
    }
}
