//! What the commands beyond `ask` have in common: which model, which texts, where files go, what is told beside.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;

use anyhow::Context;
use trunkline::codec::dialect::Operation;
use trunkline::ir::Usage;
use trunkline::{Client, Losses};

use crate::Global;
use crate::terminal::complain;

/// Longer than this is no text for a command.
const STDIN_LIMIT: u64 = 64 * 1024 * 1024;

/// The model that is named, else the one of the operation's task, else the usual one.
pub(super) fn model(client: &Client, named: Option<String>, operation: Operation, global: &Global) -> String {
    let task = || client.config().tasks.get(operation.key()).cloned();
    named.or_else(task).unwrap_or_else(|| usual_model(client, global))
}

/// The model that is asked when nobody is named. When that is the simulator, it is said to be one.
pub(super) fn usual_model(client: &Client, global: &Global) -> String {
    tell_simulator(client, global);
    client.default_model()
}

/// Says that the simulator answers those who name nobody, if it does.
pub(super) fn tell_simulator(client: &Client, global: &Global) {
    if client.usual_model().is_none() && !global.quiet && !global.rehearsal.replays() {
        complain(
            "the built-in simulator answers, for no model is named: -m names one (`trunkline providers` lists who has some), \
             [tasks] default the usual one",
        );
    }
}

/// The texts that are given, else the lines of a pipe.
pub(super) fn texts(given: Vec<String>) -> anyhow::Result<Vec<String>> {
    if !given.is_empty() {
        return Ok(given);
    }
    let piped = prompt(None)?;
    let lines: Vec<String> = piped.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    anyhow::ensure!(!lines.is_empty(), "nothing came through the pipe");
    Ok(lines)
}

/// The text that is given, else all of a pipe.
pub(super) fn prompt(given: Option<String>) -> anyhow::Result<String> {
    if let Some(text) = given.filter(|text| text != "-") {
        return Ok(text);
    }
    let stdin = std::io::stdin();
    anyhow::ensure!(!stdin.is_terminal(), "nothing to work on: give a text, or pipe one in");
    let mut text = String::new();
    stdin.lock().take(STDIN_LIMIT).read_to_string(&mut text).context("cannot read standard input")?;
    Ok(unmarked(&text).trim_end_matches(['\r', '\n']).to_owned())
}

/// A text without the mark that some programs put before one.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Whether a file may be written: one that is there is overwritten only by those who say so.
pub(super) fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    anyhow::ensure!(
        force || path.as_os_str() == "-" || !path.exists(),
        "{} is there already: choose another name, or overwrite it with --force",
        path.display()
    );
    Ok(())
}

/// How freely tokens are drawn, as an option says it.
pub(super) fn read_temperature(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=2.0).contains(number));
    number.ok_or_else(|| "write a number from 0 to 2".to_owned())
}

/// Writes a file; `-` is standard output, unless that is a terminal.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path.as_os_str() != "-" {
        return std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()));
    }
    let mut out = std::io::stdout();
    anyhow::ensure!(!out.is_terminal(), "this is no text for a terminal; name a file, or pipe it on");
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Tells who answered and what it took (with `-v`), and what the provider could not be told.
pub(super) fn tell(global: &Global, target: &str, usage: Option<Usage>, losses: &Losses) {
    if !global.quiet {
        losses.iter().for_each(|loss| complain(&format!("not sent: {} ({})", loss.field, loss.why)));
    }
    if global.verbose {
        let usage = usage.map(|usage| format!(", {} tokens in, {} out", usage.input, usage.output)).unwrap_or_default();
        complain(&format!("{target}{usage}"));
    }
}
