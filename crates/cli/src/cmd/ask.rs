//! `trunkline ask`.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::pin::pin;

use anyhow::Context;
use futures_util::StreamExt;
use serde_json::{Value, json};
use trunkline::ir::{Format, Message, Raw, Reason, Request, Role, Usage};
use trunkline::{Client, Losses, Piece, Reply};
use trunkline_work::session::{Answering, Session, Start};

use super::input::{read_temperature, tell_simulator, unmarked, usual_model};
use super::prompts::{Said, named};
use crate::attachment::read_image;
use crate::conversation::{Wanted, begin, check_model};
use crate::label::Label;
use crate::markdown::harmless;
use crate::signal;
use crate::terminal::{complain, has_colour, print_json};
use crate::{End, Global};

/// Ask a model and print its answer.
#[derive(clap::Args)]
pub(crate) struct Ask {
    /// Which model [default: the task `default`, else the first alias of the file, else the simulator]
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
    /// A JSON Schema that the answer shall follow; one that does not is a failure
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Most output tokens
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// How freely tokens are drawn, 0 to 2
    #[arg(long, value_name = "T", value_parser = read_temperature)]
    temperature: Option<f64>,
    /// A variable of the prompt that `-m prompt:NAME` names, NAME=VALUE; @FILE as the value reads a file
    #[arg(long, value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// Wait for the whole answer
    #[arg(long)]
    no_stream: bool,
    /// Go on with the last conversation, and keep this in it, too; without one, begin one
    #[arg(short = 'c', long = "continue", conflicts_with_all = ["session", "keep"])]
    last: bool,
    /// Go on with the conversation of this id, or the begin of it
    #[arg(long, value_name = "ID", conflicts_with = "keep")]
    session: Option<String>,
    /// Begin a conversation that `-c` can go on with [default: [sessions] ask, else nothing is kept]
    #[arg(long)]
    keep: bool,
    /// The prompt; `-` or nothing reads a pipe. With a prompt and a pipe, the pipe's text follows the prompt
    prompt: Option<String>,
    #[command(flatten)]
    label: Label,
}

/// A prompt that is longer than this is no prompt.
const STDIN_LIMIT: u64 = 64 * 1024 * 1024;

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        self.label.apply(global);
        let client = global.client()?;
        let asked = self.task.as_ref().map(|task| format!("task:{task}")).or_else(|| self.model.clone());
        let wanted = match &self.session {
            Some(id) => Some(Wanted::Of(id.clone())),
            None if self.last => Some(Wanted::Last),
            None => (self.keep || client.config().sessions.ask).then_some(Wanted::New),
        };
        if let Some(wanted) = wanted {
            return self.converse(&client, wanted, asked, global).await;
        }
        self.once(&client, asked, global).await
    }

    /// Asks, and keeps nothing of it.
    async fn once(self, client: &Client, asked: Option<String>, global: &Global) -> anyhow::Result<End> {
        let whole = self.no_stream || global.json;
        let model = asked.unwrap_or_else(|| usual_model(client, global));
        let prompt = named(&model, &self.var, global).await?;
        let mut request = self.request(model, prompt.is_some())?;
        if let Some(prompt) = prompt {
            prompt.fill(&mut request, client, global)?;
        }
        let schema = wanted_schema(&request);
        let call = client.call(request);
        // Only from here on: a signal that was listened to before could not end the reading of a pipe.
        let told = async {
            let told = if whole { print_whole(call.send().await?.into(), global)? } else { print_stream(call, global).await? };
            follows(schema.as_ref(), &told)
        };
        signal::stoppable(told).await
    }

    /// Asks within a conversation. What is said of model and instructions holds from now on.
    async fn converse(mut self, client: &Client, wanted: Wanted, asked: Option<String>, global: &Global) -> anyhow::Result<End> {
        let whole = self.no_stream || global.json;
        let prompt = named(asked.as_deref().unwrap_or_default(), &self.var, global).await?;
        let Said { model, system, messages, max_tokens, temperature } = match prompt {
            Some(prompt) => prompt.say(global)?,
            None => Said { model: asked, ..Said::default() },
        };
        model.as_ref().map_or(Ok(()), |model| check_model(client, model))?;
        let system = self.system.take().or(system);
        self.max_tokens = self.max_tokens.or(max_tokens);
        self.temperature = self.temperature.or(temperature);
        let start = Start {
            model: Some(model.clone().unwrap_or_else(|| client.default_model())),
            system: system.clone(),
            window: client.config().sessions.window.clone(),
            ..Start::default()
        };
        let mut request = self.request(String::new(), !messages.is_empty())?;
        request.messages.splice(..0, messages);
        let mut session = begin(global, client, wanted, start).await?;
        if model.is_none() && session.model() == Some(&client.default_model()) {
            tell_simulator(client, global);
        }
        if !session.turns().is_empty() {
            if let Some(model) = model {
                session.set_model(model).await?;
            }
            if system.is_some() {
                session.set_system(system).await?;
            }
        }
        let wanted = wanted_schema(&request);
        let told = print_turn(&mut session, request, whole, global).await?;
        follows(wanted.as_ref(), &told)
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
            serde_json::from_str::<Value>(&text).with_context(|| format!("{} is not JSON", path.display()))?;
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
    Ok(unmarked(&text).trim_end().to_owned())
}

