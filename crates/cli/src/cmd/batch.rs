//! `trunkline batch`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use trunkline_work::batch::{self, Again, Budget, Halt, Opened, Order, Progress, Report};

use crate::label::Label;
use crate::signal;
use crate::terminal::{Mark, complain, fit, print_json, print_table};
use crate::{End, Global};

/// Ask a model for every line of a file. Whatever ends it, the same command goes on where it was.
#[derive(clap::Args)]
pub(crate) struct Batch {
    /// Lines of JSON: {"prompt": …}, a chat's body, or OpenAI's batch lines; or a .csv file, with --template
    input: PathBuf,
    /// Where the results go, a line each; what is done is kept in a journal beside it
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Which model, whatever a line says [default: the line's, else as `ask`]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// The prompt, with {{ column }} of a row in it; @FILE reads it from a file
    #[arg(short, long, value_name = "TEXT")]
    template: Option<String>,
    /// Instructions before each prompt that has none
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// Most output tokens of lines that do not say
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// Most calls at once; how many are good is found out
    #[arg(short, long, value_name = "N", default_value_t = 256)]
    concurrency: usize,
    /// Stop before it costs more, such as 5.00, $5 or ¥30; all runs together
    #[arg(long, value_name = "AMOUNT")]
    budget: Option<String>,
    /// In which order results are written
    #[arg(long, value_enum, default_value_t = Sequence::Input)]
    order: Sequence,
    /// Lines that an earlier run had sent when it was killed: send them again, or leave them
    /// [default: ask on a terminal, else skip]
    #[arg(long, value_enum)]
    in_doubt: Option<Doubt>,
    /// Use the provider's own batches, mostly at half the price and done within a day; may be ended by Ctrl-C and run again to
    /// fetch the results
    #[arg(long)]
    provider_batch: bool,
    /// With --provider-batch: hand in, fetch what is done, and do not wait for the rest
    #[arg(long, requires = "provider_batch")]
    no_wait: bool,
    /// Send lines again that failed in an earlier run
    #[arg(long)]
    retry_failed: bool,
    /// Say what it may cost; send and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    label: Label,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Sequence {
    /// That of the input
    Input,
    /// As they come
    Done,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Doubt {
    /// Send them again: the provider may charge them twice
    Retry,
    /// Leave them: their results say in_doubt
    Skip,
}

impl Batch {
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<End> {
        self.label.apply(global);
        // Lines are sent again from here, in the order and at the pace that suits the whole.
        let client = global.client_of(global.builder()?.own_pace())?;
        let template = match self.template.as_deref().map(|text| (text, text.strip_prefix('@'))) {
            Some((_, Some(path))) => Some(std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?),
            Some((text, None)) => Some(text.to_owned()),
            None => None,
        };
        let wanted = batch::Batch {
            input: self.input,
            output: self.output.unwrap_or_default(),
            model: self.model,
            template,
            system: self.system,
            max_tokens: self.max_tokens,
            concurrency: self.concurrency,
            budget: self.budget.as_deref().map(Budget::parse).transpose()?,
            order: match self.order {
                Sequence::Input => Order::Input,
                Sequence::Done => Order::Done,
            },
        };
        if self.dry_run {
            let estimate = if self.provider_batch { wanted.estimate_at_provider(&client) } else { wanted.estimate(&client) };
            return show(&estimate?, self.provider_batch, global);
        }
        let opened = wanted.open(&client)?;
        if !self.provider_batch {
            opened.check_live()?;
        }
        let in_doubt = choose(&opened, self.in_doubt, global)?;
        let wanted = Again { failed: self.retry_failed, skipped: in_doubt == batch::InDoubt::Retry };
        let (opened, again) = opened.again(wanted)?;
        if again > 0 && !global.quiet {
            complain(&format!("{again} lines that failed, or were left in doubt, are sent again"));
        }
        let mut screen = Screen { live: io::stderr().is_terminal() && !global.quiet, open: false };
        let show = |progress: &Progress| screen.show(progress);
        let report = if self.provider_batch {
            let wish = batch::Wish { in_doubt, wait: !self.no_wait };
            let word = "stopping (again to stop at once)";
            opened.run_at_provider(&client, wish, halting(word), show).await
        } else {
            let word = "stopping: what is out is waited for (again to stop at once)";
            opened.run(&client, in_doubt, halting(word), show).await
        };
        screen.clear();
        finish(&report?, global)
    }
}

/// Ctrl-C or SIGTERM: once, and what is out is waited for; twice, and it is not. `word` says what the first does.
fn halting(word: &'static str) -> watch::Receiver<Halt> {
    let (sender, receiver) = watch::channel(Halt::No);
    tokio::spawn(async move {
        for (halt, word) in [(Halt::Gently, Some(word)), (Halt::Now, None)] {
            signal::next().await;
            word.into_iter().for_each(|word| complain(&format!("\n{word}")));
            let _ = sender.send(halt);
        }
        sender.closed().await;
    });
    receiver
}

/// Lists the lines in doubt, and asks what to do with them if nobody has said.
fn choose(opened: &Opened, said: Option<Doubt>, global: &Global) -> anyhow::Result<batch::InDoubt> {
    let doubts = opened.doubts();
    if opened.recorded() > 0 && !global.quiet {
        complain(&format!("going on: {} lines are recorded already", opened.recorded()));
    }
    if doubts.is_empty() {
        // Parts that a provider may have turn out to be in doubt only when it is asked.
        return Ok(match said {
            Some(Doubt::Retry) => batch::InDoubt::Retry,
            Some(Doubt::Skip) | None => batch::InDoubt::Skip,
        });
    }
    let lines = if doubts.len() == 1 { "1 line is".to_owned() } else { format!("{} lines are", doubts.len()) };
    complain(&format!("{lines} in doubt, begun by an earlier run that did not record an answer: {}", ranges(&doubts)));
    let chosen = match said {
        Some(Doubt::Retry) => batch::InDoubt::Retry,
        Some(Doubt::Skip) => batch::InDoubt::Skip,
        None if io::stdin().is_terminal() && io::stderr().is_terminal() => ask()?,
        None => batch::InDoubt::Skip,
    };
    complain(match chosen {
        batch::InDoubt::Retry => "they are sent again; what the provider did for them before may be charged, too",
        batch::InDoubt::Skip => "they are not sent again, and their results say in_doubt (--in-doubt retry sends them again)",
    });
    Ok(chosen)
}

fn ask() -> anyhow::Result<batch::InDoubt> {
    loop {
        let _ = write!(io::stderr(), "send them again? [r]etry, [s]kip: ");
        let mut answer = String::new();
        anyhow::ensure!(io::stdin().read_line(&mut answer)? > 0, "no answer; say --in-doubt retry or --in-doubt skip");
        match answer.trim().to_lowercase().as_str() {
            "r" | "retry" | "y" | "yes" => return Ok(batch::InDoubt::Retry),
            "s" | "skip" | "n" | "no" => return Ok(batch::InDoubt::Skip),
            _ => {}
        }
    }
}

/// `3, 7–9`.
fn ranges(numbers: &[u64]) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let parts = parts.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    parts.collect::<Vec<_>>().join(", ")
}

fn show(estimate: &batch::Estimate, is_batch: bool, global: &Global) -> anyhow::Result<End> {
    let end = if estimate.bad > 0 { End::Partly } else { End::Done };
    if global.json {
        print_json(estimate)?;
        return Ok(end);
    }
    let mut rows = vec![("lines", estimate.lines.to_string()), ("cannot be sent", estimate.bad.to_string())];
    rows.extend(estimate.why.iter().map(|why| ("", why.clone())));
    rows.push(("tokens in", format!("about {}", estimate.input)));
    match (estimate.likely, estimate.most) {
        (Some(likely), Some(most)) => {
            let price = if is_batch { "at the price of batches, " } else { "" };
            rows.push(("cost", format!("about {likely}, {price}with answers of at most 500 tokens")));
            rows.push(("at most", format!("{most}, with every answer as long as it may be")));
        }
        _ => rows.push(("cost", "not known: a price is missing (`trunkline prices` lists them)".to_owned())),
    }
    let row = |(name, told): (&str, String)| (Mark::None, vec![name.to_owned(), told]);
    print_table(&rows.into_iter().map(row).collect::<Vec<_>>())?;
    Ok(end)
}

/// The one line on a terminal that says how far it is.
struct Screen {
    live: bool,
    open: bool,
}

impl Screen {
    fn show(&mut self, progress: &Progress) {
        if !self.live {
            return;
        }
        let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        let _ = write!(io::stderr(), "\r\x1b[K{}", fit(&line(progress, columns), columns.saturating_sub(1)));
        let _ = io::stderr().flush();
        self.open = true;
    }

