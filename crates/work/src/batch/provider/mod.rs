//! A batch in batches of the provider's: lines are handed in together, asked after now and then, and fetched when they are done.
//!
//! What was handed in is in the journal before anybody waits for it, so whatever ends a run, the next one goes on asking.

mod fetch;
mod hand_in;
mod patience;
mod target;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use trunkline::batch::BatchTarget;
use trunkline::codec::dialect::Dialect;
use trunkline::{Client, Error, Reply, Result};

use super::input::{Item, Shape};
use super::journal::{Ending, Figures, Mark, Record};
use super::keeper::Keeper;
use super::open::{Past, Task};
use super::output::Sender;
use super::spend::Spend;
use super::{AtProvider, Batch, Halt, InDoubt, Opened, Progress, Report};
use crate::fault::wrong;

use patience::Patience;
pub(super) use target::Targets;

/// The longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often it is told how far it is while nothing happens.
const TELL: Duration = Duration::from_secs(1);
/// Results that wait to be put down together, and the bytes of them: each time the disk is waited for.
const UNWRITTEN: usize = 2048;
const UNWRITTEN_BYTES: usize = 8 * 1024 * 1024;

/// How a batch is run at a provider.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// What happens to lines in doubt.
    pub in_doubt: InDoubt,
    /// Whether it waits for what is not done yet.
    pub wait: bool,
}

/// A line that a provider has.
struct Row {
    mark: Mark,
    custom_id: String,
    dialect: Option<&'static Dialect>,
    /// Reserved of the budget.
    bound: u64,
}

/// A batch that a provider has.
struct Out {
    id: String,
    target: Arc<BatchTarget>,
    /// As it was asked for.
    model: Arc<str>,
    /// Lines that are not recorded.
    lines: HashSet<u64>,
    /// Done there, as far as it tells.
    done: u64,
    /// When it is asked after again.
    due: Instant,
    /// It was asked after, and this is how long the provider wants to have it wait at least.
    wait: Option<Duration>,
    patience: Patience,
}

/// A call that is over, for the client's recorder.
struct Call {
    target: Arc<BatchTarget>,
    model: Arc<str>,
    answer: Result<Reply>,
}

struct Run<'a, T> {
    client: &'a Client,
    batch: &'a Batch,
    shape: Shape,
    past: Past,
    keeper: Keeper,
    spend: Spend,
    wish: Wish,
    halt: watch::Receiver<Halt>,
    tell: T,
    rows: HashMap<u64, Row>,
    parts: Vec<Out>,
    /// What could not be asked after or fetched, and why.
    aside: Vec<(Out, Error)>,
    provider: String,
    unwritten: Vec<Record>,
    unwritten_bytes: usize,
    /// Those of the results that are not on the disk: recorded before, they would be recorded again by the run after a kill.
    calls: Vec<Call>,
    progress: Progress,
    stopped: Option<String>,
    /// Nothing is asked any more either.
    leaving: bool,
    /// With the provider while lines are handed in.
    patience: Patience,
    started: Instant,
}

impl Opened {
    /// Runs it in batches of the provider's, to its end or until `halt` says so. `tell` hears now and then how far it is.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the provider takes no batches. What was recorded before stays so.
    pub async fn run_at_provider(
        self,
        client: &Client,
        wish: Wish,
        halt: watch::Receiver<Halt>,
        tell: impl FnMut(&Progress),
    ) -> Result<Report> {
        let Opened { batch, task: Task { shape, total }, files, past } = self;
        let doubts = past.doubts();
        if past.known() > total {
            let (path, known) = (batch.input.display(), past.known());
            let what = "was begun before; go on with the same input";
            return Err(wrong(format!("{path} has {total} lines, and line {known} of it {what}")));
        }
        let spend = Spend::new(batch.budget, past.figures.micros);
        let mut run = Run {
            client,
            batch: &batch,
            shape,
            past,
            keeper: Keeper::start(files)?,
            spend,
            wish,
            halt: halt.clone(),
            tell,
            rows: HashMap::new(),
            parts: Vec::new(),
            aside: Vec::new(),
            provider: String::new(),
            unwritten: Vec::new(),
            unwritten_bytes: 0,
            calls: Vec::new(),
            progress: Progress { total, ..Progress::default() },
            stopped: None,
            leaving: false,
            patience: Patience::default(),
            started: Instant::now(),
        };
        let driven = tokio::select! {
            driven = run.drive() => driven,
            () = halted(halt, Halt::Now) => Ok(()),
        };
        run.finish(driven, doubts)
    }
}

