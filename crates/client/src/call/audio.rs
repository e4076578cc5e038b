//! Texts to sound, and sound to texts.

use super::OperationCall;
use crate::client::Client;
use crate::ir::{File, Raw, Speak, Transcribe};

impl Client {
    /// Speaks a text.
    pub fn speak(&self, model: impl Into<String>, text: impl Into<String>) -> OperationCall<Speak> {
        self.operate(Speak { model: model.into(), input: text.into(), ..Speak::default() })
    }

    /// Writes down what is said in a sound. Providers tell its format by the ending of the file's `name`.
    pub fn transcribe(
        &self,
        model: impl Into<String>,
        name: impl Into<String>,
        sound: impl Into<Vec<u8>>,
    ) -> OperationCall<Transcribe> {
        let audio = File { name: name.into(), media: String::new(), bytes: sound.into() };
        self.operate(Transcribe { model: model.into(), audio, ..Transcribe::default() })
    }
}

impl OperationCall<Speak> {
    /// Whose voice.
    pub fn voice(mut self, voice: impl AsRef<str>) -> Self {
        self.wanted.voice = Some(Raw::of(&voice.as_ref()));
        self
    }

    /// `mp3`, `wav`, …
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.wanted.format = Some(format.into());
        self
    }

    /// How to say it.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.wanted.instructions = Some(instructions.into());
        self
    }
}

impl OperationCall<Transcribe> {
    /// What is spoken, by ISO 639-1.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.wanted.language = Some(language.into());
        self
    }

    /// In English, whatever is spoken.
    pub fn in_english(mut self) -> Self {
        self.wanted.translate = true;
        self
    }

    /// `json`, `text`, `srt`, `vtt`, `verbose_json`.
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.wanted.format = Some(format.into());
        self
    }
}
