//! `POST /audio/transcriptions` and `/audio/translations`: a form in; JSON, text, subtitles or events out.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::multipart;
use super::super::{OPENAI, Told, Wire};
use super::{form, list_of, read_object, read_usage, text_of, write_usage};
use crate::catalog::Quirks;
use crate::dialect::{Cx, Head, Operation, Outgoing};
use crate::error::{Error, Result};
use crate::ir::{Extra, Segment, Transcribe, Transcript};

/// Transcripts.
pub(in super::super) struct Transcribes;

fn read_segment(row: &Value) -> Segment {
    let seconds = |key: &str| row.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    Segment {
        start: seconds("start"),
        end: seconds("end"),
        text: text_of(row, "text").or_else(|| text_of(row, "word")).unwrap_or_default(),
        speaker: text_of(row, "speaker"),
    }
}

fn write_segment((id, segment): (usize, &Segment)) -> Value {
    json!({
        "id": id, "seek": 0, "start": segment.start, "end": segment.end, "text": segment.text, "tokens": [],
        "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0,
    })
}

fn write_verbose(wanted: &Transcribe, answer: &Transcript) -> Value {
    let words = answer.words.iter().map(|word| json!({ "word": word.text, "start": word.start, "end": word.end }));
    let duration = answer.duration.unwrap_or(0.0);
    json!({
        "task": if wanted.translate { "translate" } else { "transcribe" },
        "language": answer.language.as_deref().unwrap_or("english"),
        "duration": duration,
        "text": answer.text,
        "segments": answer.segments.iter().enumerate().map(write_segment).collect::<Vec<_>>(),
        "words": words.collect::<Vec<_>>(),
        "usage": { "type": "duration", "seconds": duration.ceil() },
    })
}

fn write_diarized(answer: &Transcript) -> Value {
    let segments = answer.segments.iter().enumerate().map(|(id, segment)| {
        let speaker = segment.speaker.as_deref().unwrap_or("A");
        json!({ "type": "transcript.text.segment", "id": format!("seg_{id}"), "start": segment.start, "end": segment.end,
                "speaker": speaker, "text": segment.text })
    });
    json!({ "task": "transcribe", "duration": answer.duration.unwrap_or(0.0), "text": answer.text,
            "segments": segments.collect::<Vec<_>>() })
}

/// `00:01:02,345`.
fn time(seconds: f64, mark: char) -> String {
    let millis = (seconds.max(0.0) * 1000.0).round() as u64;
    let (whole, part) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}{mark}{part:03}", whole / 3600, whole / 60 % 60, whole % 60)
}

fn write_subtitles(answer: &Transcript, is_srt: bool) -> String {
    if answer.segments.is_empty() {
        // They came as subtitles already.
        return format!("{}\n", answer.text);
    }
    let mut text = if is_srt { String::new() } else { "WEBVTT\n\n".to_owned() };
    let mark = if is_srt { ',' } else { '.' };
    for (index, segment) in answer.segments.iter().enumerate() {
        if is_srt {
            let _ = writeln!(text, "{}", index + 1);
        }
        let (start, end) = (time(segment.start, mark), time(segment.end, mark));
        let _ = write!(text, "{start} --> {end}\n{}\n\n", segment.text.trim());
    }
    text
}

fn write_events(answer: &Transcript) -> Vec<u8> {
    let mut body = String::new();
    for word in answer.text.split_inclusive(' ') {
        let _ = write!(body, "data: {}\n\n", json!({ "type": "transcript.text.delta", "delta": word }));
    }
    let usage = answer.usage.map(|_| write_usage(answer.usage.as_ref()));
    let _ = write!(body, "data: {}\n\n", json!({ "type": "transcript.text.done", "text": answer.text, "usage": usage }));
    body.into_bytes()
}

