//! The journal beside a batch's output: what was begun, and what came of it.
//!
//! A text file, only ever appended to. Each line is `CRC32 RECORD`, the checksum in 8 hexadecimal digits over the record:
//!
//! ```text
//! H {"version":1,"order":"input"}         the head, once
//! B SYNCED 12:CRC 13:CRC …                these lines of the input (number, checksum) are about to be sent
//! R SYNCED 12 13 …                        these were begun, and are known not to have been carried out
//! P SYNCED {"name":…,"lines":[…],…}       these are about to be handed in together, as a part of this name
//! T SYNCED {"name":…,"id":…}              the provider took that part, and this is its id there
//! D SYNCED 12:CRC END MICROS IN OUT LINE  the result of one: how it ended, cost, tokens, and its whole line of the output
//! ```
//!
//! A line is sent after its `B` (or `P`) is on the disk (fsync), and counts as recorded once its `D` is. The output file is made
//! from the `D` records and from nothing else, so it can always be made again. `SYNCED` says how much of the journal was on
//! the disk when the record was written: a spoilt record beyond that is the torn end of the last write and is cut off;
//! one before it is damage, and is told.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use trunkline::Result;

use super::Order;
use crate::fault::{file, wrong};

/// What the first record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) order: Order,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an answer.
    Answered,
    /// With an error.
    Failed,
    /// In doubt: it was sent, what became of it is not known, and it was not sent again.
    Doubtful,
}

impl Ending {
    const WORDS: [(Ending, &'static str); 3] =
        [(Ending::Answered, "ok"), (Ending::Failed, "failed"), (Ending::Doubtful, "doubt")];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(ending, _)| *ending == self).map_or("failed", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, its)| *its == word).map(|(ending, _)| *ending)
    }
}

/// One line of the input, told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u32)", into = "(u64, u32)")]
pub(crate) struct Mark {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// The checksum of its bytes.
    pub(crate) crc: u32,
}

impl From<(u64, u32)> for Mark {
    fn from((number, crc): (u64, u32)) -> Self {
        Mark { number, crc }
    }
}

impl From<Mark> for (u64, u32) {
    fn from(mark: Mark) -> Self {
        (mark.number, mark.crc)
    }
}

/// Lines that are handed in together at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// By which we know it again.
    pub(super) name: String,
    /// Whom it is for, `provider/model`.
    pub(super) target: String,
    /// The model's name as it was asked for.
    pub(super) model: String,
    /// The provider's id of its file, where it has one.
    pub(super) file: Option<String>,
    /// Whether it can be found at the provider, by its name or its file.
    pub(super) findable: bool,
    pub(super) lines: Vec<Mark>,
}

/// What a result came to, for the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) micros: u64,
    pub(super) input: u64,
    pub(super) output: u64,
}

/// A record but its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Begun(Vec<Mark>),
    Released(Vec<u64>),
    HandedIn(Part),
    Taken { name: String, id: String },
    Done { mark: Mark, ending: Ending, figures: Figures, line: String },
}

/// A record as it stands in the file, with its line end. `synced`: how much of the file is on the disk already.
pub(super) fn write_record(record: &Record, synced: u64) -> Vec<u8> {
    let text = match record {
        Record::Begun(marks) => {
            let marks = marks.iter().map(|mark| format!(" {}:{:08x}", mark.number, mark.crc));
            format!("B {synced}{}", marks.collect::<String>())
        }
        Record::Released(numbers) => {
            format!("R {synced}{}", numbers.iter().map(|number| format!(" {number}")).collect::<String>())
        }
        Record::HandedIn(part) => format!("P {synced} {}", serde_json::to_string(part).unwrap_or_default()),
        Record::Taken { name, id } => format!("T {synced} {}", serde_json::json!({ "name": name, "id": id })),
        Record::Done { mark: Mark { number, crc }, ending, figures: Figures { micros, input, output }, line } => {
            format!("D {synced} {number}:{crc:08x} {} {micros} {input} {output} {line}", ending.word())
        }
    };
    seal(&text)
}

