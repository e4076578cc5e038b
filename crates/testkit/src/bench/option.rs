//! What the command line asks for.

use std::path::PathBuf;

/// The text of `--help`.
pub const HELP: &str = "\
Measures the gateway beside a plain reverse proxy and a direct connection.

usage: bench-gateway [run] [options]      the whole bench
       bench-gateway provider --port N    only the local provider, for --seconds
       bench-gateway load --to ADDR       only the load generator, for callgrind.sh
       bench-gateway port                 prints a loopback port that is free

options of run:
  --gateway FILE     the gateway's binary (default target/release/trunkline)
  --nginx FILE       the yardstick's binary (default: nginx from PATH)
  --config FILE      text added to the gateway's configuration (keys, limits, a ledger: `governed` figures)
  --bearer KEY       sent as `authorization: Bearer KEY` with every request
  --rounds N         rounds in which the contestants alternate (default 3)
  --only LIST        of: whole,latency,stream,memory,lifetime (default all)
  --streams N        open streams of the memory figures (default 2000)
  --quick            a fifth of the requests: a smoke test, not a measurement
  --long             also 100,000 calls, to see whether memory stays flat
  --json             the JSON on standard output, the table on standard error
  --out FILE         where the JSON goes (default target/bench-gateway.json)
options of load:
  --lane same|translate   --model NAME   --kilobytes N   --stream   --requests N   --connections N
options of provider:
  --port N   --seconds N
";

/// Everything that may be asked for; one struct for all subcommands, because they share most of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// `run`, `provider`, `load` or `port`.
    pub command: String,
    /// The gateway's binary.
    pub gateway: PathBuf,
    /// The yardstick's binary.
    pub nginx: PathBuf,
    /// Text added to the gateway's configuration.
    pub config: Option<PathBuf>,
    /// Key to send.
    pub bearer: Option<String>,
    /// Rounds of alternation.
    pub rounds: usize,
    /// Sections to run; empty means all.
    pub only: Vec<String>,
    /// Open streams of the memory figures.
    pub streams: usize,
    /// A fifth of the requests.
    pub quick: bool,
    /// Also 100,000 calls.
    pub long: bool,
    /// JSON on standard output.
    pub json: bool,
    /// Where the JSON goes.
    pub out: PathBuf,
    /// `load`: the address to send to.
    pub to: String,
    /// `load`: translate instead of same.
    pub translate: bool,
    /// `load`: the model to name.
    pub model: String,
    /// `load`: size of the prompt.
    pub kilobytes: usize,
    /// `load`: ask for a stream.
    pub stream: bool,
    /// `load`: requests in all.
    pub requests: usize,
    /// `load`: connections.
    pub connections: usize,
    /// `provider`: the port, 0 for any.
    pub port: u16,
    /// `provider`: when to stop.
    pub seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: "run".into(),
            gateway: "target/release/trunkline".into(),
            nginx: "nginx".into(),
            config: None,
            bearer: None,
            rounds: 3,
            only: Vec::new(),
            streams: 2000,
            quick: false,
            long: false,
            json: false,
            out: "target/bench-gateway.json".into(),
            to: String::new(),
            translate: false,
            model: "local/m".into(),
            kilobytes: 1,
            stream: false,
            requests: 100,
            connections: 1,
            port: 0,
            seconds: 600,
        }
    }
}

/// The sections that `--only` may name.
pub const SECTIONS: [&str; 5] = ["whole", "latency", "stream", "memory", "lifetime"];

impl Options {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// A sentence that names the argument it stumbled over; the text of `--help` when that was asked for.
    pub fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            options.take(&arg, &mut args)?;
        }
        Ok(options)
    }

    fn take(&mut self, arg: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), String> {
        let mut value = || rest.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg {
            "run" | "provider" | "load" | "port" => self.command = arg.into(),
            "--gateway" => self.gateway = value()?.into(),
            "--nginx" => self.nginx = value()?.into(),
            "--config" => self.config = Some(value()?.into()),
            "--bearer" => self.bearer = Some(value()?),
            "--rounds" => self.rounds = read_number(arg, &value()?, 1, 99)?,
            "--only" => self.only = read_sections(&value()?)?,
            "--streams" => self.streams = read_number(arg, &value()?, 1, 20_000)?,
            "--quick" => self.quick = true,
            "--long" => self.long = true,
            "--json" => self.json = true,
            "--out" => self.out = value()?.into(),
            "--to" => self.to = value()?,
            "--lane" => self.translate = value()? == "translate",
            "--model" => self.model = value()?,
            "--kilobytes" => self.kilobytes = read_number(arg, &value()?, 1, 8192)?,
            "--stream" => self.stream = true,
            "--requests" => self.requests = read_number(arg, &value()?, 1, 1_000_000)?,
            "--connections" => self.connections = read_number(arg, &value()?, 1, 10_000)?,
            "--port" => self.port = u16::try_from(read_number(arg, &value()?, 0, 65_535)?).unwrap_or(0),
            "--seconds" => self.seconds = read_number(arg, &value()?, 1, 86_400)? as u64,
            "--help" | "-h" => return Err(HELP.into()),
            _ => return Err(format!("{arg} is not an option; --help lists them")),
        }
        Ok(())
    }

    /// Whether a section is to run.
    #[must_use]
    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == section)
    }

    /// A number of requests, cut down when `--quick` was given.
    #[must_use]
    pub fn scale(&self, requests: usize) -> usize {
        if self.quick { (requests / 5).max(16) } else { requests }
    }
}

fn read_number(arg: &str, text: &str, least: usize, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("{arg} takes a number from {least} to {most}, not {text}")),
    }
}

fn read_sections(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !SECTIONS.contains(&name.as_str())) {
        Some(name) => Err(format!("--only does not know {name}; it knows {}", SECTIONS.join(", "))),
        None => Ok(names),
    }
}