impl Wire<Transcribe> for Transcribes {
    fn write_request(&self, wanted: &Transcribe, _: &Quirks) -> Result<Outgoing> {
        let mut fields = vec![("model", wanted.model.clone())];
        let settings =
            [("language", &wanted.language), ("prompt", &wanted.prompt), ("response_format", &wanted.format)].into_iter();
        fields.extend(settings.filter_map(|(name, value)| Some((name, value.clone()?))));
        fields.extend(wanted.temperature.map(|temperature| ("temperature", temperature.to_string())));
        fields.extend(wanted.granularities.iter().map(|granularity| ("timestamp_granularities[]", granularity.clone())));
        if wanted.stream {
            fields.push(("stream", "true".to_owned()));
        }
        let operation = if wanted.translate { Operation::TranslateAudio } else { Operation::Transcribe };
        Ok(form(operation, fields, &[("file", &wanted.audio)], &wanted.extra))
    }

    fn read_answer(&self, media: &str, body: &[u8]) -> Result<Transcript> {
        if !media.starts_with("application/json") {
            let text = std::str::from_utf8(body).map_err(|_| Error::malformed("the provider's answer is not text"))?;
            return Ok(Transcript { text: text.trim_end_matches('\n').to_owned(), ..Transcript::default() });
        }
        let answer = read_object(body)?;
        let text = text_of(&answer, "text");
        Ok(Transcript {
            text: text.ok_or_else(|| Error::malformed("the provider's answer holds no text").with_raw(body))?,
            language: text_of(&answer, "language"),
            duration: answer.get("duration").or_else(|| answer.pointer("/usage/seconds")).and_then(Value::as_f64),
            segments: list_of(&answer, "segments").iter().map(read_segment).collect(),
            words: list_of(&answer, "words").iter().map(read_segment).collect(),
            usage: read_usage(&answer),
        })
    }

    fn read_request(&self, head: &Head<'_>, body: &[u8]) -> Result<Transcribe> {
        let media = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut wanted = Transcribe { translate: head.path.ends_with("/translations"), ..Transcribe::default() };
        let mut extra = serde_json::Map::new();
        let mut has_file = false;
        for field in multipart::read(&multipart::boundary(media)?, body)? {
            match field.name.as_str() {
                "file" => {
                    wanted.audio = field.file();
                    has_file = true;
                }
                "model" => wanted.model = field.text()?,
                "language" => wanted.language = Some(field.text()?),
                "prompt" => wanted.prompt = Some(field.text()?),
                "response_format" => wanted.format = Some(field.text()?),
                "temperature" => {
                    let wrong = |_| Error::bad_request("temperature: expected a number").at("temperature");
                    wanted.temperature = Some(field.text()?.trim().parse().map_err(wrong)?);
                }
                "timestamp_granularities[]" => wanted.granularities.push(field.text()?),
                "stream" => wanted.stream = matches!(field.text()?.as_str(), "true" | "True" | "1"),
                _ if field.file.is_none() => {
                    extra.insert(field.name.clone(), Value::from(field.text()?));
                }
                _ => {}
            }
        }
        if !has_file {
            return Err(Error::bad_request("file is required").at("file"));
        }
        wanted.extra = Extra::new(OPENAI, extra);
        Ok(wanted)
    }

    fn write_answer(&self, wanted: &Transcribe, answer: &Transcript, _: &Cx) -> Told {
        if wanted.stream {
            return Told { media: Cow::Borrowed("text/event-stream; charset=utf-8"), body: write_events(answer) };
        }
        let plain = |text: String| Told { media: Cow::Borrowed("text/plain; charset=utf-8"), body: text.into_bytes() };
        match wanted.format.as_deref() {
            Some("text") => plain(format!("{}\n", answer.text)),
            Some("srt") => plain(write_subtitles(answer, true)),
            Some("vtt") => plain(write_subtitles(answer, false)),
            Some("verbose_json") => Told::json(&write_verbose(wanted, answer)),
            Some("diarized_json") => Told::json(&write_diarized(answer)),
            _ => {
                let mut told = json!({ "text": answer.text });
                if let (Some(usage), Some(told)) = (answer.usage, told.as_object_mut()) {
                    let usage = json!({ "type": "tokens", "input_tokens": usage.input, "output_tokens": usage.output,
                                        "total_tokens": usage.total() });
                    told.insert("usage".to_owned(), usage);
                }
                Told::json(&told)
            }
        }
    }
}
