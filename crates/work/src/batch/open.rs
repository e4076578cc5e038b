//! Takes a batch up where it was: locks and repairs its journal, and makes the output what the journal says.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use trunkline::{Client, Result};

use super::input::{Lines, Shape};
use super::journal::{self, Ending, Figures, Head, Mark, Part, Record, write_record};
use super::keeper::{Files, Queue, read_at};
use super::{Batch, Order};
use crate::fault::{file, wrong};

/// The version of the journal that this writes.
const VERSION: u32 = 1;

/// A batch whose files are locked and in order.
pub struct Opened {
    pub(super) batch: Batch,
    pub(super) task: Task,
    pub(super) files: Files,
    pub(super) past: Past,
}

/// What is to be done, after it was found to be possible.
pub(super) struct Task {
    pub(super) shape: Shape,
    /// Lines in all.
    pub(super) total: u64,
}

/// What earlier runs did.
#[derive(Debug, Default)]
pub(super) struct Past {
    lines: Vec<Stage>,
    /// What was handed in at a provider, over or not.
    parts: Vec<HandedIn>,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    pub(super) figures: Figures,
}

/// A part, and the provider's id of it once it is known.
#[derive(Clone, Debug)]
pub(super) struct HandedIn {
    pub(super) part: Part,
    pub(super) id: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    crc: u32,
    at: At,
}

/// How far a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum At {
    /// Nothing has been done.
    #[default]
    Fresh,
    /// It was begun, and nothing is recorded.
    Begun,
    /// It was handed in at a provider, in the part of this number, and nothing is recorded.
    HandedIn(usize),
    /// It is recorded.
    Done(Ending),
}

/// Which recorded lines are to be sent again after all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Those that failed.
    pub failed: bool,
    /// Those that were in doubt and were not sent again.
    pub skipped: bool,
}

impl Past {
    /// How far a line is.
    ///
    /// # Errors
    /// When it is another line than it was.
    pub(super) fn of(&self, mark: Mark) -> Result<At> {
        let stage = self.at(mark.number);
        if stage.at != At::Fresh && stage.crc != mark.crc {
            let what = "is not what it was when this batch began; go on with the same input, or begin anew with another output";
            return Err(wrong(format!("line {} of the input {what}", mark.number)));
        }
        Ok(stage.at)
    }

    /// The lines in doubt, by number.
    pub(super) fn doubts(&self) -> Vec<u64> {
        let begun = self.lines.iter().zip(1..).filter(|(stage, _)| self.is_doubtful(stage.at));
        begun.map(|(_, number)| number).collect()
    }

    /// Whether nobody can tell what became of a line.
    pub(super) fn is_doubtful(&self, at: At) -> bool {
        match at {
            At::Begun => true,
            At::HandedIn(part) => self.parts.get(part).is_some_and(|part| part.id.is_none() && !part.part.findable),
            At::Fresh | At::Done(_) => false,
        }
    }

    /// The parts that a provider has, or may have: each with those of its lines that are not recorded.
    pub(super) fn parts(&self) -> Vec<HandedIn> {
        let mut open = Vec::new();
        for (number, part) in self.parts.iter().enumerate() {
            let mut part = part.clone();
            part.part.lines.retain(|mark| self.at(mark.number).at == At::HandedIn(number));
            if part.part.lines.first().is_some_and(|_| !self.is_doubtful(At::HandedIn(number))) {
                open.push(part);
            }
        }
        open
    }

    /// A part cannot be found after all.
    pub(super) fn lose(&mut self, name: &str) {
        let part = self.parts.iter_mut().find(|part| part.part.name == name);
        part.into_iter().for_each(|part| part.part.findable = false);
    }

    /// How many lines a provider has, or may have.
    pub(super) fn count_handed_in(&self) -> u64 {
        self.lines.iter().filter(|stage| matches!(stage.at, At::HandedIn(_))).count() as u64
    }

    fn at(&self, number: u64) -> Stage {
        index(number).and_then(|at| self.lines.get(at)).copied().unwrap_or_default()
    }

    /// How many lines it knows.
    pub(super) fn known(&self) -> u64 {
        self.lines.len() as u64
    }

