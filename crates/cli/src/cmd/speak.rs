//! `trunkline speak`.

use std::path::PathBuf;

use serde_json::json;
use trunkline::codec::dialect::Operation;

use super::input::{model, prompt, tell, write_file};
use crate::terminal::print_json;
use crate::{End, Global};

/// Speak a text into a file.
#[derive(clap::Args)]
pub(crate) struct Speak {
    /// Which model [default: the task `speak`, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Where the sound goes; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Whose voice
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// mp3, wav, opus, flac, aac, pcm [default: the ending of the file]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The text; `-` or nothing reads a pipe
    text: Option<String>,
}

impl Speak {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let ending = self.output.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let mut call = client.speak(model(&client, self.model, Operation::Speak, global), prompt(self.text)?);
        if let Some(voice) = &self.voice {
            call = call.voice(voice);
        }
        let done = call.with(|wanted| wanted.format = self.format.or(ending)).await?;
        tell(global, &done.target, done.answer.usage, &done.losses);
        write_file(&self.output, &done.answer.bytes)?;
        if global.json && self.output.as_os_str() != "-" {
            print_json(&json!({ "target": done.target, "file": self.output, "media": done.answer.media }))?;
        }
        Ok(End::Done)
    }
}
