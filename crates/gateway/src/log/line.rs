//! How a line is written. The names are those of OpenTelemetry's conventions for generative AI where these have one
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>), else they begin with `trunkline.`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use trunkline::Secret;
use trunkline::config::{LogConfig, LogFormat, LogLevel};
use trunkline_store::{CallRow, date};

use super::Entry;

/// How lines are written.
pub(super) struct Shape {
    format: LogFormat,
    pub(super) level: LogLevel,
    redact: bool,
}

/// How bad a line is.
pub(super) fn level(entry: &Entry) -> LogLevel {
    match entry {
        Entry::Notice { level, .. } => *level,
        Entry::Call(row) => match (row.error.as_deref(), row.blame.as_deref()) {
            (None, _) => LogLevel::Info,
            (Some("cancelled"), _) | (_, Some("caller")) => LogLevel::Warn,
            _ => LogLevel::Error,
        },
    }
}

impl Shape {
    pub(super) fn of(config: &LogConfig) -> Self {
        Shape { format: config.format, level: config.level, redact: config.redact }
    }

    pub(super) fn write(&self, entry: &Entry, out: &mut Vec<u8>) {
        let severity = match level(entry) {
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
        };
        let (when, event) = match entry {
            Entry::Call(row) => (row.id.time(), "trunkline.call"),
            Entry::Notice { time, .. } => (*time, "trunkline.notice"),
        };
        let mut fields = Map::new();
        fields.insert("timestamp".to_owned(), time(when).into());
        fields.insert("severity".to_owned(), severity.into());
        fields.insert("event".to_owned(), event.into());
        match entry {
            Entry::Call(row) => self.add_call(row, &mut fields),
            Entry::Notice { text, .. } => _ = fields.insert("message".to_owned(), text.as_str().into()),
        }
        match self.format {
            LogFormat::Json => _ = serde_json::to_writer(&mut *out, &fields),
            LogFormat::Text => write_text(&fields, out),
        }
        out.push(b'\n');
    }

    fn add_call(&self, row: &CallRow, fields: &mut Map<String, Value>) {
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(Value::from);
        let target = row.target.as_deref().unwrap_or_default();
        let (provider, model) = target.split_once('/').unwrap_or((target, ""));
        let user = row.user_id.as_deref().map(|user| match self.redact {
            true => format!("sha256:{}", Secret::new(user).fingerprint()),
            false => user.to_owned(),
        });
        let operation = if row.operation == "embed" { "embeddings" } else { &row.operation };
        add("trunkline.call.id", Some(row.id.to_string().into()));
        add("trunkline.request.id", text(Some(&row.request_id)));
        add("trunkline.key.id", text(row.key_id.as_deref()));
        add("user.id", text(user.as_deref()));
        add("trunkline.tags", text(row.tags.as_deref()));
        add("gen_ai.operation.name", text(Some(operation)));
        add("gen_ai.request.model", text(Some(&row.model)));
        add("gen_ai.provider.name", text(Some(provider)));
        add("gen_ai.response.model", text(Some(model)));
        add("trunkline.task", text(row.task.as_deref()));
        add("trunkline.dialect", text(row.dialect.as_deref()));
        add("trunkline.streamed", Some(row.streamed.into()));
        add("trunkline.exchanges", Some(row.exchanges.len().into()));
        add("http.response.status_code", Some(row.status.into()));
        add("error.type", text(row.error.as_deref()));
        add("trunkline.blame", text(row.blame.as_deref()));
        let figures = [
            ("gen_ai.usage.input_tokens", row.input),
            ("gen_ai.usage.output_tokens", row.output),
            ("gen_ai.usage.cache_read.input_tokens", row.cache_read),
            ("gen_ai.usage.cache_creation.input_tokens", row.cache_write),
            ("gen_ai.usage.reasoning.output_tokens", row.reasoning),
            ("trunkline.images", row.images),
            ("trunkline.audio_ms", row.audio_ms),
            ("trunkline.characters", row.characters),
            ("trunkline.cost.micros", row.cost_micros),
            ("trunkline.first_us", row.first_us),
            ("trunkline.elapsed_us", Some(row.elapsed_us)),
            ("trunkline.bytes_in", row.bytes_in),
            ("trunkline.bytes_out", row.bytes_out),
            ("trunkline.losses", Some(row.losses).filter(|losses| *losses > 0)),
        ];
        figures.into_iter().for_each(|(name, figure)| add(name, figure.map(Value::from)));
        add("trunkline.usage.estimated", Some(true.into()).filter(|_| row.usage_estimated));
        add("trunkline.cost.currency", text(row.currency.as_deref()));
        add("trunkline.price.date", text(row.price_date.as_deref()));
        add("trunkline.copy_of", text(row.mirror_of.as_deref()));
        if self.level == LogLevel::Debug {
            add("trunkline.exchange", serde_json::to_value(&row.exchanges).ok());
        }
        if let Some(texts) = row.texts.as_ref().filter(|_| !self.redact) {
            add("trunkline.request.text", text(texts.request.as_deref()));
            add("trunkline.answer.text", text(texts.answer.as_deref()));
        }
    }
}

/// `name=value`, a value in quotes where it is not a plain word.
fn write_text(fields: &Map<String, Value>, out: &mut Vec<u8>) {
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        let value = match value {
            Value::String(text) if is_plain(text) => text.clone(),
            other => other.to_string(),
        };
        let text = match name.as_str() {
            "timestamp" | "severity" | "event" => value,
            name => format!("{name}={value}"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\'))
}

/// As RFC 3339 has it, in UTC, to the millisecond.
fn time(time: SystemTime) -> String {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", date(seconds / 86_400), since.subsec_millis())
}
