//! One run of a batch: reads ahead a little, keeps as many calls out as the pace allows, and records what comes back.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use trunkline::ir::Request;
use trunkline::{Client, Error, Kind, Origin, Reply, Result, Retry};

use super::input::{Item, Lines, Shape};
use super::journal::{Ending, Figures, Record};
use super::keeper::Keeper;
use super::open::{At, Past, Task};
use super::output::Sender;
use super::pace::{Pace, Sent};
use super::spend::{Room, Spend};
use super::{Batch, InDoubt, Opened, Progress, Report};

/// How often a line is sent that fails for a passing reason.
const ATTEMPTS: u32 = 5;
/// Failures in a row after which nothing more is sent for a while; or at all, if nobody has answered yet.
const HOPELESS: u32 = 20;
/// The longest such while.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Lines that are begun ahead, at least and at most. They are in doubt when the run is killed, so that there are only as
/// many as keep calls from waiting for the disk.
const AHEAD: usize = 16;
const AHEAD_MOST: usize = 1024;
/// Results that may wait to be written.
const UNWRITTEN: usize = 2048;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_millis(100);
/// For how long a provider may refuse or fail everything.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How a run is ended by its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Halt {
    /// It is not.
    #[default]
    No,
    /// Nothing more is sent; what is out is waited for.
    Gently,
    /// At once: what is out is in doubt.
    Now,
}

/// A line on its way.
struct Job {
    item: Item,
    request: Box<Request>,
    /// Reserved of the budget.
    bound: u64,
    attempts: u32,
    /// Answers that others had had when it failed first.
    failed_at: Option<u64>,
}

/// Something has happened.
enum News {
    Begun(Vec<Job>, Result<()>),
    Called(Box<Job>, Sent, Box<Result<Reply>>),
    Recorded(Result<()>),
}

type Event = Pin<Box<dyn Future<Output = News>>>;

struct Run<'a> {
    client: &'a Client,
    shape: Shape,
    past: Past,
    in_doubt: InDoubt,
    lines: Lines,
    more: bool,
    keeper: Keeper,
    pace: Pace,
    spend: Spend,
    /// As many are begun ahead, within the pace.
    ahead: usize,
    /// Read, and being begun.
    beginning: usize,
    /// Begun, to be sent next.
    ready: VecDeque<Job>,
    /// Failed for good, as it seems, while nobody was answered: whose fault that is, is not known yet.
    held: Vec<(Job, Error)>,
    /// To be sent again, at this time.
    again: BTreeMap<(Instant, u64), Job>,
    events: FuturesUnordered<Event>,
    out: usize,
    unwritten: usize,
    failures: u32,
    /// The latest answer was a refusal for being too fast.
    refused: bool,
    /// Answers in this run.
    good: u64,
    last_good: Instant,
    progress: Progress,
    stopped: Option<String>,
    failed: Option<Error>,
    started: Instant,
}

impl Opened {
    /// Runs it to its end, or until `halt` says so. `tell` hears now and then how far it is.
    ///
    /// The client should leave the pace to this (`Builder::own_pace`): lines are sent again from here.
    ///
    /// # Errors
    /// When a file cannot be read or written. What was recorded before stays so.
    pub async fn run(
        self,
        client: &Client,
        in_doubt: InDoubt,
        mut halt: watch::Receiver<Halt>,
        mut tell: impl FnMut(&Progress),
    ) -> Result<Report> {
        self.check_live()?;
        let Opened { batch, task: Task { shape, total }, files, past } = self;
        let doubts = past.doubts();
        let lines = Lines::open(&batch.input)?;
        let keeper = Keeper::start(files)?;
        let mut run = Run::new(client, &batch, (shape, past, in_doubt), lines, keeper);
        run.progress.total = total;
        run.drive(&mut halt, &mut tell).await;
        run.finish(doubts, &mut tell)
    }
}

impl<'a> Run<'a> {
    fn new(
        client: &'a Client,
        batch: &'a Batch,
        (shape, past, in_doubt): (Shape, Past, InDoubt),
        lines: Lines,
        keeper: Keeper,
    ) -> Self {
        let progress = Progress {
            answered: past.answered,
            failed: past.failed,
            skipped: past.skipped,
            input: past.figures.input,
            output: past.figures.output,
            ..Progress::default()
        };
        let spend = Spend::new(batch.budget, past.figures.micros);
        let now = Instant::now();
        Run {
            client,
            shape,
            past,
            in_doubt,
            lines,
            more: true,
            keeper,
            pace: Pace::new(batch.concurrency),
            spend,
            ahead: AHEAD,
            beginning: 0,
            ready: VecDeque::new(),
            held: Vec::new(),
            again: BTreeMap::new(),
            events: FuturesUnordered::new(),
            out: 0,
            unwritten: 0,
            failures: 0,
            refused: false,
            good: 0,
            last_good: now,
            progress,
            stopped: None,
            failed: None,
            started: now,
        }
    }

