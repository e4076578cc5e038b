//! What `/metrics` and `/stats` tell of calls: counts and durations by who answered, as bounded as the names are.
//!
//! A call is counted once, when it is over: one look-up in a table that only its own thread uses most of the time. Tables
//! are put together when somebody asks.

mod cell;
mod hash;
mod name;
mod page;
mod text;

use std::cell::Cell as Local;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, RwLock};

use trunkline::codec::Kind;
use trunkline::config::Config;
use trunkline::monitor::Outcome;

use hash::{Fold, Same};

pub(crate) use cell::{Cell, Histogram, Label};
use name::{Names, OTHER};
pub(crate) use page::{Latency, latency, write};

/// Combinations of names that are counted apart; all others together.
const MOST: usize = 1000;
/// Tables: threads are dealt out to them.
const TABLES: usize = 16;

/// Counts calls. See the module.
pub(crate) struct Meter {
    /// Of this process only: nobody can choose names whose places are one.
    seed: u64,
    tables: [Mutex<Table>; TABLES],
    known: RwLock<Known>,
}

/// The places that there are, and the names that may be told.
#[derive(Default)]
struct Known {
    names: Names,
    places: HashMap<u64, (), BuildHasherDefault<Same>>,
}

#[derive(Default)]
struct Table {
    cells: HashMap<u64, Cell, BuildHasherDefault<Same>>,
    /// By who was asked and how that ended: of calls that took several exchanges.
    tries: BTreeMap<(String, &'static str), u64>,
    /// Exchanges that followed another one of their call: with the same target, and with another.
    again: BTreeMap<String, (u64, u64)>,
    /// Requests that were refused for their credential, by provider.
    refused: BTreeMap<String, u64>,
}

/// All that was counted, put together.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) cells: BTreeMap<Label, Cell>,
    pub(crate) tries: BTreeMap<(String, &'static str), u64>,
    pub(crate) again: BTreeMap<String, (u64, u64)>,
    pub(crate) refused: BTreeMap<String, u64>,
}

thread_local! {
    static TABLE: Local<usize> = const { Local::new(usize::MAX) };
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

impl Default for Meter {
    fn default() -> Self {
        Meter { seed: RandomState::new().hash_one(TABLES), tables: Default::default(), known: RwLock::default() }
    }
}

impl Meter {
    /// The names of this configuration may be told from now on.
    pub(crate) fn know(&self, config: &Config) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).names.know(config);
    }

    /// Counts a call that is over.
    pub(crate) fn count(&self, outcome: &Outcome) {
        let place = place_of(self.seed, outcome);
        let mut table = self.table();
        if outcome.exchanges.len() > 1 || outcome.exchanges.iter().any(|exchange| exchange.requests() > 1) {
            self.count_tries(&mut table, outcome);
        }
        if let Some(cell) = table.cells.get_mut(&place) {
            return cell.add(outcome);
        }
        let (place, label) = self.label(outcome);
        table.cells.entry(place).or_insert_with(|| Cell::new(label)).add(outcome);
    }

