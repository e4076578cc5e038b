//! What the simulator answers: the prompt, filler text, a tool call, or JSON by a schema.

use serde_json::{Map, Value, json};

use crate::codec::Result;
use crate::ir::{
    Choice, Content, Delta, Event, Format, Message, Part, Reason, Request, Response, Role, Tool, ToolChoice, ToolKind, Usage,
};

/// Deepest level of a schema that is filled in.
const DEPTH: usize = 16;
/// Tokens of filler text when the caller sets no limit.
const LOREM_TOKENS: u64 = 64;
/// Most tokens of filler text.
const LOREM_MOST: u64 = 100_000;

const WORDS: [&str; 32] = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "consectetur",
    "adipiscing",
    "elit",
    "sed",
    "do",
    "eiusmod",
    "tempor",
    "incididunt",
    "ut",
    "labore",
    "et",
    "dolore",
    "magna",
    "aliqua",
    "enim",
    "ad",
    "minim",
    "veniam",
    "quis",
    "nostrud",
    "exercitation",
    "ullamco",
    "laboris",
    "nisi",
    "aliquip",
    "ex",
    "ea",
];

/// The answer to a request. Same request, same answer.
pub(super) fn answer(request: &Request, id: &str) -> Result<Response> {
    let model = request.model.as_str();
    let (mut part, mut reason) = match (wanted_tool(request), &request.format) {
        (Some(tool), _) => (tool_call(tool, id), Reason::ToolCalls),
        (None, Format::Json) => (Part::text(json!({"echo": last_text(request)}).to_string()), Reason::Stop),
        (None, Format::Schema { schema, .. }) => (Part::text(fill_schema(&schema.value()).to_string()), Reason::Stop),
        (None, Format::Text) if model == "lorem" => (Part::text(lorem(request)), lorem_reason(request)),
        (None, Format::Text) => (Part::text(last_text(request)), Reason::Stop),
    };
    if let (Content::Text { text, .. }, Some(most)) = (&mut part.content, request.max_tokens)
        && request.format == Format::Text
        && truncate(text, most)
    {
        reason = Reason::Length;
    }
    let output = count_part(&part);
    let count = request.n.unwrap_or(1).clamp(1, 16);
    let choices = (0..count).map(|index| Choice { index, parts: vec![part.clone()], finish: reason.into(), ..Choice::default() });
    Ok(Response {
        id: String::new(),
        model: format!("{model}-simulator"),
        created: None,
        choices: choices.collect(),
        usage: Some(Usage { input: count_input(request), output: output * u64::from(count), ..Usage::default() }),
        extra: Default::default(),
    })
}

/// A word, or one Chinese character, counts as a token.
pub(super) fn count(text: &str) -> u64 {
    pieces(text).count() as u64
}

fn count_part(part: &Part) -> u64 {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } | Content::Reasoning { text, .. } => count(text),
        Content::ToolCall { name, arguments, .. } => count(name) + count(arguments),
        Content::ToolResult { parts, .. } => parts.iter().map(count_part).sum(),
        _ => 256,
    }
}

/// The input tokens of a request, as the simulator counts them.
pub(super) fn count_input(request: &Request) -> u64 {
    let message = |message: &Message| message.parts.iter().map(count_part).sum::<u64>();
    request.messages.iter().map(message).sum()
}

fn last_text(request: &Request) -> String {
    let said = |message: &&Message| message.role == Role::User;
    let Some(message) = request.messages.iter().rev().find(said) else { return String::new() };
    let text = message.plain_text();
    if !text.is_empty() {
        return text;
    }
    let results = message.parts.iter().filter_map(|part| match &part.content {
        Content::ToolResult { parts, .. } => Some(parts),
        _ => None,
    });
    let texts = results.flatten().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// A tool is called when the caller insists, or when it is offered and no result has come back yet and the prompt names it.
fn wanted_tool(request: &Request) -> Option<&Tool> {
    let named = |name: &str| request.tools.iter().find(|tool| tool.name == name);
    match &request.tool_choice {
        Some(ToolChoice::None) => None,
        Some(ToolChoice::Required) => request.tools.first(),
        Some(ToolChoice::Tool(name)) => named(name),
        Some(ToolChoice::Allowed { names, required: true }) => names.iter().find_map(|name| named(name)),
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) | None => {
            let prompt = last_text(request);
            request.tools.iter().find(|tool| prompt.contains(tool.name.as_str()))
        }
    }
}

