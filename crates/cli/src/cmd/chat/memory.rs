//! The lines that were typed before: a file of the user's own, a message a line.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// So many are remembered.
const MOST: usize = 1000;
/// A longer file is not read whole.
const BYTES: u64 = 16 * 1024 * 1024;

/// The file, or none: then nothing is remembered.
#[derive(Debug)]
pub(super) struct Memory(Option<PathBuf>);

impl Memory {
    pub(super) const fn at(path: Option<PathBuf>) -> Self {
        Memory(path)
    }

    /// The messages, the oldest first. What cannot be read is not there.
    pub(super) fn read(&self) -> Vec<String> {
        let Some(path) = &self.0 else { return Vec::new() };
        let Ok(file) = File::open(path) else { return Vec::new() };
        let lines: Vec<String> = BufReader::new(file.take(BYTES)).lines().map_while(Result::ok).collect();
        let last = lines.len().saturating_sub(MOST);
        if lines.len() > 2 * MOST {
            // A line that another chat adds meanwhile may get lost; the file stays whole.
            let _ = replace(path, lines.get(last..).unwrap_or_default());
        }
        lines.iter().skip(last).map(|line| from_line(line)).collect()
    }

    /// Adds a message, in one write: several chats may do so at once.
    pub(super) fn add(&self, message: &str) {
        let Some(path) = &self.0 else { return };
        let line = to_line(message) + "\n";
        let _ = private().append(true).open(path).and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Made for nobody but the user.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn replace(path: &Path, lines: &[String]) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut text = lines.join("\n");
    text.push('\n');
    private().write(true).truncate(true).open(&beside)?.write_all(text.as_bytes())?;
    std::fs::rename(beside, path)
}

fn to_line(message: &str) -> String {
    message.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "")
}

fn from_line(line: &str) -> String {
    let (mut out, mut escaped) = (String::new(), false);
    for c in line.chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, 'n') => out.push('\n'),
            (_, c) => out.push(c),
        }
        escaped = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were_and_only_the_last_stay() {
        let path = std::env::temp_dir().join(format!("trunkline-memory-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let memory = Memory::at(Some(path.clone()));
        assert!(memory.read().is_empty());
        let messages = ["a", "多\n行", "back\\slash \\n", "\\"];
        messages.iter().for_each(|message| memory.add(message));
        assert_eq!(memory.read(), messages);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        (0..2100).for_each(|number| memory.add(&number.to_string()));
        assert_eq!(memory.read().len(), MOST);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), MOST);
        assert_eq!(memory.read().last().unwrap(), "2099");
        std::fs::remove_file(&path).unwrap();
        Memory::at(None).add("x");
    }
}
