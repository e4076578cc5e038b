//! Where secrets come from: variables, files, commands.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::command::{self, SECRET_LIMIT};
use super::sign::refuse;
use crate::codec::Result;
use crate::codec::catalog::SecretRef;
use crate::config::Environment;
use crate::secret::Secret;

/// How long a command may take, where the configuration says nothing else.
pub(crate) const COMMAND_PATIENCE: Duration = Duration::from_secs(10);

/// Reads a secret from where it is kept; `None` when its variable is not set. Blocks.
///
/// # Errors
/// When its file or command cannot be used.
pub fn resolve(reference: &SecretRef, environment: &Environment) -> Result<Option<Secret>> {
    Lookup::new(environment, COMMAND_PATIENCE).find(reference)
}

/// Reads secrets, and remembers what it takes to know when to read them again.
pub(crate) struct Lookup<'a> {
    environment: &'a Environment,
    patience: Duration,
    /// What was found: to be recognised where somebody repeats it.
    pub(crate) secrets: Vec<Secret>,
    /// The files that were read, as they were before.
    pub(crate) stamps: Vec<Stamp>,
    /// Seconds until a command wants to be run again.
    pub(crate) lifetime: Option<u64>,
    /// When what was found ends.
    pub(crate) end: Option<SystemTime>,
}

impl<'a> Lookup<'a> {
    /// `patience` is for each command.
    pub(crate) fn new(environment: &'a Environment, patience: Duration) -> Self {
        Lookup { environment, patience, secrets: Vec::new(), stamps: Vec::new(), lifetime: None, end: None }
    }

    /// A secret, if there is one.
    pub(crate) fn find(&mut self, reference: &SecretRef) -> Result<Option<Secret>> {
        let found = self.find_plain(reference)?;
        self.secrets.extend(found.clone());
        Ok(found)
    }

    /// A secret that must be there.
    pub(crate) fn need(&mut self, reference: &SecretRef) -> Result<Secret> {
        self.find(reference)?.ok_or_else(|| not_set(reference))
    }

    /// A value that is no secret: it is not looked for in what others say.
    pub(crate) fn find_plain(&mut self, reference: &SecretRef) -> Result<Option<Secret>> {
        match reference {
            SecretRef::Env(_) => Ok(self.first(reference).map(Secret::new)),
            SecretRef::Literal(text) => Ok(Some(Secret::new(text))),
            SecretRef::File(path) => self.read(&self.expand(path)).map(Some),
            SecretRef::Cmd { command, lifetime } => {
                self.lasts_for(*lifetime);
                self.run(command).map(Some)
            }
        }
    }

    /// What a command prints.
    pub(crate) fn run(&self, command: &str) -> Result<Secret> {
        command::run(command, self.patience)
    }

    /// What was found is to be looked for again after so many seconds.
    pub(crate) fn lasts_for(&mut self, seconds: u64) {
        self.lifetime = Some(self.lifetime.map_or(seconds, |other| other.min(seconds)));
    }

    /// What was found is worthless from then on.
    pub(crate) fn lasts_until(&mut self, end: SystemTime) {
        self.end = Some(self.end.map_or(end, |other| other.min(end)));
    }

    /// A value that is no secret and must be there.
    pub(crate) fn need_plain(&mut self, reference: &SecretRef) -> Result<Secret> {
        self.find_plain(reference)?.ok_or_else(|| not_set(reference))
    }

    /// What the first of its variables says that is set, or what it is without them.
    pub(crate) fn first<'b>(&self, reference: &'b SecretRef) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.environment.first(reference.env_names()).or_else(|| reference.default_text())
    }

    /// A variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name)
    }

    /// The path that is named by a variable or written out, if there is such a file.
    pub(crate) fn path(&self, reference: &SecretRef) -> Option<PathBuf> {
        let named = match reference {
            SecretRef::Env(_) => self.first(reference).map(str::to_owned),
            SecretRef::Literal(path) | SecretRef::File(path) => Some(path.clone()),
            SecretRef::Cmd { .. } => None,
        };
        named.map(|path| self.expand(&path)).filter(|path| path.is_file())
    }

    /// A file's whole text. One that is empty or was written to just now may not be complete: it is looked at again.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Secret> {
        let text = self.read_settled(path, false)?;
        match text.trim().is_empty() {
            true => Err(unreadable(path, "it is empty")),
            false => Ok(Secret::new(&text)),
        }
    }

    /// The same for one that others share, which may well say nothing.
    pub(crate) fn read_shared(&mut self, path: &Path) -> Result<Secret> {
        self.read_settled(path, true).map(|text| Secret::new(&text))
    }

    fn read_settled(&mut self, path: &Path, may_be_empty: bool) -> Result<String> {
        let mut left = LOOKS;
        let (stamp, text) = loop {
            // Looked at before it is read: what changes from here on is seen later.
            let stamp = Stamp::take(path);
            let text = read_text(path).map_err(|e| unreadable(path, &e.to_string()))?;
            left -= 1;
            let is_empty = !may_be_empty && text.trim().is_empty();
            if left == 0 || !(stamp.is_newer_than(QUIET) || is_empty) {
                break (stamp, text);
            }
            std::thread::sleep(PAUSE);
        };
        self.stamps.push(stamp);
        if text.len() as u64 > SECRET_LIMIT {
            return Err(unreadable(path, "it is longer than a secret can be"));
        }
        Ok(text)
    }

    /// `~/` is the home folder.
    pub(crate) fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.environment.get("HOME")) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(path),
        }
    }
}

fn unreadable(path: &Path, why: &str) -> crate::Error {
    refuse(format!("cannot read the secret file {}: {why}", path.display()))
}

fn not_set(reference: &SecretRef) -> crate::Error {
    refuse(format!("{} is not set", reference.env_names().join(" or ")))
}

/// How coarse the clock may be that files are stamped by.
const GRAIN: Duration = Duration::from_millis(50);
/// A file that was written to within this time may not be complete.
const QUIET: Duration = Duration::from_millis(100);
/// How often such a file is looked at, and how long whoever writes has in between.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(15);

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SECRET_LIMIT + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// What a file looked like from outside: another look tells whether it has changed.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    path: PathBuf,
    /// Time, length, number.
    seen: Option<(Option<SystemTime>, u64, u64)>,
    /// How old its content was.
    age: Option<Duration>,
}

impl Stamp {
    pub(crate) fn take(path: &Path) -> Self {
        let seen = look(path);
        let now = SystemTime::now();
        let age = seen.and_then(|(time, ..)| time).map(|time| now.duration_since(time).unwrap_or_else(|e| e.duration()));
        Stamp { path: path.to_owned(), seen, age }
    }

    fn is_newer_than(&self, age: Duration) -> bool {
        self.age.is_some_and(|own| own < age)
    }

    /// Whether the file looks different now, or may have changed unseen. One system call.
    pub(crate) fn is_stale(&self) -> bool {
        // So new that a change right after the look would look the same.
        self.is_newer_than(GRAIN) || self.is_changed()
    }

    /// Whether the file looks different now.
    pub(crate) fn is_changed(&self) -> bool {
        self.seen != look(&self.path)
    }
}

fn look(path: &Path) -> Option<(Option<SystemTime>, u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.modified().ok(), meta.len(), inode(&meta)))
}

/// A file that takes another's place may have its length, and its time to the clock's grain.
#[cfg(unix)]
fn inode(meta: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
