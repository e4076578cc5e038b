//! `trunkline image`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use trunkline::codec::dialect::Operation;

use super::input::{model, prompt, tell, write_file};
use crate::terminal::{complain, print_json};
use crate::{End, Global};

/// Make a picture, or another one from pictures.
#[derive(clap::Args)]
pub(crate) struct Image {
    /// Which model [default: the task `image_generate`, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Where it goes; more than one get numbers before the ending
    #[arg(short, long, value_name = "FILE", default_value = "image.png")]
    output: PathBuf,
    /// A picture to start from; may be given several times
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// How many
    #[arg(short, long, value_name = "N")]
    n: Option<u32>,
    /// 1024x1024, …
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// What it shall show; `-` or nothing reads a pipe
    prompt: Option<String>,
}

impl Image {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let mut call = client.image(model(&client, self.model, Operation::ImageGenerate, global), prompt(self.prompt)?);
        for path in &self.from {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            call = call.from(name, media(path), bytes);
        }
        let done = call.with(|wanted| (wanted.n, wanted.size) = (self.n, self.size)).await?;
        tell(global, &done.target, done.answer.usage, &done.losses);
        let mut written = Vec::new();
        let many = done.answer.images.len() > 1;
        for (index, image) in done.answer.images.iter().enumerate() {
            let Some(bytes) = image.bytes() else {
                complain(&format!("it is at {}", image.url.as_deref().unwrap_or("no address")));
                written.extend(image.url.clone());
                continue;
            };
            let path = if many { numbered(&self.output, index + 1) } else { self.output.clone() };
            write_file(&path, &bytes)?;
            written.push(path.display().to_string());
        }
        if global.json {
            print_json(&json!({ "target": done.target, "images": written, "usage": done.answer.usage }))?;
        } else if !global.quiet {
            written.iter().for_each(|path| complain(path));
        }
        Ok(End::Done)
    }
}

fn media(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        _ => "image/png",
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number}{ending}"))
}