fn tool_call(tool: &Tool, id: &str) -> Part {
    let arguments = match &tool.kind {
        ToolKind::Function { schema: Some(schema), .. } => fill_schema(&schema.value()),
        ToolKind::Custom { .. } => json!({ "input": "text" }),
        _ => json!({}),
    };
    Content::ToolCall { id: format!("call_{id}"), name: tool.name.clone(), arguments: arguments.to_string() }.into()
}

/// A value that a JSON Schema allows, as far as its plain keywords say.
fn fill_schema(schema: &Value) -> Value {
    fill(schema, schema, DEPTH)
}

fn fill(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
    if let Some(referred) = referred {
        return fill(referred, root, depth - 1);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|words| words.first()) {
        return first.clone();
    }
    for either in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(either).and_then(Value::as_array).and_then(|choices| choices.first()) {
            return fill(first, root, depth - 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("object") | None if schema.get("properties").is_some() || kind.is_some() => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let filled = properties.into_iter().flatten().map(|(name, schema)| (name.clone(), fill(schema, root, depth - 1)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
        Some("array") => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 16);
            let item = schema.get("items").map_or(Value::Null, |items| fill(items, root, depth - 1));
            Value::Array(vec![item; least as usize])
        }
        Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1)),
        Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(1.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!("lorem"),
    }
}

fn lorem(request: &Request) -> String {
    let count = request.max_tokens.unwrap_or(LOREM_TOKENS).min(LOREM_MOST);
    let mut state = request.sampling.seed.unwrap_or(1).unsigned_abs().wrapping_mul(2).wrapping_add(1);
    let mut words = Vec::new();
    for _ in 0..count {
        // Knuth's MMIX generator: the same seed, the same text.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words.extend(WORDS.get((state >> 59) as usize).copied());
    }
    words.join(" ")
}

/// Filler that was asked for by its length ends because of it.
fn lorem_reason(request: &Request) -> Reason {
    if request.max_tokens.is_some() { Reason::Length } else { Reason::Stop }
}

fn truncate(text: &mut String, most: u64) -> bool {
    let kept: usize = pieces(text).take(most as usize).map(str::len).sum();
    let cut = kept < text.len();
    text.truncate(kept);
    cut
}

/// Words with the blanks before them, and single characters of scripts that need no blanks.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut seen = false;
        let mut last_wide = false;
        let end = rest.char_indices().find_map(|(at, c)| {
            let ends = (seen && (c.is_whitespace() || is_wide(c))) || last_wide;
            seen |= !c.is_whitespace();
            last_wide = is_wide(c);
            ends.then_some(at)
        });
        let (piece, left) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF | 0x20000..=0x3FFFF)
}

/// The same events, text told word by word.
pub(super) fn in_words(events: Vec<Event>) -> impl Iterator<Item = Event> {
    events.into_iter().flat_map(|event| match event {
        Event::Delta { choice, part, delta: Delta::Text(text) } => {
            pieces(&text).map(|piece| Event::Delta { choice, part, delta: Delta::Text(piece.to_owned()) }).collect()
        }
        Event::Delta { choice, part, delta: Delta::Arguments(text) } => {
            let mid = text.floor_char_boundary(text.len() / 2);
            let (front, back) = text.split_at_checked(mid).unwrap_or((&text, ""));
            let halves = [front, back].into_iter().filter(|half| !half.is_empty());
            halves.map(|half| Event::Delta { choice, part, delta: Delta::Arguments(half.to_owned()) }).collect()
        }
        other => vec![other],
    })
}