    /// Where a call is counted whose combination of names this thread has not met, or which must not be told.
    fn label(&self, outcome: &Outcome) -> (u64, Label) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let good = outcome.error.is_none();
        let label = Label {
            operation: operation(outcome),
            model: known.names.show_model(&outcome.model, good && outcome.target.is_some()),
            task: outcome.task.as_deref().map(|task| known.names.show(task, good)).unwrap_or_default(),
            target: outcome.target.as_deref().map(|target| known.names.show_target(target, good)).unwrap_or_default(),
            error: outcome.error.as_ref().map(|error| error.kind),
            streamed: outcome.streamed,
            copy: outcome.mirror_of.is_some(),
        };
        let place = label.place(self.seed);
        if known.places.len() < MOST || known.places.contains_key(&place) {
            known.places.insert(place, ());
            return (place, label);
        }
        let other = || OTHER.to_owned();
        let label = Label { model: other(), task: String::new(), target: other(), streamed: false, ..label };
        (label.place(self.seed), label)
    }

    fn count_tries(&self, table: &mut Table, outcome: &Outcome) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut before: Option<&str> = None;
        for exchange in &outcome.exchanges {
            let target = known.names.shown_target(&exchange.target);
            let refused = exchange.requests() as u64 - 1;
            if refused > 0 {
                let provider = provider(&target).to_owned();
                *table.refused.entry(provider).or_default() += refused;
            }
            if let Some(before) = before {
                let (retries, failovers) = table.again.entry(target.clone()).or_default();
                *(if before == &*exchange.target { retries } else { failovers }) += 1;
            }
            before = Some(&exchange.target);
            if outcome.exchanges.len() > 1 {
                let error = exchange.error.as_ref().map_or("", |error| word(error.kind));
                *table.tries.entry((target, error)).or_default() += 1;
            }
        }
    }

    /// All that was counted.
    pub(crate) fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for table in &self.tables {
            let table = table.lock().unwrap_or_else(PoisonError::into_inner);
            for cell in table.cells.values() {
                match sum.cells.get_mut(&cell.label) {
                    Some(all) => all.join(cell),
                    None => _ = sum.cells.insert(cell.label.clone(), cell.clone()),
                }
            }
            table.tries.iter().for_each(|(place, count)| *sum.tries.entry(place.clone()).or_default() += count);
            table.refused.iter().for_each(|(place, count)| *sum.refused.entry(place.clone()).or_default() += count);
            for (place, (retries, failovers)) in &table.again {
                let all = sum.again.entry(place.clone()).or_default();
                *all = (all.0 + retries, all.1 + failovers);
            }
        }
        // A call of one exchange is that exchange.
        for cell in sum.cells.values().filter(|cell| !cell.label.target.is_empty()) {
            let error = cell.label.error.map_or("", word);
            *sum.tries.entry((cell.label.target.clone(), error)).or_default() += cell.single;
        }
        sum.tries.retain(|_, count| *count > 0);
        sum
    }

    /// As a target's name is told.
    pub(crate) fn shown(&self, target: &str) -> String {
        self.known.read().unwrap_or_else(PoisonError::into_inner).names.shown_target(target)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        let at = TABLE.with(|table| {
            if table.get() == usize::MAX {
                table.set(THREADS.fetch_add(1, Relaxed) % TABLES);
            }
            table.get()
        });
        // There is always one of that number.
        let table = self.tables.get(at).unwrap_or(&self.tables[0]);
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Label {
    fn place(&self, seed: u64) -> u64 {
        place(seed, (self.operation, &self.model, &self.task, &self.target), self.error, self.streamed, self.copy)
    }
}

fn place_of(seed: u64, outcome: &Outcome) -> u64 {
    let (task, target) = (outcome.task.as_deref().unwrap_or_default(), outcome.target.as_deref().unwrap_or_default());
    let names = (operation(outcome), outcome.model.as_str(), task, target);
    place(seed, names, outcome.error.as_ref().map(|error| error.kind), outcome.streamed, outcome.mirror_of.is_some())
}

/// Two combinations of names have the same number only by an accident of one in 2⁶⁴; then they are counted together.
fn place(seed: u64, names: (&str, &str, &str, &str), error: Option<Kind>, streamed: bool, copy: bool) -> u64 {
    let mut hasher = Fold(seed);
    let error = error.map_or(0xFF, |kind| kind as u8);
    (names, error, streamed, copy).hash(&mut hasher);
    hasher.finish()
}

fn operation(outcome: &Outcome) -> &'static str {
    outcome.operation.map_or("passthrough", |operation| operation.key())
}

/// The part of a target's name before the model's.
pub(crate) fn provider(target: &str) -> &str {
    target.split('/').next().unwrap_or_default()
}

/// The word for an error's kind, that is written everywhere.
pub(crate) fn word(kind: Kind) -> &'static str {
    static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let words = Kind::ALL.iter().map(|kind| serde_json::to_value(kind).ok());
        words.map(|word| word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()).collect()
    });
    WORDS.get(kind as usize).map_or("internal", String::as_str)
}