pub(super) fn write_head(head: &Head) -> Vec<u8> {
    seal(&format!("H {}", serde_json::to_string(head).unwrap_or_default()))
}

fn seal(text: &str) -> Vec<u8> {
    format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())).into_bytes()
}

/// The record in a whole line with its end, if the checksum holds.
fn unseal(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (crc, text) = text.split_once(' ')?;
    (crc.len() == 8 && u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(text.as_bytes())).then_some(text)
}

fn read_mark(text: &str) -> Option<Mark> {
    let (number, crc) = text.split_once(':')?;
    Some(Mark { number: number.parse().ok()?, crc: u32::from_str_radix(crc, 16).ok()? })
}

/// The record and how much of the file was on the disk before it.
fn read_record(text: &str) -> Option<(Record, u64)> {
    let (kind, rest) = text.split_once(' ')?;
    let (synced, rest) = rest.split_once(' ')?;
    let record = match kind {
        "B" => Record::Begun(rest.split(' ').map(read_mark).collect::<Option<_>>()?),
        "R" => Record::Released(rest.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?),
        "P" => Record::HandedIn(serde_json::from_str(rest).ok()?),
        "T" => {
            let value: serde_json::Value = serde_json::from_str(rest).ok()?;
            let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
            Record::Taken { name: text("name")?, id: text("id")? }
        }
        "D" => {
            let mut words = rest.splitn(6, ' ');
            let mark = read_mark(words.next()?)?;
            let ending = Ending::parse(words.next()?)?;
            let mut figure = || words.next()?.parse::<u64>().ok();
            let figures = Figures { micros: figure()?, input: figure()?, output: figure()? };
            Record::Done { mark, ending, figures, line: words.next()?.to_owned() }
        }
        _ => return None,
    };
    Some((record, synced.parse().ok()?))
}

/// Where the line of the output stands in the file that a `D` record brought here: its first byte, and its length.
pub(super) fn line_place(record: &[u8], line: &str, start: u64) -> (u64, u64) {
    let length = line.len() as u64;
    (start + record.len() as u64 - 1 - length, length)
}

/// Reads a journal from its start, cuts off what the last write left unfinished, and leaves `journal` at its end.
/// `hear` is told every record, with the place of its line in the file. Gives the head, if there is one.
pub(super) fn replay(
    journal: &mut File,
    path: &Path,
    mut hear: impl FnMut(Record, (u64, u64)) -> Result<()>,
) -> Result<Option<Head>> {
    journal.seek(SeekFrom::Start(0)).map_err(|error| file("read", path, error))?;
    let mut reader = BufReader::with_capacity(1 << 16, &*journal);
    let (mut at, mut number, mut head, mut line) = (0u64, 0u64, None, Vec::new());
    let torn = loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(|error| file("read", path, error))? as u64;
        if length == 0 {
            break false;
        }
        number += 1;
        let Some(text) = unseal(&line) else { break true };
        if at == 0 {
            head = Some(read_head(text).ok_or_else(|| wrong(format!("{} is no journal of a batch", path.display())))?);
        } else {
            let Some((record, _)) = read_record(text) else {
                return Err(wrong(format!("line {number} of {} is of a later version of trunkline", path.display())));
            };
            let place = match &record {
                Record::Done { line: result, .. } => line_place(&line, result, at),
                _ => (at, 0),
            };
            hear(record, place)?;
        }
        at += length;
    };
    if torn && synced_beyond(&mut reader, at) {
        let what = "is damaged, and more follows that was written later; restore the file, or begin anew with another output";
        return Err(wrong(format!("line {number} of {} {what}", path.display())));
    }
    drop(reader);
    if torn {
        journal.set_len(at).and_then(|()| journal.sync_all()).map_err(|error| file("repair", path, error))?;
    }
    journal.seek(SeekFrom::End(0)).map_err(|error| file("read", path, error))?;
    Ok(head)
}