    async fn drive(&mut self, halt: &mut watch::Receiver<Halt>, tell: &mut impl FnMut(&Progress)) {
        let mut ticks = tokio::time::interval(TELL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            if self.failed.is_none() && self.stopped.is_none() {
                self.advance();
            }
            if self.stopped.is_some() || self.failed.is_some() {
                self.release();
            }
            if self.events.is_empty() && !self.has_more() {
                return;
            }
            let wake = self.wake();
            tokio::select! {
                Some(news) = self.events.next() => self.hear(news),
                () = tokio::time::sleep(wake) => {}
                _ = ticks.tick() => {
                    self.note();
                    tell(&self.progress);
                }
                changed = halt.changed() => {
                    let asked = if changed.is_ok() { *halt.borrow_and_update() } else { Halt::No };
                    match asked {
                        Halt::No => std::future::pending::<()>().await,
                        Halt::Gently => self.stop("stopped; run the same command again to go on".to_owned()),
                        Halt::Now => {
                            self.stop("stopped at once; what was out is in doubt".to_owned());
                            return;
                        }
                    }
                }
            }
        }
    }

    fn has_more(&self) -> bool {
        let going = self.stopped.is_none() && self.failed.is_none();
        going && (self.more || !self.ready.is_empty() || !self.again.is_empty())
    }

    /// When there may be something to do though nothing has happened.
    fn wake(&self) -> Duration {
        let now = Instant::now();
        let rest = self.pace.rest(now);
        let skims = self.more && self.beginning == 0 && self.ready.is_empty() && self.unwritten < UNWRITTEN && rest.is_none();
        if skims {
            return Duration::ZERO;
        }
        let due = self.again.keys().next().map(|(due, _)| due.saturating_duration_since(now));
        rest.into_iter().chain(due).min().unwrap_or(TELL).max(Duration::from_millis(1))
    }

