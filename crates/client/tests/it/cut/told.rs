//! What a caller is told by a stream, read by hand: the cutting into frames is the codec's, nothing else is.

use serde_json::Value;
use trunkline::codec::dialect::Framing;

/// What a stream says.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The text of the first choice.
    pub(crate) text: String,
    /// The dialect's own terminator came.
    pub(crate) ended: bool,
    /// An error of the dialect came.
    pub(crate) failed: bool,
    /// Frames after an error.
    pub(crate) after: usize,
    /// A choice has finished, which is all the end that some servers write.
    pub(crate) finished: bool,
    /// It is not even framed as it should.
    pub(crate) corrupt: bool,
    /// Everything.
    pub(crate) frames: Vec<(String, Vec<u8>)>,
}

impl Told {
    /// `whole`: a frame that nothing ends is none, as it is to those who read by the book.
    pub(crate) fn read(dialect: &str, framing: Framing, bytes: &[u8], whole: bool) -> Self {
        let mut told = Told::default();
        let mut frames = framing.reader(1 << 24);
        let mut rest = bytes;
        while let Ok(Some(frame)) = frames.next(&mut rest) {
            told.take(dialect, frame.event.unwrap_or_default(), frame.data);
        }
        told.corrupt = frames.fault().is_some();
        if let Some(frame) = frames.finish().frame.filter(|_| !whole) {
            told.take(dialect, frame.event.unwrap_or_default(), frame.data);
        }
        told
    }

    fn take(&mut self, dialect: &str, event: &str, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let json: Value = serde_json::from_slice(data).unwrap_or_default();
        let json = json.get(0).cloned().unwrap_or(json);
        let kind = json["type"].as_str().unwrap_or_default();
        let first = |list: &str| {
            let found = json[list].as_array().into_iter().flatten().find(|one| one["index"].is_null() || one["index"] == 0);
            found.cloned().unwrap_or_default()
        };
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (said, ended, failed) = match dialect {
            "openai-chat" => {
                let delta = &first("choices")["delta"];
                (word(&delta["content"]) + &word(&delta["refusal"]), data == b"[DONE]", !json["error"].is_null())
            }
            "openai-completions" => (word(&first("choices")["text"]), data == b"[DONE]", !json["error"].is_null()),
            "openai-responses" => {
                let is_text = matches!(kind, "response.output_text.delta" | "response.refusal.delta");
                let ended = matches!(kind, "response.completed" | "response.incomplete");
                let failed = matches!(kind, "error" | "response.failed") || kind.is_empty() && !json["error"].is_null();
                (if is_text { word(&json["delta"]) } else { String::new() }, ended, failed)
            }
            "anthropic-messages" => (word(&json["delta"]["text"]), kind == "message_stop", kind == "error"),
            "gemini" => {
                let candidate = first("candidates");
                let parts = candidate["content"]["parts"].as_array().into_iter().flatten();
                let said = parts.filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str());
                let blocked = json["promptFeedback"]["blockReason"].is_string();
                (said.collect(), blocked || candidate["finishReason"].is_string(), !json["error"].is_null())
            }
            "cohere-chat" => {
                let over = kind == "message-end";
                let failed = over && !json["delta"]["error"].is_null();
                (word(&json["delta"]["message"]["content"]["text"]), over && !failed, failed)
            }
            "ollama" => (word(&json["message"]["content"]), json["done"] == true, !json["error"].is_null()),
            "ollama-generate" => (word(&json["response"]), json["done"] == true, !json["error"].is_null()),
            "bedrock-converse" => {
                let failed = event == "error" || event.ends_with("Exception");
                (word(&json["delta"]["text"]), matches!(event, "messageStop" | "metadata"), failed)
            }
            other => panic!("nobody calls in {other}"),
        };
        self.after += usize::from(self.failed);
        self.text.push_str(&said);
        self.ended |= ended;
        self.failed |= failed;
        self.finished |= json["choices"][0]["finish_reason"].is_string();
        self.frames.push((event.to_owned(), data.to_vec()));
    }
}
