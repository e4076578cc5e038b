//! `trunkline transcribe`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use trunkline::codec::dialect::Operation;

use super::input::{model, tell};
use crate::terminal::print_json;
use crate::{End, Global};

/// Write down what is said in a file.
#[derive(clap::Args)]
pub(crate) struct Transcribe {
    /// Which model [default: the task `transcribe`, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// What is spoken: en, zh, …
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// In English, whatever is spoken
    #[arg(long)]
    english: bool,
    /// text, srt, vtt, verbose_json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The sound
    file: PathBuf,
}

impl Transcribe {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let bytes = std::fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let call = client.transcribe(model(&client, self.model, Operation::Transcribe, global), name, bytes);
        let call = call.with(|wanted| {
            wanted.language = self.language;
            wanted.translate = self.english;
            wanted.format = self.format;
        });
        let done = call.await?;
        tell(global, &done.target, done.answer.usage, &done.losses);
        if global.json {
            print_json(&done.answer)?;
        } else {
            writeln!(std::io::stdout().lock(), "{}", done.answer.text)?;
        }
        Ok(End::Done)
    }
}