fn read_prompt(prompt: Option<String>) -> anyhow::Result<String> {
    let piped = !io::stdin().is_terminal();
    let text = match prompt.as_deref() {
        Some("-") => {
            let mut text = String::new();
            io::stdin().lock().take(STDIN_LIMIT).read_to_string(&mut text).context("the pipe does not hold text")?;
            unmarked(&text).trim_end().to_owned()
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

/// An answer that is whole.
struct Told {
    text: String,
    /// Id, name, arguments as JSON text.
    calls: Vec<(String, String, String)>,
    target: String,
    model: String,
    reason: Reason,
    usage: Option<Usage>,
    losses: Losses,
    /// The conversation that it is in.
    session: Option<String>,
}

impl From<Reply> for Told {
    fn from(reply: Reply) -> Self {
        let (text, reason) = (reply.text(), reply.reason());
        let owned = |(id, name, arguments): (&str, &str, &str)| (id.to_owned(), name.to_owned(), arguments.to_owned());
        let calls = reply.tool_calls().map(owned).collect();
        let Reply { target, response, losses, .. } = reply;
        Told { text, calls, target, model: response.model, reason, usage: response.usage, losses, session: None }
    }
}

/// The schema that the answer shall follow, if there is one.
fn wanted_schema(request: &Request) -> Option<Value> {
    let Format::Schema { schema, .. } = &request.format else { return None };
    serde_json::from_str(schema.get()).ok()
}

/// An answer that does not follow its schema is none, however well it came.
fn follows(schema: Option<&Value>, text: &str) -> anyhow::Result<End> {
    let why = schema.and_then(|schema| trunkline_work::schema::fault_of(text, schema));
    why.map_or(Ok(End::Done), |why| anyhow::bail!("the answer does not follow the schema: {why}"))
}

/// Gives the text.
fn print_whole(told: Told, global: &Global) -> anyhow::Result<String> {
    if global.json {
        let call = |(id, name, arguments): &(String, String, String)| json!({"id": id, "name": name, "arguments": arguments});
        let mut value = json!({
            "text": told.text,
            "tool_calls": told.calls.iter().map(call).collect::<Vec<_>>(),
            "target": told.target,
            "model": told.model,
            "reason": told.reason,
            "usage": told.usage,
            "losses": told.losses,
        });
        if let (Some(session), Some(object)) = (&told.session, value.as_object_mut()) {
            object.insert("session".to_owned(), json!(session));
        }
        print_json(&value)?;
        return Ok(told.text);
    }
    let mut out = io::stdout().lock();
    let shown = if out.is_terminal() { harmless(&told.text) } else { told.text.clone() };
    writeln!(out, "{shown}")?;
    for (_, name, arguments) in &told.calls {
        writeln!(out, "{name}({arguments})")?;
    }
    report(&told.target, told.usage, &told.losses, global);
    Ok(told.text)
}

/// Prints an answer as it comes.
struct Printer {
    verbose: bool,
    dim: bool,
    /// What a terminal would obey is made visible.
    terminal: bool,
    /// A line is not ended.
    open: bool,
    usage: Option<Usage>,
    /// All of it.
    text: String,
}

impl Printer {
    fn new(global: &Global) -> Self {
        Printer {
            verbose: global.verbose,
            dim: has_colour(),
            terminal: io::stdout().is_terminal(),
            open: false,
            usage: None,
            text: String::new(),
        }
    }

    fn show(&mut self, piece: Piece) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => {
                self.open = !text.ends_with('\n');
                self.text.push_str(&text);
                let shown = if self.terminal { harmless(&text) } else { text };
                out.write_all(shown.as_bytes())?;
            }
            Piece::Reasoning(text) if self.verbose => {
                let (on, off) = if self.dim { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
                let _ = write!(io::stderr().lock(), "{on}{text}{off}");
            }
            Piece::ToolCall { name, arguments, .. } => {
                writeln!(out, "{name}({arguments})")?;
                self.open = false;
            }
            Piece::Usage(told) => self.usage = Some(told),
            Piece::Reasoning(_) | Piece::Finish(_) => {}
        }
        out.flush()
    }

    fn finish(mut self) -> io::Result<(Option<Usage>, String)> {
        if std::mem::take(&mut self.open) {
            writeln!(io::stdout().lock())?;
        }
        Ok((self.usage, std::mem::take(&mut self.text)))
    }
}

impl Drop for Printer {
    /// The answer broke off, or was stopped: what is said about that begins on a line of its own.
    fn drop(&mut self) {
        if self.open {
            complain("");
        }
    }
}

async fn print_stream(call: trunkline::Call, global: &Global) -> anyhow::Result<String> {
    let mut stream = call.stream().await?;
    let mut printer = Printer::new(global);
    while let Some(piece) = stream.next().await {
        printer.show(piece?)?;
    }
    let (usage, text) = printer.finish()?;
    report(&stream.target, usage, &stream.losses, global);
    Ok(text)
}

/// The same within a conversation. An answer that breaks off or is stopped is kept as far as it came.
async fn print_turn(session: &mut Session, request: Request, whole: bool, global: &Global) -> anyhow::Result<String> {
    let mut stop = pin!(signal::next());
    let mut answer = tokio::select! {
        answer = session.stream(request) => answer?,
        _ = &mut stop => anyhow::bail!("stopped"),
    };
    let mut printer = Printer::new(global);
    let (mut text, mut calls, mut reason) = (String::new(), Vec::new(), Reason::default());
    loop {
        let next = tokio::select! {
            piece = answer.next() => piece.map(|piece| piece.map_err(anyhow::Error::from)),
            _ = &mut stop => Some(Err(anyhow::anyhow!("stopped"))),
        };
        let piece = match next {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                drop(printer);
                keep_part(answer).await;
                return Err(error);
            }
            None => break,
        };
        match &piece {
            Piece::Text(more) | Piece::Refusal(more) if whole => text.push_str(more),
            Piece::ToolCall { id, name, arguments } if whole => calls.push((id.clone(), name.clone(), arguments.clone())),
            Piece::Finish(finish) => reason = finish.reason,
            _ => {}
        }
        if !whole || matches!(piece, Piece::Usage(_)) {
            printer.show(piece)?;
        }
    }
    let (usage, shown) = printer.finish()?;
    let model = answer.response().map(|response| response.model.clone()).unwrap_or_default();
    let (target, losses) = (answer.target().to_owned(), answer.losses().clone());
    if let Err(error) = answer.keep().await {
        complain(&format!("this turn is not written down: {error}"));
    }
    let session = Some(session.id().to_owned());
    let told = Told { text, calls, target, model, reason, usage, losses, session };
    if whole {
        return print_whole(told, global);
    }
    report(&told.target, told.usage, &told.losses, global);
    Ok(shown)
}

async fn keep_part(answer: Answering<'_>) {
    let some = answer.response().and_then(|response| response.choices.first()).is_some_and(|choice| !choice.parts.is_empty());
    if some && let Err(error) = answer.keep().await {
        complain(&format!("this turn is not written down: {error}"));
    }
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
