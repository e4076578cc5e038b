//! A command that prints a secret.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::sign::refuse;
use crate::codec::Result;
use crate::secret::Secret;

/// The longest secret, in bytes.
pub(super) const SECRET_LIMIT: u64 = 1024 * 1024;
/// How often a command that has said everything is asked whether it is over.
const PAUSE: Duration = Duration::from_millis(5);

/// What the command prints. Blocks for as long as that takes, at most `patience`; then the command is ended together
/// with everything that it started.
///
/// # Errors
/// When it cannot be run, fails, takes too long or prints nothing. What it printed is never repeated.
pub(super) fn run(command: &str, patience: Duration) -> Result<Secret> {
    let name = name(command);
    let deadline = Instant::now() + patience;
    let late = || refuse(format!("the secret command `{name}` did not end within {} s", patience.as_secs_f32()));
    let mut child = start(command).map_err(|e| refuse(format!("cannot run the secret command `{name}`: {e}")))?;
    let (sender, printed) = mpsc::sync_channel(1);
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let read = out.take(SECRET_LIMIT + 1).read_to_end(&mut text);
            let _ = sender.send(read.map(|_| text));
        });
    }
    let text = printed.recv_timeout(patience);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline && text.is_ok() => std::thread::sleep(PAUSE),
            _ => {
                end(&mut child);
                return Err(late());
            }
        }
    };
    if !status.success() {
        return Err(refuse(format!("the secret command `{name}` failed ({status})")));
    }
    let text = text.map_err(|_| late())?;
    let text = text.map_err(|e| refuse(format!("cannot read what the secret command `{name}` prints: {e}")))?;
    match String::from_utf8(text) {
        Ok(text) if text.len() as u64 > SECRET_LIMIT => Err(refuse(format!("the secret command `{name}` prints too much"))),
        Ok(text) if !text.trim().is_empty() => Ok(Secret::new(&text)),
        Ok(_) => Err(refuse(format!("the secret command `{name}` printed nothing"))),
        Err(_) => Err(refuse(format!("what the secret command `{name}` prints is not a text"))),
    }
}

/// Its first word: what follows may be a secret too.
fn name(command: &str) -> String {
    let mut words = command.split_whitespace();
    let first = words.next().unwrap_or_default();
    if words.next().is_some() { format!("{first} …") } else { first.to_owned() }
}

fn start(command: &str) -> std::io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that what the shell starts can be ended with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    shell.spawn()
}

fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_command_prints_a_secret() {
        assert_eq!(run("printf 'one\\n'", LONG).unwrap().expose(), "one");
    }

    #[test]
    fn what_goes_wrong_with_a_command_is_said_in_a_sentence() {
        let words = |command: &str| run(command, LONG).unwrap_err().message;
        assert_eq!(words("exit 3"), "the secret command `exit …` failed (exit status: 3)");
        assert_eq!(words("true"), "the secret command `true` printed nothing");
        assert_eq!(words("printf '\\377'"), "what the secret command `printf …` prints is not a text");
        assert_eq!(words("echo leaked-secret; exit 1"), "the secret command `echo …` failed (exit status: 1)");
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children() {
        let started = Instant::now();
        let marker = std::env::temp_dir().join(format!("trunkline-hang-{}", std::process::id()));
        let command = format!("(sleep 2; echo late > {}) & wait", marker.display());
        let error = run(&command, Duration::from_millis(200)).unwrap_err();
        assert!(error.message.contains("did not end within 0.2 s"), "{error}");
        assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
        std::thread::sleep(Duration::from_millis(2200));
        assert!(!marker.exists(), "its child lived on");
    }
}
