//! Binary event streams made of JSON: a list of messages, each `{"event": "contentBlockDelta", "payload": {…}}`,
//! `{"exception": "throttlingException", "payload": {…}}` or `{"error": "InternalFailure", "message": "…"}`; `"cut": 9`
//! leaves out the last nine bytes, `"corrupt": 20` changes the twentieth.

use serde_json::Value;
use trunkline_codec::frame::event_stream::{Value as Header, message_len, write_header, write_message};

/// The stream of these messages.
pub(crate) fn write_all(messages: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages.as_array().expect("a list of messages") {
        let start = out.len();
        let (mut headers, text) = (Vec::new(), |name: &str| message.get(name).and_then(Value::as_str));
        let mut header = |name: &str, value: &str| write_header(name, Header::Text(value), &mut headers);
        if let Some(code) = text("error") {
            header(":error-code", code);
            header(":error-message", text("message").unwrap());
            header(":message-type", "error");
        } else {
            let kind = if text("exception").is_some() { "exception" } else { "event" };
            header(&format!(":{kind}-type"), text(kind).unwrap());
            header(":content-type", "application/json");
            header(":message-type", kind);
        }
        let payload = message.get("payload").map(Value::to_string).unwrap_or_default();
        write_message(&headers, &mut out, |out| out.extend_from_slice(payload.as_bytes()));
        if let Some(cut) = message.get("cut").and_then(Value::as_u64) {
            out.truncate(out.len() - cut as usize);
        }
        if let Some(at) = message.get("corrupt").and_then(Value::as_u64) {
            out[start + at as usize] ^= 1;
        }
    }
    out
}

/// One event of a stream.
pub(crate) fn event(name: &str, payload: Value) -> Value {
    serde_json::json!({"event": name, "payload": payload})
}

/// The messages of a stream that is whole.
pub(crate) fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = bytes.split_at(message_len(bytes, usize::MAX).unwrap());
        all.push(message);
        bytes = rest;
    }
    all
}

/// Puts the right checksums into a stream whose bytes were changed, as far as its lengths still lead through it.
pub(crate) fn sign(mut bytes: &mut [u8]) {
    while let Some(lengths) = bytes.first_chunk::<8>() {
        let crc = crc32fast::hash(lengths);
        let total = u32::from_be_bytes([lengths[0], lengths[1], lengths[2], lengths[3]]) as usize;
        if total < 16 || total > bytes.len() {
            return;
        }
        let (message, rest) = bytes.split_at_mut(total);
        message[8..12].copy_from_slice(&crc.to_be_bytes());
        let (signed, end) = message.split_at_mut(total - 4);
        end.copy_from_slice(&crc32fast::hash(signed).to_be_bytes());
        bytes = rest;
    }
}
