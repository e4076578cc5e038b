//! Lines to the provider: gathered into parts within its limits, put down in the journal, handed in.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use trunkline::batch::{BatchTarget, is_untaken};
use trunkline::ir::Request;
use trunkline::{Error, Kind, Origin, Result};

use super::super::input::{Item, Line, Lines};
use super::super::journal::{Ending, Figures, Mark, Part, Record};
use super::super::open::At;
use super::super::spend::Room;
use super::super::{InDoubt, Progress};
use super::target::{Targets, open};
use super::{Out, Row, Run};
use crate::fault::wrong;

/// Most bytes of a part, whatever the provider takes: it is held in memory, and once more while it is sent.
const PART_BYTES: usize = 48 * 1024 * 1024;
/// Most batches that a provider has at a time.
const PARTS: usize = 200;
/// Most lines that it has at a time, about: whose they are is held in memory.
const OUT: usize = 500_000;
/// After so many lines others get their turn.
const STRETCH: u64 = 1024;
/// A part that was handed in just before a run was killed may take a moment to be listed; looked for so often.
const SETTLING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(1);

/// A part that is being gathered.
struct Draft {
    target: BatchTarget,
    model: String,
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// About how many bytes the answers may come to.
    answers: usize,
}

/// What is known of a line when it is its turn.
enum Turn {
    /// Nothing is left to do.
    Over,
    /// It is to be handed in.
    Go(Item, Box<Request>),
    /// Not now: the budget has no room.
    Wait,
}

/// How a line is called at the provider.
pub(super) fn key(number: u64) -> String {
    format!("line-{number}")
}