    fn clear(&self) {
        if self.open {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// What fits of: how far, errors, rate, time left, cost, calls out.
fn line(progress: &Progress, columns: usize) -> String {
    let percent = progress.done().saturating_mul(100).checked_div(progress.total).unwrap_or(100);
    let mut parts = vec![format!("{}/{} {percent}%", progress.done(), progress.total)];
    if let Some(rest) = progress.rest {
        parts.push(format!("rests {}", time(rest)));
    }
    if progress.failed > 0 {
        parts.push(format!("{} failed", progress.failed));
    }
    if let Some(there) = &progress.provider {
        let batches = if there.batches == 1 { "batch".to_owned() } else { format!("{} batches", there.batches) };
        parts.push(format!("{} of {} done in {}'s {batches}", there.done, there.lines, there.provider));
        parts.extend(progress.cost.map(|cost| cost.to_string()));
        parts.push(time(progress.elapsed));
        return parts.join("  ");
    }
    parts.push(format!("{:.1}/s", progress.rate()));
    parts.extend(progress.left().filter(|_| progress.fresh > 0).map(|left| format!("{} left", time(left))));
    parts.extend(progress.cost.map(|cost| cost.to_string()));
    if columns >= 80 {
        parts.push(format!("{} of {} out", progress.in_flight, progress.limit));
        parts.push(format!("{} tokens", progress.input + progress.output));
        if progress.throttled > 0 {
            parts.push(format!("{} refused", progress.throttled));
        }
    }
    parts.join("  ")
}

/// `4.2 s`, `3:07`, `1:02:03`.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

fn finish(report: &Report, global: &Global) -> anyhow::Result<End> {
    let progress = &report.progress;
    if global.json {
        print_json(report)?;
    } else if !global.quiet {
        let skipped = if progress.skipped > 0 { format!(", {} in doubt", progress.skipped) } else { String::new() };
        let cost = progress.cost.map(|cost| format!(", {cost}")).unwrap_or_default();
        let (answered, failed, total) = (progress.answered, progress.failed, progress.total);
        let spent = format!("{} tokens in, {} out{cost}", progress.input, progress.output);
        complain(&format!(
            "{answered} of {total} answered, {failed} failed{skipped}; {spent}; {} at {:.1}/s",
            time(progress.elapsed),
            progress.rate()
        ));
    }
    let left = progress.provider.as_ref().filter(|there| there.lines > 0 && report.stopped.is_none() && !global.quiet);
    if let Some(there) = left {
        complain(&format!("{} lines are with {}; the same command fetches the results", there.lines, there.provider));
    }
    match &report.stopped {
        Some(why) => anyhow::bail!("{why}"),
        None if progress.failed + progress.skipped > 0 => Ok(End::Partly),
        None => Ok(End::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::{ranges, time};
    use std::time::Duration;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(ranges(&[3, 7, 8, 9, 12]), "3, 7-9, 12");
        assert_eq!([4200, 187_000, 3_723_000].map(|ms| time(Duration::from_millis(ms))), ["4.2 s", "3:07", "1:02:03"]);
    }
}
