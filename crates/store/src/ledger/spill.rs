//! The spill file: rows that the store did not take, a line of JSON each, on the disk before anything else is done.
//!
//! Each process has its own beside the store, and holds its lock. One whose process is gone is taken in by the next that
//! opens the store.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use trunkline_codec::Result;

use super::BATCH;
use crate::row::CallRow;
use crate::store::{FileId, Store, private};
use crate::wrong;

/// The longest line that is written, and read. Rows are short, but for those that have texts.
const LINE: u64 = 16 * 1024 * 1024;
/// Bytes of lines that are read at one time; a little more than these.
const READ: u64 = 4 * 1024 * 1024;

/// This process's spill file.
pub(super) struct Spill {
    path: PathBuf,
    open: Option<Open>,
    limit: u64,
    /// Rows in it that are not in the store yet.
    rows: u64,
}

struct Open {
    file: File,
    id: FileId,
    length: u64,
    /// How far it has been read back.
    taken: u64,
}

/// Rows that were read, and how many lines were none.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) rows: Vec<CallRow>,
    pub(super) spoilt: u64,
    /// Where they stood.
    of: Option<FileId>,
    end: u64,
}

impl Spill {
    /// A spill file beside `store`, which is made when it is needed.
    pub(super) fn beside(store: &Path, mark: &str, limit: u64) -> Self {
        let mut name = store.file_name().unwrap_or_default().to_owned();
        name.push(format!(".spill-{mark}.jsonl"));
        Spill { path: store.with_file_name(name), open: None, limit, rows: 0 }
    }

    /// Rows that are in it and not in the store yet.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows, all or none, and has the disk keep them. How many of them lost what was said in their calls: they would
    /// have been too long to be read back.
    pub(super) fn add(&mut self, rows: &[CallRow]) -> io::Result<u64> {
        let mut bytes = Vec::with_capacity(rows.len() * 512);
        let mut bared = 0;
        for row in rows {
            let begin = bytes.len();
            serde_json::to_writer(&mut bytes, row)?;
            if (bytes.len() - begin) as u64 >= LINE {
                bytes.truncate(begin);
                serde_json::to_writer(&mut bytes, &CallRow { texts: None, ..row.clone() })?;
                bared += 1;
            }
            bytes.push(b'\n');
        }
        let limit = self.limit;
        let open = self.open()?;
        if open.length + bytes.len() as u64 > limit {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the spill file is as long as it may be"));
        }
        let written = open.file.write_all(&bytes).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // Half a batch would be one more line that is none.
            let _ = open.file.set_len(open.length);
            return Err(error);
        }
        open.length += bytes.len() as u64;
        self.rows += rows.len() as u64;
        Ok(bared)
    }

    /// The next rows that are to go into the store; [`Spill::taken`] says that they are there.
    pub(super) fn next(&mut self, most: usize) -> io::Result<Lines> {
        let Some(open) = &mut self.open else { return Ok(Lines::default()) };
        open.file.seek(SeekFrom::Start(open.taken))?;
        let lines = read(&mut BufReader::new(&open.file), open.taken, most)?;
        open.file.seek(SeekFrom::Start(open.length))?;
        Ok(Lines { of: Some(open.id), ..lines })
    }

    /// These rows are in the store. An empty file is taken away.
    pub(super) fn taken(&mut self, lines: &Lines) {
        if self.open.as_ref().is_some_and(|open| lines.of != Some(open.id)) {
            // It was moved away meanwhile: these rows are not those of the new one.
            return;
        }
        self.rows = self.rows.saturating_sub(lines.rows.len() as u64 + lines.spoilt);
        let Some(open) = &mut self.open else { return };
        open.taken = lines.end;
        if lines.end >= open.length || (lines.rows.is_empty() && lines.spoilt == 0) {
            self.rows = 0;
            self.open = None;
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// The file, if it is still where it was; a new one otherwise.
    fn open(&mut self) -> io::Result<&mut Open> {
        let there = FileId::of(&self.path);
        if self.open.as_ref().is_some_and(|open| there != Some(open.id)) {
            // It was moved away with all that is in it; whoever finds it takes it in.
            self.open = None;
            self.rows = 0;
        }
        if self.open.is_none() {
            let file = private().read(true).append(true).create(true).open(&self.path)?;
            file.try_lock()?;
            let data = file.metadata()?;
            // After a power cut the file should have its name.
            #[cfg(unix)]
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
            self.open = Some(Open { file, id: FileId::read(&data), length: data.len(), taken: 0 });
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The spill files beside a store. Those of running processes are locked.
pub(super) fn files(store: &Path) -> Vec<PathBuf> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let begin = format!("{}.spill-", store.file_name().unwrap_or_default().to_string_lossy());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begin) && name.ends_with(".jsonl")
    };
    entries.filter(is_one).collect()
}

/// Takes in all that processes that are gone have left waiting.
pub(crate) async fn adopt_all(store: &mut Store) -> Result<()> {
    for mut orphan in files(store.path()).into_iter().filter_map(|path| Orphan::open(path).ok()) {
        loop {
            let lines = orphan.next(BATCH);
            let lines = lines.map_err(|error| wrong(format!("the spill file cannot be read: {error}")))?;
            store.add(&lines.rows).await?;
            if !orphan.taken(&lines) {
                break;
            }
        }
        orphan.remove();
    }
    Ok(())
}

/// Another process's spill file, locked. While it is in use, it is nobody else's.
pub(super) struct Orphan {
    file: File,
    path: PathBuf,
    taken: u64,
}

impl Orphan {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = private().read(true).write(true).open(&path)?;
        file.try_lock()?;
        Ok(Orphan { file, path, taken: 0 })
    }

    pub(super) fn next(&mut self, most: usize) -> io::Result<Lines> {
        self.file.seek(SeekFrom::Start(self.taken))?;
        read(&mut BufReader::new(&self.file), self.taken, most)
    }

    /// These rows are in the store. False when there are no more.
    pub(super) fn taken(&mut self, lines: &Lines) -> bool {
        self.taken = lines.end;
        !lines.rows.is_empty() || lines.spoilt > 0
    }

    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn read(reader: &mut impl BufRead, from: u64, most: usize) -> io::Result<Lines> {
    let mut lines = Lines { end: from, ..Lines::default() };
    let mut line = Vec::new();
    while lines.rows.len() < most && lines.end - from < READ {
        line.clear();
        let length = reader.by_ref().take(LINE).read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            break;
        }
        lines.end += length;
        match serde_json::from_slice(&line) {
            Ok(row) => lines.rows.push(row),
            // The last line of a process that was killed in the middle of it.
            Err(_) => lines.spoilt += 1,
        }
    }
    Ok(lines)
}