    pub(super) fn hear(&mut self, record: &Record) {
        match record {
            Record::HandedIn(part) => {
                let number = self.parts.len();
                part.lines.iter().for_each(|mark| self.set(*mark, At::HandedIn(number)));
                self.parts.push(HandedIn { part: part.clone(), id: None });
            }
            Record::Taken { name, id } => {
                let part = self.parts.iter_mut().rev().find(|part| part.part.name == *name);
                part.into_iter().for_each(|part| part.id = Some(id.clone()));
            }
            Record::Begun(marks) => marks.iter().for_each(|mark| self.set(*mark, At::Begun)),
            Record::Released(numbers) => {
                for at in numbers.iter().filter_map(|number| index(*number)) {
                    let Some(stage) = self.lines.get_mut(at) else { continue };
                    // What it has cost before stays spent.
                    if let At::Done(ending) = std::mem::take(&mut stage.at) {
                        *self.ended(ending) -= 1;
                    }
                }
            }
            Record::Done { mark, ending, figures, .. } => {
                self.set(*mark, At::Done(*ending));
                *self.ended(*ending) += 1;
                self.figures.micros += figures.micros;
                self.figures.input += figures.input;
                self.figures.output += figures.output;
            }
        }
    }

    fn ended(&mut self, ending: Ending) -> &mut u64 {
        match ending {
            Ending::Answered => &mut self.answered,
            Ending::Failed => &mut self.failed,
            Ending::Doubtful => &mut self.skipped,
        }
    }

    fn has_recorded(&self, numbers: &[u64]) -> bool {
        let stages = numbers.iter().filter_map(|number| self.lines.get(index(*number)?));
        stages.into_iter().any(|stage| matches!(stage.at, At::Done(_)))
    }

    fn recorded(&self, wanted: Again) -> Vec<u64> {
        let is_wanted = |stage: &Stage| match stage.at {
            At::Done(Ending::Failed) => wanted.failed,
            At::Done(Ending::Doubtful) => wanted.skipped,
            _ => false,
        };
        self.lines.iter().zip(1..).filter(|(stage, _)| is_wanted(stage)).map(|(_, number)| number).collect()
    }

    fn set(&mut self, mark: Mark, at: At) {
        let Some(index) = index(mark.number) else { return };
        if self.lines.len() <= index {
            self.lines.resize(index + 1, Stage::default());
        }
        if let Some(stage) = self.lines.get_mut(index) {
            *stage = Stage { crc: mark.crc, at };
        }
    }
}

