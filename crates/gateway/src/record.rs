//! What becomes of an outcome: it is counted, and a row of the ledger is made of it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use trunkline::Client;
use trunkline::codec::{Error, Kind, Origin, Result};
use trunkline::config::LogLevel;
use trunkline::monitor::{Counters, Exchange, Label, Outcome, Recorder, Texts};
use trunkline_store::{BATCH, CallRow, ExchangeRow, Id, Ids, Kinds, Ledger, Opening, State, Status, Word};

use crate::door::Door;
use crate::header::{NAME_MOST, short};
use crate::keeper::{Keeper, Tally, Wanted};
use crate::log::{Entry, Lines, Log};
use crate::meter::{self, Meter};
use crate::session::Sessions;

/// Takes outcomes: counts them, and records them where there is a ledger.
#[derive(Default)]
pub struct Record {
    counters: Arc<Counters>,
    ids: Ids,
    meter: Meter,
    sinks: Arc<Sinks>,
    keeper: OnceLock<Arc<Keeper>>,
    label: OnceLock<Label>,
    wanted: OnceLock<Wanted>,
    sessions: OnceLock<Sessions>,
}

/// Where rows go.
#[derive(Default)]
pub(crate) struct Sinks {
    ledger: OnceLock<Ledger>,
    log: OnceLock<Log>,
}

impl Sinks {
    pub(crate) fn take(&self, mut row: CallRow) {
        match (self.log.get(), self.ledger.get()) {
            (Some(log), Some(ledger)) => {
                // They are long, and mostly the log does not want them.
                let texts = row.texts.take();
                let line = CallRow { texts: texts.as_ref().filter(|_| log.has_texts()).cloned(), ..row.clone() };
                log.take(Entry::Call(Box::new(line)));
                ledger.record(CallRow { texts, ..row });
            }
            (Some(log), None) => {
                row.texts = row.texts.filter(|_| log.has_texts());
                log.take(Entry::Call(Box::new(row)));
            }
            (None, Some(ledger)) => ledger.record(row),
            (None, None) => {}
        }
    }
}

impl Record {
    /// Has outcomes recorded there from now on. The first ledger stays.
    pub fn keep_in(&self, ledger: Ledger) {
        let _ = self.sinks.ledger.set(ledger);
    }

    /// Says for whom and what for those calls are that do not say it themselves. The first word counts.
    pub fn label(&self, label: Label) {
        let _ = self.label.set(label);
    }

    /// Has conversations kept there from now on; nothing is opened before the first of them. `tell` hears what the operator
    /// should know. The first store stays.
    pub fn keep_sessions_in(&self, opening: Opening, tell: Arc<dyn Fn(&str) + Send + Sync>) {
        let _ = self.sessions.set(Sessions::new(opening, tell));
    }

    /// Where conversations are kept, if they are.
    pub(crate) fn sessions(&self) -> Option<&Sessions> {
        self.sessions.get()
    }

    /// The counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What is counted by name.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Where outcomes are recorded, if they are.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.sinks.ledger.get()
    }

    /// One thing that the operator should know, for the log.
    pub fn notice(&self, text: &str) {
        self.say(LogLevel::Warn, text);
    }

    /// A line of the log.
    pub(crate) fn say(&self, level: LogLevel, text: &str) {
        if let Some(log) = self.sinks.log.get() {
            log.take(Entry::Notice { time: SystemTime::now(), level, text: text.to_owned() });
        }
    }

    /// How many lines the log has.
    pub(crate) fn lines(&self) -> Option<Lines> {
        self.sinks.log.get().map(Log::lines)
    }

    /// Opens the log, and keeps texts, as the configuration of a gateway says.
    ///
    /// # Errors
    /// When the log's file cannot be opened, or a thread cannot be started.
    pub(crate) fn open(&self, client: &Client, door: &Door) -> Result<()> {
        let config = client.config();
        let wrong = |what: String| Error::new(Kind::Internal, Origin::Gateway, what);
        let teller = client.clone();
        let log = Log::open(&config.log, Arc::new(move |line: &str| teller.tell(line)));
        let named = || config.log.file.as_deref().unwrap_or_else(|| Path::new("")).display();
        if let Some(log) = log.map_err(|error| wrong(format!("[log] file {} cannot be opened: {error}", named())))? {
            let _ = self.sinks.log.set(log);
        }
        let wanted = Wanted::of(&config.store);
        let _ = self.wanted.set(wanted);
        if wanted.is_some() {
            let keeper = Keeper::start(wanted, (client, door), &self.sinks);
            let _ = self.keeper.set(Arc::new(keeper.map_err(|error| wrong(format!("cannot start a thread: {error}")))?));
        }
        Ok(())
    }

    /// Begins to keep what is said in a call, if that is wanted of this one.
    pub(crate) fn begin_texts(&self, id: &str, request: &[u8]) -> Option<Arc<Texts>> {
        self.wanted.get()?.begin(id, request)
    }

    /// Of how many calls texts were kept, where any are.
    pub(crate) fn tally(&self) -> Option<Tally> {
        self.keeper.get().map(|keeper| keeper.tally())
    }

    /// Writes what is not written yet. Blocks for some seconds at most.
    pub fn close(&self) {
        if let Some(sessions) = self.sessions() {
            sessions.close();
        }
        if let Some(keeper) = self.keeper.get() {
            keeper.close();
        }
        if let Some(log) = self.sinks.log.get() {
            log.close();
        }
        if let Some(ledger) = self.ledger() {
            ledger.close();
        }
    }

    /// How the ledger is, for those who have the key.
    pub(crate) fn status(&self) -> Option<Status> {
        self.ledger().map(Ledger::status)
    }

    /// The same for anybody: without words that may have a path in them.
    pub(crate) fn condition(&self) -> Option<Condition> {
        let Status { state, waiting, lost, .. } = self.status()?;
        Some(Condition { state, waiting, lost })
    }
}