fn read_head(text: &str) -> Option<Head> {
    serde_json::from_str(text.strip_prefix("H ")?).ok()
}

/// Whether a record that follows knows that the disk had more than so many bytes.
fn synced_beyond(reader: &mut impl BufRead, at: u64) -> bool {
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {
                let later = unseal(&line).and_then(read_record);
                if later.is_some_and(|(_, synced)| synced > at) {
                    return true;
                }
            }
        }
    }
}

/// Begins a journal.
pub(super) fn begin(journal: &mut File, path: &Path, head: &Head) -> Result<()> {
    journal.write_all(&write_head(head)).and_then(|()| journal.sync_all()).map_err(|error| file("write", path, error))?;
    // The name itself must survive, too.
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let mark = |number| Mark { number, crc: 0xdead_beef };
        let figures = Figures { micros: 12, input: 3, output: 4 };
        vec![
            Record::Begun(vec![mark(1), mark(2)]),
            Record::Done { mark: mark(2), ending: Ending::Answered, figures, line: r#"{"a": "b c 你好"}"#.to_owned() },
            Record::Released(vec![1]),
            Record::HandedIn(Part {
                name: "p 1".to_owned(),
                target: "house/a b".to_owned(),
                model: "模型".to_owned(),
                file: Some("file-1".to_owned()),
                findable: true,
                lines: vec![mark(3)],
            }),
            Record::Taken { name: "p 1".to_owned(), id: "batch_1".to_owned() },
        ]
    }

    fn journal(tail: &[u8]) -> (tempfile::Folder, std::path::PathBuf, u64) {
        let folder = tempfile::Folder::new();
        let path = folder.0.join("j");
        let mut bytes = write_head(&Head { version: 1, order: Order::Done });
        for record in records() {
            let synced = bytes.len() as u64;
            bytes.extend(write_record(&record, synced));
        }
        let whole = bytes.len() as u64;
        bytes.extend_from_slice(tail);
        std::fs::write(&path, bytes).unwrap();
        (folder, path, whole)
    }

    fn read(path: &Path) -> Result<Vec<Record>> {
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        let mut heard = Vec::new();
        replay(&mut file, path, |record, (start, length)| {
            if let Record::Done { line, .. } = &record {
                let bytes = std::fs::read(path).unwrap();
                assert_eq!(&bytes[start as usize..(start + length) as usize], line.as_bytes());
            }
            heard.push(record);
            Ok(())
        })?;
        Ok(heard)
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_is_torn() {
        let more = write_record(&Record::Begun(vec![Mark { number: 9, crc: 1 }]), 0);
        for cut in 0..more.len() {
            let (_folder, path, whole) = journal(&more[..cut]);
            assert_eq!(read(&path).unwrap(), records(), "{cut}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), whole);
        }
    }

    #[test]
    fn zeros_that_a_crash_left_are_cut_off_also_before_a_record_of_the_same_write() {
        let (_folder, path, whole) = journal(&[]);
        let mut tail = vec![0; 40];
        tail.push(b'\n');
        // Written together with what is zeros now: it knows only of what was synced before.
        tail.extend(write_record(&Record::Released(vec![2]), whole));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(tail);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path).unwrap(), records());
    }

    #[test]
    fn damage_is_told() {
        let (_folder, path, _) = journal(&[]);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 15;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let told = read(&path).unwrap_err().to_string();
        assert!(told.contains("line 2") && told.contains("damaged"), "{told}");
    }

    mod tempfile {
        pub(super) struct Folder(pub(super) std::path::PathBuf);

        impl Folder {
            pub(super) fn new() -> Self {
                static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
                let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let path = std::env::temp_dir().join(format!("trunkline-journal-{}-{count}", std::process::id()));
                std::fs::create_dir_all(&path).unwrap();
                Folder(path)
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }
}
