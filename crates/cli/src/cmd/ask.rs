//! `trunkline ask`.

use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::json;
use trunkline::ir::{Content, Format, Message, Part, Raw, Request, Role, Source, Usage};
use trunkline::{Losses, Piece, Reply};

use crate::terminal::{complain, has_colour, print_json};
use crate::{End, Global};

/// Ask a model and print its answer.
#[derive(clap::Args)]
pub(crate) struct Ask {
    /// Which model [default: the task `default`, else the first alias, else the simulator]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Which task: its model is asked; `auto` leaves the task to the rules of the configuration
    #[arg(long, value_name = "TASK", conflicts_with = "model")]
    task: Option<String>,
    /// Instructions before the prompt
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// A picture to look at (PNG, JPEG, GIF, WebP); may be given several times
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// A JSON Schema that the answer shall follow
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Most output tokens
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// How freely tokens are drawn, 0 to 2
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// A variable of the prompt that `-m prompt:NAME` names, NAME=VALUE; @FILE as the value reads a file
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// Wait for the whole answer
    #[arg(long)]
    no_stream: bool,
    /// The prompt; `-` or nothing reads a pipe. With a prompt and a pipe, the pipe's text follows the prompt
    prompt: Option<String>,
}

/// A prompt that is longer than this is no prompt.
const STDIN_LIMIT: u64 = 64 * 1024 * 1024;

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        let client = global.client()?;
        let model = match &self.task {
            Some(task) => format!("task:{task}"),
            None => self.model.clone().unwrap_or_else(|| client.default_model()),
        };
        let whole = self.no_stream || global.json;
        let prompt = super::prompts::named(&model, &self.var, global).await?;
        let mut request = self.request(model, prompt.is_some())?;
        if let Some(prompt) = prompt {
            prompt.fill(&mut request, &client, global)?;
        }
        let call = client.call(request);
        let answered = async { if whole { print_whole(&call.send().await?, global) } else { print_stream(call, global).await } };
        tokio::select! {
            done = answered => done.map(|()| End::Done),
            _ = tokio::signal::ctrl_c() => {
                // Dropping the call closes the provider's connection.
                complain("");
                anyhow::bail!("stopped");
            }
        }
    }

    fn request(self, model: String, may_be_silent: bool) -> anyhow::Result<Request> {
        let mut messages = Vec::new();
        messages.extend(self.system.map(|text| Message::text(Role::System, text)));
        // A prompt of the store may say it all.
        let said = match self.prompt {
            None if may_be_silent => Some(read_pipe()?).filter(|text| !text.is_empty()),
            prompt => Some(read_prompt(prompt)?),
        };
        messages.extend(said.map(|text| Message::text(Role::User, text)));
        for path in &self.image {
            let picture = read_image(path)?;
            match messages.last_mut().filter(|message| message.role == Role::User) {
                Some(user) => user.parts.push(picture),
                None => messages.push(Message { parts: vec![picture], ..Message::text(Role::User, "") }),
            }
        }
        let mut request = Request { model, messages, max_tokens: self.max_tokens, ..Request::default() };
        request.sampling.temperature = self.temperature;
        if let Some(path) = self.schema {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str::<serde_json::Value>(&text).with_context(|| format!("{} is not JSON", path.display()))?;
            let schema = Raw::parse(text).with_context(|| format!("{} is not JSON", path.display()))?;
            request.format = Format::Schema { name: Some("answer".to_owned()), description: None, schema, strict: None };
        }
        Ok(request)
    }
}

/// What comes by a pipe, if there is one.
fn read_pipe() -> anyhow::Result<String> {
    let mut text = String::new();
    if !io::stdin().is_terminal() {
        io::stdin().lock().take(STDIN_LIMIT).read_to_string(&mut text).context("the pipe does not hold text")?;
    }
    Ok(text.trim_end().to_owned())
}

fn read_prompt(prompt: Option<String>) -> anyhow::Result<String> {
    let piped = !io::stdin().is_terminal();
    let text = match prompt.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().lock().take(STDIN_LIMIT).read_to_string(&mut text).context("the pipe does not hold text")?;
            text.trim_end().to_owned()
        }
        None if piped => read_pipe()?,
        None => anyhow::bail!("no prompt; write `trunkline ask \"…\"`, or give one by a pipe"),
        Some(prompt) if piped => {
            let more = read_pipe()?;
            if more.is_empty() { prompt.to_owned() } else { format!("{prompt}\n\n{more}") }
        }
        Some(prompt) => prompt.to_owned(),
    };
    anyhow::ensure!(!text.is_empty(), "the prompt is empty");
    Ok(text)
}

fn read_image(path: &Path) -> anyhow::Result<Part> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xFF, 0xD8, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => anyhow::bail!("{} is not a PNG, JPEG, GIF or WebP picture", path.display()),
    };
    let source = Source::Base64 { media_type: media_type.to_owned(), data: STANDARD.encode(bytes) };
    Ok(Content::Image { source, detail: None }.into())
}

fn print_whole(reply: &Reply, global: &Global) -> anyhow::Result<()> {
    if global.json {
        let calls: Vec<_> =
            reply.tool_calls().map(|(id, name, arguments)| json!({"id": id, "name": name, "arguments": arguments})).collect();
        return print_json(&json!({
            "text": reply.text(),
            "tool_calls": calls,
            "target": reply.target,
            "model": reply.response.model,
            "reason": reply.reason(),
            "usage": reply.response.usage,
            "losses": reply.losses,
        }));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", reply.text())?;
    for (_, name, arguments) in reply.tool_calls() {
        writeln!(out, "{name}({arguments})")?;
    }
    report(&reply.target, reply.response.usage, &reply.losses, global);
    Ok(())
}

async fn print_stream(call: trunkline::Call, global: &Global) -> anyhow::Result<()> {
    let mut stream = call.stream().await?;
    let (mut usage, mut open) = (None, false);
    let dim = has_colour();
    while let Some(piece) = stream.next().await {
        let piece = piece.inspect_err(|_| {
            if open {
                complain("");
            }
        })?;
        let mut out = io::stdout().lock();
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => {
                open = !text.ends_with('\n');
                out.write_all(text.as_bytes())?;
            }
            Piece::Reasoning(text) if global.verbose => {
                let (on, off) = if dim { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
                let _ = write!(io::stderr().lock(), "{on}{text}{off}");
            }
            Piece::ToolCall { name, arguments, .. } => {
                writeln!(out, "{name}({arguments})")?;
                open = false;
            }
            Piece::Usage(told) => usage = Some(told),
            Piece::Reasoning(_) | Piece::Finish(_) => {}
        }
        out.flush()?;
    }
    if open {
        writeln!(io::stdout().lock())?;
    }
    report(&stream.target, usage, &stream.losses, global);
    Ok(())
}

fn report(target: &str, usage: Option<Usage>, losses: &Losses, global: &Global) {
    if !global.verbose {
        return;
    }
    let told = usage.map_or_else(
        || "usage not told".to_owned(),
        |usage| {
            let cached = usage.cache_read.filter(|n| *n > 0).map(|n| format!(" ({n} cached)")).unwrap_or_default();
            let thought = usage.reasoning.filter(|n| *n > 0).map(|n| format!(" ({n} reasoning)")).unwrap_or_default();
            format!("{} tokens in{cached}, {} out{thought}", usage.input, usage.output)
        },
    );
    complain(&format!("{target}: {told}"));
    for loss in losses.iter() {
        complain(&format!("lost: {} ({})", loss.field, loss.why));
    }
}
