//! The `trunkline` command.
//!
//! Output goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 some items failed.

// What stands above an option is what `--help` prints: brackets there hold defaults and sections of the configuration.
#![allow(rustdoc::broken_intra_doc_links)]

mod attachment;
mod chart;
mod cmd;
mod column;
mod conversation;
mod label;
mod ledger;
mod markdown;
mod rehearsal;
mod screen;
mod signal;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use trunkline::{Builder, Client};
use trunkline_gateway::Record;

use crate::signal::stoppable;

/// One line to every generative-AI model.
#[derive(Parser)]
#[command(name = "trunkline", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that stand before or after the command.
#[derive(clap::Args)]
pub(crate) struct Global {
    /// Configuration file [default: $TRUNKLINE_CONFIG, ./trunkline.toml, the user's configuration folder]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where calls are recorded; `none`: nowhere [default: [store] path, else trunkline.db in the user's data folder]
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long, global = true)]
    json: bool,
    /// Tell more: usage, losses, who answered
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Tell less: answers and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(flatten)]
    rehearsal: rehearsal::Rehearsal,
    /// Takes the outcomes of all calls.
    #[arg(skip)]
    record: Arc<Record>,
}

impl Global {
    /// The client that the options describe.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.client_of(self.builder()?)
    }

    /// A client whose calls are recorded.
    pub(crate) fn client_of(&self, builder: Builder) -> anyhow::Result<Client> {
        let client = builder.recorder(Arc::clone(&self.record) as _).build()?;
        // What is played back was paid for when it was recorded.
        if !self.rehearsal.replays() {
            ledger::attach(self, &client);
        }
        Ok(client)
    }

    /// The same, before it is built.
    pub(crate) fn builder(&self) -> anyhow::Result<Builder> {
        let mut builder = Client::builder();
        if let Some(path) = &self.config {
            builder = builder.config_file(path);
        }
        let (record, quiet) = (Arc::downgrade(&self.record), self.quiet);
        builder = builder.on_notice(move |line| {
            record.upgrade().iter().for_each(|record| record.notice(line));
            if !quiet {
                terminal::complain(line);
            }
        });
        self.rehearsal.apply(builder)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Ask a model and print its answer
    Ask(cmd::ask::Ask),
    /// Converse with a model: in a terminal, or line by line from a pipe
    Chat(cmd::chat::Chat),
    /// List, show, search, export and delete the conversations that are kept
    Sessions(cmd::sessions::Sessions),
    /// Ask a model for every line of a file; goes on where it was, whatever ended it
    Batch(cmd::batch::Batch),
    /// Ask several models the same, and set them side by side
    Compare(cmd::compare::Compare),
    /// Run a workflow: a file of steps that feed one another
    Run(cmd::run::Run),
    /// Keep prompts under names, in versions that share the calls
    Prompts(cmd::prompts::Prompts),
    /// Turn texts into vectors
    Embed(cmd::embed::Embed),
    /// Put documents in the order of their relevance
    Rerank(cmd::rerank::Rerank),
    /// Make a picture, or another one from pictures
    Image(cmd::image::Image),
    /// Speak a text into a file
    Speak(cmd::speak::Speak),
    /// Write down what is said in a file
    Transcribe(cmd::transcribe::Transcribe),
    /// Run the gateway
    Serve(cmd::serve::Serve),
    /// Show the calls that were made
    Logs(cmd::logs::Logs),
    /// Sum up the calls that were made: errors, times, tokens, costs
    Stats(cmd::stats::Stats),
    /// Copy, export and clear the store of calls
    Store(cmd::store::Store),
    /// Show how the targets of a running gateway stand
    Health(cmd::health::Health),
    /// Serve the simulator on a port, for testing a program of your own
    Sim(cmd::sim::Sim),
    /// List models: how much they take, what they can do, what they cost
    Models(cmd::models::Models),
    /// List what models cost, or import a list of prices
    Prices(cmd::prices::Prices),
    /// List the providers: which are ready, and what the others lack
    Providers(cmd::providers::Providers),
    /// Check configuration and keys; with --live, ask every ready provider for a word
    Check(cmd::check::Check),
    /// Print shell completions
    Completions(cmd::completions::Completions),
}

/// How a command ended, where it did not fail as a whole.
pub(crate) enum End {
    /// All is done.
    Done,
    /// Some items failed.
    Partly,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet_pipe = |error: &anyhow::Error| {
        let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    };
    match run(cli) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Partly) => ExitCode::from(3),
        // `trunkline models | head` is no failure.
        Err(error) if quiet_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("trunkline: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<End> {
    let Cli { global, command } = cli;
    let done = run_command(command, &global);
    global.record.close();
    done
}

fn run_command(command: Command, global: &Global) -> anyhow::Result<End> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match command {
        Command::Ask(ask) => runtime()?.block_on(ask.run(global)),
        Command::Chat(chat) => runtime()?.block_on(chat.run(global)),
        Command::Sessions(sessions) => runtime()?.block_on(sessions.run(global)),
        Command::Batch(batch) => runtime()?.block_on(batch.run(global)),
        Command::Compare(compare) => runtime()?.block_on(compare.run(global)),
        Command::Run(steps) => runtime()?.block_on(steps.run(global)),
        Command::Prompts(prompts) => runtime()?.block_on(prompts.run(global)),
        Command::Embed(embed) => runtime()?.block_on(stoppable(embed.run(global))),
        Command::Rerank(rerank) => runtime()?.block_on(stoppable(rerank.run(global))),
        Command::Image(image) => runtime()?.block_on(stoppable(image.run(global))),
        Command::Speak(speak) => runtime()?.block_on(stoppable(speak.run(global))),
        Command::Transcribe(transcribe) => runtime()?.block_on(stoppable(transcribe.run(global))),
        Command::Serve(serve) => runtime()?.block_on(serve.run(global)),
        Command::Logs(logs) => runtime()?.block_on(logs.run(global)),
        Command::Stats(stats) => runtime()?.block_on(stats.run(global)),
        Command::Store(store) => runtime()?.block_on(store.run(global)),
        Command::Health(health) => runtime()?.block_on(health.run(global)),
        Command::Sim(sim) => runtime()?.block_on(sim.run(global)),
        Command::Models(models) if models.live => runtime()?.block_on(models.run_live(global)),
        Command::Models(models) => models.run(global),
        Command::Prices(prices) => prices.run(global),
        Command::Providers(providers) => providers.run(global),
        Command::Check(check) => runtime()?.block_on(stoppable(check.run(global))),
        Command::Completions(completions) => completions.run(&<Cli as clap::CommandFactory>::command()),
    }
}
