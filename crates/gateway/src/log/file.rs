//! The file itself: put away when it is long or the day is over, opened anew when somebody has moved it away.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline::config::{LogConfig, Rotate};
use trunkline_store::{FileId, date, private};

pub(super) struct File {
    path: PathBuf,
    limit: u64,
    keep: usize,
    daily: bool,
    open: Option<Open>,
    /// Whether the last try to put it away failed, and why, until that is taken.
    stuck: bool,
    fault: Option<io::Error>,
}

struct Open {
    file: std::fs::File,
    id: FileId,
    length: u64,
    /// Days since 1970, of when it was begun.
    day: u64,
    /// Whether it can be put away: neither a pipe nor a device, nor a name for a file that stands elsewhere.
    rotates: bool,
}

impl File {
    pub(super) fn open(path: &Path, config: &LogConfig) -> io::Result<Self> {
        let limit = config.max_megabytes.max(1).saturating_mul(1_000_000);
        let daily = config.rotate == Rotate::Day;
        let mut file = File { path: path.to_owned(), limit, keep: config.keep, daily, open: None, stuck: false, fault: None };
        file.reopen()?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds whole lines, all or none.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let stays = self.open.as_ref().is_some_and(|open| FileId::of(&self.path) == Some(open.id));
        if !stays {
            self.reopen()?;
        }
        let now = today();
        let is_due = |open: &Open| open.length + lines.len() as u64 > self.limit || (self.daily && open.day != now);
        if self.open.as_ref().is_some_and(|open| open.rotates && open.length > 0 && is_due(open)) {
            // A long file is better than none.
            let fault = self.put_away().err();
            let is_new = fault.is_some() && !std::mem::replace(&mut self.stuck, fault.is_some());
            self.fault = fault.filter(|_| is_new);
        }
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if let Err(error) = open.file.write_all(lines) {
            // Half a line would spoil the one after it.
            let _ = open.file.set_len(open.length);
            return Err(error);
        }
        open.length += lines.len() as u64;
        Ok(())
    }

    /// Why it could not be put away, if that was not asked before.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = None;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let file = private().append(true).create(true).open(&self.path)?;
        let data = file.metadata()?;
        let begun = data.modified().ok().filter(|_| data.len() > 0).map_or_else(today, day);
        let length = if data.is_file() { data.len() } else { 0 };
        let rotates = std::fs::symlink_metadata(&self.path).is_ok_and(|data| data.is_file());
        self.open = Some(Open { file, id: FileId::read(&data), length, day: begun, rotates });
        Ok(())
    }

    /// The file gets the time into its name, and a new one is begun.
    fn put_away(&mut self) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stamp = stamp(SystemTime::now());
        let names = (0..1000).map(|number| match number {
            0 => format!("{name}.{stamp}"),
            number => format!("{name}.{stamp}-{number:03}"),
        });
        let free = names.map(|name| self.path.with_file_name(name)).find(|path| !path.exists());
        std::fs::rename(&self.path, free.ok_or(io::ErrorKind::AlreadyExists)?)?;
        self.reopen()?;
        self.delete_old(&name);
        Ok(())
    }

    /// Those that were put away go, but for the last.
    fn delete_old(&self, name: &str) {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let begin = format!("{name}.");
        let is_ours = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.strip_prefix(&begin).is_some_and(is_stamp)
        };
        let mut old: Vec<PathBuf> = entries.filter(is_ours).collect();
        old.sort();
        let many = old.len().saturating_sub(self.keep);
        old.iter().take(many).for_each(|path| _ = std::fs::remove_file(path));
    }
}

fn today() -> u64 {
    day(SystemTime::now())
}

fn day(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400)
}

/// `20261123T101500Z`.
fn stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}{minute:02}{second:02}Z", date(seconds / 86_400).replace('-', ""))
}

/// Whether a name's end is such a stamp, with a number behind it or not.
fn is_stamp(text: &str) -> bool {
    let stamp = text.split('-').next().unwrap_or_default();
    stamp.len() == 16 && stamp.ends_with('Z') && stamp.bytes().filter(u8::is_ascii_digit).count() == 14
}
