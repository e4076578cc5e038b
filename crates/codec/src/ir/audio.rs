//! Texts to sound, and sound to texts.

use serde::Serialize;

use super::image::File;
use super::message::{Extra, Raw};
use super::usage::Usage;

/// A text to be spoken.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speak {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// The text.
    pub input: String,
    /// The voice's name, or the dialect's voice object.
    pub voice: Option<Raw>,
    /// How to say it.
    pub instructions: Option<String>,
    /// `mp3`, `opus`, `aac`, `flac`, `wav`, `pcm`.
    pub format: Option<String>,
    /// 0.25 to 4; 1 is usual.
    pub speed: Option<f64>,
    /// Whether the sound shall come as events that hold base64.
    pub events: bool,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// Sound.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct Sound {
    /// Its media type: `audio/mpeg`, …
    pub media: String,
    /// The sound.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({}, {} bytes)", self.media, self.bytes.len())
    }
}

/// Sound to be written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Transcribe {
    /// The model's name, as the receiver of the request knows it.
    pub model: String,
    /// The sound.
    pub audio: File,
    /// Whether it shall be put into English.
    pub translate: bool,
    /// What is spoken, by ISO 639-1.
    pub language: Option<String>,
    /// What came before, or words that may occur.
    pub prompt: Option<String>,
    /// 0 to 1.
    pub temperature: Option<f64>,
    /// `json`, `text`, `srt`, `verbose_json`, `vtt`, `diarized_json`; `None`: `json`.
    pub format: Option<String>,
    /// `word`, `segment`.
    pub granularities: Vec<String>,
    /// Whether it shall come as events.
    pub stream: bool,
    /// Fields that we do not act on.
    pub extra: Extra,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Transcript {
    /// The text; subtitles as they are, where those were asked for.
    pub text: String,
    /// The language, by the provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Stretches of it, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Words of it, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Segment>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

/// A stretch of what was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Segment {
    /// Seconds from the beginning.
    pub start: f64,
    /// Seconds from the beginning.
    pub end: f64,
    /// What was said in it.
    pub text: String,
    /// Who said it, where voices are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}
