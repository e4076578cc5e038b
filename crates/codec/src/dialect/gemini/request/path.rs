//! The path: which model, which method, how a stream is framed; and the way a caller's request is passed on.

use std::fmt::Write;

use crate::catalog::Quirks;
use crate::dialect::fault::{expected, read_members};
use crate::dialect::{Forward, Framing, Head, Operation, Peek};
use crate::error::{Error, Kind, Origin, Result};
use crate::json;

/// What follows the model's name in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Generate,
    /// Many of the former; callers do not ask for it.
    GenerateBatch,
    Stream,
    Count,
    Embed,
    EmbedBatch,
    Predict,
}

impl Verb {
    const WORDS: [(Verb, &'static str); 7] = [
        (Verb::Generate, "generateContent"),
        (Verb::GenerateBatch, "batchGenerateContent"),
        (Verb::Stream, "streamGenerateContent"),
        (Verb::Count, "countTokens"),
        (Verb::Embed, "embedContent"),
        (Verb::EmbedBatch, "batchEmbedContents"),
        (Verb::Predict, "predict"),
    ];

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(verb, known)| *known == word && *verb != Verb::GenerateBatch).map(|(verb, _)| *verb)
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(verb, _)| *verb == self).map_or("generateContent", |(_, word)| word)
    }

    pub(crate) fn operation(self) -> Operation {
        match self {
            Verb::Generate | Verb::GenerateBatch | Verb::Stream => Operation::Chat,
            Verb::Count => Operation::CountTokens,
            Verb::Embed | Verb::EmbedBatch => Operation::Embed,
            Verb::Predict => Operation::ImageGenerate,
        }
    }
}

/// Collections whose names come with them; every other model is in `models/`.
const COLLECTIONS: [&str; 5] = ["tunedModels", "dynamic", "publishers", "projects", "endpoints"];

/// The model's name and the verb, from a path such as `/v1beta/models/house/small:generateContent`.
pub(crate) fn read(path: &str) -> Result<(String, Verb)> {
    let not_found = || Error::new(Kind::NotFound, Origin::Caller, NO_METHOD);
    let (place, verb) = path.rsplit_once(':').ok_or_else(not_found)?;
    let verb = Verb::read(verb).ok_or_else(not_found)?;
    let name = match place.split_once("/models/") {
        Some((_, name)) => decode(name)?,
        None => {
            let start = place.find("/tunedModels/").ok_or_else(not_found)?;
            decode(place.get(start + 1..).unwrap_or_default())?
        }
    };
    check(&name)?;
    Ok((name, verb))
}

const NO_METHOD: &str = "no such method; use POST /v1beta/models/{model}:generateContent, :streamGenerateContent or :countTokens";

/// Takes the percent signs out, once.
fn decode(text: &str) -> Result<String> {
    let wrong = || bad_model("is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(wrong()) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Refuses names that would lead to another place when they stand in a path.
fn check(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(bad_model("is empty"));
    }
    if name.len() > 512 {
        return Err(bad_model("is longer than 512 bytes"));
    }
    if name.chars().any(|letter| letter.is_control() || matches!(letter, '\\' | '%' | '?' | '#')) {
        return Err(bad_model("must not hold control characters, \\, %, ? or #"));
    }
    if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(bad_model("must not have empty segments, `.` or `..` between its slashes"));
    }
    Ok(())
}

fn bad_model(what: &str) -> Error {
    Error::bad_request(format!("the model's name in the path {what}")).at("model")
}

/// A model's name with its collection: `models/gemini-2.5-flash`, `tunedModels/my-1`.
pub(crate) fn resource(model: &str) -> String {
    let collection = model.split_once('/').map(|(collection, _)| collection);
    match collection.is_some_and(|name| name == "models" || COLLECTIONS.contains(&name)) {
        true => model.to_owned(),
        false => format!("models/{model}"),
    }
}

/// The path of a model and its verb: `/v1beta/models/gemini-2.5-flash:generateContent`.
pub(crate) fn write(model: &str, verb: Verb, quirks: &Quirks) -> Result<String> {
    check(model)?;
    let mut path = String::new();
    if !quirks.gemini_version.is_empty() {
        path.push('/');
        path.push_str(&quirks.gemini_version);
    }
    for segment in resource(model).split('/') {
        path.push('/');
        encode(segment, &mut path);
    }
    path.push(':');
    path.push_str(verb.word());
    Ok(path)
}

fn encode(segment: &str, path: &mut String) {
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b':' | b'+' => {
                path.push(char::from(byte))
            }
            // Writing into a string cannot fail.
            _ => drop(write!(path, "%{byte:02X}")),
        }
    }
}

/// The pairs of a query, names decoded.
fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, &str)> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        (decode(name).unwrap_or_default(), pair)
    })
}

fn framing(head: &Head<'_>, verb: Verb) -> Framing {
    let sse = pairs(head.query).any(|(name, pair)| {
        matches!(name.as_str(), "alt" | "$alt")
            && pair.split_once('=').is_some_and(|(_, value)| value.eq_ignore_ascii_case("sse"))
    });
    if verb == Verb::Stream && !sse { Framing::Array } else { Framing::Sse }
}

/// Parameters of a query that carry a credential.
const SECRET: [&str; 5] = ["key", "$key", "access_token", "$access_token", "oauth_token"];

/// The caller's own request to the provider: its verb and its query, but not its key.
pub(crate) fn forward(head: &Head<'_>, model: &str, quirks: &Quirks) -> Result<Forward> {
    let (_, verb) = read(head.path)?;
    let mut path = write(model, verb, quirks)?;
    let mut mark = '?';
    for (name, pair) in pairs(head.query) {
        if !SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            path.push(mark);
            path.push_str(pair);
            mark = '&';
        }
    }
    Ok(Forward { path, edits: Vec::new(), drop_usage: false })
}

/// The few fields that routing needs: most of them stand in the path.
pub(crate) fn peek(head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
    let (model, verb) = read(head.path)?;
    if verb.operation() != operation {
        return Err(Error::new(Kind::NotFound, Origin::Caller, NO_METHOD));
    }
    let fields = read_members(body)?;
    let config = ["generationConfig", "generation_config"].iter().find_map(|key| json::find(body, &fields, key));
    if let Some(config) = config.filter(|config| !matches!(config.kind, json::Kind::Object | json::Kind::Null)) {
        return Err(expected("generationConfig", "an object", config.kind));
    }
    let max_tokens = config.and_then(|config| read_max_tokens(body.get(config.value.clone())?));
    Ok(Peek {
        operation,
        model,
        model_span: None,
        stream: verb == Verb::Stream,
        max_tokens,
        framing: framing(head, verb),
        stream_usage: true,
        user: None,
    })
}

fn read_max_tokens(config: &[u8]) -> Option<u64> {
    let span = json::member(config, "maxOutputTokens").or_else(|| json::member(config, "max_output_tokens"))?;
    let number = std::str::from_utf8(config.get(span)?).ok()?;
    number.trim_matches('"').parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number as u64)
}