/// Returns when the run is to be ended, at least as urgently as this.
async fn halted(mut halt: watch::Receiver<Halt>, least: Halt) {
    loop {
        let asked = *halt.borrow_and_update();
        if asked != Halt::No && (least == Halt::Gently || asked == least) {
            return;
        }
        if halt.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<T: FnMut(&Progress)> Run<'_, T> {
    async fn drive(&mut self) -> Result<()> {
        self.check()?;
        self.take_up().await?;
        self.know_rows().await?;
        loop {
            if self.leaving {
                return Ok(());
            }
            let is_all = self.hand_in_all().await?;
            if self.leaving || self.is_halted() || self.parts.is_empty() {
                return Ok(());
            }
            let halt = self.halt.clone();
            let came = tokio::select! {
                came = self.wait() => came?,
                () = halted(halt, Halt::Gently) => return Ok(()),
            };
            if !self.wish.wait || self.stopped.is_some() || (is_all && !came) {
                return Ok(());
            }
        }
    }

    fn is_halted(&self) -> bool {
        *self.halt.borrow() != Halt::No
    }

    /// Nothing more is handed in; what is there already is waited for.
    fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
    }

    /// Nothing more is asked either.
    fn leave(&mut self, why: String) {
        self.stop(why);
        self.leaving = true;
    }

    /// Waits, unless the run is to be ended.
    async fn rest(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            self.show();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_halted() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(TELL)) => {}
                () = halted(self.halt.clone(), Halt::Gently) => return,
            }
        }
    }

    /// Puts it down, and returns when it is on the disk.
    async fn keep(&mut self, record: Record) -> Result<()> {
        self.past.hear(&record);
        self.keeper.keep(record).await
    }

    /// Puts a result down, some time soon.
    async fn record(&mut self, row: &Row, (ending, figures): (Ending, Figures), line: String) -> Result<()> {
        self.progress.fresh += 1;
        self.unwritten_bytes += line.len();
        let record = Record::Done { mark: row.mark, ending, figures, line };
        self.past.hear(&record);
        self.unwritten.push(record);
        let is_enough = self.unwritten.len() >= UNWRITTEN || self.unwritten_bytes >= UNWRITTEN_BYTES;
        if is_enough { self.flush().await } else { Ok(()) }
    }

    /// Returns when all results are on the disk.
    async fn flush(&mut self) -> Result<()> {
        for kept in self.hand_over() {
            kept.await?;
        }
        self.calls.drain(..).for_each(Call::record);
        self.show();
        Ok(())
    }

    /// Gives the results to whom writes them.
    fn hand_over(&mut self) -> Vec<impl Future<Output = Result<()>> + use<T>> {
        self.unwritten_bytes = 0;
        std::mem::take(&mut self.unwritten).into_iter().map(|record| self.keeper.keep(record)).collect()
    }

    async fn fail(&mut self, row: &Row, error: &Error) -> Result<()> {
        let line = row.sender().failed(error);
        self.record(row, (Ending::Failed, Figures::default()), line).await
    }

    fn show(&mut self) {
        self.note();
        (self.tell)(&self.progress);
    }

    fn note(&mut self) {
        let lines = self.rows.len() as u64;
        let done = self.parts.iter().map(|part| part.done.min(part.lines.len() as u64)).sum();
        let batches = self.parts.len() + self.aside.len();
        let progress = &mut self.progress;
        (progress.answered, progress.failed, progress.skipped) = (self.past.answered, self.past.failed, self.past.skipped);
        (progress.input, progress.output) = (self.past.figures.input, self.past.figures.output);
        progress.cost = self.spend.cost();
        progress.elapsed = self.started.elapsed();
        progress.provider = Some(AtProvider { provider: self.provider.clone(), batches, lines, done });
    }

    fn finish(mut self, driven: Result<()>, in_doubt: Vec<u64>) -> Result<Report> {
        drop(self.hand_over());
        self.show();
        if self.is_halted() {
            let lines = self.past.count_handed_in();
            let what = if lines > 0 {
                format!("stopped; {} goes on with {lines} lines, and the same command fetches the results", self.provider)
            } else {
                "stopped; run the same command again to go on".to_owned()
            };
            self.stop(what);
        }
        // Lines that wait for others to be over, and nobody waits here any more.
        let nobodys = self.progress.total.saturating_sub(self.progress.done()).saturating_sub(self.past.count_handed_in());
        if nobodys > 0 {
            self.stop(format!("{nobodys} lines are with nobody yet: run the same command again to hand them in"));
        }
        let Run { keeper, progress, stopped, calls, .. } = self;
        keeper.finish()?;
        calls.into_iter().for_each(Call::record);
        driven?;
        let complete = stopped.is_none() && progress.done() == progress.total;
        Ok(Report { progress, in_doubt, complete, stopped })
    }
}

impl Call {
    fn record(self) {
        self.target.record(&self.model, &self.answer);
    }
}

impl Out {
    fn new(id: String, target: BatchTarget, model: String, lines: HashSet<u64>) -> Self {
        Out {
            id,
            target: Arc::new(target),
            model: model.into(),
            lines,
            done: 0,
            due: Instant::now(),
            wait: None,
            patience: Patience::default(),
        }
    }
}

impl Row {
    fn of(item: &Item, bound: u64) -> Self {
        Row { mark: item.mark, custom_id: item.custom_id.clone(), dialect: item.dialect, bound }
    }

    fn sender(&self) -> Sender<'_> {
        Sender { mark: self.mark, custom_id: &self.custom_id, dialect: self.dialect }
    }
}