    fn advance(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last_good) > PATIENCE && (self.refused || self.failures > 0) && self.out == 0 {
            let minutes = PATIENCE.as_secs() / 60;
            return self.stop(format!("nobody answered for {minutes} minutes; run the same command again later"));
        }
        while let Some(entry) = self.again.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_front(entry.remove());
        }
        if self.is_suspicious() && self.out == 0 {
            let last = self.held.last().map_or_else(String::new, |(_, error)| error.to_string());
            let what = "nothing of this is recorded: mend it, and run the same command again";
            return self.stop(format!("the first {} calls all failed, the last: {last}; {what}", self.held.len()));
        }
        if self.pace.rest(now).is_none() && !self.is_suspicious() {
            self.send();
        }
        if let Err(error) = self.read_ahead() {
            self.failed = Some(error);
        }
        if !self.more && self.out + self.beginning + self.ready.len() + self.again.len() == 0 {
            self.record_held();
        }
    }

    /// Sends what is begun, as far as pace and budget allow.
    fn send(&mut self) {
        while self.out < self.pace.limit() && self.unwritten < UNWRITTEN {
            let Some(job) = self.ready.pop_front() else { break };
            match self.spend.room(job.bound) {
                Room::Enough => self.call(job),
                Room::Later if self.out > 0 => {
                    self.ready.push_front(job);
                    break;
                }
                Room::Later | Room::Never => {
                    self.ready.push_front(job);
                    let cost = self.spend.cost().map_or_else(String::new, |cost| format!(" ({cost} spent)"));
                    let what = "the budget is used up";
                    self.stop(format!("{what}{cost}: the next line might pass it; go on with a larger --budget"));
                    break;
                }
            }
        }
    }

    /// Reads and begins as many lines as will be sent soon, together, so that one fsync serves them all.
    fn read_ahead(&mut self) -> Result<()> {
        let limit = self.pace.limit();
        let all = self.ahead.clamp(limit / 4, limit.max(1)).max(AHEAD);
        let ahead = all.saturating_sub(self.ready.len() + self.beginning);
        if !self.more || ahead < all.div_ceil(4) || self.unwritten >= UNWRITTEN {
            return Ok(());
        }
        if self.ready.is_empty() && self.pace.rest(Instant::now()).is_some() {
            return Ok(());
        }
        let mut jobs = Vec::new();
        // Lines that are recorded already are passed over in stretches, so that others get their turn.
        let mut passed = 0;
        while jobs.len() < ahead && passed < 4096 {
            passed += 1;
            let Some(line) = self.lines.next()? else {
                self.more = false;
                break;
            };
            let at = self.past.of(line.mark)?;
            if matches!(at, At::Done(_)) {
                continue;
            }
            jobs.extend(self.take(line.prepare(&self.shape), at));
        }
        if jobs.is_empty() {
            return Ok(());
        }
        self.beginning += jobs.len();
        let kept = self.keeper.keep(Record::Begun(jobs.iter().map(|job| job.item.mark).collect()));
        self.events.push(Box::pin(async move { News::Begun(jobs, kept.await) }));
        Ok(())
    }

    /// A line that is not recorded: to be sent, or recorded as it is.
    fn take(&mut self, mut item: Item, at: At) -> Option<Job> {
        let asked = std::mem::replace(&mut item.asked, Err(crate::fault::wrong("")));
        let bound = asked.as_ref().map_or(Ok(0), |request| self.spend.bound(self.client, request));
        if at == At::Begun {
            let micros = bound.as_ref().copied().unwrap_or(0);
            self.spend.doubt(micros);
            if self.in_doubt == InDoubt::Skip {
                let line = sender(&item).doubtful();
                self.record(&item, Ending::Doubtful, Figures { micros, ..Figures::default() }, line);
                return None;
            }
        }
        match (asked, bound) {
            (Ok(request), Ok(bound)) => Some(Job { item, request, bound, attempts: 0, failed_at: None }),
            (Err(error), _) => {
                self.record_failure(&item, &error);
                None
            }
            // A budget that cannot be kept is no fault of this line's alone.
            (Ok(_), Err(error)) => {
                self.failed = Some(error);
                None
            }
        }
    }

    fn call(&mut self, mut job: Job) {
        job.attempts += 1;
        self.out += 1;
        self.spend.reserve(job.bound);
        let call = self.client.call(Request::clone(&job.request));
        let sent = Sent { at: Instant::now(), out: self.out };
        self.events.push(Box::pin(async move {
            let answered = call.send().await;
            News::Called(Box::new(job), sent, Box::new(answered))
        }));
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Begun(jobs, kept) => {
                self.beginning -= jobs.len();
                if self.ready.is_empty() && self.out < self.pace.limit() {
                    self.ahead = (self.ahead * 2).min(AHEAD_MOST);
                }
                match kept {
                    Ok(()) => self.ready.extend(jobs),
                    Err(error) => self.failed = Some(error),
                }
            }
            News::Recorded(kept) => {
                self.unwritten -= 1;
                if let Err(error) = kept {
                    self.failed.get_or_insert(error);
                }
            }
            News::Called(job, sent, answered) => {
                let full = self.out >= self.pace.limit();
                self.out -= 1;
                match *answered {
                    Ok(reply) => {
                        self.pace.taken(full);
                        self.answered(&job, &reply);
                    }
                    Err(error) => self.unanswered(*job, sent, &error),
                }
            }
        }
    }

    fn answered(&mut self, job: &Job, reply: &Reply) {
        (self.failures, self.refused, self.last_good) = (0, false, Instant::now());
        self.good += 1;
        self.record_held();
        self.spend.settle(job.bound, reply.cost(), true);
        let usage = reply.response.usage.unwrap_or_default();
        let micros = reply.cost().map_or(0, |cost| cost.micros);
        let figures = Figures { micros, input: usage.input, output: usage.output };
        self.record(&job.item, Ending::Answered, figures, sender(&job.item).answered(reply));
    }

    fn unanswered(&mut self, mut job: Job, sent: Sent, error: &Error) {
        let now = Instant::now();
        let refused = matches!(error.kind, Kind::RateLimited | Kind::Overloaded);
        // Who refuses by status has used nothing.
        let unused = error.status.is_some() || matches!(error.origin, Origin::Gateway | Origin::Caller);
        self.spend.settle(job.bound, None, !unused);
        let told = match error.retry {
            Retry::After(wait) => Some(wait),
            Retry::Never | Retry::Backoff => None,
        };
        if refused {
            self.progress.throttled += 1;
            self.refused = true;
            job.attempts -= 1;
            match (error.origin, told) {
                (Origin::Gateway, Some(wait)) => self.pace.pause(wait, now),
                _ => self.pace.refused(sent, self.out, told, now),
            }
            return self.send_again(job, Duration::from_millis(20), now);
        }
        // An answer, if not the one that was hoped for.
        self.pace.taken(false);
        let is_not_set_up = (error.kind, error.origin, error.retry) == (Kind::Unavailable, Origin::Gateway, Retry::Never);
        let whole =
            is_not_set_up || matches!(error.kind, Kind::Unauthenticated | Kind::Forbidden | Kind::QuotaExhausted | Kind::Tls);
        let passing = error.retry != Retry::Never || matches!(error.kind, Kind::Truncated | Kind::Malformed);
        if whole {
            self.ready.push_front(job);
            return self.stop(format!("{error}; nothing is lost: mend it, and run the same command again"));
        }
        if !passing && self.good > 0 {
            self.failures = 0;
            return self.record_failure(&job.item, error);
        }
        if !passing {
            return self.hold(job, error);
        }
        self.failures += 1;
        let alone = !self.more && self.ready.is_empty() && self.out == 0 && self.again.is_empty();
        let failed_at = *job.failed_at.get_or_insert(self.progress.answered);
        let others_do = self.progress.answered > failed_at;
        if job.attempts >= ATTEMPTS && (others_do || alone) {
            return self.record_failure(&job.item, error);
        }
        if self.failures >= HOPELESS && self.good == 0 {
            self.ready.push_front(job);
            return self.stop(format!("{HOPELESS} calls in a row failed, the last: {error}; run the same command again later"));
        }
        if self.failures.is_multiple_of(HOPELESS) {
            // An outage, perhaps: whoever runs this at night is not here to begin again.
            self.pace.pause(LONGEST_PAUSE.min(Duration::from_secs(1 << (self.failures / HOPELESS).min(6))), now);
        }
        let wait = Duration::from_millis(500) * (1 << job.attempts.min(6));
        self.send_again(job, told.unwrap_or(wait), now);
    }

    fn send_again(&mut self, job: Job, wait: Duration, now: Instant) {
        let due = now + wait;
        self.again.insert((due, job.item.mark.number), job);
    }

    /// A line that failed for good before anybody was answered: it is as if it had not been begun.
    fn hold(&mut self, job: Job, error: &Error) {
        self.unwritten += 1;
        let kept = self.keeper.keep(Record::Released(vec![job.item.mark.number]));
        self.events.push(Box::pin(async move { News::Recorded(kept.await) }));
        self.held.push((job, error.clone()));
    }

    /// Whether so many have failed that nothing more is sent before somebody was answered.
    const fn is_suspicious(&self) -> bool {
        self.held.len() >= HOPELESS as usize
    }

    fn record_held(&mut self) {
        for (job, error) in std::mem::take(&mut self.held) {
            self.record_failure(&job.item, &error);
        }
    }

    fn record_failure(&mut self, item: &Item, error: &Error) {
        let line = sender(item).failed(error);
        self.record(item, Ending::Failed, Figures::default(), line);
    }

    fn record(&mut self, item: &Item, ending: Ending, figures: Figures, line: String) {
        let progress = &mut self.progress;
        match ending {
            Ending::Answered => progress.answered += 1,
            Ending::Failed => progress.failed += 1,
            Ending::Doubtful => progress.skipped += 1,
        }
        progress.fresh += 1;
        progress.input += figures.input;
        progress.output += figures.output;
        self.unwritten += 1;
        let kept = self.keeper.keep(Record::Done { mark: item.mark, ending, figures, line });
        self.events.push(Box::pin(async move { News::Recorded(kept.await) }));
    }

    fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
    }

    /// What was begun and is not out is as if it had not been begun. What has failed is among it: it would have been sent
    /// again.
    fn release(&mut self) {
        let again = std::mem::take(&mut self.again).into_values();
        self.held.clear();
        let numbers: Vec<u64> = self.ready.drain(..).chain(again).map(|job| job.item.mark.number).collect();
        if !numbers.is_empty() && self.failed.is_none() {
            self.unwritten += 1;
            let kept = self.keeper.keep(Record::Released(numbers));
            self.events.push(Box::pin(async move { News::Recorded(kept.await) }));
        }
    }

    fn note(&mut self) {
        let now = Instant::now();
        self.progress.in_flight = self.out;
        self.progress.limit = self.pace.limit();
        self.progress.rest = self.pace.rest(now);
        self.progress.cost = self.spend.cost();
        self.progress.elapsed = now.duration_since(self.started);
    }

    fn finish(mut self, in_doubt: Vec<u64>, tell: &mut impl FnMut(&Progress)) -> Result<Report> {
        self.note();
        let Run { keeper, events, progress, stopped, failed, .. } = self;
        drop(events);
        keeper.finish()?;
        if let Some(error) = failed {
            return Err(error);
        }
        tell(&progress);
        let complete = stopped.is_none() && progress.done() == progress.total;
        Ok(Report { progress, in_doubt, complete, stopped })
    }
}

fn sender(item: &Item) -> Sender<'_> {
    Sender { mark: item.mark, custom_id: &item.custom_id, dialect: item.dialect }
}
