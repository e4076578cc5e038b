//! Rows as lines of CSV.

use crate::row::CallRow;

/// The columns, in the order of [`csv_line`].
pub const COLUMNS: [&str; 39] = [
    "id",
    "begun_us",
    "request_id",
    "key_id",
    "user_id",
    "tags",
    "operation",
    "dialect",
    "model",
    "task",
    "target",
    "streamed",
    "status",
    "error",
    "blame",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "usage_estimated",
    "images",
    "audio_ms",
    "characters",
    "requests",
    "cost_micros",
    "currency",
    "price_date",
    "first_us",
    "elapsed_us",
    "bytes_in",
    "bytes_out",
    "losses",
    "mirror_of",
    "exchanges",
];

/// A call as a line, without its end. What is not known is empty; `exchanges` is their number.
pub fn csv_line(call: &CallRow) -> String {
    // The names stand in one place only: what is written is what they name.
    let value = serde_json::to_value(call).unwrap_or_default();
    let field = |name: &&str| match value.get(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => quote(text),
        Some(serde_json::Value::Array(list)) => list.len().to_string(),
        Some(other) => other.to_string(),
    };
    COLUMNS.iter().map(field).collect::<Vec<_>>().join(",")
}

/// A text as RFC 4180 has it. One that a spreadsheet would take for a formula gets a quote mark in front.
fn quote(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Ids;

    #[test]
    fn every_field_has_its_column() {
        let mut call = CallRow::new(Ids::new().next(std::time::UNIX_EPOCH));
        call.model = "=1+1,\"x\"".to_owned();
        let value = serde_json::to_value(&call).unwrap();
        let names: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(names, COLUMNS);
        let line = csv_line(&call);
        assert!(line.contains(",\"'=1+1,\"\"x\"\"\","), "{line}");
    }
}