/// Whether rows arrive.
#[derive(Serialize)]
pub(crate) struct Condition {
    state: State,
    waiting: u64,
    lost: u64,
}

impl Recorder for Record {
    fn record(&self, mut outcome: Outcome) {
        if let Some(label) = self.label.get() {
            outcome.user = outcome.user.or_else(|| label.user.clone());
            outcome.tags = outcome.tags.or_else(|| label.tags.clone());
        }
        self.counters.count(&outcome);
        self.meter.count(&outcome);
        if self.sinks.ledger.get().is_none() && self.sinks.log.get().is_none() {
            return;
        }
        // What the gateway's caller was told is the row's id.
        let id = outcome.request_id.parse().unwrap_or_else(|_| self.ids.next(outcome.begun));
        let stays = |_: &Arc<Texts>| self.wanted.get().is_some_and(|wanted| wanted.stays(&outcome));
        let texts = outcome.texts.clone().filter(stays);
        match (self.keeper.get(), texts) {
            (Some(keeper), Some(texts)) => keeper.keep(row(outcome, id), &texts),
            _ => self.sinks.take(row(outcome, id)),
        }
    }

    fn skip_copy(&self) {
        self.counters.skip_copy();
    }
}

/// What is stored of an outcome.
fn row(outcome: Outcome, id: Id) -> CallRow {
    let usage = outcome.usage.unwrap_or_default();
    let told = |tokens: u64| outcome.usage.map(|_| tokens);
    let pieces = outcome.pieces;
    let counted = |number: u64| (number > 0).then_some(number);
    let status = outcome.error.as_ref().map_or(200, trunkline::codec::Error::caller_status);
    let operation = match (outcome.batch, outcome.operation) {
        (Some(_), _) => BATCH,
        (None, operation) => operation.map_or("passthrough", |operation| operation.key()),
    };
    CallRow {
        begun_us: outcome.begun.duration_since(UNIX_EPOCH).map_or(0, micros),
        request_id: outcome.request_id,
        key_id: outcome.key,
        user_id: outcome.user.map(short),
        tags: outcome.tags.map(short),
        operation: Word::Borrowed(operation),
        dialect: outcome.dialect.map(Word::Borrowed),
        model: short(outcome.model),
        task: outcome.task.map(short),
        target: outcome.target.map(shared),
        streamed: outcome.streamed,
        status,
        error: outcome.error.as_ref().map(|error| Word::Borrowed(meter::word(error.kind))),
        blame: outcome.error.as_ref().map(|error| word(&error.origin)),
        input: told(usage.input),
        output: told(usage.output),
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        cache_write_5m: usage.cache_write_5m,
        cache_write_1h: usage.cache_write_1h,
        reasoning: usage.reasoning,
        audio_input: usage.audio_input,
        audio_output: usage.audio_output,
        usage_estimated: usage.estimated,
        images: counted(pieces.images),
        audio_ms: counted(pieces.milliseconds),
        characters: counted(pieces.characters),
        requests: counted(pieces.requests),
        cost_micros: outcome.cost.map(|cost| cost.micros),
        currency: outcome.cost.map(|cost| Word::Borrowed(cost.currency.as_str())),
        price_date: outcome.price_date,
        first_us: outcome.first.filter(|_| outcome.streamed).map(micros),
        elapsed_us: micros(outcome.elapsed),
        bytes_in: outcome.bytes_in,
        bytes_out: Some(outcome.bytes_out).filter(|bytes| *bytes > 0),
        losses: outcome.losses.iter().len() as u64,
        mirror_of: outcome.mirror_of,
        exchanges: outcome.exchanges.iter().map(|one| exchange(one, outcome.exchanges.len() > 1)).collect(),
        ..CallRow::new(id)
    }
}

fn exchange(exchange: &Exchange, is_one_of_several: bool) -> ExchangeRow {
    ExchangeRow {
        target: shared(Arc::clone(&exchange.target)),
        dialect: exchange.dialect.map(Word::Borrowed),
        started_us: micros(exchange.started),
        elapsed_us: micros(exchange.elapsed),
        status: exchange.error.as_ref().and_then(|error| error.status),
        error: exchange.error.as_ref().map(|error| Word::Borrowed(meter::word(error.kind))),
        input: exchange.usage.map(|usage| usage.input),
        output: exchange.usage.map(|usage| usage.output),
        usage_estimated: exchange.usage.is_some_and(|usage| usage.estimated),
        cost_micros: exchange.cost.map(|cost| cost.micros),
        currency: exchange.cost.map(|cost| Word::Borrowed(cost.currency.as_str())),
        kinds: exchange.usage.as_ref().filter(|_| is_one_of_several).map(Kinds::from),
    }
}

/// A name that many have, of which the end is left out where it is too long.
fn shared(name: Arc<str>) -> Arc<str> {
    if name.len() > NAME_MOST { short(name.as_ref().to_owned()).into() } else { name }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The word that an origin is written with everywhere.
fn word(what: &impl Serialize) -> Word {
    let word = serde_json::to_value(what).ok();
    Word::Owned(word.as_ref().and_then(serde_json::Value::as_str).unwrap_or("internal").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_errors() {
        assert_eq!((meter::word(Kind::RateLimited), word(&Origin::Provider)), ("rate_limited", "provider".into()));
    }
}