fn index(number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

/// The journal of an output.
fn journal_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

impl Batch {
    /// Looks whether it can be done, locks the files, reads what earlier runs did, and repairs what the last one left torn.
    /// Contacts nobody.
    ///
    /// # Errors
    /// When it cannot be done, another process works on it, the output is somebody else's, or a file cannot be read or
    /// written.
    pub fn open(self, client: &Client) -> Result<Opened> {
        let task = self.task(client)?;
        let path = journal_path(&self.output);
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let journal = opened.map_err(|error| file("open", &path, error))?;
        match journal.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(wrong(format!("another process works on {} (it holds {})", self.output.display(), path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(file("lock", &path, error)),
        }
        let opened = self.load(task, journal, path)?;
        opened.check_input()?;
        Ok(opened)
    }

    fn task(&self, client: &Client) -> Result<Task> {
        let shape = self.shape(client)?;
        Lines::open(&self.input)?.check(shape.template.as_ref())?;
        if let Some(model) = &self.model {
            client.plan(model)?;
        }
        Ok(Task { shape, total: Lines::count(&self.input)? })
    }

    fn load(self, task: Task, mut journal: File, path: PathBuf) -> Result<Opened> {
        let (mut past, mut done) = (Past::default(), Vec::new());
        let head = journal::replay(&mut journal, &path, |record, place| {
            match &record {
                Record::Done { mark, .. } => done.push((mark.number, place)),
                Record::Released(numbers) if past.has_recorded(numbers) => {
                    let numbers: HashSet<u64> = numbers.iter().copied().collect();
                    done.retain(|(number, _)| !numbers.contains(number));
                }
                _ => {}
            }
            past.hear(&record);
            Ok(())
        })?;
        let mut queue = Queue::new(self.order);
        let places: Vec<_> = done.into_iter().flat_map(|(number, place)| queue.push(number, place)).collect();
        let output = open_output(&self.output, head.is_some()).inspect_err(|_| {
            if head.is_none() {
                let _ = std::fs::remove_file(&path);
            }
        })?;
        match head {
            Some(head) => check_head(&head, self.order, &path)?,
            None => journal::begin(&mut journal, &path, &Head { version: VERSION, order: self.order })?,
        }
        let output = mirror(&mut journal, output, &self.output, &places)?;
        let length = journal.seek(SeekFrom::End(0)).map_err(|error| file("read", &path, error))?;
        let files =
            Files { journal, journal_path: path, journal_length: length, output, output_path: self.output.clone(), queue };
        Ok(Opened { batch: self, task, files, past })
    }
}

impl Opened {
    /// The numbers of the lines in doubt: begun in an earlier run, with no result recorded.
    pub fn doubts(&self) -> Vec<u64> {
        self.past.doubts()
    }

    /// Whether its lines may be sent one by one.
    ///
    /// # Errors
    /// When some are in batches of the provider's.
    pub fn check_live(&self) -> Result<()> {
        match self.past.count_handed_in() {
            0 => Ok(()),
            _ => Err(wrong("lines of this batch are in batches of the provider's; go on with --provider-batch")),
        }
    }

    /// That the input is what it was.
    fn check_input(&self) -> Result<()> {
        let (known, total) = (self.past.known(), self.task.total);
        if known > total {
            let (path, what) = (self.batch.input.display(), "was begun before; go on with the same input");
            return Err(wrong(format!("{path} has {total} lines, and line {known} of it {what}")));
        }
        let mut lines = Lines::open(&self.batch.input)?;
        while let Some(line) = if known > 0 { lines.next()? } else { None } {
            self.past.of(line.mark)?;
        }
        Ok(())
    }

    /// Takes results back, so that their lines are sent again by the next run. How many.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn again(self, wanted: Again) -> Result<(Self, u64)> {
        let numbers = self.past.recorded(wanted);
        if numbers.is_empty() {
            return Ok((self, 0));
        }
        let count = numbers.len() as u64;
        let Files { mut journal, journal_path: path, journal_length, .. } = self.files;
        let record = write_record(&Record::Released(numbers), journal_length);
        let written = journal.write_all(&record).and_then(|()| journal.sync_data());
        written.map_err(|error| file("write", &path, error))?;
        Ok((self.batch.load(self.task, journal, path)?, count))
    }

    /// How many lines are recorded.
    pub const fn recorded(&self) -> u64 {
        self.past.answered + self.past.failed + self.past.skipped
    }
}

fn check_head(head: &Head, order: Order, path: &Path) -> Result<()> {
    if head.version != VERSION {
        return Err(wrong(format!("{} is of another version of trunkline ({})", path.display(), head.version)));
    }
    if head.order != order {
        let began = if head.order == Order::Done { "done" } else { "input" };
        return Err(wrong(format!("this batch began with --order {began}; go on with that, or begin anew with another output")));
    }
    Ok(())
}

fn open_output(path: &Path, is_ours: bool) -> Result<File> {
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let output = opened.map_err(|error| file("open", path, error))?;
    let length = output.metadata().map_err(|error| file("read", path, error))?.len();
    if length > 0 && !is_ours {
        let what = "is there already, and no journal of a batch is beside it; name another output, or remove it";
        return Err(wrong(format!("{} {what}", path.display())));
    }
    Ok(output)
}

/// Makes the output exactly these lines of the journal. What it has of them already stays untouched; from the first
/// difference on (the torn end of a last write, as a rule) it is written again.
fn mirror(journal: &mut File, mut output: File, path: &Path, places: &[(u64, u64)]) -> Result<File> {
    let failed = |error: std::io::Error| file("repair", path, error);
    let (mut at, mut line, mut found, mut rest) = (0u64, Vec::new(), Vec::new(), places.iter());
    let mut first_missing = None;
    {
        let mut reader = BufReader::with_capacity(1 << 16, &output);
        for place in rest.by_ref() {
            line.clear();
            read_at(journal, *place, &mut line).map_err(failed)?;
            line.push(b'\n');
            found.clear();
            reader.by_ref().take(line.len() as u64).read_to_end(&mut found).map_err(failed)?;
            if found != line {
                first_missing = Some(*place);
                break;
            }
            at += line.len() as u64;
        }
    }
    output.set_len(at).and_then(|()| output.seek(SeekFrom::Start(at))).map_err(failed)?;
    for place in first_missing.iter().chain(rest) {
        line.clear();
        read_at(journal, *place, &mut line).map_err(failed)?;
        line.push(b'\n');
        output.write_all(&line).map_err(failed)?;
    }
    Ok(output)
}
