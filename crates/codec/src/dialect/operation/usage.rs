//! The usage in an answer that goes by, whatever its size.

use serde_json::Value;

use crate::ir::Usage;
use crate::json::scan;

/// The longest usage object.
const LONGEST: usize = 16 * 1024;

/// Looks for the usage in the bytes of a JSON answer or an event stream. Keeps a few bytes and no more.
///
/// A key is found by its quotes: within a text they would be escaped.
#[derive(Debug)]
pub struct Watch {
    keys: &'static [&'static str],
    /// The last bytes that may be the beginning of a key, or a value that is not complete yet.
    held: Vec<u8>,
    /// `held` begins with the value of a key.
    in_value: bool,
    usage: Option<Usage>,
}

impl Watch {
    /// A watch for answers of a dialect.
    pub fn new(dialect: &str) -> Self {
        let keys: &[&str] = match dialect {
            super::GEMINI => &["\"usageMetadata\""],
            super::COHERE => &["\"meta\""],
            super::OLLAMA => &["\"prompt_eval_count\""],
            // The second is what some servers say in answers to /rerank.
            _ => &["\"usage\"", "\"tokens\""],
        };
        Watch { keys, held: Vec::new(), in_value: false, usage: None }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        while self.step() {}
    }

    /// The usage that was told last.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// False when it takes more bytes to go on.
    fn step(&mut self) -> bool {
        if self.in_value {
            return self.read_value();
        }
        let found = self.keys.iter().filter_map(|key| Some((memchr::memmem::find(&self.held, key.as_bytes())?, key.len())));
        match found.min() {
            Some((at, len)) => {
                self.held.drain(..at + len);
                self.in_value = true;
                true
            }
            None => {
                let longest = self.keys.iter().map(|key| key.len()).max().unwrap_or(0);
                self.held.drain(..self.held.len().saturating_sub(longest));
                false
            }
        }
    }

    fn read_value(&mut self) -> bool {
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b':';
        let start = self.held.iter().position(|byte| !blank(byte)).unwrap_or(self.held.len());
        let value = match self.held.get(start) {
            None => None,
            Some(b'{') => scan::value_at(&self.held, start),
            Some(b'0'..=b'9') => {
                let digits = self.held.iter().skip(start).position(|byte| !byte.is_ascii_digit());
                digits.map(|len| start..start + len)
            }
            // Nothing that tells tokens.
            Some(_) => Some(start..start),
        };
        let Some(span) = value else {
            if self.held.len() > LONGEST {
                self.in_value = false;
                return true;
            }
            return false;
        };
        let told = self.held.get(span.clone()).and_then(|value| serde_json::from_slice(value).ok());
        self.usage = told.as_ref().and_then(read).or(self.usage);
        self.held.drain(..span.end);
        self.in_value = false;
        true
    }
}

/// Reads a usage object of any dialect, or a bare number of input tokens.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    if let Some(input) = usage.as_u64() {
        return Some(Usage { input, ..Usage::default() });
    }
    // The tokens that are billed, whose price is known, are told beside all that were read.
    let places = [usage.get("billed_units"), usage.get("tokens"), Some(usage)];
    let number = |names: &[&str]| {
        let told = |place: &Value| names.iter().find_map(|name| place.get(*name)?.as_f64());
        places.into_iter().flatten().find_map(told).map(|number| number.max(0.0) as u64)
    };
    let output = number(&["completion_tokens", "output_tokens", "candidatesTokenCount"]);
    let total = number(&["total_tokens"]);
    let input = number(&["prompt_tokens", "input_tokens", "promptTokenCount"]).or(total)?;
    let details = usage.get("input_token_details").or_else(|| usage.get("input_tokens_details"));
    let audio_input = details.and_then(|details| details.get("audio_tokens")?.as_u64());
    Some(Usage { input, output: output.unwrap_or(0), audio_input, ..Usage::default() })
}

/// Both together; what only one told counts alone.
pub(super) fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(Usage { input: one.input.saturating_add(other.input), output: one.output.saturating_add(other.output), ..one })
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_however_the_answer_is_cut() {
        let answer = br#"{"data":[{"text":"\"usage\":{\"prompt_tokens\":1}","tokens":[1,2]}], "usage" : {"prompt_tokens":7,"x":{"a":"}"},"total_tokens":7} }"#;
        for size in 1..answer.len() {
            let mut watch = Watch::new("openai-chat");
            answer.chunks(size).for_each(|chunk| watch.feed(chunk));
            assert_eq!(watch.usage().map(|usage| usage.input), Some(7), "{size}");
        }
    }

    #[test]
    fn every_dialects_words_are_read() {
        let told = |dialect, text: &str| {
            let mut watch = Watch::new(dialect);
            watch.feed(text.as_bytes());
            watch.usage().map(|usage| (usage.input, usage.output))
        };
        assert_eq!(told("gemini", r#"{"usageMetadata":{"promptTokenCount":3}}"#), Some((3, 0)));
        assert_eq!(told("cohere-chat", r#"{"meta":{"billed_units":{"input_tokens":4}}}"#), Some((4, 0)));
        assert_eq!(
            told("cohere-chat", r#"{"meta":{"tokens":{"input_tokens":9},"billed_units":{"input_tokens":4}}}"#),
            Some((4, 0))
        );
        assert_eq!(told("cohere-chat", r#"{"meta":{"billed_units":{"search_units":1}}}"#), None);
        assert_eq!(told("ollama", r#"{"prompt_eval_count":12}"#), Some((12, 0)));
        assert_eq!(told("openai-chat", r#"{"tokens":{"input_tokens":5,"output_tokens":0}}"#), Some((5, 0)));
        assert_eq!(
            told("openai-chat", "data: {\"usage\":null}\n\ndata: {\"usage\":{\"input_tokens\":8,\"output_tokens\":9}}\n\n"),
            Some((8, 9))
        );
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut watch = Watch::new("openai-chat");
        watch.feed(b"{\"usage\":{\"x\":\"");
        for _ in 0..1000 {
            watch.feed(&[b'a'; 1000]);
            assert!(watch.held.len() <= LONGEST + 1000);
        }
    }
}
