//! The path: which model, which verb; and the way a caller's request is passed on.

use std::fmt::Write;

use crate::dialect::fault::{expected, read_members};
use crate::dialect::{Forward, Framing, Head, Operation, Peek};
use crate::error::{Error, Kind, Origin, Result};
use crate::json;

/// What follows the model's name in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verb {
    Converse,
    Stream,
    Count,
}

const WORDS: [(Verb, &str); 3] = [(Verb::Converse, "converse"), (Verb::Stream, "converse-stream"), (Verb::Count, "count-tokens")];

impl Verb {
    /// The verb of an operation.
    pub(in super::super) fn of(operation: Operation, stream: bool) -> Self {
        match operation {
            Operation::CountTokens => Verb::Count,
            _ if stream => Verb::Stream,
            _ => Verb::Converse,
        }
    }

    fn word(self) -> &'static str {
        WORDS.iter().find(|(verb, _)| *verb == self).map_or("converse", |(_, word)| word)
    }
}

/// The longest name: an ARN.
const LONGEST: usize = 2048;

/// The model's name and the verb, from a path such as `/model/amazon.nova-lite-v1%3A0/converse`.
pub(in super::super) fn read(path: &str) -> Result<(String, Verb)> {
    let not_found = || {
        let what = "no such operation; use POST /model/{modelId}/converse, /converse-stream or /count-tokens";
        Error::new(Kind::NotFound, Origin::Caller, what)
    };
    let (place, verb) = path.rsplit_once('/').ok_or_else(not_found)?;
    let (verb, _) = WORDS.iter().find(|(_, word)| *word == verb).ok_or_else(not_found)?;
    let (_, name) = place.split_once("/model/").ok_or_else(not_found)?;
    let name = decode(name).ok_or_else(|| bad_model("is not percent-encoded UTF-8"))?;
    check(&name)?;
    Ok((name, *verb))
}

/// Takes the percent signs out, once.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn check(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(bad_model("is empty"));
    }
    if name.len() > LONGEST {
        return Err(bad_model("is longer than 2048 bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad_model("must not hold control characters"));
    }
    if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(bad_model("must not have empty segments, `.` or `..` between its slashes"));
    }
    Ok(())
}

fn bad_model(what: &str) -> Error {
    Error::bad_request(format!("the model's name in the path {what}")).at("model")
}

/// The path of a model and its verb. Slashes and colons of the name are encoded: it is one segment.
pub(in super::super) fn write(model: &str, verb: Verb) -> Result<String> {
    check(model)?;
    let mut path = String::with_capacity(model.len() + 40);
    path.push_str("/model/");
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            // Writing into a string cannot fail.
            _ => drop(write!(path, "%{byte:02X}")),
        }
    }
    path.push('/');
    path.push_str(verb.word());
    Ok(path)
}

/// The caller's own request to the provider, with the caller's query.
pub(in super::super) fn forward(head: &Head<'_>, peek: &Peek, model: &str) -> Result<Forward> {
    let mut path = write(model, Verb::of(peek.operation, peek.stream))?;
    if let Some(query) = head.query.filter(|query| !query.is_empty()) {
        path.push('?');
        path.push_str(query);
    }
    Ok(Forward { path, edits: Vec::new(), drop_usage: false })
}

/// The few fields that routing needs: most of them stand in the path.
pub(in super::super) fn peek(head: &Head<'_>, body: &[u8], operation: Operation) -> Result<Peek> {
    let (model, verb) = read(head.path)?;
    let fields = read_members(body)?;
    let find = |key| json::find(body, &fields, key).filter(|member| member.kind != json::Kind::Null);
    let config = find("inferenceConfig");
    if let Some(config) = config.filter(|config| config.kind != json::Kind::Object) {
        return Err(expected("inferenceConfig", "an object", config.kind));
    }
    let max_tokens = config.and_then(|config| {
        let config = body.get(config.value.clone())?;
        serde_json::from_slice::<u64>(config.get(json::member(config, "maxTokens")?)?).ok()
    });
    Ok(Peek {
        operation,
        model,
        model_span: None,
        stream: verb == Verb::Stream,
        max_tokens,
        framing: Framing::EventStream,
        stream_usage: true,
        user: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment() {
        let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.some-maker.some-model-v1:0";
        let path = write(arn, Verb::Stream).unwrap();
        assert_eq!(
            path,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.some-maker.some-model-v1%3A0/converse-stream"
        );
        assert_eq!(read(&path).unwrap(), (arn.to_owned(), Verb::Stream));
        // Not every client encodes them.
        assert_eq!(read("/model/a/b:0/converse").unwrap(), ("a/b:0".to_owned(), Verb::Converse));
        for wrong in
            ["/model//converse", "/model/%zz/converse", "/model/a%2F..%2Fb/converse", "/model/%0A/converse", "/model/a/x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