impl<T: FnMut(&Progress)> Run<'_, T> {
    /// Looks at all lines before anything is sent: whom they go to.
    pub(super) fn check(&mut self) -> Result<()> {
        let mut targets = Targets::new(self.client);
        let mut lines = Lines::open(&self.batch.input)?;
        while let Some(line) = lines.next()? {
            if matches!(self.past.of(line.mark)?, At::Fresh | At::Begun)
                && let Ok(request) = line.prepare(&self.shape).asked
            {
                let target = targets.find(&request.model)?;
                target.check()?;
                target.provider().clone_into(&mut self.provider);
            }
        }
        Ok(())
    }

    /// Takes up the parts of earlier runs; those whose handing in was cut short are looked for.
    pub(super) async fn take_up(&mut self) -> Result<()> {
        for known in self.past.parts() {
            let part = known.part;
            let gone = |error: Error| {
                let what = "which are not to be had any more";
                wrong(format!("lines of this batch are in batches of {}, {what}: {}", part.target, error.message))
            };
            let target = open(self.client, &part.target).map_err(gone)?;
            target.provider().clone_into(&mut self.provider);
            let lines: HashSet<u64> = part.lines.iter().map(|mark| mark.number).collect();
            let id = match known.id {
                Some(id) => id,
                None => match self.look_for(&target, &part.name, part.file.as_deref()).await {
                    Ok(Some(id)) => {
                        self.keep(Record::Taken { name: part.name, id: id.clone() }).await?;
                        id
                    }
                    Ok(None) => {
                        self.keep(Record::Released(part.lines.iter().map(|mark| mark.number).collect())).await?;
                        continue;
                    }
                    // Who keeps no list cannot tell: the lines are in doubt.
                    Err(error) if matches!(error.kind, Kind::NotFound | Kind::MethodNotAllowed | Kind::Unsupported) => {
                        self.past.lose(&part.name);
                        continue;
                    }
                    Err(error) => {
                        self.leave(format!("{error}; nothing is lost: run the same command again later"));
                        return Ok(());
                    }
                },
            };
            self.parts.push(Out::new(id, target, part.model, lines));
        }
        Ok(())
    }

    /// Makes the rows of all lines that a provider has, before anything else is done: whatever ends the handing in of others,
    /// the results of these are recorded.
    pub(super) async fn know_rows(&mut self) -> Result<()> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let mut targets = Targets::new(self.client);
        let mut lines = Lines::open(&self.batch.input)?;
        while let Some(line) = lines.next()? {
            let number = line.mark.number;
            if number % STRETCH == 0 {
                tokio::task::yield_now().await;
            }
            let at = self.past.of(line.mark)?;
            if !matches!(at, At::HandedIn(_)) || self.past.is_doubtful(at) {
                continue;
            }
            let item = line.prepare(&self.shape);
            // Who asks with another model now may ask somebody who takes no batches: what is handed in stays where it is.
            let asked = item.asked.as_ref().ok().and_then(|request| Some((targets.find(&request.model).ok()?, request)));
            let bound = match asked {
                Some((target, request)) => self.spend.batch_bound(target, request)?,
                None => 0,
            };
            self.spend.reserve(bound);
            self.rows.insert(number, Row::of(&item, bound));
        }
        Ok(())
    }

    /// Looks for a part that may have been handed in just now: what is not listed yet gets a moment.
    async fn look_for(&mut self, target: &BatchTarget, name: &str, file: Option<&str>) -> Result<Option<String>> {
        let begun = Instant::now();
        loop {
            let error = match target.find(name, file).await {
                Ok(None) if begun.elapsed() < SETTLING => None,
                Ok(found) => {
                    self.patience.good();
                    return Ok(found);
                }
                Err(error) => Some(error),
            };
            let wait = error.as_ref().map_or(Some(LOOK), |error| self.patience.bear(error));
            match wait.filter(|_| !self.is_halted()) {
                Some(wait) => self.rest(wait).await,
                // Nobody knows yet, so nothing may be done about it.
                None => return Err(error.unwrap_or_else(|| Error::new(Kind::Cancelled, Origin::Caller, "stopped while looking"))),
            }
        }
    }

    /// Hands in all lines that are not yet. Gives whether there was room for all of them.
    pub(super) async fn hand_in_all(&mut self) -> Result<bool> {
        let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
        let mut targets = Targets::new(self.client);
        let mut lines = Lines::open(&self.batch.input)?;
        let (mut seen, mut is_all) = (0, true);
        while let Some(line) = lines.next()? {
            seen += 1;
            if seen % STRETCH == 0 {
                tokio::task::yield_now().await;
            }
            if self.stopped.is_some() || self.is_halted() {
                break;
            }
            let (item, request, bound) = match self.turn(line, &mut targets, !drafts.is_empty()).await? {
                (Turn::Over, _) => continue,
                (Turn::Wait, _) => {
                    is_all = false;
                    break;
                }
                (Turn::Go(item, request), bound) => (item, request, bound),
            };
            let row = Row::of(&item, bound);
            self.spend.reserve(bound);
            if !self.draft(&mut drafts, targets.find(&request.model)?, row, &request).await? {
                is_all = false;
                break;
            }
        }
        for draft in drafts.into_values() {
            if self.leaving || self.is_halted() {
                self.drop_rows(&draft.rows);
            } else {
                self.hand_in(draft).await?;
            }
        }
        self.flush().await?;
        Ok(is_all)
    }

    /// What is to be done with a line, and what it may cost.
    async fn turn(&mut self, line: Line, targets: &mut Targets<'_>, is_more: bool) -> Result<(Turn, u64)> {
        let at = self.past.of(line.mark)?;
        let is_doubtful = self.past.is_doubtful(at);
        // What is handed in has its row since it was taken up.
        if matches!(at, At::Done(_)) || matches!(at, At::HandedIn(_)) && !is_doubtful {
            return Ok((Turn::Over, 0));
        }
        let mut item = line.prepare(&self.shape);
        let asked = std::mem::replace(&mut item.asked, Err(wrong("")));
        let bound = match &asked {
            Ok(request) => self.spend.batch_bound(targets.find(&request.model)?, request)?,
            Err(_) => 0,
        };
        if is_doubtful {
            self.spend.doubt(bound);
            if self.wish.in_doubt == InDoubt::Skip {
                let row = Row::of(&item, bound);
                let line = row.sender().doubtful();
                let figures = Figures { micros: bound, ..Figures::default() };
                self.record(&row, (Ending::Doubtful, figures), line).await?;
                return Ok((Turn::Over, 0));
            }
        }
        match (asked, self.spend.room(bound)) {
            (Err(error), _) => {
                self.fail(&Row::of(&item, 0), &error).await?;
                Ok((Turn::Over, 0))
            }
            (Ok(request), Room::Enough) => Ok((Turn::Go(item, request), bound)),
            (Ok(_), _) => {
                if self.parts.is_empty() && !is_more {
                    let cost = self.spend.cost().map_or_else(String::new, |cost| format!(" ({cost} spent)"));
                    let what = "the next line might pass it; go on with a larger --budget";
                    self.stop(format!("the budget is used up{cost}: {what}"));
                }
                Ok((Turn::Wait, 0))
            }
        }
    }

    /// Adds a line to the part that is gathered for its target; a part that is full goes. False: there is no room for one more
    /// part, and the line is left for later.
    async fn draft(
        &mut self,
        drafts: &mut BTreeMap<String, Draft>,
        target: &BatchTarget,
        row: Row,
        request: &Request,
    ) -> Result<bool> {
        let most = target.bytes().min(PART_BYTES);
        let name = target.name().to_owned();
        let key = key(row.mark.number);
        if let Some(mut draft) = drafts.remove(&name) {
            let before = draft.bytes.len();
            let answers = draft.answers.saturating_add(target.answer_size(request));
            let is_short = draft.rows.len() < target.lines() && target.answer_bytes().is_none_or(|most| answers <= most);
            let pushed = if is_short { target.push(&mut draft.bytes, &key, request) } else { Ok(()) };
            let fits = is_short && draft.bytes.len() <= most;
            if pushed.is_ok() && fits {
                draft.rows.push(row);
                draft.answers = answers;
                drafts.insert(name, draft);
                return self.make_room(drafts).await.map(|()| true);
            }
            draft.bytes.truncate(before);
            if let Err(error) = pushed {
                drafts.insert(name, draft);
                self.drop_rows(std::slice::from_ref(&row));
                return self.fail(&row, &error).await.map(|()| true);
            }
            self.hand_in(draft).await?;
            if self.stopped.is_some() || self.is_halted() {
                self.drop_rows(std::slice::from_ref(&row));
                return Ok(true);
            }
        }
        if self.parts.len() + self.aside.len() + drafts.len() >= PARTS || self.rows.len() >= OUT {
            self.drop_rows(std::slice::from_ref(&row));
            return Ok(false);
        }
        let mut bytes = Vec::new();
        let pushed = target.push(&mut bytes, &key, request);
        let long = || format!("the line is longer than the {most} bytes that a batch may have");
        let pushed = pushed
            .and_then(|()| if bytes.len() <= most { Ok(()) } else { Err(Error::new(Kind::TooLarge, Origin::Caller, long())) });
        if let Err(error) = pushed {
            self.drop_rows(std::slice::from_ref(&row));
            return self.fail(&row, &error).await.map(|()| true);
        }
        let (model, answers) = (request.model.clone(), target.answer_size(request));
        drafts.insert(name, Draft { target: target.clone(), model, bytes, rows: vec![row], answers });
        self.make_room(drafts).await.map(|()| true)
    }

    /// Where lines go to many models, no more is gathered at a time than for one.
    async fn make_room(&mut self, drafts: &mut BTreeMap<String, Draft>) -> Result<()> {
        let held: usize = drafts.values().map(|draft| draft.bytes.len()).sum();
        if drafts.len() < 2 || held <= PART_BYTES {
            return Ok(());
        }
        let largest = drafts.iter().max_by_key(|(_, draft)| draft.bytes.len()).map(|(name, _)| name.clone());
        match largest.and_then(|name| drafts.remove(&name)) {
            Some(draft) => self.hand_in(draft).await,
            None => Ok(()),
        }
    }

    /// What was reserved for lines that do not go after all.
    fn drop_rows(&mut self, rows: &[Row]) {
        rows.iter().for_each(|row| self.spend.settle(row.bound, None, false));
    }

    /// Hands a part in. It is in the journal before, and the provider's id of it after.
    async fn hand_in(&mut self, draft: Draft) -> Result<()> {
        let file = loop {
            match draft.target.upload(&draft.bytes).await {
                Ok(file) => break file,
                Err(error) => {
                    if !self.bear(&error).await {
                        self.drop_rows(&draft.rows);
                        return Ok(());
                    }
                }
            }
        };
        let marks: Vec<Mark> = draft.rows.iter().map(|row| row.mark).collect();
        let part = Part {
            name: name(),
            target: draft.target.name().to_owned(),
            model: draft.model.clone(),
            file: file.clone(),
            findable: draft.target.can_find(),
            lines: marks.clone(),
        };
        let name = part.name.clone();
        self.keep(Record::HandedIn(part)).await?;
        let id = loop {
            let error = match draft.target.hand_in(&name, file.as_deref(), &draft.bytes).await {
                Ok(id) => break Some(id),
                Err(error) => error,
            };
            if !is_untaken(&error) {
                if !draft.target.can_find() {
                    let lines = draft.rows.len();
                    self.leave(format!("{error}; whether {} took {lines} lines is in doubt", self.provider));
                    return Ok(());
                }
                match self.look_for(&draft.target, &name, file.as_deref()).await {
                    Ok(Some(id)) => break Some(id),
                    Ok(None) => {}
                    Err(error) => {
                        self.leave(format!("{error}; nothing is lost: run the same command again later"));
                        return Ok(());
                    }
                }
            }
            if !self.bear(&error).await {
                break None;
            }
        };
        let Some(id) = id else {
            self.drop_rows(&draft.rows);
            return self.keep(Record::Released(marks.iter().map(|mark| mark.number).collect())).await;
        };
        self.patience.good();
        self.keep(Record::Taken { name, id: id.clone() }).await?;
        let lines: HashSet<u64> = marks.iter().map(|mark| mark.number).collect();
        self.parts.push(Out::new(id, draft.target, draft.model, lines));
        self.rows.extend(draft.rows.into_iter().map(|row| (row.mark.number, row)));
        self.show();
        Ok(())
    }

    /// Waits after an error, if it may pass. False: the run ends by it.
    async fn bear(&mut self, error: &Error) -> bool {
        match self.patience.bear(error) {
            Some(wait) => {
                self.rest(wait).await;
                !self.is_halted()
            }
            None => {
                self.stop(format!("{error}; these lines were not handed in: mend it, and run the same command again"));
                false
            }
        }
    }
}

/// A name that no other part has.
fn name() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("trunkline-{seconds:x}-{:016x}", RandomState::new().build_hasher().finish())
}
